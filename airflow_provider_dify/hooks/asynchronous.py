"""What triggers need from the hook, without blocking the event loop that all triggers share."""

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
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import current
from airflow_provider_dify.transport.common import Log
from airflow_provider_dify.transport.settings import Settings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

T = TypeVar("T")

#: Seconds before a trigger's first check. Airflow's scheduler fails a task whose trigger fires before the scheduler has
#: noticed that the task left its worker.
_FIRST_CHECK = 5.0
#: How many triggers fetch their connection at the same time. Airflow uses threads for it: if a thousand triggers start
#: together, all results would arrive at once, and handling them would block the event loop.
_AT_A_TIME = 4
_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def async_settings(dify_conn_id: str) -> Settings:
    """Fetch an Airflow Connection inside a trigger and return its settings.

    Call this first and once, in the trigger's own task: some versions of Airflow cannot read connections anywhere else.

    :param dify_conn_id: Id of the connection.
    :raises DifyConnectionError: The connection cannot be fetched.
    :raises DifyInputError: One of its fields has an invalid value.
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
    """Run a flow in an event loop, and retry failed requests if a retry makes sense.

    This is the asynchronous version of ``DifyHook.run``.

    :param flow: The flow to run.
    :param settings: How to reach Dify, from :func:`async_settings`.
    :param log: Where the flow's notes are logged.
    :param deadline: No wait goes beyond it.
    :return: What the flow returns.
    :raises DifyError: A request failed and retries did not help.
    """
    try:
        async with AsyncClient(settings, log, current()) as client:
            return await client.run(retrying(telling_agents(flow), settings.retries, deadline), deadline)
    except DifyError as error:
        raise advised(error, settings) from None


def soon(deadline: Deadline) -> Awaitable[None]:
    """Wait a few seconds before the first check: the task itself has checked just before it left its worker."""
    return current().asleep(min(_FIRST_CHECK, deadline.remaining))


def _turns() -> asyncio.Semaphore:
    return _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_AT_A_TIME))


async def _extras(connection: Connection) -> dict[str, Any]:
    """Read the extras. This masks their secrets; Airflow 3 asks its supervisor for that."""
    from airflow.providers.common.compat import connection as compat

    if hasattr(compat, "get_async_extra_dejson"):
        return await compat.get_async_extra_dejson(connection)
    # An older common-compat: do what the newer one does for an Airflow without asynchronous connections.
    from asgiref.sync import sync_to_async

    return await sync_to_async(lambda: connection.extra_dejson)()
