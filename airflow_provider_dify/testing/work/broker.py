"""The queue between API and worker (Redis)."""

from __future__ import annotations

from airflow_provider_dify.testing.model.rows import LOCK_SECONDS, Row
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.work.worker import Change, Worker


class Broker:
    """The queue. If it is down or full, a change is in the database and nobody will act on it."""

    def __init__(self, world: Site, worker: Worker) -> None:
        self._world = world
        self._worker = worker
        #: ``False``: flags are changed and locks set, then the call ends in a 500; the jobs are never queued.
        self.alive = True
        #: Out of memory: the same, but the lock cannot be set either.
        self.full = False

    def stop(self) -> None:
        """Stop the broker."""
        with self._world.guard:
            self._world.tick()
            self.alive = False

    def start(self) -> None:
        """Start the broker again; jobs that were not queued stay lost."""
        with self._world.guard:
            self.alive = True
            self.full = False

    def lose_jobs(self) -> int:
        """Drop every waiting job, as a restart without persistence does; locks stay. :return: how many."""
        with self._world.guard:
            self._world.tick()
            return self._worker.pool.clear()

    def dispatch(
        self, jobs: list[tuple[Row, Change | None]], *, new_connection: bool, alone: bool, among: int
    ) -> BrokerError | None:
        """Queue the jobs of one call, each before its lock is set. ``None`` instead of a change: no job, no lock.

        :param new_connection: Whether the call came over a new connection, so that the race for the lock is close.
        :param alone: Whether there is only one job.
        :param among: Number of documents in the knowledge base.
        """
        worker, error, first = self._worker, None, True
        for document, change in jobs:
            if change is None:
                continue
            if self.full:
                return BrokerError("out of memory")
            if not self.alive:
                error = BrokerError("connection refused")
            elif first and worker.wins_race(document, change, new_connection=new_connection, alone=alone, among=among):
                worker.run_change(document, change)
            else:
                worker.queue_change(document, change)
            first = False
            document.lock_until = self._world.clock.monotonic() + LOCK_SECONDS
        return error


class BrokerError(Exception):
    """A job could not be queued."""
