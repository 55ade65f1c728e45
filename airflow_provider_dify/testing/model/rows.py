"""Documents as in Dify's database, and what happens to them."""

from __future__ import annotations

import re
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_dify.testing.model.knowledge_base import KnowledgeBase
from airflow_provider_dify.testing.text.cutting import Rule
from airflow_provider_dify.testing.text.keywords import keywords
from airflow_provider_dify.testing.text.uploads import Upload

#: Seconds until Dify's lock on a document expires, unless the job deletes it.
LOCK_SECONDS = 600.0
#: The same for the lock of a metadata operation.
METADATA_LOCK_SECONDS = 3600.0

#: The states of a running indexing; ``waiting`` comes before, ``completed`` and ``error`` after.
RUNNING = ("parsing", "cleaning", "splitting", "indexing")

_UUID = re.compile(r"(?:[0-9a-fA-F]{4}-?){7}[0-9a-fA-F]{4}")


@dataclass(slots=True, eq=False)
class Child:
    """One child chunk, by which search finds its segment in a parent-child knowledge base.

    :param key: What its id is derived from; it stays if others are deleted.
    :param position: Its place among the child chunks of its segment.
    :param created_at: In seconds since 1970.
    :param updated_at: In seconds since 1970.
    :param by_hand: Whether somebody added or changed it.
    """

    content: str
    key: str
    position: int
    created_at: float
    updated_at: float
    by_hand: bool = False


@dataclass(slots=True, eq=False)
class Segment:
    """One segment (chunk) of a document.

    :param key: What its id is derived from; it stays if others are deleted.
    :param given: Keywords that came with it; ``None``: those of its text.
    :param enabled: As the API shows it; search never returns a disabled one.
    :param in_index: Whether the keyword table or the vector store contains it. Otherwise search cannot find it; if a
        disabled one is in it, it uses up a place of ``top_k``.
    :param by_hand: Whether somebody disabled it alone.
    :param children: Its child chunks once somebody has changed them; ``None``: those of its text.
    """

    content: str
    key: str
    given: list[str] | None = None
    enabled: bool = False
    in_index: bool = False
    by_hand: bool = False
    children: list[Child] | None = None
    _words: tuple[str, tuple[str, ...]] | None = None

    @property
    def keywords(self) -> tuple[str, ...]:
        """The words that find it in an economy knowledge base."""
        if self.given is not None:
            return tuple(self.given)
        if self._words is None or self._words[0] is not self.content:
            self._words = self.content, keywords(self.content)
        return self._words[1]

    def show(self, enabled: bool, *, in_index: bool) -> None:
        """Enable or disable it with its whole document."""
        self.enabled = enabled
        self.in_index = in_index
        self.by_hand = self.by_hand and not enabled

    def switch(self, enabled: bool) -> None:
        """Enable or disable it alone."""
        self.enabled = self.in_index = enabled
        self.by_hand = not enabled


