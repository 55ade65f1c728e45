"""Documents as Dify's database has them, and what happens to one."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_dify.testing.uploads import Upload
    from airflow_provider_dify.testing.world import Dataset

#: Seconds that Dify's lock on a document lives, unless the job deletes it.
LOCK_SECONDS = 600.0
#: The same for the lock of an operation on its metadata.
METADATA_LOCK_SECONDS = 3600.0

#: The states of an indexing that runs; ``waiting`` comes before, ``completed`` and ``error`` after.
RUNNING = ("parsing", "cleaning", "splitting", "indexing")

_UUID = re.compile(r"(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}")


@dataclass(slots=True)
class Segment:
    """One segment that was added by hand, and that search finds at once."""

    content: str
    keywords: list[str]
    enabled: bool = True


@dataclass(slots=True, eq=False)
class Row:
    """One document. Times are seconds since 1970, but for the locks, which go by the monotonic clock.

    :param segments: Number of segments that its text makes.
    :param indexed: Whether these have been made and indexed.
    :param in_search: ``enabled`` of the segments, which alone decides what search returns.
    :param lock_until: When Dify's lock on it ends.
    :param marks: When each stage of indexing was reached.
    :param uploads: How many contents it has had.
    :param uploaded_at: When it got the present one.
    :param file: The file that it was made of; ``None``: it was made of a text.
    :param flaw: Why the worker cannot index the present content.
    :param added: Segments that were added by hand, behind those of its text.
    :param metadata: Values by name, those of fields that do not exist included.
    :param metadata_lock_until: When Dify's lock on its metadata ends, by the monotonic clock.
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
    tokens: int | None = None
    hit_count: int = 0
    uploads: int = 1
    uploaded_at: float = 0.0
    file: Upload | None = None
    flaw: str | None = None
    added: list[Segment] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    metadata_lock_until: float = 0.0

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
    def own_segments(self) -> int:
        """Segments that its text has made: none before it is split."""
        split = self.indexed or self.indexing_status in ("indexing", "completed", "error")
        return self.segments if split else 0

    @property
    def visible_segments(self) -> int:
        """Segments that exist."""
        return self.own_segments + len(self.added)

    def finds(self, index: int) -> bool:
        """Whether search can return that segment."""
        number = self.own_segments
        return self.searchable if index < number else self.indexed and self.added[index - number].enabled

    def show(self, enabled: bool) -> None:
        """Put all its segments into search, or take them out."""
        self.in_search = enabled
        for segment in self.added:
            segment.enabled = enabled

    @property
    def content(self) -> bytes:
        """What it was made of."""
        return self.text.encode() if self.file is None else self.file.content

    def take(self, text: str, segments: int, file: Upload | None, at: float) -> None:
        """Get another content, which waits for its indexing."""
        self.text = text
        self.segments = segments
        self.file = file
        self.flaw = None if file is None else file.flaw
        self.uploads += 1
        self.uploaded_at = at

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
        self.tokens = self.dataset.tokens(self.text)
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
        self.added = []
        self.error = self.completed_at = None
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
