"""Times a way to archive documents."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.server import Setup, Tally, Target, running

_STARTED = time.monotonic()


@dataclass(frozen=True)
class Run:
    """One run of a way.

    :param documents: How many it archived.
    :param seconds: How long it took.
    :param ended_at: When it ended, by the monotonic clock.
    :param tally: What Dify saw of it.
    """

    documents: int
    seconds: float
    ended_at: float
    tally: Tally

    @property
    def per_second(self) -> float:
        """Documents per second."""
        return self.documents / self.seconds


def run(way: Callable[[Target], None], setup: Setup) -> Run:
    """Archive all documents of a new Dify, and check that they are archived."""
    with running(setup) as dify:
        started = time.monotonic()
        way(dify.target)
        ended = time.monotonic()
        return Run(setup.documents, ended - started, ended, dify.expect(archived=setup.documents))


def progress(text: str) -> None:
    """Print what is being done."""
    print(f"[{time.monotonic() - _STARTED:4.0f} s] {text} ...", file=sys.stderr, flush=True)
