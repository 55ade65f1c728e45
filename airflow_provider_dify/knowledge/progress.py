"""How long to wait between two checks, and when to say how far it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Pause

_SECONDS_BETWEEN_NOTES = 10.0
_NUMBERS = re.compile(r"\d+")
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


@dataclass(frozen=True)
class Whole:
    """The job that a part of it reports on.

    :param done: How many of its documents are done without that part.
    :param total: How many it has; 0: the part is all of it.
    """

    done: int = 0
    total: int = 0

    @classmethod
    def around(cls, part: int, total: int) -> Whole:
        """Return a job of so many documents, of which all are done but a part."""
        return cls(max(0, total - part), total)

    def to_json(self) -> list[int]:
        """Return it as plain JSON."""
        return [self.done, self.total]

    @classmethod
    def from_json(cls, data: Sequence[int] | None) -> Whole:
        """Return what :meth:`to_json` was made of; the default for ``None``."""
        return cls(*(data or ()))

    def without(self, done: int, of: int) -> Whole:
        """Return the same for what is left of the part.

        :param done: How many documents of the part are done.
        :param of: How many the part has.
        """
        return Whole(self.done + done, self.of(of))

    def of(self, part: int) -> int:
        """Return how many documents there are in all.

        :param part: How many the part has.
        """
        return max(self.total, self.done + part)


#: A job that is no part of another one.
ALONE = Whole()


class Progress:
    """Says how far a job is: only what is new, and at most every ten seconds.

    :param deadline: Tells the time.
    :param whole: The job, if this is about a part of it.
    """

    def __init__(self, deadline: Deadline, whole: Whole = ALONE) -> None:
        self.whole = whole
        self._deadline = deadline
        self._said_at = deadline.elapsed
        self._waits_for = ""
        self._done: dict[str, int] = {}

    def note(self, what: str, done: int, of: int, things: str = "documents") -> Flow[None]:
        """Say how far it is, if it is further than last time.

        :param what: What was done, such as ``Read``.
        :param done: With how many.
        :param of: Of how many.
        """
        if self._is_time and done > self._done.get(what, 0):
            self._done[what] = done
            yield self.status(f"{what} {done:,} of {of:,} {things}")

    def search(self, done: int, of: int) -> Flow[None]:
        """Say for how many documents of the whole job search is up to date.

        :param done: For how many of those that are checked.
        :param of: How many are checked.
        """
        yield from self.note("Search is up to date for", self.whole.done + done, self.whole.of(of))

    def status(self, text: str) -> Note:
        """Return a line that says how far it is."""
        self._said_at = self._deadline.elapsed
        return Note(f"{text}, {self._said_at:.0f} s")

    def pause(self, seconds: float, what: str) -> Pause:
        """Return a pause that says what it waits for, if that is news.

        :param what: What is awaited, such as ``search to update: 3 documents``.
        """
        if not self.is_news(what):
            return Pause(seconds, "")
        elapsed = self._said_at = self._deadline.elapsed
        return Pause(seconds, f"Waiting for {what} ({elapsed:.0f} s elapsed, next check in {seconds_of(seconds)})")

    def is_news(self, text: str) -> bool:
        """Whether a text should be said: it is of another kind than the last one, or has other numbers by now."""
        known, kind = self._waits_for, _NUMBERS.sub("", text)
        if text == known or (kind == _NUMBERS.sub("", known) and not self._is_time):
            return False
        self._waits_for = text
        return True

    @property
    def _is_time(self) -> bool:
        return self._deadline.elapsed - self._said_at >= _SECONDS_BETWEEN_NOTES


def seconds_of(seconds: float) -> str:
    """Return a number of seconds as the log shows it."""
    return f"{round(seconds, 1):g} s"


def checking_again(seconds: float, error: DifyError) -> str:
    """Say that documents are read before anything is sent again."""
    return f"Checking the documents in {seconds_of(seconds)} before trying again: {error.message}"
