"""Jobs in a queue, and the parallel processes of Dify's worker that take them, first in, first out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airflow_provider_dify.testing.model.rows import Row

#: Moments closer to each other than this are equal: times are sums of many parts.
SAME_MOMENT = 1e-9


@dataclass(eq=False)
class Job:
    """One job: steps of some seconds, each with an action at its end, which may add further steps."""

    steps: deque[Step] = field(default_factory=deque)
    #: When the current step ends; only known while it runs.
    next_at: float = 0.0

    @property
    def ends_at(self) -> float:
        """When it will end, while it runs."""
        return self.next_at + sum(seconds for seconds, _ in list(self.steps)[1:])

    def meet(self, others: Sequence[Job], now: float) -> None:
        """Record which jobs run when this one starts."""

    def shut_down(self, at: float) -> bool:
        """The worker is told to stop. :return: whether the job ends with it; otherwise it starts its step again later.

        :param at: The wall clock.
        """
        del at
        return False

    def killed(self) -> None:
        """The worker was killed, in the middle of the job."""


@dataclass(eq=False)
class DocumentJob(Job):
    """A job for a document.

    :param changes_status: Whether it follows a status change; otherwise it indexes a content.
    :param overlapped: Whether another job on the same knowledge base has run at the same time.
    """

    document: Row = field(kw_only=True)
    changes_status: bool = field(kw_only=True)
    overlapped: bool = False

    def meet(self, others: Sequence[Job], now: float) -> None:
        for other in others:
            if not isinstance(other, DocumentJob) or other.document.dataset is not self.document.dataset:
                continue
            if other.ends_at > now + SAME_MOMENT:
                self.overlapped = other.overlapped = True


#: Seconds, and the action at their end, which gets the wall clock.
Step = tuple[float, Callable[[float], None]]


class Pool:
    """Takes jobs from one queue, ``size`` in parallel."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.alive = True
        self.waiting: deque[Job] = deque()
        self.running: list[Job] = []
        #: When it last finished something, by the monotonic clock.
        self.through_at = 0.0

    @property
    def jobs(self) -> list[Job]:
        """Running and waiting jobs."""
        return [*self.running, *self.waiting]

    def put(self, job: Job, now: float) -> None:
        """Queue a job; it starts at once if a process is free."""
        self.waiting.append(job)
        self.fill(now)

    def fill(self, now: float) -> None:
        """Let the free processes take waiting jobs."""
        while self.alive and self.waiting and len(self.running) < self.size:
            job = self.waiting.popleft()
            job.next_at = now + job.steps[0][0]
            job.meet(self.running, now)
            self.running.append(job)

    def shut_down(self, at: float) -> None:
        """Stop; jobs that cannot be resumed end.

        :param at: The wall clock.
        """
        self.alive = False
        self.running = [job for job in list(self.running) if not job.shut_down(at)]

    def kill(self) -> int:
        """Stop at once: running jobs are lost. :return: how many."""
        self.alive = False
        return self._lose_running()

    def _lose_running(self) -> int:
        lost, self.running = self.running, []
        for job in lost:
            job.killed()
        return len(lost)

    def remove(self, job: Job) -> None:
        """Remove a job, wherever it is."""
        if job in self.running:
            self.running.remove(job)
        if job in self.waiting:
            self.waiting.remove(job)

    def resume(self, now: float) -> None:
        """Continue after a stop: interrupted jobs start their step again."""
        self.alive = True
        for job in self.running:
            job.next_at = max(job.next_at, now + job.steps[0][0])
        self.fill(now)

    def next_due(self) -> float | None:
        """When the next step ends; ``None``: nothing runs, or nothing that ends by itself."""
        if not self.alive:
            return None
        return min((job.next_at for job in self.running if job.next_at < math.inf), default=None)

    def step(self, due: float, at: float) -> None:
        """End the step that is due.

        :param due: By the monotonic clock.
        :param at: The same moment as wall clock.
        """
        job = min(self.running, key=lambda one: one.next_at)
        _, act = job.steps.popleft()
        self.through_at = due
        act(at)
        if job.steps:
            job.next_at = due + job.steps[0][0]
        elif job in self.running:
            self.running.remove(job)
        self.fill(due)

    def clear(self) -> int:
        """Drop everything. :return: how many jobs."""
        dropped = self._lose_running() + len(self.waiting)
        self.waiting.clear()
        return dropped
