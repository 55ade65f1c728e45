"""The time that passes for a flow. Tests put a clock here that they can push."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds since some moment, never backwards."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""

    def asleep(self, seconds: float) -> Awaitable[None]:
        """Let so many seconds pass without holding up the event loop."""


class SystemClock:
    """The real time."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment, never backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""
        time.sleep(seconds)

    def asleep(self, seconds: float) -> Awaitable[None]:
        """Let so many seconds pass without holding up the event loop."""
        return asyncio.sleep(seconds)


#: The clock in use.
clock: Clock = SystemClock()
