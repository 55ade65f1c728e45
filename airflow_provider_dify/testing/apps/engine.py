"""Runs apps: the worker runs streamed ones, the API process all others (1.16.0, file 41)."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Literal

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.apps import events
from airflow_provider_dify.testing.apps.course import Course
from airflow_provider_dify.testing.apps.run import Run
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.work.pool import Job, Pool
from airflow_provider_dify.testing.work.worker import Worker

#: Seconds between taking a run from the queue and its start.
STARTING = 0.05
#: Seconds until a stop takes effect.
STOPPING = 0.15
#: The same if the event queue notices it before the engine, and how much later the row shows it.
STOPPING_AT_ONCE, ROW_LATER = 0.02, 0.27

BY_WORKER = "Aborted: Workflow stopped because the worker is shutting down."
#: What a stream says if the event queue stopped it, whatever the row says later.
BY_USER = "Stopped by user."


class RunJob(Job):
    """A run in progress."""

    def __init__(self, engine: Engine, run: Run, course: Course) -> None:
        super().__init__()
        self.engine = engine
        self.run = run
        self.course = course

    def shut_down(self, at: float) -> bool:
        begun = self.run.executing
        self.engine.end_stopped(self.run, at, BY_WORKER)
        return begun

    def killed(self) -> None:
        self.engine.abandon(self.run)


class Engine:
    """Carries out runs.

    :param worker: Its pool takes the streamed runs, together with the jobs of knowledge bases.
    """

    def __init__(self, world: Site, worker: Worker) -> None:
        self.world = world
        self.worker = worker
        #: The runs of the API process. Nothing waits for it.
        self.api = Pool(sys.maxsize)
        world.run(self.api)
        #: Dify's ``APP_MAX_EXECUTION_TIME``; it does not apply to a node that takes ``math.inf`` seconds.
        self.app_max_execution_time = 1200.0
        #: Dify's ``WORKFLOW_MAX_EXECUTION_TIME``, which is only checked when a run ends.
        self.workflow_max_execution_time = 1200.0
        #: Who notices a stop first, which is random in Dify. ``engine``: stream and row say the same. ``queue`` (of
        #: events): the stream ends at once, and the row follows later, with another text.
        self.stops_by: Literal["engine", "queue"] = "engine"
        self._jobs: dict[Run, RunJob] = {}

    def submit(self, run: Run) -> None:
        """Take a run that was accepted."""
        run.app.queued.append(run)
        if run.blocking:
            run.app.active += 1
        job = RunJob(self, run, Course(self, run))
        job.steps.append((STARTING, lambda at: self._begin(job, at)))
        self._jobs[run] = job
        self._pool(run).put(job, self.world.now)

    def _pool(self, run: Run) -> Pool:
        by_worker = run.app.has_runs and not run.blocking
        return self.worker.pool if by_worker else self.api

    def _begin(self, job: RunJob, at: float) -> None:
        run = job.run
        if run.refusal is not None:
            run.app.queued.remove(run)
            for body in events.refused(run, at, run.refusal):
                run.emit(body, at)
            self._leave(run)
            return
        run.app.started(run)
        run.status, run.executing, run.created_at = "running", True, at
        job.course.begin(at)

    def next_step(self, run: Run, seconds: float, act: Callable[[float], None], at: float) -> None:
        """Schedule the next step of a run, unless its time is over before."""
        left = run.created_at + self.app_max_execution_time - at
        if left < seconds < math.inf:
            limit = f"Aborted: App execution exceeded {self.app_max_execution_time:g} seconds"
            seconds, act = max(0.0, left), lambda due: self._stop_in_queue(run, due, limit)
        self._jobs[run].steps.append((seconds, act))

    def end(self, run: Run, at: float, status: str, outputs: Json, error: str | None) -> None:
        """End a run: the last event, and the row."""
        if run.app.has_runs:
            run.emit(events.finished(run, at, status=status, outputs=outputs, error=error), at)
        self._record(run, at, status, outputs, error)
        self._leave(run)

    def _record(self, run: Run, at: float, status: str, outputs: Json, error: str | None) -> None:
        run.status = status  # type: ignore[assignment]
        run.outputs, run.error, run.finished_at = outputs, error, at
        run.changed()

    def _leave(self, run: Run) -> None:
        """Remove a run from the pool, and close its stream."""
        run.executing = False
        job = self._jobs.pop(run, None)
        if job is not None:
            self._pool(run).remove(job)
            job.steps.clear()
            if run.blocking:
                run.app.active -= 1
        run.close()

    def pause(self, run: Run) -> None:
        """Pause a run until its form is filled in."""
        run.status = "paused"
        self._leave(run)

    def abandon(self, run: Run) -> None:
        """The worker or process of a run has died: its stream stays silent, its row says ``running``."""
        run.executing = False
        run.orphaned = True
        if run in run.app.queued:
            run.app.queued.remove(run)
        if self._jobs.pop(run, None) is not None and run.blocking:
            run.app.active -= 1
        run.changed()

    def orphan(self, run: Run) -> None:
        """Let the worker or process of a run die."""
        with self.world.guard:
            self.world.tick()
            job = self._jobs.get(run)
            if job is not None:
                self._pool(run).remove(job)
                self.abandon(run)

    def stop(self, task_id: str, user: str | None) -> None:
        """Stop the run with this task id. An unknown id has no effect, and is not an error.

        :param user: Who asks. Only apps without a workflow check it. ``None``: anybody.
        """
        with self.world.guard:
            self.world.tick()
            for run in list(self._jobs):
                may = user is None or run.app.has_runs or run.user == user
                if run.task_id == task_id and run.executing and may:
                    self._stop_soon(run)

    def _stop_soon(self, run: Run) -> None:
        if self.stops_by == "queue":
            self.world.schedule(
                STOPPING_AT_ONCE, lambda at: self._stop_in_queue(run, at, "Aborted: App task was stopped")
            )
        else:
            self.world.schedule(STOPPING, lambda at: self.end_stopped(run, at, "Aborted: User requested stop"))

    def end_stopped(self, run: Run, at: float, error: str) -> None:
        """End a run as ``stopped``, if it is still in progress."""
        if run in self._jobs and run.executing:
            self._jobs[run].course.cut_off(at)
            self.end(run, at, "stopped", {}, error)

    def _stop_in_queue(self, run: Run, at: float, error: str) -> None:
        """The event queue ends the stream; the engine follows, with another text."""
        if run not in self._jobs or not run.executing:
            return
        self._jobs[run].course.cut_off(at)
        if run.app.has_runs:
            run.emit(events.finished(run, at, status="stopped", outputs={}, error=BY_USER), at)
        self._leave(run)
        self.world.schedule(ROW_LATER, lambda due: self._record(run, due, "stopped", {}, error))

    def finish(self, run: Run) -> None:
        """End the current step of a run at once."""
        with self.world.guard:
            self.world.tick()
            job = self._jobs.get(run)
            if job is not None:
                job.next_at = self.world.clock.monotonic()
                self.world.tick()

    def postpone(self, run: Run, seconds: float) -> None:
        """Keep a run that was just accepted in the queue for this many seconds."""
        job, pool = self._jobs[run], self._pool(run)
        pool.remove(job)
        self.world.schedule(seconds, lambda _: pool.put(job, self.world.now))

    def resume(self, run: Run, fields: Json) -> None:
        """Continue a paused run."""
        form = run.form
        if form is None or run.status != "paused":
            raise ValueError(f"{run!r} does not wait for a form")
        form.submitted = True
        run.closed = False
        job = RunJob(self, run, Course(self, run))
        job.steps.append((STARTING, job.course.resume))
        job.steps.append((STARTING, lambda at: self._end_resumed(run, at, fields)))
        self._jobs[run] = job
        self.worker.pool.put(job, self.world.now)

    def _end_resumed(self, run: Run, at: float, fields: Json) -> None:
        """A continued run has its outputs, but is marked as stopped anyway (4 of 4)."""
        outputs = dict(run.form.plan.then(fields)) if run.form else {}
        run.steps += 1
        run.emit(events.finished(run, at, status="stopped", outputs={}, error=BY_USER), at)
        run.steps += 1
        error = "Aborted: Client response stream closed before app execution completed"
        self._record(run, at, "stopped", outputs, error)
        self._jobs.pop(run, None)
        run.executing = False
        run.close()

    def kill_api(self) -> None:
        """Kill the API process, and with it its runs."""
        with self.world.guard:
            self.world.tick()
            self.api.kill()
            self.api.alive = True
