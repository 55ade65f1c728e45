"""Dify's Celery worker and its broker: what makes search follow the flags, or not."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_provider_dify.testing.rows import LOCK_SECONDS, Row

if TYPE_CHECKING:
    from airflow_provider_dify.testing.world import World

#: How often a job is through before its lock is set, measured on an idle server with documents of one segment.
RACE_NEW_CONNECTION = 61 / 80
RACE_NEW_CONNECTION_BATCH = 10 / 20
RACE_KEPT_CONNECTION = 1 / 80
RACE_NEW_CONNECTION_1_12 = 27 / 60
#: The same where the job takes longer: large knowledge bases, documents of many segments.
RACE_SLOW_JOB = 1 / 40
SLOW_DATASET = 1000
SLOW_SEGMENTS = 30

DEFAULT_FAILURE = "Failed to process the document in the index."

Change = Literal["add", "remove"]
Step = tuple[float, Callable[[float], None]]


@dataclass
class Job:
    """One job in a queue: steps of so many seconds, each with what it does at its end."""

    document: Row
    steps: deque[Step]
    queued_at: float


class Lane:
    """A queue that is worked through one job at a time, first in, first out."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.free_at = 0.0

    def next_due(self) -> float | None:
        """When the next step ends."""
        if not self.jobs:
            return None
        job = self.jobs[0]
        return max(job.queued_at, self.free_at) + job.steps[0][0]

    def step(self, due: float, at: float) -> None:
        """End the next step."""
        job = self.jobs[0]
        _, act = job.steps.popleft()
        self.free_at = due
        act(at)
        if not job.steps:
            self.jobs.popleft()


