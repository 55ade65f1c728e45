"""What waits in the triggerer until documents have the status that a task asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyError
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow, soon
from airflow_provider_dify.knowledge.flow import JSON, Deadline
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.handover import Handover
from airflow_provider_dify.transport import clock as clocks


class DifyDocumentStatusTrigger(BaseTrigger):
    """Goes on with a change of status where a worker would have to wait, and fires once when it is over.

    It bears being run twice: each document is looked at before anything is sent for it.

    :param dify_conn_id: Id of the Airflow Connection. The key is fetched when the trigger runs, and is
        never part of it.
    :param dataset_id: UUID of the knowledge base.
    :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
    :param handover: Documents that are left, and what was sent for them (:meth:`Handover.to_json`).
    :param started: When the task began to wait, in seconds since the epoch.
    :param timeout: Seconds from then until which it waits.
    :param options: ``batch_size``, ``poll_interval``, ``wait_for_completion`` and ``repair`` of the operator.
    """

    def __init__(
        self,
        *,
        dify_conn_id: str,
        dataset_id: str,
        action: str,
        handover: dict[str, JSON],
        started: float,
        timeout: float,
        options: dict[str, JSON],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dify_conn_id = dify_conn_id
        self.dataset_id = dataset_id
        self.action = action
        self.handover = handover
        self.started = started
        self.timeout = timeout
        self.options = options

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make this trigger again: plain JSON, and no secret."""
        names = ("dify_conn_id", "dataset_id", "action", "handover", "started", "timeout", "options")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire the event that ``DifyDocumentStatusOperator.execute_complete`` takes."""
        change = self._change()
        deadline = Deadline(self.timeout, clocks.clock.time, self.started)
        error: DifyError | None = None
        try:
            settings = await async_settings(self.dify_conn_id)
            await soon(deadline)
            await run_flow(change.flow(deadline, settings.retries), settings, self.log, deadline)
        except DifyDocumentStatusError:
            pass  # the operator judges the whole report
        except DifyError as raised:
            error = raised
        report = change.report()
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {
                "report": report.to_json(),
                "names": report.names_to_show(change.names),
                "error": error.to_json() if error else None,
            }
        )

    def _change(self) -> StatusChange:
        before = Handover.from_json(self.handover)
        return StatusChange(self.dataset_id, before.document_ids, self.action, before=before, **self.options)

    async def on_kill(self) -> None:
        """Say what a task that is killed while it waits leaves behind (Airflow 3.3 and newer call this).

        Nothing is taken back: what was changed before is in the task's XCom ``report``.
        """
        self.log.info(
            "Killed while waiting for %d documents of Dify dataset %s. What was changed before is in XCom 'report'.",
            self.handover["count"],
            self.dataset_id,
        )
