"""What the operators have in common that bring documents into search and take others out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify.events import MAX_IDS
from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Pause, until_long_wait
from airflow_provider_dify.knowledge.release.manifest import Manifest, attention
from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.operators.base import REPORT_KEY, KnowledgeBaseTask
from airflow_provider_dify.operators.deferring import LONGEST_DEFERRAL
from airflow_provider_dify.transport import clock as clocks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger

#: Seconds that a trigger may take beyond the timeout of its task, and as much again to undo.
_GRACE = 300.0


class Subject(Protocol):
    """A release or a rollback."""

    dataset_id: str

    @property
    def names(self) -> Mapping[str, str]:
        """The name of each document that was seen, by id."""

    def report(self) -> Manifest | RollbackReport:
        """Return what was done so far."""

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[Any]:
        """Carry it out."""

    def ends_at(self, pause: Pause) -> bool:
        """Whether to go on elsewhere instead of waiting."""


class SwitchingOperator(KnowledgeBaseTask, BaseOperator):
    """Runs a release or a rollback, on the worker or in the triggerer, and publishes its report."""

    #: What it does, for the log.
    noun: str
    timeout: float
    deferrable: bool

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._stop: Callable[[], None] | None = None

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        """Return and raise what :meth:`execute` would.

        :param event: What the trigger fired.
        """
        if not event or "report" not in event:
            raise DifyError(f"The trigger fired {event!r}, which this operator does not know. Clear the task to retry.")
        report = self._read_report(event["report"])
        self.open_hook(context, report.dataset_id)  # for what it shows: there is nothing left to ask
        self._publish(report, event["names"], context)
        if event["error"]:
            error = DifyError.from_json(event["error"])
            error.report = report
            raise error
        return report.to_json()

    def on_kill(self) -> None:
        """Send nothing more, and leave behind what was done so far: in the log, and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning("Killed. What was changed so far stays as it is; a retry goes on from there:")
            self._stop()

    def _run(self, subject: Subject, context: Context) -> dict[str, Any]:
        seconds = self.timeout
        started = clocks.clock.time()
        done: Manifest | RollbackReport | None = None
        ended = True
        with self.open_hook(context, subject.dataset_id) as hook:
            deadline = hook.deadline(seconds)
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._publish(subject.report(), subject.names, context)

            flow = until_long_wait(subject.flow(deadline, hook.retries), self._leaves(subject))
            # Only while nothing but Dify is spoken to: Airflow bears no call from within another one.
            self._stop = stop
            try:
                done = hook.run(flow, deadline)
                ended = done is not None
            finally:
                self._stop = None
                # Also where it failed or was killed: whoever mends it needs to know what was done.
                if ended:
                    self._publish(subject.report(), subject.names, context)
        if done is None:
            self._defer(subject, context, started, seconds)
        return subject.report().to_json()

    def _leaves(self, subject: Subject) -> Callable[[Pause], bool]:
        return lambda pause: self.deferrable and subject.ends_at(pause)

    def _defer(self, subject: Subject, context: Context, started: float, seconds: float) -> None:
        self._save(subject.report(), context)
        left = max(0.0, started + seconds - clocks.clock.time())
        self.log.info("The triggerer goes on with the %s, for up to %.0f s.", self.noun, left)
        self.defer(
            trigger=self._trigger(subject, started, seconds),
            method_name="execute_complete",
            # The trigger ends by itself, with a report, also where it has to undo; this is for one that does not.
            timeout=timedelta(seconds=min(left + seconds + _GRACE, LONGEST_DEFERRAL)),
        )

    def _publish(self, report: Manifest | RollbackReport, names: Mapping[str, str], context: Context) -> None:
        self.log.info("Result of the %s: %s.", self.noun, report.describe())
        for line in attention(report.errors, names):
            self.log.warning("%s", line)
        self._tell(report, context)

    def _save(self, report: Manifest | RollbackReport, context: Context) -> None:
        """Keep a report, of something that may still go on, where it outlives this process."""
        context["ti"].xcom_push(key=REPORT_KEY, value=report.to_json())

    @abstractmethod
    def _tell(self, report: Manifest | RollbackReport, context: Context) -> None:
        """Leave a report for what comes after the task."""

    @abstractmethod
    def _trigger(self, subject: Any, started: float, seconds: float) -> BaseTrigger:
        """Return what goes on in the triggerer."""

    @abstractmethod
    def _read_report(self, report: Mapping[str, JSON]) -> Manifest | RollbackReport:
        """Return the report that a trigger fired."""


def as_event(manifest: dict[str, JSON]) -> dict[str, JSON] | None:
    """Return a manifest as far as the event of an asset bears it: of many documents, the event says where it is."""
    return manifest if len(manifest["previous"]) <= MAX_IDS else None
