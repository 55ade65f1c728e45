"""What a trigger needs of the hook, without holding up the event loop that it shares with all other triggers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.connection import advised, check_extras, fetching, settings_from
from airflow_provider_dify.knowledge.bases.agents import telling_agents
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.transport import clock as clocks
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.common import Log
from airflow_provider_dify.transport.settings import Settings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

T = TypeVar("T")

#: Seconds before a trigger looks for the first time. Airflow's scheduler fails a task whose trigger fires before it
#: has noticed that the task has left its worker.
_FIRST_LOOK = 5.0
#: So many triggers fetch their connection at a time. Airflow does it in threads: where a thousand triggers begin
#: together, all their answers would come at once, and handling them would hold up the event loop.
_AT_A_TIME = 4
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def async_settings(dify_conn_id: str) -> Settings:
    """Fetch an Airflow Connection inside a trigger, and return what it stands for.

    Do this first and once, in the trigger's own task: some versions of Airflow know no connections elsewhere.

    :param dify_conn_id: Id of the connection.
    :raises DifyConnectionError: It cannot be fetched.
    :raises DifyInputError: A field of it has a wrong value.
    """
    from airflow.providers.common.compat.connection import get_async_connection

    async with _turns():
        with fetching(dify_conn_id):
            connection = await get_async_connection(dify_conn_id)
        check_extras(connection)
        with fetching(dify_conn_id):
            extras = await _extras(connection)
        return settings_from(connection, extras)


async def run_flow(flow: Flow[T], settings: Settings, log: Log, deadline: Deadline | None = None) -> T:
    """Run a conversation with Dify, and send again what failed where that makes sense.

    It does in an event loop what ``DifyHook.run`` does in a worker.

    :param flow: The conversation.
    :param settings: How to reach Dify, from :func:`async_settings`.
    :param log: Where its notes go.
    :param deadline: No wait goes beyond it.
    :return: What the flow returns.
    :raises DifyError: What went wrong and could not be mended by trying again.
    """
    try:
        async with AsyncClient(settings, log) as client:
            return await client.run(retrying(telling_agents(flow), settings.retries, deadline), deadline)
    except DifyError as error:
        raise advised(error, settings) from None


def soon(deadline: Deadline) -> Awaitable[None]:
    """Wait for the few seconds before a first look: the task has looked just before it left its worker."""
    return clocks.clock.asleep(min(_FIRST_LOOK, deadline.remaining))


def _turns() -> asyncio.Semaphore:
    return _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_A_TIME))


async def _extras(connection: Connection) -> dict[str, Any]:
    """Read the extras: that masks their secrets, for which Airflow 3 asks its supervisor."""
    from airflow.providers.common.compat import connection as compat

    if hasattr(compat, "get_async_extra_dejson"):
        return await compat.get_async_extra_dejson(connection)
    # An older common-compat: what the newer one does for an Airflow that cannot do it asynchronously.
    from asgiref.sync import sync_to_async

    return await sync_to_async(lambda: connection.extra_dejson)()
