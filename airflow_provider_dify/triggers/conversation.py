"""Waits in the triggerer, without occupying a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow, soon
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.conversation import Movable, Stoppable
from airflow_provider_dify.knowledge.flow import JSON, Deadline
from airflow_provider_dify.transport.clock import current
from airflow_provider_dify.transport.settings import Settings

#: Where each kind of conversation is. They load in a thread: the triggerer imports this module in its event loop, where
#: all of them would hold up every other trigger.
_KINDS: Mapping[str, tuple[str, str]] = {
    "status": ("status.change", "StatusChange"),
    "indexing": ("indexing.wait", "IndexingWait"),
    "reindex": ("reindex.reindex", "Reindex"),
    "release": ("release.release", "Release"),
    "rollback": ("release.rollback", "Rollback"),
    "workflow": ("apps.run", "WorkflowRun"),
}
#: The kinds that are loaded. If a thousand triggers start together, the results of as many threads would come at once.
_LOADED: dict[str, type[Movable[Any]]] = {}
#: Seconds that a killed task may take to stop what runs in Dify.
_SECONDS_TO_STOP = 20.0
#: Maximum number of documents that an event names.
_MOST_NAMED = 200


class DifyConversationTrigger(BaseTrigger):
    """Continues a conversation with Dify if a worker would have to wait, and fires once when it has ended.

    It may run twice: each conversation reads documents before it sends anything for them. The event is ``report`` (the
    report of the whole conversation), ``names`` of documents with errors, by id, ``error`` (:meth:`DifyError.to_json`,
    or ``None``) and ``started``.

    :param kind: The kind of conversation: ``status``, ``indexing``, ``reindex``, ``release``, ``rollback`` or
        ``workflow``.
    :param state: Its state (:meth:`Movable.to_json`). It contains no secrets.
    :param dify_conn_id: Id of the Airflow Connection. The key is fetched when the trigger runs.
    :param started: When the task began, in seconds since the epoch.
    :param timeout: Seconds from then until which it waits.
    """

    def __init__(self, *, kind: str, state: dict[str, JSON], dify_conn_id: str, started: float, timeout: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = kind
        self.state = state
        self.dify_conn_id = dify_conn_id
        self.started = started
        self.timeout = timeout
        self._conversation: object = None
        self._settings: Settings | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to create this trigger again: plain JSON, without secrets."""
        names = ("kind", "state", "dify_conn_id", "started", "timeout")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Continue to the end, and fire the event for ``execute_complete`` of the task."""
        kind = _LOADED.get(self.kind)
        if kind is None:
            kind = await asyncio.to_thread(_load, self.kind)
        conversation = kind.from_json(self.state)
        self._conversation = conversation
        # The wall clock, because it began in another process.
        deadline = Deadline(self.timeout, current().time, self.started)
        error: DifyError | None = None
        try:
            settings = self._settings = await async_settings(self.dify_conn_id)
            await soon(deadline)
            await run_flow(conversation.flow(deadline, settings.retries), settings, self.log, deadline)
        except DifyError as raised:
            error = raised
        report: dict[str, JSON] = conversation.report().to_json()
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "report": report,
                "names": _names_to_show(report, conversation.names),
                "error": error.to_json() if error else None,
                "started": self.started,
            }
        )

    async def on_kill(self) -> None:
        """Stop what runs in Dify for a task that is killed while it waits (Airflow 3.3 and newer call this)."""
        if isinstance(self._conversation, Stoppable) and self._settings:
            deadline = Deadline(_SECONDS_TO_STOP, current().time)
            try:
                await run_flow(self._conversation.when_killed(), self._settings, self.log, deadline)
            except DifyError as error:
                self.log.warning("What runs in Dify for this task could not be stopped: %s", error)
            return
        self.log.info("Killed while waiting. What was done so far stays as it is; XCom 'report' says what was before.")


def _load(kind: str) -> type[Movable[Any]]:
    room, name = _KINDS[kind]
    found: type[Movable[Any]] = getattr(import_module(f"airflow_provider_dify.knowledge.{room}"), name)
    return _LOADED.setdefault(kind, found)


def _names_to_show(report: dict[str, JSON], names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of documents that the log may show: a report about thousands would make a large event."""
    lists = [value for value in report.values() if isinstance(value, list)]
    ids = [*Fields(report).maybe_object("errors").values, *(i for one in lists for i in one[:20] if isinstance(i, str))]
    return {i: names[i] for i in dict.fromkeys(ids[:_MOST_NAMED]) if i in names}
