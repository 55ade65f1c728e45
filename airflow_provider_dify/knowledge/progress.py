"""How long to wait between two looks, and when to say how far it is."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note

_SECONDS_BETWEEN_NOTES = 10.0
#: So often is a reason to wait that does not change repeated.
_SECONDS_BETWEEN_REASONS = 60.0


class Waits:
    """Seconds between looks: short ones first, since most changes are through at once, then ever longer ones.

    :param longest: Seconds that no wait exceeds.
    """

    _FIRST = 0.5

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = 0.0
        self.restart()

    def restart(self) -> None:
        """Begin with short waits again: something has moved."""
        self._next = min(self._FIRST, self._longest)

    def next(self) -> float:
        """Return how long to wait now."""
        wait = self._next
        self._next = min(wait * 2, self._longest)
        return wait


class Progress:
    """Says how far it is, at most every ten seconds.

    :param deadline: Tells the time.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._said_at = deadline.elapsed
        self._reason = ""
        self._reason_at = 0.0

    def note(self, text: Callable[[], str]) -> Flow[None]:
        """Say how far it is, where it is time to."""
        if self._deadline.elapsed - self._said_at >= _SECONDS_BETWEEN_NOTES:
            self._said_at = self._deadline.elapsed
            yield Note(text())

    def reason(self, text: str) -> str:
        """Return a reason to wait, or nothing where it was given a moment ago."""
        now = self._deadline.elapsed
        if text == self._reason and now - self._reason_at < _SECONDS_BETWEEN_REASONS:
            return ""
        self._reason, self._reason_at = text, now
        return f"{text} {now:.0f} s so far."
