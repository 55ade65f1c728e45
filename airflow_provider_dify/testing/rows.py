"""Documents as Dify's database has them, and what happens to one."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_dify.testing.world import Dataset

#: Seconds that Dify's lock on a document lives, unless the job deletes it.
LOCK_SECONDS = 600.0

#: The states of an indexing that runs; ``waiting`` comes before, ``completed`` and ``error`` after.
RUNNING = ("parsing", "cleaning", "splitting", "indexing")

_UUID = re.compile(r"(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}")


@dataclass(slots=True, eq=False)
class Row:
    """One document. Times are seconds since 1970, but for the lock, which goes by the monotonic clock.

    :param segments: Number of segments that its text makes.
    :param indexed: Whether these have been made and indexed.
    :param in_search: ``enabled`` of the segments, which alone decides what search returns.
    :param lock_until: When Dify's lock on it ends.
    :param marks: When each stage of indexing was reached.
    """

    dataset: Dataset
    id: str
    name: str
    text: str
    position: int
    created_at: float
    segments: int = 1
    created_from: str = "api"
    batch: str | None = None
    word_count: int | None = None
    indexing_status: str = "waiting"
    error: str | None = None
    paused: bool = False
    enabled: bool = True
    archived: bool = False
    indexed: bool = False
    in_search: bool = False
    lock_until: float = 0.0
    updated_at: float = 0.0
    completed_at: float | None = None
    disabled_at: float | None = None
    marks: dict[str, float] = field(default_factory=dict)

    @property
    def searchable(self) -> bool:
        """Whether search can return it, whatever its flags say."""
        return self.indexed and self.in_search

    @property
    def display_status(self) -> str:
        """Dify's word for its state; the list can be filtered by it."""
        if self.indexing_status == "waiting":
            return "queuing"
        if self.indexing_status == "error":
            return "error"
        if self.indexing_status in RUNNING:
            return "paused" if self.paused else "indexing"
        if self.archived:
            return "archived"
        return "available" if self.enabled else "disabled"

    @property
    def visible_segments(self) -> int:
        """Segments that exist: none before the text is split."""
        split = self.indexed or self.indexing_status in ("indexing", "completed", "error")
        return self.segments if split else 0

    def touch(self, at: float) -> None:
        """Note that it changed."""
        self.updated_at = at
        self.dataset.changed()

    def reach(self, stage: str, at: float) -> None:
        """Come to a stage of indexing."""
        self.indexing_status = stage
        self.mark(stage, at)
        self.touch(at)

    def mark(self, stage: str, at: float) -> None:
        """Note when a stage was reached, and those before it where that is not known."""
        for earlier in RUNNING[: RUNNING.index(stage) + 1]:
            self.marks.setdefault(earlier, at)

    def complete_indexing(self, at: float) -> None:
        """Come to the end of indexing. The flags play no part in it: an archived document becomes searchable too."""
        self.indexing_status = "completed"
        self.paused = False
        self.error = None
        self.completed_at = at
        self.indexed = self.in_search = True
        self.word_count = len(self.text)
        self.mark("indexing", at)
        self.touch(at)

    def fail_indexing(self, text: str, at: float) -> None:
        """End in an error."""
        self.indexing_status = "error"
        self.error = text
        self.completed_at = None
        self.touch(at)

    def restart_indexing(self, batch: str, at: float) -> None:
        """Go back to the start: until indexing is through, search lacks it."""
        self.batch = batch
        self.indexing_status = "waiting"
        self.indexed = False
        self.error = self.completed_at = self.word_count = None
        self.marks = {}
        self.touch(at)


def parse_document_id(value: object) -> str:
    """The canonical form of an id as PostgreSQL takes it: any case, with or without dashes, in braces.

    :raises ValueError: where PostgreSQL would not take it, which Dify answers with a 500.
    """
    text = value if isinstance(value, str) else ""
    bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    if _UUID.fullmatch(bare) is None:
        raise ValueError(f"not a UUID: {value!r}")
    return str(uuid.UUID(bare))
