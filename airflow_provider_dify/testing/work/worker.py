"""Dify's Celery worker: updates search to reflect the flags, or fails to."""

from __future__ import annotations

import random
from typing import Literal

from airflow_provider_dify.testing.model.rows import Row, Segment, derived_id
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.work.pool import DocumentJob, Pool, Step

#: How often a job finishes before its lock is set, measured on an idle server with documents of one segment.
RACE_NEW_CONNECTION = 61 / 80
RACE_NEW_CONNECTION_BATCH = 10 / 20
RACE_KEPT_CONNECTION = 1 / 80
RACE_NEW_CONNECTION_1_12 = 27 / 60
#: The same if the job takes longer: large knowledge bases, documents with many segments.
RACE_SLOW_JOB = 1 / 40
SLOW_DATASET = 1000
SLOW_SEGMENTS = 30

#: Default number of parallel jobs of Dify's worker (``-c 4`` in its Docker image).
USUAL_JOBS = 4
#: The version whose jobs overwrite each other's keywords: 1.15.0 with four jobs lost none.
LOSES_KEYWORDS = "1.16.0"

DEFAULT_FAILURE = "Failed to process the document in the index."

Change = Literal["add", "remove"]
LostKeywords = float | Literal["never", "always"]
LockRace = Literal["measured", "always", "never"]


class Worker:
    """The worker. Status changes and indexing wait in one queue, and ``jobs`` of them run in parallel.

    Its settings may be changed at any time:

    * ``jobs``: how many run in parallel.
    * ``lost_keywords``: how often a job in an economy knowledge base of Dify 1.16.0 loses what it writes because
      another one overwrites it: ``never``; ``always``, even if it runs alone, which is a broken server; or a share
      above 0 and up to 1 of the jobs that overlap with another one on the same knowledge base. An adding job leaves a
      document that looks fine but that search does not find; a removing job leaves keywords behind, which use up places
      of ``top_k`` (not with ``always``).
    * ``seconds_per_job``: how long a status change takes, per document.
    * ``seconds_per_document``, ``seconds_per_segment``: how long indexing takes.
    * ``fail_adding``, ``fail_removing``: the error with which every such job fails; ``None``: none fails.
    * ``failing``: ids of documents whose jobs fail in either direction.
    """

    def __init__(self, world: Site, *, jobs: int, lost_keywords: LostKeywords, lock_race: LockRace, seed: int) -> None:
        self._world = world
        self.pool = Pool(_checked_jobs(jobs))
        world.run(self.pool)
        #: How often a job finishes before its lock is set, which leaves the lock behind.
        self.lock_race = lock_race
        self._lost_keywords = _checked_share(lost_keywords)
        # A separate random generator, so that ids do not depend on it.
        self._luck = random.Random(f"keywords {seed}")
        self.seconds_per_job = 0.06
        self.seconds_per_document = 0.08
        self.seconds_per_segment = 0.0066
        self.fail_adding: str | None = None
        self.fail_removing: str | None = None
        self.failing: set[str] = set()

    @property
    def jobs(self) -> int:
        """How many jobs run in parallel."""
        return self.pool.size

    @jobs.setter
    def jobs(self, number: int) -> None:
        with self._world.guard:
            self._world.tick()
            self.pool.size = _checked_jobs(number)
            self.pool.fill(self._world.clock.monotonic())

    @property
    def lost_keywords(self) -> LostKeywords:
        """How often a job loses its keywords."""
        return self._lost_keywords

    @lost_keywords.setter
    def lost_keywords(self, share: LostKeywords) -> None:
        self._lost_keywords = _checked_share(share)

    @property
    def alive(self) -> bool:
        """Whether it works."""
        return self.pool.alive

    @property
    def pending(self) -> int:
        """How many jobs wait or run."""
        with self._world.guard:
            self._world.tick()
            return len(self.pool.jobs)

    def stop(self) -> None:
        """Tell the worker to stop: jobs are still accepted, and wait. Its runs of apps are stopped."""
        with self._world.guard:
            self._world.tick()
            self.pool.shut_down(self._world.clock.time())

    def kill(self) -> int:
        """Kill it: running jobs are lost, and their locks stay; runs of apps stay ``running``.

        :return: how many were lost.
        """
        with self._world.guard:
            self._world.tick()
            return self.pool.kill()

    def start(self) -> None:
        """Start the worker again: it continues with waiting jobs."""
        with self._world.guard:
            self.pool.resume(self._world.clock.monotonic())

    def queue_change(self, document: Row, change: Change) -> None:
        """Queue the job that adds a document to the search index or removes it."""
        self.pool.put(self._change_job(document, change), self._world.clock.monotonic())

    def run_change(self, document: Row, change: Change) -> None:
        """Do the same at once: the worker was faster than the call that asked for it."""
        now = self._world.clock.monotonic()
        job = self._change_job(document, change)
        job.next_at = now + self.seconds_per_job
        job.meet(self.pool.running, now)
        self._change_index(job, change, self._world.clock.time())

    def _change_job(self, document: Row, change: Change) -> DocumentJob:
        job = DocumentJob(document=document, changes_status=True)
        job.steps.append((self.seconds_per_job, lambda at: self._change_index(job, change, at)))
        return job

    def queue_indexing(self, document: Row, *, hangs: bool = False) -> None:
        """Queue the job that parses, splits and indexes a document; if it ``hangs``, it never ends."""
        seconds = self.seconds_per_document + self.seconds_per_segment * document.segments
        job = DocumentJob(document=document, changes_status=False)
        steps: list[Step] = [
            (0.0, lambda at: _reach(document, "parsing", at)),
            (seconds / 4, lambda at: _reach(document, "splitting", at)),
            (seconds / 4, lambda at: _reach(document, "indexing", at)),
            (seconds / 2, lambda at: self._end_indexing(job, at)),
        ]
        if document.flaw is not None:
            failure = document.flaw
            steps = [steps[0], (seconds / 4, lambda at: _fail(document, failure, at))]
        elif hangs:
            steps.pop()
        job.steps.extend(steps)
        self.pool.put(job, self._world.clock.monotonic())

    def _end_indexing(self, job: DocumentJob, at: float) -> None:
        document = job.document
        document.retry_lock_until = 0.0
        if not _is_running(document):
            return
        if document.id in self.failing or self.fail_adding is not None:
            document.fail_indexing(self.fail_adding or DEFAULT_FAILURE, at)
        else:
            document.complete_indexing(at, lost=self._loses(job, "add"))

    def _change_index(self, job: DocumentJob, change: Change, at: float) -> None:
        """The job of one change. Only its end removes the lock."""
        document = job.document
        if document.indexing_status != "completed" or document.deleted:
            # Dify returns here before it deletes the lock, which then stays for ten minutes.
            return
        failure = self._failure(document, change)
        if failure is None:
            document.show(change == "add", lost=self._loses(job, change))
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

    def _loses(self, job: DocumentJob, change: Change) -> bool:
        """Whether the write of a job is lost: another one has read the keyword table before, and writes after it."""
        dataset, share = job.document.dataset, self._lost_keywords
        if dataset.has_vectors:
            return change == "remove" and dataset.refuses_deletes
        if self._world.version != LOSES_KEYWORDS or share == "never":
            return False
        if isinstance(share, str):
            return change == "add"
        return job.overlapped and self._luck.random() < share

    def _failure(self, document: Row, change: Change) -> str | None:
        if document.id in self.failing:
            return (self.fail_adding if change == "add" else self.fail_removing) or DEFAULT_FAILURE
        if change == "remove":
            return self.fail_removing
        dataset = document.dataset
        if dataset.has_vectors and dataset.duplicate_insert_fails:
            there = next((one for one in document.visible if one.in_index), None)
            if there is not None:
                return _duplicate_key(document, there)
        return self.fail_adding

    def wins_race(self, document: Row, change: Change, *, new_connection: bool, alone: bool, among: int) -> bool:
        """Whether the first job of a call finishes before the call sets its lock.

        :param among: Number of documents in the knowledge base.
        """
        if not self.alive or self.lock_race == "never":
            return False
        if self.lock_race == "always":
            return True
        if any(isinstance(job, DocumentJob) and job.changes_status for job in self.pool.jobs):
            return False
        if document.dataset.has_vectors and change == "add":
            # Embedding takes time: 0 of 20 calls left a lock behind (1.16.0).
            return False
        likely = race_probability(document, new_connection=new_connection, alone=alone, among=among)
        return self._world.random.random() < likely


