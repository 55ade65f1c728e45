"""What waits in the triggerer until documents are indexed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow, soon
from airflow_provider_dify.knowledge.flow import JSON, Deadline
from airflow_provider_dify.knowledge.indexing.wait import IndexingReport, IndexingWait
from airflow_provider_dify.transport import clock as clocks


class DifyDocumentIndexingTrigger(BaseTrigger):
    """Waits until all documents of an indexing batch, or of a list, are indexed, and fires once.

    The event is ``{"status": "success", "document_ids": [...]}`` or ``{"status": "error", "error": {...}}``, with the
    error as ``DifyError.to_json`` gives it. It only reads, so it may run twice, and there is nothing to undo.

    .. seealso:: https://docs.dify.ai/api-reference/documents/get-document-indexing-status

    :param dify_conn_id: Id of the Airflow Connection. The key is fetched when the trigger runs, and never is part of
        it.
    :param wait: What it waits for and what the task has seen of it (:meth:`IndexingWait.to_json`). A triggerer that is
        restarted begins with it again, and tells by it whether something has moved since.
    :param started: When the task began to wait, in seconds since the epoch.
    :param timeout: Seconds from then until which it waits.
    :param poll_interval: Seconds between two looks; the first looks come sooner.
    """

    def __init__(
        self, *, dify_conn_id: str, wait: dict[str, JSON], started: float, timeout: float, poll_interval: float
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dify_conn_id = dify_conn_id
        self.wait = wait
        self.started = started
        self.timeout = timeout
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make this trigger again: plain JSON, and no secret."""
        names = ("dify_conn_id", "wait", "started", "timeout", "poll_interval")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the event that ``DifyDocumentIndexingSensor.execute_complete`` takes."""
        try:
            report = await self._wait()
        except DifyError as error:
            yield TriggerEvent({"status": "error", "error": error.to_json()})  # type: ignore[no-untyped-call]
        else:
            event = {"status": "success", "document_ids": list(report.document_ids)}
            yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self) -> IndexingReport:
        wait = IndexingWait.from_json(self.wait)
        # The wall clock, as the wait began in another process.
        deadline = Deadline(self.timeout, clocks.clock.time, self.started)
        settings = await async_settings(self.dify_conn_id)
        await soon(deadline)
        return await run_flow(wait.flow(deadline, poll_interval=self.poll_interval), settings, self.log, deadline)
