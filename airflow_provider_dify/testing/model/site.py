"""One installation of Dify: its version, time, lock, ids, and scheduled events."""

from __future__ import annotations

import heapq
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Protocol

from airflow_provider_dify.testing.model.clock import Clock, VirtualClock
from airflow_provider_dify.testing.text.cutting import Rule

#: Called with the due time as wall clock, in seconds since 1970.
Event = Callable[[float], None]
#: Called with the due time by the monotonic clock, then as wall clock.
Act = Callable[[float, float], None]


class Machine(Protocol):
    """Something that works by itself, step by step."""

    def next_due(self) -> float | None:
        """When its next step ends, by the monotonic clock; ``None``: it is idle."""

    def step(self, due: float, at: float) -> None:
        """End the step that is due at ``due``; ``at`` is the same moment as wall clock."""


class Site:
    """What knowledge bases and workers share. Hold the ``guard`` to access them.

    :param clock: The clock. Events happen when somebody asks what is due, never by themselves.
    :param seed: For everything random.
    """

    def __init__(self, clock: Clock, *, version: str, seed: int) -> None:
        self.clock = clock
        self.version = version
        self.random = random.Random(seed)
        self.guard = threading.RLock()
        self.user_id = self.new_id()
        #: Names of the tags of knowledge bases, by their ids, in the order of their creation.
        self.tags: dict[str, str] = {}
        self._machines: list[Machine] = []
        self._events: list[tuple[float, int, Event]] = []
        self._count = count()
        self._ticking = False
        self._due_now: float | None = None
        if isinstance(clock, VirtualClock):
            clock.on_advance(self.tick)

    @property
    def has_downloads(self) -> bool:
        """Whether the contents of documents can be downloaded (from 1.13.1 on, read in Dify's source)."""
        return not self.version.startswith("1.12.")

    @property
    def retries_documents(self) -> bool:
        """Whether failed documents can be indexed again: releases up to 1.17.1 cannot (read in Dify's source)."""
        return [int(part) for part in self.version.split(".")[:2]] >= [1, 18]

    @property
    def is_recent(self) -> bool:
        """Whether this Dify has the features of 1.16.0."""
        return [int(part) for part in self.version.split(".")[:2]] >= [1, 16]

    def new_id(self) -> str:
        """A UUID. The same seed gives the same ids in the same order."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_rule(self, given: Mapping[str, Any]) -> Rule:
        """The rule of a request, as a separate row."""
        return Rule.of(self.new_id(), given)

    def new_batch(self) -> str:
        """Name of a batch: the time, and random digits."""
        now = time.strftime("%Y%m%d%H%M%S", time.gmtime(self.clock.time()))
        return f"{now}{self.random.randrange(10**6):06}"

    def run(self, machine: Machine) -> None:
        """Let a machine work from now on."""
        self._machines.append(machine)

    @property
    def now(self) -> float:
        """The monotonic clock; during a jump of the clock, the due time of the current event."""
        return self.clock.monotonic() if self._due_now is None else self._due_now

    def schedule(self, after: float, event: Event) -> None:
        """Schedule an event in ``after`` seconds."""
        with self.guard:
            heapq.heappush(self._events, (self.now + after, next(self._count), event))
            self.tick()

    def next_due(self) -> float | None:
        """When the next event is due, by the monotonic clock; ``None``: there is none."""
        return min((due for due, _ in self._due()), default=None)

    def tick(self) -> None:
        """Run everything that is due by now, in order."""
        with self.guard:
            if self._ticking:
                return
            self._ticking = True
            try:
                self._run_due(self.clock.monotonic())
            finally:
                self._ticking = False

    def settle(self) -> None:
        """Let time pass until nothing more happens by itself."""
        self.tick()
        while (due := self.next_due()) is not None:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            self.tick()

    def _due(self) -> list[tuple[float, Act]]:
        """The next event of each kind, and when it is due; at the same moment, events come before the steps of
        machines.
        """
        found: list[tuple[float, Act]] = [(self._events[0][0], self._run_event)] if self._events else []
        steps = [(machine.next_due(), machine.step) for machine in self._machines]
        return found + [(due, step) for due, step in steps if due is not None]

    def _run_event(self, due: float, at: float) -> None:
        del due
        heapq.heappop(self._events)[2](at)

    def _run_due(self, now: float) -> None:
        offset = self.clock.time() - now
        # Times are sums of many parts; rounding must not make a job miss the moment at which it is due.
        while (found := self._due()) and (first := min(found, key=lambda one: one[0]))[0] <= now + 1e-9:
            self._due_now, act = first
            try:
                act(self._due_now, self._due_now + offset)
            finally:
                self._due_now = None