class Worker:
    """The worker. Changes of status and indexing go through two queues, as in Dify, which run side by side.

    Its settings may be changed at any time:

    * ``seconds_per_job``: how long a change of status takes it, per document.
    * ``seconds_per_document``, ``seconds_per_segment``: how long indexing takes it.
    * ``fail_adding``, ``fail_removing``: the text of the error in which every such job ends; ``None``: none does.
    * ``failing``: ids of documents whose jobs fail in either direction.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._alive = True
        self.changes = Lane()
        self.indexing = Lane()
        self.seconds_per_job = 0.06
        self.seconds_per_document = 0.08
        self.seconds_per_segment = 0.0066
        self.fail_adding: str | None = None
        self.fail_removing: str | None = None
        self.failing: set[str] = set()

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self._alive

    @property
    def pending(self) -> int:
        """How many jobs wait or are being worked on."""
        with self._world.guard:
            self._world.tick()
            return len(self.changes.jobs) + len(self.indexing.jobs)

    def stop(self) -> None:
        """Take the worker down: jobs are still accepted, and wait."""
        with self._world.guard:
            self._world.tick()
            self._alive = False

    def start(self) -> None:
        """Bring the worker back: it goes on with what waits."""
        with self._world.guard:
            now = self._world.clock.monotonic()
            for lane in (self.changes, self.indexing):
                lane.free_at = max(lane.free_at, now)
            self._alive = True

    def next_due(self) -> float | None:
        """When it is through with something next; ``None``: idle, or down."""
        if not self._alive:
            return None
        dues = [due for due in (self.changes.next_due(), self.indexing.next_due()) if due is not None]
        return min(dues, default=None)

    def step(self, due: float, at: float) -> None:
        """End what is due at ``due``; ``at`` is the wall clock of it."""
        lane = self.changes if self.changes.next_due() == due else self.indexing
        lane.step(due, at)

    def queue_change(self, document: Row, change: Change) -> None:
        """Queue the job that puts a document into the search index, or takes it out."""
        step = (self.seconds_per_job, lambda at: self.change_index(document, change, at))
        self.changes.jobs.append(Job(document, deque([step]), self._world.clock.monotonic()))

    def queue_indexing(self, document: Row, *, hangs: bool = False) -> None:
        """Queue the job that parses, splits and indexes a document; where it ``hangs``, it never comes to the end."""
        seconds = self.seconds_per_document + self.seconds_per_segment * document.segments
        steps: deque[Step] = deque(
            [
                (0.0, lambda at: _reach(document, "parsing", at)),
                (seconds / 4, lambda at: _reach(document, "splitting", at)),
                (seconds / 4, lambda at: _reach(document, "indexing", at)),
                (seconds / 2, lambda at: self._end_indexing(document, at)),
            ]
        )
        if document.flaw is not None:
            failure = document.flaw
            steps = deque([steps[0], (seconds / 4, lambda at: _fail(document, failure, at))])
        elif hangs:
            steps.pop()
        self.indexing.jobs.append(Job(document, steps, self._world.clock.monotonic()))

    def _end_indexing(self, document: Row, at: float) -> None:
        if not _is_running(document):
            return
        if document.id in self.failing or self.fail_adding is not None:
            document.fail_indexing(self.fail_adding or DEFAULT_FAILURE, at)
        else:
            document.complete_indexing(at)

    def change_index(self, document: Row, change: Change, at: float) -> None:
        """The job of one change. At its end, and only there, the lock goes."""
        if document.indexing_status != "completed" or document.dataset.get(document.id) is None:
            # Dify returns here before it comes to the lock, which so stays for its ten minutes.
            return
        failure = self._failure(document, change)
        if failure is None:
            document.show(change == "add")
        elif change == "add":
            document.enabled = False
            document.disabled_at = at
            document.indexing_status = "error"
            document.error = failure
            document.touch(at)
        elif not document.archived:
            document.enabled = True
            document.disabled_at = None
            document.touch(at)
        document.lock_until = 0.0

    def _failure(self, document: Row, change: Change) -> str | None:
        if document.id in self.failing:
            return (self.fail_adding if change == "add" else self.fail_removing) or DEFAULT_FAILURE
        if change == "remove":
            return self.fail_removing
        dataset = document.dataset
        vectors = dataset.indexing_technique == "high_quality" and dataset.duplicate_insert_fails
        if vectors and document.in_search:
            return "The vector store refused the insert: the ids exist already."
        return self.fail_adding

    def wins_race(self, document: Row, *, new_connection: bool, alone: bool) -> bool:
        """Whether the first job of a call is through before the call sets its lock."""
        world = self._world
        if not self._alive or world.lock_race == "never":
            return False
        if world.lock_race == "always":
            return True
        if self.changes.jobs:
            return False
        return world.random.random() < race_probability(document, new_connection=new_connection, alone=alone)


def race_probability(document: Row, *, new_connection: bool, alone: bool) -> float:
    """How likely the worker, if idle, is through with a job before its lock is set."""
    if not new_connection:
        return RACE_KEPT_CONNECTION
    if len(document.dataset) >= SLOW_DATASET or document.segments >= SLOW_SEGMENTS:
        return RACE_SLOW_JOB
    if document.dataset.world.version.startswith("1.12."):
        return RACE_NEW_CONNECTION_1_12
    return RACE_NEW_CONNECTION if alone else RACE_NEW_CONNECTION_BATCH


def _is_running(document: Row) -> bool:
    """Whether an indexing job may go on with it: not deleted, not paused, not ended otherwise."""
    exists = document.dataset.get(document.id) is not None
    return exists and not document.paused and document.indexing_status not in ("completed", "error")


def _reach(document: Row, stage: str, at: float) -> None:
    if _is_running(document):
        document.reach(stage, at)


def _fail(document: Row, failure: str, at: float) -> None:
    if _is_running(document):
        document.fail_indexing(failure, at)


class Broker:
    """The queue between API and worker (Redis). Down or full, a change is in the database and nobody will act on it."""

    def __init__(self, world: World) -> None:
        self._world = world
        #: ``False``: flags are changed and locks set, then the call ends in a 500; the jobs are never queued.
        self.alive = True
        #: Out of memory: the same, but the lock cannot be set either.
        self.full = False

    def stop(self) -> None:
        """Take the broker down."""
        with self._world.guard:
            self._world.tick()
            self.alive = False

    def start(self) -> None:
        """Bring the broker back; what was not queued stays lost."""
        with self._world.guard:
            self.alive = True
            self.full = False

    def lose_jobs(self) -> int:
        """Drop every job that waits, as a restart without persistence does; locks stay. :return: how many."""
        with self._world.guard:
            self._world.tick()
            worker = self._world.worker
            lost = len(worker.changes.jobs) + len(worker.indexing.jobs)
            worker.changes.jobs.clear()
            worker.indexing.jobs.clear()
            return lost

    def dispatch(
        self, jobs: list[tuple[Row, Change | None]], *, new_connection: bool, alone: bool
    ) -> BrokerError | None:
        """Queue the jobs of one call, each before its lock is set. ``None`` in place of a change: no job, no lock."""
        world, error, first = self._world, None, True
        for document, change in jobs:
            if change is None:
                continue
            if self.full:
                return BrokerError("out of memory")
            if not self.alive:
                error = BrokerError("connection refused")
            elif first and world.worker.wins_race(document, new_connection=new_connection, alone=alone):
                world.worker.change_index(document, change, world.clock.time())
            else:
                world.worker.queue_change(document, change)
            first = False
            document.lock_until = world.clock.monotonic() + LOCK_SECONDS
        return error


class BrokerError(Exception):
    """A job could not be queued."""
