"""Running apps from an event loop: in an async task, or in your own trigger."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_dify import DEFAULT_APP_CONN_ID
from airflow_provider_dify.hooks.apps import flows
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import AppInfo, AppRun, ChatRow, LogRow
from airflow_provider_dify.knowledge.apps.chat import ChatMessage
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.knowledge.apps.report import ChatReport, RunReport
from airflow_provider_dify.knowledge.apps.run import WorkflowRun
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.transport.asynchronous import AsyncClient
from airflow_provider_dify.transport.clock import current
from airflow_provider_dify.transport.metrics import measured
from airflow_provider_dify.transport.settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class DifyAsyncAppHook:
    """Runs apps without blocking the event loop. Its methods are those of ``DifyHook``, except for uploads.

    Use it as a context manager: the connection is read at the beginning, and the requests of all calls share a few
    connections to Dify. Calls may run in parallel.

    :param dify_conn_id: Id of the Airflow Connection, whose password is the app key.
    """

    def __init__(self, dify_conn_id: str = DEFAULT_APP_CONN_ID) -> None:
        self.dify_conn_id = dify_conn_id
        self._settings: Settings | None = None
        self._client: AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._settings = await async_settings(self.dify_conn_id)
        # As long as one client exists, the connections stay open for all.
        self._client = await AsyncClient(self._settings, _LOG, current()).__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._client is not None:
            await self._client.__aexit__(*exc_info)
        self._client = self._settings = None

    async def run(self, flow: Flow[T], deadline: Deadline | None = None) -> T:
        """Run a flow, and retry failed requests if a retry makes sense.

        :param flow: The flow to run.
        :param deadline: No wait goes beyond it.
        :return: What the flow returns.
        :raises DifyError: A request failed and retries did not help.
        """
        if self._settings is None:
            raise TypeError("Use it as a context manager: 'async with DifyAsyncAppHook(...) as hook'.")
        return await run_flow(flow, self._settings, _LOG, deadline)

    async def app_info(self) -> AppInfo:
        """Read the name and mode of the app; see :meth:`DifyHook.app_info`."""
        return await self.run(api.get_info())

    async def app_parameters(self) -> dict[str, Any]:
        """Read the parameters of the app; see :meth:`DifyHook.app_parameters`."""
        return await self.run(api.get_parameters())

    async def run_workflow(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        user: str,
        workflow_id: str | None = None,
        options: RunOptions | None = None,
    ) -> RunReport:
        """Run a workflow and wait for its end; see :meth:`DifyHook.run_workflow`.

        :param inputs: The inputs of the app, by name. Upload files with ``DifyHook.upload_app_file``.
        :param user: The name under which Dify shows the run. If this user has a run already, that one counts.
        :param workflow_id: Which published version to run; by default, the latest.
        :param options: How to wait, for how long, and which outcomes should not raise.
        :return: How the run ended, and what it returned.
        :raises DifyRunError: The run did not end well.
        :raises DifyRunUnknown: Dify cannot say whether the run was started.
        """
        run = WorkflowRun.of_user(user, inputs, options, workflow_id=workflow_id)
        await self._converse(run)
        return run.result()

    async def ask_app(
        self,
        query: str,
        *,
        user: str,
        conversation_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        options: RunOptions | None = None,
    ) -> ChatReport:
        """Ask a chat app, an agent or a chatflow a question; see :meth:`DifyHook.ask_app`.

        :param query: The question.
        :param user: Who asks. A new conversation needs a user without conversations.
        :param conversation_id: The conversation to continue; it belongs to its user.
        :param inputs: The inputs of the app, by name. In a continued conversation, only a chatflow needs them again.
        :param options: How to wait, for how long, and which outcomes should not raise.
        :return: The answer, and what it is based on.
        :raises DifyRunError: There is no answer.
        :raises DifyRunUnknown: Dify cannot say whether it accepted the question.
        """
        message = ChatMessage.of_user(user, query, inputs, options, conversation_id=conversation_id)
        await self._converse(message)
        return message.result()

    async def list_conversations(self, *, user: str, limit: int = 20) -> list[dict[str, Any]]:
        """List the conversations of a user; see :meth:`DifyHook.list_conversations`."""
        return list(await self.run(flows.conversations(user, limit)))

    async def list_messages(self, conversation_id: str, *, user: str, limit: int = 100) -> list[ChatRow]:
        """List the latest messages of a conversation; see :meth:`DifyHook.list_messages`."""
        return list(await self.run(flows.messages(conversation_id, user, limit)))

    async def get_app_run(self, run_id: str) -> AppRun:
        """Read a run of a workflow or chatflow; see :meth:`DifyHook.get_app_run`."""
        return await self.run(flows.run(run_id))

    async def list_app_runs(
        self, *, user: str | None = None, status: str | None = None, limit: int = 100
    ) -> list[LogRow]:
        """List runs in the log of the app, newest first; see :meth:`DifyHook.list_app_runs`."""
        return list(await self.run(flows.runs(user, status, limit)))

    async def stop_app_run(self, run_id: str, *, user: str, task_id: str = "") -> AppRun:
        """Stop a run of a workflow, and check whether it has stopped; see :meth:`DifyHook.stop_app_run`."""
        return await self.run(flows.stop(run_id, user, task_id))

    async def _converse(self, conversation: WorkflowRun | ChatMessage) -> None:
        deadline = Deadline(conversation.options.timeout, current().monotonic)
        flow: Flow[object] = conversation.flow(deadline)
        await self.run(measured(conversation, flow), deadline)
