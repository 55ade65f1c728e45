"""The clock that flows use. Tests put one here that they can push."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
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