def _checked_jobs(number: int) -> int:
    if number < 1:
        raise ValueError(f"jobs is {number!r}, and should be 1 or more")
    return number


def _checked_share(share: LostKeywords) -> LostKeywords:
    if share not in ("never", "always") and (isinstance(share, str) or not 0 < share <= 1):
        raise ValueError(f"lost_keywords is {share!r}, and should be 'never', 'always', or above 0 and up to 1")
    return share


def race_probability(document: Row, *, new_connection: bool, alone: bool, among: int) -> float:
    """How likely an idle worker finishes a job before its lock is set."""
    if not new_connection:
        return RACE_KEPT_CONNECTION
    if among >= SLOW_DATASET or document.segments >= SLOW_SEGMENTS:
        return RACE_SLOW_JOB
    if document.dataset.world.version.startswith("1.12."):
        return RACE_NEW_CONNECTION_1_12
    return RACE_NEW_CONNECTION if alone else RACE_NEW_CONNECTION_BATCH


def _is_running(document: Row) -> bool:
    """Whether an indexing job may continue: the document was not deleted, paused, or ended otherwise."""
    return not document.deleted and not document.paused and document.indexing_status not in ("completed", "error")


def _reach(document: Row, stage: str, at: float) -> None:
    if _is_running(document):
        document.reach(stage, at)


def _fail(document: Row, failure: str, at: float) -> None:
    document.retry_lock_until = 0.0
    if _is_running(document):
        document.fail_indexing(failure, at)


def _duplicate_key(document: Row, segment: Segment) -> str:
    """The error of pgvector for a vector that it already has (1.16.0, file 23)."""
    table = f"embedding_vector_index_{document.dataset.id.replace('-', '_')}"
    key = derived_id(document, f"node {segment.key}")
    text = f'duplicate key value violates unique constraint "{table[:58]}_pkey"'
    return f"{text}\nDETAIL:  Key (id)=({key}) already exists.\n"
