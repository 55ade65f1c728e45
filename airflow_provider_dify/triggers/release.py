"""What waits in the triggerer for a release or a rollback, and goes on with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow, soon
from airflow_provider_dify.knowledge.flow import JSON, Deadline
from airflow_provider_dify.knowledge.release.manifest import Manifest, flags_from
from airflow_provider_dify.knowledge.release.options import ReleaseOptions
from airflow_provider_dify.knowledge.release.release import Release
from airflow_provider_dify.knowledge.release.rollback import Rollback
from airflow_provider_dify.knowledge.release.switch import Pace
from airflow_provider_dify.transport import clock as clocks

#: So many documents an event names, of those that need a look.
_MOST_NAMED = 20


class _SwitchingTrigger(BaseTrigger):
    """Goes on with what a task has begun, and fires once when it is over.

    It begins anew at the first step: what is done is seen in Dify, and is not done again. So it bears being run twice.
    """

    _names: tuple[str, ...] = ()
    dify_conn_id: str
    started: float
    timeout: float

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make this trigger again: plain JSON, and no secret."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in self._names}

    @abstractmethod
    def resumed(self) -> Release | Rollback:
        """Return what goes on."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Go on until the end, and fire the event that ``execute_complete`` of the operator takes."""
        subject = self.resumed()
        deadline = Deadline(self.timeout, clocks.clock.time, self.started)
        error: DifyError | None = None
        try:
            settings = await async_settings(self.dify_conn_id)
            await soon(deadline)
            await run_flow(subject.flow(deadline, settings.retries), settings, self.log, deadline)
        except DifyError as raised:
            error = raised
        report = subject.report()
        names = {i: subject.names[i] for i in [*report.errors][:_MOST_NAMED] if i in subject.names}
        yield TriggerEvent(  # type: ignore[no-untyped-call]
            {"report": report.to_json(), "names": names, "error": error.to_json() if error else None}
        )

    async def on_kill(self) -> None:
        """Say what a task that is killed while it waits leaves behind (Airflow 3.3 and newer call this)."""
        self.log.info("Killed while waiting. What was done so far stays as it is; XCom 'report' says what was before.")


class DifyReleaseTrigger(_SwitchingTrigger):
    """Goes on with a release where a worker would have to wait, and fires once when it is over.

    :param dify_conn_id: Id of the Airflow Connection. The key is fetched when the trigger runs, and is
        never part of it.
    :param manifest: Where the release stands (:meth:`Manifest.to_json`).
    :param options: How it is done (:meth:`ReleaseOptions.to_json`).
    :param started: When the task began, in seconds since the epoch.
    :param timeout: Seconds from then until which it waits; to undo what was done, there is as much again.
    """

    _names = ("dify_conn_id", "manifest", "options", "started", "timeout")

    def __init__(
        self,
        *,
        dify_conn_id: str,
        manifest: dict[str, JSON],
        options: dict[str, JSON],
        started: float,
        timeout: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dify_conn_id = dify_conn_id
        self.manifest = manifest
        self.options = options
        self.started = started
        self.timeout = timeout

    def resumed(self) -> Release:
        """Return the release."""
        return Release.resumed(Manifest.from_json(self.manifest), ReleaseOptions.from_json(self.options))


class DifyRollbackTrigger(_SwitchingTrigger):
    """Goes on with a rollback where a worker would have to wait, and fires once when it is over.

    :param dify_conn_id: Id of the Airflow Connection. The key is fetched when the trigger runs, and is
        never part of it.
    :param manifest: What is taken back.
    :param found: The flags of the documents when the rollback began.
    :param tolerate: Outcomes that fail nothing.
    :param batch_size: How many documents one request names at most.
    :param poll_interval: Seconds between two looks while waiting.
    :param prove_by: What proves that documents have entered search: ``search``, or only their ``segments``.
    :param started: When the task began, in seconds since the epoch.
    :param timeout: Seconds from then until which it waits.
    """

    _names = (
        "dify_conn_id", "manifest", "found", "tolerate", "batch_size", "poll_interval", "prove_by", "started",
        "timeout",
    )  # fmt: skip

    def __init__(
        self,
        *,
        dify_conn_id: str,
        manifest: dict[str, JSON],
        found: dict[str, JSON],
        tolerate: list[str],
        batch_size: int,
        poll_interval: float,
        prove_by: str,
        started: float,
        timeout: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dify_conn_id = dify_conn_id
        self.manifest = manifest
        self.found = found
        self.tolerate = tolerate
        self.batch_size = batch_size
        self.poll_interval = poll_interval
        self.prove_by = prove_by
        self.started = started
        self.timeout = timeout

    def resumed(self) -> Rollback:
        """Return the rollback."""
        pace = Pace(self.batch_size, self.poll_interval, prove_by=self.prove_by)
        return Rollback(self.manifest, tolerate=self.tolerate, pace=pace, found=flags_from(self.found))
