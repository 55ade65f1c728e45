"""How long to wait between two checks, and when to say how far it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.answers import a_list_of_whole_numbers
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Pause
from airflow_provider_dify.knowledge.text.counts import part_of

_SECONDS_BETWEEN_NOTES = 10.0
_NUMBERS = re.compile(r"\d+")
#: Limits of the seconds between two checks, whatever the user sets: shorter would be a flood, longer would never end.
_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 86_400.0


class Intervals:
    """Seconds between checks: short first, since most changes finish at once, then longer and longer.

    If the worker's pace is known, no wait is longer than it needs for the rest.

    :param longest: Maximum wait in seconds.
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
        """Start with short waits again: there was progress."""
        self._next = min(self._first, self._longest)
        self._enough = self._longest

    def looked(self, at: float, *, done: int, left: int) -> None:
        """Update the worker's pace from its progress since the previous check.

        :param at: The time of this check, in seconds.
        :param done: How many documents it has finished since then.
        :param left: How many are left.
        """
        if self._looked_at is not None and done:
            # If none are left, anything else that is awaited does not depend on that pace.
            self._enough = left * (at - self._looked_at) / done if left else self._longest
        self._looked_at = at

    def next(self) -> float:
        """Return how long to wait now."""
        wait = min(self._next, max(self._enough, self._first))
        self._next = min(self._next * 2, self._longest)
        return wait


@dataclass(frozen=True)
class WholeJob:
    """The whole job, of which another job is a part.

    :param done: How many of its documents are done without that part.
    :param total: How many it has; 0: the part is all of it.
    """

    done: int = 0
    total: int = 0

    @classmethod
    def around(cls, part: int, total: int) -> WholeJob:
        """Return a job with this many documents, of which all except a part are done."""
        return cls(max(0, total - part), total)

    def to_json(self) -> list[int]:
        """Return it as plain JSON."""
        return [self.done, self.total]

    @classmethod
    def from_json(cls, data: JSON) -> WholeJob:
        """Return the job that :meth:`to_json` was called on; the default for ``None``."""
        return cls(*data) if a_list_of_whole_numbers(data) else cls()

    def without(self, done: int, of: int) -> WholeJob:
        """Return the job for the rest of the part.

        :param done: How many documents of the part are done.
        :param of: How many the part has.
        """
        return WholeJob(self.done + done, self.of(of))

    def of(self, part: int) -> int:
        """Return the total number of documents.

        :param part: How many the part has.
        """
        return max(self.total, self.done + part)


#: A job that is not part of another one.
ALONE = WholeJob()


class Progress:
    """Logs the progress of a job: only what is new, and at most every ten seconds.

    :param deadline: Knows the time.
    :param whole: The whole job, if this is a part of it.
    :param repeat_after: Seconds after which a wait is logged again, if nothing else is known than that it goes on;
        ``None``: never.
    """

    def __init__(self, deadline: Deadline, whole: WholeJob = ALONE, *, repeat_after: float | None = None) -> None:
        self.whole = whole
        self._repeat_after = repeat_after
        self._deadline = deadline
        self._said_at = deadline.elapsed
        self._waits_for = ""
        self._done: dict[str, int] = {}

    def note(self, what: str, done: int, of: int, noun: str = "document", plural: str = "") -> Flow[None]:
        """Log the progress, if there is any since last time.

        :param what: What was done, such as ``Read``.
        :param done: How many are done.
        :param of: How many there are.
        """
        if self._is_time and done > self._done.get(what, 0):
            self._done[what] = done
            yield self.status(f"{what} {part_of(done, of, noun, plural)}")

    def search(self, done: int, of: int) -> Flow[None]:
        """Log for how many documents of the whole job search is up to date.

        :param done: For how many of the checked ones.
        :param of: How many are checked.
        """
        yield from self.note("Search is up to date for", self.whole.done + done, self.whole.of(of))

    def status(self, text: str) -> Note:
        """Return a line about the progress."""
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
        """Whether to log a text: it is of another kind than the last one, has other numbers, or is to be repeated."""
        known, kind = self._waits_for, _NUMBERS.sub("", text)
        if text == known and self._repeat_after is not None:
            return self._deadline.elapsed - self._said_at >= self._repeat_after
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
