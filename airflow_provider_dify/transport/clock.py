"""Clocks: the real one, and a way to use another one in this process for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait this many seconds."""

    def asleep(self, seconds: float) -> Awaitable[None]:
        """Wait this many seconds without blocking the event loop."""


class SystemClock:
    """The real time."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment; never goes backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait this many seconds."""
        time.sleep(seconds)

    def asleep(self, seconds: float) -> Awaitable[None]:
        """Wait this many seconds without blocking the event loop."""
        return asyncio.sleep(seconds)


#: The clock in use.
clock: Clock = SystemClock()
#: Those in use from the first to the last.
_in_use: list[Clock] = [clock]


def current() -> Clock:
    """Return the clock for whatever Airflow creates: hooks, operators, sensors and triggers. They pass it on."""
    return clock


@contextmanager
def using(other: Clock) -> Iterator[None]:
    """Use another clock in this process, in all threads: for tests and demos, in which waiting takes no time."""
    global clock  # noqa: PLW0603 - for the whole process
    _in_use[-1] = clock
    _in_use.append(other)
    clock = other
    try:
        yield
    finally:  # it need not be the last one any more: another thread may use one, too
        place = max(number for number, one in enumerate(_in_use) if one is other)
        del _in_use[place]
        clock = _in_use[-1]
