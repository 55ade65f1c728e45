"""Jobs in a queue, and the processes of Dify's worker that take them: so many side by side, first in, first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_dify.testing.model.rows import Row

#: Two moments that are nearer to each other than this are the same one: times are sums of many parts.
SAME_MOMENT = 1e-9


@dataclass(eq=False)
class Job:
    """One job: steps of so many seconds, each with what it does at its end.

    :param changes_status: Whether it follows a change of status; otherwise it indexes a content.
    :param next_at: When the step at hand ends; only known while it runs.
    :param overlapped: Whether another job on the same knowledge base has run at the same time.
    """

    document: Row
    steps: deque[Step]
    changes_status: bool
    next_at: float = 0.0
    overlapped: bool = False

    @property
    def ends_at(self) -> float:
        """When it will be through, while it runs."""
        return self.next_at + sum(seconds for seconds, _ in list(self.steps)[1:])

    def meet(self, others: list[Job], now: float) -> None:
        """Note which of the jobs that run at ``now`` work on the same knowledge base."""
        for other in others:
            if other.document.dataset is self.document.dataset and other.ends_at > now + SAME_MOMENT:
                self.overlapped = other.overlapped = True


Step = tuple[float, Callable[[Job, float], None]]


class Pool:
    """Takes jobs from one queue, ``size`` side by side."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.alive = True
        self.waiting: deque[Job] = deque()
        self.running: list[Job] = []
        #: When it was last through with something, by the monotonic clock.
        self.through_at = 0.0

    @property
    def jobs(self) -> list[Job]:
        """What runs and what waits."""
        return [*self.running, *self.waiting]

    def put(self, job: Job, now: float) -> None:
        """Queue a job; it starts at once if a process is free."""
        self.waiting.append(job)
        self.fill(now)

    def fill(self, now: float) -> None:
        """Let the free processes take what waits."""
        while self.alive and self.waiting and len(self.running) < self.size:
            job = self.waiting.popleft()
            job.next_at = now + job.steps[0][0]
            job.meet(self.running, now)
            self.running.append(job)

    def resume(self, now: float) -> None:
        """Go on after a stop: what was at work begins its step again."""
        self.alive = True
        for job in self.running:
            job.next_at = max(job.next_at, now + job.steps[0][0])
        self.fill(now)

    def next_due(self) -> float | None:
        """When the next step ends; ``None``: nothing runs."""
        return min((job.next_at for job in self.running), default=None) if self.alive else None

    def step(self, due: float, at: float) -> None:
        """End the step that is due.

        :param due: By the monotonic clock.
        :param at: The same by the wall clock.
        """
        job = min(self.running, key=lambda one: one.next_at)
        _, act = job.steps.popleft()
        self.through_at = due
        act(job, at)
        if job.steps:
            job.next_at = due + job.steps[0][0]
        elif job in self.running:
            self.running.remove(job)
        self.fill(due)

    def clear(self) -> int:
        """Drop everything. :return: how many jobs."""
        dropped = len(self.running) + len(self.waiting)
        self.running.clear()
        self.waiting.clear()
        return dropped
