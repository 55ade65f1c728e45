"""Tells what is asserted, as it goes, and counts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class StuckError(Exception):
    """What a story waits for did not come: there is no point in going on with it."""


class GaveUpError(Exception):
    """The time for all of it is over, or somebody wants it to end."""


class Tally:
    """The story so far, on standard output, with the seconds since the start."""

    def __init__(self) -> None:
        self.passed = 0
        #: What did not hold.
        self.failures: list[str] = []
        self._started = time.monotonic()

    @property
    def failed(self) -> int:
        return len(self.failures)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def tell(self, text: str) -> None:
        print(f"{self.seconds:6.1f} s  {text}", flush=True)

    def check(self, text: str, holds: bool, detail: object = "") -> None:
        """Count an assertion; say the detail only where it does not hold."""
        if holds:
            self.passed += 1
        else:
            self.failures.append(text)
        self.tell(f"  ok      {text}" if holds else f"  FAILED  {text}: {detail}")

    def equal(self, text: str, found: object, wanted: object) -> None:
        """Assert that two values are the same."""
        self.check(text, found == wanted, f"found {found!r}, wanted {wanted!r}")

    @contextmanager
    def story(self, title: str) -> Iterator[None]:
        """Tell one story; the next ones are told even where it breaks off."""
        self.tell(title)
        try:
            yield
        except StuckError as error:
            self.check(title, False, error)


def wait_for(what: str, probe: Callable[[], T | None], seconds: float) -> T:
    """Return what the probe returns, once that is anything.

    :raises StuckError: It was nothing for so many seconds.
    """
    end = time.monotonic() + seconds
    while not (found := probe()):
        if time.monotonic() > end:
            raise StuckError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.3)
    return found
