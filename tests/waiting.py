"""Waiting for what happens elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 300.0) -> bool:
    """Wait for another thread or process, and return whether it has happened.

    :param seconds: Guards against a hang; a busy machine may need a large part of it.
    """
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()
