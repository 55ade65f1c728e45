"""Runs a workflow so that exactly one run of a task counts, or the task fails.

Dify has no idempotency: a repeated request runs twice (1.16.0, file 40). So a start is never sent again. If its
response is lost, the run is searched for in the log of the app, by a user name that only this try has. A run that waits
in Dify's queue is not in the log, so an empty log proves nothing (file 41).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifyNotFoundError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields, a_string
from airflow_provider_dify.knowledge.apps import api, finding
from airflow_provider_dify.knowledge.apps.api import AppRun
from airflow_provider_dify.knowledge.apps.finding import FoundRun
from airflow_provider_dify.knowledge.apps.options import Rerun, RunOptions
from airflow_provider_dify.knowledge.apps.report import RunOutcome, RunReport
from airflow_provider_dify.knowledge.apps.requesting import AppFile, RunRequest
from airflow_provider_dify.knowledge.apps.stopping import stopped
from airflow_provider_dify.knowledge.apps.tries import Tries, single_try
from airflow_provider_dify.knowledge.conversation import is_long
from airflow_provider_dify.knowledge.errors import may_be_carried_out
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.progress import Intervals, Progress
from airflow_provider_dify.knowledge.report import NO_NAMES
from airflow_provider_dify.knowledge.retries import Retries, patiently

_NOTHING: Mapping[str, JSON] = MappingProxyType({})
#: Seconds between two lines in the log that say that the run goes on: Dify says nothing more before its end.
_STILL_RUNNING = 60.0
_KEPT = ("user", "run_id", "task_id", "joined", "sent", "error")


def _forget(_: Mapping[str, JSON]) -> None:
    """Store nothing: nobody will retry."""


class WorkflowRun:
    """A run of a workflow: checks whether there is one already, starts it, and waits for its end.

    :param tries: The tries of the task.
    :param request: What to run; ``None`` if it is known to be started.
    :param options: How to wait, and when to start another run.
    :param known: What an earlier try has stored: whether it sent a start, and which run that was.
    :param keep: Stores that for later tries. It is called before a start is sent, and must have stored it when it
        returns.
    """

    kind: ClassVar[str] = "workflow"
    #: An app is not a knowledge base.
    dataset_id = ""
    names = NO_NAMES

    def __init__(
        self,
        tries: Tries,
        request: RunRequest | None,
        *,
        options: RunOptions | None = None,
        known: Mapping[str, JSON] = _NOTHING,
        keep: Callable[[Mapping[str, JSON]], None] = _forget,
    ) -> None:
        self._tries = tries
        self._request = request
        self.options = options or RunOptions()
        self._known = known
        self._keep = keep
        self.user = tries.user
        self.run_id = ""
        self.task_id = ""
        self.joined = False
        #: Whether a start was sent without a known run.
        self.sent = False
        self.error: str | None = None
        self._run: AppRun | None = None
        self._outcome: RunOutcome | None = None
        #: When the run last showed a sign of life, in seconds since the conversation began.
        self._alive_at = 0.0
        self._has_outputs = True

    @classmethod
    def of_user(
        cls,
        user: object,
        values: object,
        options: object,
        *,
        files: Mapping[str, Sequence[AppFile]] = MappingProxyType({}),
        workflow_id: object = None,
    ) -> WorkflowRun:
        """Return the only run of a user, from the arguments of a hook.

        :raises DifyInputError: One of them is invalid.
        """
        version = None if workflow_id is None else inputs.canonical_id(workflow_id, "workflow_id")
        request = RunRequest(inputs.by_name(values, "inputs"), files, version)
        return cls(single_try(user), request, options=inputs.given(options, RunOptions, "options"))

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere: not if a start may still have to be sent, which needs its inputs."""
        may_start = self.options.rerun == Rerun.UNKNOWN.value and (self.joined or not self.run_id)
        return is_long(pause) and bool(self.run_id or self.sent) and not may_start

    def to_json(self) -> dict[str, JSON]:
        """Return everything needed to continue, as plain JSON, without inputs and outputs."""
        return {
            **{name: getattr(self, name) for name in _KEPT},
            "try": self._tries.user,
            "options": self.options.to_json(),
            "alive_at": self._alive_at,
        }

    @classmethod
    def from_json(cls, data: JSON) -> WorkflowRun:
        """Return a conversation that continues where :meth:`to_json` was called. Its report is without outputs."""
        fields = Fields(data)
        options = RunOptions.from_json(fields.get("options"))
        run = cls(Tries(fields.read("try", a_string)), None, options=options)
        for name in _KEPT:
            setattr(run, name, fields.get(name))
        run._alive_at = fields.number("alive_at")
        run._has_outputs = False
        return run

    def report(self) -> RunReport:
        """Return the state so far."""
        run = self._run
        report = RunReport(
            self._ended(),
            run_id=self.run_id,
            task_id=self.task_id,
            user=self.user,
            joined=self.joined,
            error=self.error,
            outputs={} if self._has_outputs else None,
        )
        if run is None:
            return report
        return replace(
            report,
            app_id=run.app_id,
            workflow_id=run.workflow_id,
            outputs=run.outputs if self._has_outputs else None,
            error=self.error or run.error,
            elapsed_time=run.elapsed_time,
            total_tokens=run.total_tokens,
            total_steps=run.total_steps,
        )

    def result(self) -> RunReport:
        """Return the report of a run that ended well.

        :raises DifyRunError: It did not end well; :class:`DifyRunUnknown` if nobody knows.
        """
        report = self.report()
        report.raise_for_outcomes(self.options.tolerate)
        return report

    def _ended(self) -> RunOutcome:
        if self._outcome:
            return self._outcome
        if self._run and (self._run.is_final or self._run.status == api.PAUSED):
            return RunOutcome(self._run.status)
        if self.run_id:
            return RunOutcome.RUNNING
        return RunOutcome.UNKNOWN if self.sent else RunOutcome.NOT_STARTED

    def flow(self, deadline: Deadline, retries: Retries | None = None) -> Flow[RunReport]:  # noqa: ARG002 - as called
        """Find the run of the task or start one, and wait for its end.

        :param deadline: How long to wait; then the run is stopped.
        :param retries: Not needed: reads are retried anyway, and a start never is.
        :raises DifyError: A request to Dify failed, or Dify does not accept the inputs.
        """
        if not self.run_id:
            yield from self._begin(deadline)
        if self.run_id:
            yield from self._follow(deadline)
        if self._outcome is RunOutcome.STALLED and self.joined and self._may_start_unknown:
            self._let_go()
            yield from self._start(deadline)
            if self.run_id:
                yield from self._follow(deadline)
        return self.report()

    def when_killed(self) -> Flow[None]:
        """Stop the run, and check that it has stopped, because nobody waits for it any more."""
        if self.sent and not self.run_id:
            yield Note("A run may have started. It goes on, because its id is not known yet.", logging.WARNING)
        if self.run_id and not (self._run and self._run.is_final):
            self._take((yield from stopped(self.run_id, self.task_id, self.user, checks=5)))

    @property
    def _may_start_unknown(self) -> bool:
        return self.options.rerun == Rerun.UNKNOWN.value and self._request is not None

    def _begin(self, deadline: Deadline) -> Flow[None]:
        """Find a run, or start one."""
        if self.sent:  # continue here
            yield from self._await(self.user, deadline)
            return
        runs = yield from patiently(deadline, self._find)
        own = [run for run in runs if run.user == self._tries.user]
        found = finding.best_of(runs) or finding.latest_of(own)
        if found is None and self.options.rerun == Rerun.NEVER.value:
            found = finding.latest_of(runs)
        if found:
            yield from self._adopt(found)
            return
        if (user := self._unknown_user(runs)) and (yield from self._await(user, deadline)):
            return
        if user and not self._may_start_unknown:
            self._outcome = RunOutcome.UNKNOWN
            return
        yield from self._start(deadline)

    def _find(self) -> Flow[tuple[FoundRun, ...]]:
        """Find the runs of this and earlier tries, in the log and by what an earlier try has stored."""
        runs = yield from finding.runs_of(self._users)
        user, run_id = str(self._known.get("user") or ""), str(self._known.get("run_id") or "")
        if run_id and user in self._users and all(found.row.run_id != run_id for found in runs):
            runs += yield from finding.run_of(user, run_id)
        return runs

    @property
    def _users(self) -> tuple[str, ...]:
        """The tries whose runs count."""
        earlier = () if self.options.rerun == Rerun.ALWAYS.value else self._tries.earlier
        return (self._tries.user, *earlier)

    def _unknown_user(self, runs: tuple[FoundRun, ...]) -> str:
        """Return the try that has sent a start without a known run; empty if there is none."""
        user = str(self._known.get("user") or "")
        seen = any(run.user == user for run in runs)
        return user if self._known.get("sent") and user in self._users and not seen else ""

    def _adopt(self, found: FoundRun) -> Flow[None]:
        """Take a run that a try has started."""
        self.run_id, self.user = found.row.run_id, found.user
        self.joined = found.user != self._tries.user
        if self._known.get("run_id") == self.run_id:
            self.task_id = str(self._known.get("task_id") or "")
        self._keep_run()
        yield Note(f"Using run {self.run_id}, which {'an earlier' if self.joined else 'this'} try started.")

    def _let_go(self) -> None:
        """Forget a run, to start another one."""
        self.run_id = self.task_id = ""
        self.user, self.joined = self._tries.user, False
        self._run = self._outcome = None

    def _start(self, deadline: Deadline) -> Flow[None]:
        """Start a run. If nobody knows whether it was started, wait for it to appear."""
        if self._request is None:
            raise TypeError("A start needs its inputs.")
        body = yield from patiently(deadline, lambda: self._request.prepared(self.user))  # type: ignore[union-attr]
        yield from patiently(deadline, lambda: self._send(body))
        if self.run_id:
            self._alive_at = deadline.elapsed
            yield Note(f"Started run {self.run_id} as '{self.user}'.")
        elif not (yield from self._await(self.user, deadline)):
            self._outcome = RunOutcome.UNKNOWN

    def _send(self, body: Mapping[str, JSON]) -> Flow[None]:
        """Send a start, once.

        :raises DifyError: It was not carried out.
        """
        assert self._request is not None  # noqa: S101 - for the type checker
        self._keep({"user": self.user, "sent": True})
        self.sent = True
        try:
            start = yield from api.start_run(body, self.user, workflow_id=self._request.workflow_id)
        except DifyError as error:
            if not may_be_carried_out(error):
                self._nothing_sent()
                raise
            self.error = error.message
            return
        if start.refused:
            self._nothing_sent()
            raise DifyInputError(f'Dify does not accept the inputs of the run: "{start.refused}". Nothing was started.')
        if start.run_id and start.run_id != start.task_id:
            self.run_id, self.task_id, self.sent = start.run_id, start.task_id, False
            self._keep_run(start.app_id)
        self.error = start.error or None

    def _keep_run(self, app_id: str = "") -> None:
        self._keep({"user": self.user, "run_id": self.run_id, "task_id": self.task_id, "app_id": app_id})

    def _nothing_sent(self) -> None:
        self.sent = False
        self._keep({})

    def _await(self, user: str, deadline: Deadline) -> Flow[bool]:
        """Wait for the run of a try to appear in the log, and return whether it has."""
        patience = deadline.within(self.options.appear_timeout)
        waits, progress = Intervals(longest=10.0), Progress(deadline)
        while True:
            runs = yield from patiently(deadline, lambda: finding.runs_of([user]))
            if found := finding.best_of(runs) or finding.latest_of(runs):
                self.error, self.sent = None, False
                yield from self._adopt(found)
                self._alive_at = deadline.elapsed
                return True
            if patience.passed:
                return False
            awaits = "the run to appear in Dify, which has not said whether it started it"
            yield progress.pause(min(waits.next(), patience.remaining), awaits)

    def _follow(self, deadline: Deadline) -> Flow[None]:
        """Wait for the end of the run. At the deadline, stop it."""
        waits = Intervals(longest=self.options.poll_interval)
        progress = Progress(deadline, repeat_after=_STILL_RUNNING)
        while True:
            awaits = f"run {self.run_id} to appear in the log of the app"
            try:
                self._take((yield from api.get_run(self.run_id)), deadline)
                awaits = f"run {self.run_id}, which is {self._run.status if self._run else 'unknown'}"
            except DifyNotFoundError as error:
                if deadline.elapsed - self._alive_at >= self.options.appear_timeout:
                    self._outcome, self.error = RunOutcome.UNKNOWN, error.message
                    return
            except DifyError as error:
                if not error.retryable or deadline.passed:
                    raise
                awaits = f"run {self.run_id}, although Dify could not be asked: {error.message}"
            if self._is_over or (yield from self._is_stalled(deadline)):
                return
            if deadline.passed:
                yield from self._give_up(deadline)
                return
            yield progress.pause(min(waits.next(), deadline.remaining), awaits)

    @property
    def _is_over(self) -> bool:
        run = self._run
        if run is None:
            return False
        return run.is_final or (run.status == api.PAUSED and RunOutcome.PAUSED.value in self.options.tolerate)

    def _take(self, run: AppRun, deadline: Deadline | None = None) -> None:
        known = self._run
        moved = known is None or (known.status, known.total_steps) != (run.status, run.total_steps)
        if deadline and (run.status == api.PAUSED or (known and moved)):
            self._alive_at = deadline.elapsed
        self._run = run

    def _is_stalled(self, deadline: Deadline) -> Flow[bool]:
        """Whether no worker is processing the run any more."""
        limit = self.options.stall_timeout
        if limit is None or deadline.elapsed - self._alive_at < limit:
            return False
        try:
            alive = yield from api.shows_life(self.run_id, self.user)
        except DifyError as error:
            if error.retryable:  # it cannot be asked now
                return False
            alive = False
        if alive:
            self._alive_at = deadline.elapsed
            return False
        self._outcome = RunOutcome.STALLED
        return True

    def _give_up(self, deadline: Deadline) -> Flow[None]:
        """Stop the run at the deadline. A paused one cannot be stopped."""
        if self._run and self._run.status == api.PAUSED:
            return
        lasted = deadline.elapsed
        self._take((yield from stopped(self.run_id, self.task_id, self.user)))
        if self._run and not self._run.outputs and self._run.status != "succeeded":
            self.error = f"It had not ended after {lasted:.0f} s, and this task told it to stop."
