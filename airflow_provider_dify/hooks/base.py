"""What all methods of the hook need: settings, one client, and a way to run flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.exceptions import AnyReport, DifyError
from airflow_provider_dify.hooks.connection import advised, fetching, settings_from
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.bases.agents import telling_agents
from airflow_provider_dify.knowledge.conversation import Conversation
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.reading import HasId, Pager
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.transport.clock import current
from airflow_provider_dify.transport.metrics import measured
from airflow_provider_dify.transport.settings import Settings
from airflow_provider_dify.transport.sync import Client

T = TypeVar("T")
R = TypeVar("R", bound=AnyReport)
I = TypeVar("I", bound=HasId)  # noqa: E741 - an item of a list


class FlowHook(BaseHook):
    """Runs flows against the Dify of an Airflow Connection.

    :param dify_conn_id: Id of the connection.
    """

    conn_name_attr = "dify_conn_id"
    default_conn_name = DEFAULT_CONN_ID

    def __init__(self, dify_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.dify_conn_id = dify_conn_id
        self._settings: Settings | None = None
        self._client: Client | None = None
        #: One for all waits: a deadline must not run on another clock than the pauses.
        self._clock = current()

    @property
    def settings(self) -> Settings:
        """The settings of the connection.

        :raises DifyConnectionError: The connection cannot be fetched.
        :raises DifyInputError: One of its fields has an invalid value.
        """
        if self._settings is None:
            with fetching(self.dify_conn_id):
                connection = self.get_connection(self.dify_conn_id)
            self._settings = settings_from(connection)
        return self._settings

    def __reduce__(self) -> tuple[type[FlowHook], tuple[str]]:
        """Pickle and copy without the key; the copy reads the connection again."""
        return type(self), (self.dify_conn_id,)

    def get_conn(self) -> Client:
        """Return the client that runs flows over one keep-alive connection."""
        if self._client is None:
            self._client = Client(self.settings, self.log, self._clock)
        return self._client

    def close(self) -> None:
        """Close the connection to Dify. The next call opens it again."""
        if self._client is not None:
            self._client.close()

    def stop(self) -> None:
        """Stop sending: a running flow fails at its next step. A signal handler may call this."""
        if self._client is not None:
            self._client.stop()

    def run(self, flow: Flow[T], deadline: Deadline | None = None) -> T:
        """Run a flow, and retry failed requests if a retry makes sense.

        :param flow: The flow to run.
        :param deadline: No wait goes beyond it.
        :return: What the flow returns.
        :raises DifyError: A request failed and retries did not help.
        """
        try:
            return self.get_conn().run(retrying(telling_agents(flow), self.retries, deadline))
        except DifyError as error:
            raise advised(error, self.settings) from None

    def run_apart(self, flow: Flow[T], seconds: float) -> T:
        """Run a flow over a separate connection. This also works after :meth:`stop`, and in a signal handler.

        :param flow: The flow to run.
        :param seconds: How long it may wait.
        :return: What the flow returns.
        :raises DifyError: A request failed.
        """
        client = Client(self.settings, self.log, self._clock)
        try:
            return client.run(retrying(flow, Retries(max_retries=1), self.deadline(seconds)))
        finally:
            client.close()

    @property
    def retries(self) -> Retries:
        """How failed requests are retried."""
        return self.settings.retries

    def deadline(self, seconds: float) -> Deadline:
        """Return a deadline this many seconds from now."""
        return Deadline(seconds, self._clock.monotonic)

    def _within(self, conversation: Conversation[R], seconds: float) -> tuple[Flow[R], Deadline]:
        """Return a conversation's flow and its deadline, ready for :meth:`run`."""
        deadline = self.deadline(seconds)
        return measured(conversation, conversation.flow(deadline, self.retries)), deadline

    def _pages(self, read: Callable[[int, int], Flow[api.Page[I]]]) -> Iterator[I]:
        pager: Pager[I] = Pager()
        while not pager.done:
            yield from pager.take(self.run(read(pager.page, pager.limit)))
