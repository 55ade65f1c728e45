"""How long to wait between two checks, and when to say how far it is."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note

_SECONDS_BETWEEN_NOTES = 10.0
#: So often is a reason to wait that does not change repeated.
_SECONDS_BETWEEN_REASONS = 60.0
#: Nobody waits shorter or longer between two checks, whatever was asked for: it would be a flood, or never end.
_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 86_400.0


class Waits:
    """Seconds between looks: short ones first, since most changes are through at once, then ever longer ones.

    Where the worker's pace is known, no wait is longer than it needs for what is left.

    :param longest: Seconds that no wait exceeds.
    :param first: Seconds of the first wait; each further one is twice as long.
    """

    def __init__(self, longest: float, first: float = 0.5) -> None:
        self._longest = longest = min(max(longest, _SHORTEST_WAIT), _LONGEST_WAIT)
        self._first = first
        self._next = 0.0
        self._looked_at: float | None = None
        self._enough = longest
        self.restart()

    def restart(self) -> None:
        """Begin with short waits again: something has moved."""
        self._next = min(self._first, self._longest)
        self._enough = self._longest

    def looked(self, at: float, *, done: int, left: int) -> None:
        """Take the worker's pace from what it has done since the previous check.

        :param at: When, in seconds.
        :param done: How many documents it was through with since then.
        :param left: How many are left.
        """
        if self._looked_at is not None and done:
            # With none left, whatever else is awaited does not go by that pace.
            self._enough = left * (at - self._looked_at) / done if left else self._longest
        self._looked_at = at

    def next(self) -> float:
        """Return how long to wait now."""
        wait = min(self._next, max(self._enough, self._first))
        self._next = min(self._next * 2, self._longest)
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
