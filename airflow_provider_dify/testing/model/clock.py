"""Two clocks with the same interface: real time, and time that passes when somebody sleeps."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

#: Default start of a :class:`VirtualClock`: 2026-01-01 00:00:00 UTC.
EPOCH = 1_767_225_600.0


class Clock(Protocol):
    """What the simulator and the tested code need from a clock. All values are seconds."""

    def time(self) -> float:
        """Wall clock: seconds since 1970."""

    def monotonic(self) -> float:
        """Clock for durations, with an arbitrary zero."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    async def asleep(self, seconds: float) -> None:
        """Let time pass without blocking the event loop."""

    def advance(self, seconds: float) -> None:
        """Let time pass, without counting it as somebody's sleep."""

    @property
    def slept(self) -> list[float]:
        """The requested length of each sleep, in order."""


class VirtualClock:
    """A clock that stands still until somebody sleeps, and then jumps: a wait of ten minutes takes no time.

    :param start: Wall clock at the beginning, in seconds since 1970.
    """

    def __init__(self, start: float = EPOCH) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._slept: list[float] = []

    @property
    def slept(self) -> list[float]:
        return self._slept

    def time(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        self._slept.append(seconds)
        self.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        # Let other tasks run, as during a real sleep.
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._elapsed += max(0.0, seconds)
        for listener in list(self._listeners):
            listener()

    def advance_to(self, moment: float) -> None:
        """Jump to a moment of the monotonic clock, unless it has passed already."""
        with self._lock:
            self._elapsed = max(self._elapsed, moment)
        for listener in list(self._listeners):
            listener()

    def on_advance(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each jump."""
        self._listeners.append(listener)


class SystemClock:
    """The same interface over real time."""

    def __init__(self) -> None:
        self._slept: list[float] = []

    @property
    def slept(self) -> list[float]:
        return self._slept

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._slept.append(seconds)
        time.sleep(max(0.0, seconds))

    async def asleep(self, seconds: float) -> None:
        self._slept.append(seconds)
        await asyncio.sleep(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))