@dataclass(slots=True, eq=False)
class Row:
    """One document. Times are seconds since 1970, except those of locks, which use the monotonic clock.

    :param own: Segments of its text.
    :param indexed: Whether these have been created and indexed.
    :param lock_until: When Dify's lock on it expires.
    :param retry_lock_until: When Dify's lock on another try to index it expires, by the same clock.
    :param marks: When each stage of indexing was reached.
    :param uploads: How many contents it has had.
    :param uploaded_at: When it got the current one.
    :param file: The file that it was created from; ``None``: it was created from a text.
    :param source_type: Where it comes from, in Dify's words: ``upload_file``, also for a text, or ``website_crawl``.
    :param file_state: Whether its file is ``kept``, ``forgotten`` in the database, or ``unreadable`` in the storage.
    :param flaw: Why the worker cannot index the current content.
    :param rule: How it is split; ``None``: by Dify's automatic rule.
    :param added: Segments that were added by hand, after those of its text.
    :param metadata: Values by name, including those of fields that do not exist.
    :param metadata_lock_until: When Dify's lock on its metadata expires, by the monotonic clock.
    :param deleted: Whether it was deleted from its knowledge base.
    """

    dataset: KnowledgeBase
    id: str
    name: str
    text: str
    position: int
    created_at: float
    own: list[Segment] = field(default_factory=list)
    created_from: str = "api"
    batch: str | None = None
    word_count: int | None = None
    indexing_status: str = "waiting"
    error: str | None = None
    paused: bool = False
    enabled: bool = True
    archived: bool = False
    indexed: bool = False
    lock_until: float = 0.0
    retry_lock_until: float = 0.0
    updated_at: float = 0.0
    completed_at: float | None = None
    disabled_at: float | None = None
    marks: dict[str, float] = field(default_factory=dict)
    tokens: int | None = None
    hit_count: int = 0
    uploads: int = 1
    uploaded_at: float = 0.0
    file: Upload | None = None
    source_type: str = "upload_file"
    file_state: str = "kept"
    flaw: str | None = None
    rule: Rule | None = None
    added: list[Segment] = field(default_factory=list)
    number_added: int = 0
    metadata: dict[str, Any] | None = None
    metadata_lock_until: float = 0.0
    deleted: bool = False

    @property
    def searchable(self) -> bool:
        """Whether search can return it, whatever its flags."""
        return self.indexed and any(one.enabled and one.in_index for one in self.visible)

    @property
    def display_status(self) -> str:
        """Its state as shown by Dify; the list can be filtered by it."""
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
    def segments(self) -> int:
        """Number of segments of its text."""
        return len(self.own)

    @property
    def visible(self) -> list[Segment]:
        """Segments that exist: those of its text only after it was split."""
        return [*self.own, *self.added] if self.is_split else list(self.added)

    @property
    def is_split(self) -> bool:
        """Whether the segments of its text exist."""
        return self.indexed or self.indexing_status in ("indexing", "completed", "error")

    @property
    def cut_by(self) -> Rule:
        """The rule by which it is split."""
        return self.rule or Rule.of(derived_id(self, "rule"), {})

    def children(self, segment: Segment) -> list[Child]:
        """The child chunks of a segment. By itself, only a parent-child knowledge base has any."""
        if segment.children is not None:
            return segment.children
        if self.dataset.doc_form != "hierarchical_model":
            return []
        return [
            Child(text, f"{segment.key}.{index}", index + 1, self.created_at, self.created_at)
            for index, text in enumerate(self.cut_by.children(segment.content))
        ]

    def entries(self, segment: Segment) -> list[str]:
        """The texts by which search finds a segment: those of its child chunks in a parent-child knowledge base."""
        if self.dataset.doc_form != "hierarchical_model":
            return [segment.content]
        return [one.content for one in self.children(segment)]

    def show(self, enabled: bool, *, lost: bool = False) -> None:
        """Add all its segments to search, or remove them.

        :param lost: The write to the index is lost: the index keeps its old state.
        """
        for segment in [*self.own, *self.added]:
            segment.show(enabled, in_index=segment.in_index if lost else enabled)

    @property
    def content(self) -> bytes:
        """Its original content."""
        return self.text.encode() if self.file is None else self.file.content

    def cut(self, pieces: Sequence[str]) -> None:
        """Set its segments, which are in no index yet."""
        self.own = [Segment(text, f"{self.uploads}.{index}") for index, text in enumerate(pieces)]
        self.dataset.text_changed()

    def take(self, text: str, file: Upload | None, at: float) -> None:
        """Take another content, which has to be indexed."""
        self.text = text
        self.file = file
        self.flaw = None if file is None else file.flaw
        self.uploads += 1
        self.uploaded_at = at

    def touch(self, at: float) -> None:
        """Record that it changed."""
        self.updated_at = at
        self.dataset.changed()

    def reach(self, stage: str, at: float) -> None:
        """Reach a stage of indexing."""
        self.indexing_status = stage
        self.mark(stage, at)
        self.touch(at)

    def mark(self, stage: str, at: float) -> None:
        """Record when a stage was reached, and earlier stages without a time."""
        for earlier in RUNNING[: RUNNING.index(stage) + 1]:
            self.marks.setdefault(earlier, at)

    def complete_indexing(self, at: float, *, lost: bool = False) -> None:
        """Complete its indexing. The flags do not matter: an archived document becomes searchable, too.

        :param lost: Its keywords are lost: it looks complete, but search does not find it.
        """
        self.indexing_status = "completed"
        self.paused = False
        self.error = None
        self.completed_at = at
        self.indexed = True
        self.show(True, lost=lost)
        self.word_count = len(self.text)
        self.tokens = self.dataset.tokens(self.text)
        self.mark("indexing", at)
        self.touch(at)

    def fail_indexing(self, text: str, at: float) -> None:
        """Fail its indexing."""
        self.indexing_status = "error"
        self.error = text
        self.completed_at = None
        self.touch(at)

    def restart_indexing(self, batch: str, at: float, *, pieces: Sequence[str] | None = None) -> None:
        """Go back to the start: search does not return it until indexing is complete.

        :param pieces: The texts of its new segments; ``None``: as before.
        """
        self.batch = batch
        self.cut([one.content for one in self.own] if pieces is None else pieces)
        self.indexing_status = "waiting"
        self.indexed = False
        self.added = []
        self.dataset.text_changed()
        self.error = self.completed_at = None
        self.marks = {}
        self.touch(at)


def derived_id(document: Row, what: str) -> str:
    """The id of something that belongs to a document and never changes."""
    return f"{zlib.crc32(what.encode()) ^ int(document.id[:8], 16):08x}{document.id[8:]}"


def parse_document_id(value: object) -> str:
    """The canonical form of an id that PostgreSQL accepts: any case, with or without dashes, in braces.

    :raises ValueError: if PostgreSQL does not accept it; Dify responds with a 500.
    """
    text = value if isinstance(value, str) else ""
    bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    if _UUID.fullmatch(bare) is None:
        raise ValueError(f"not a UUID: {value!r}")
    return str(uuid.UUID(bare))
