"""Documents as a test sees them: what is read has happened, what is due runs first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_dify.testing.model.rows import LOCK_SECONDS, METADATA_LOCK_SECONDS, Row, Segment, derived_id

if TYPE_CHECKING:
    from airflow_provider_dify.testing.work.world import Dataset


class Chunk:
    """One segment of a document. It shows the present, whatever happens to its document."""

    __slots__ = ("_document", "_segment")

    def __init__(self, document: Row, segment: Segment) -> None:
        self._document = document
        self._segment = segment

    def __repr__(self) -> str:
        return f"<Chunk {self.text[:30]!r}, enabled={self.enabled}, in_search={self.in_search}>"

    @property
    def _now(self) -> Segment:
        self._document.dataset.world.tick()
        return self._segment

    @property
    def id(self) -> str:
        """A UUID."""
        return derived_id(self._document, f"segment {self._segment.key}")

    @property
    def text(self) -> str:
        """Its text."""
        return self._now.content

    @property
    def keywords(self) -> list[str]:
        """The words that find it in an economy knowledge base."""
        return list(self._now.keywords)

    @property
    def enabled(self) -> bool:
        """What the API shows. A disabled one is never found; an enabled one may have lost its keywords."""
        return self._now.enabled

    @property
    def disabled_by_hand(self) -> bool:
        """Whether it was disabled alone, and not since then enabled with its document."""
        return self._now.by_hand

    @property
    def in_index(self) -> bool:
        """Whether the keyword table or the vector store holds it; set it to force what an accident leaves behind."""
        return self._now.in_index

    @in_index.setter
    def in_index(self, held: bool) -> None:
        with self._document.dataset.world.guard:
            self._now.in_index = held

    @property
    def in_search(self) -> bool:
        """Whether search can return it."""
        return self._document.indexed and self._now.enabled and self._segment.in_index


class Document:
    """One document of a knowledge base, made by :meth:`Dataset.add_document` or by a request that creates one."""

    __slots__ = ("_row",)

    def __init__(self, row: Row) -> None:
        self._row = row

    def __repr__(self) -> str:
        row = self._now
        flags = f"enabled={row.enabled}, archived={row.archived}, in_search={row.searchable}"
        return f"<Document {row.name!r} {row.indexing_status}, {flags}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and other._row is self._row

    def __hash__(self) -> int:
        return hash(self._row.id)

    @property
    def _now(self) -> Row:
        self._row.dataset.world.tick()
        return self._row

    @property
    def id(self) -> str:
        """A UUID."""
        return self._row.id

    @property
    def name(self) -> str:
        """Its name, which need not be unique."""
        return self._row.name

    @property
    def text(self) -> str:
        """Its text; search finds it by the words."""
        return self._row.text

    @property
    def content(self) -> bytes:
        """What it was made of: the bytes of the file, or of the text."""
        return self._row.content

    @property
    def dataset(self) -> Dataset:
        """The knowledge base that holds it."""
        return self._row.dataset

    @property
    def enabled(self) -> bool:
        """The flag; not yet what search does."""
        return self._now.enabled

    @property
    def archived(self) -> bool:
        """The flag; not yet what search does."""
        return self._now.archived

    @property
    def paused(self) -> bool:
        """Whether its indexing was paused."""
        return self._now.paused

    @property
    def indexing_status(self) -> str:
        """``waiting``, ``parsing``, ``cleaning``, ``splitting``, ``indexing``, ``completed`` or ``error``."""
        return self._now.indexing_status

    @property
    def display_status(self) -> str:
        """The one word that Dify shows, made of the indexing status and the flags."""
        return self._now.display_status

    @property
    def error(self) -> str | None:
        """Why indexing, or the last change, failed."""
        return self._now.error

    @property
    def in_search(self) -> bool:
        """Whether search can return it: one of its segments at least is enabled, and its keywords are not lost."""
        return self._now.searchable

    @property
    def chunks(self) -> list[Chunk]:
        """Its segments, in their order; those that were added by hand come last."""
        return [Chunk(self._row, one) for one in self._now.visible]

    def disable_chunk(self, index: int) -> None:
        """Disable one segment by hand; it is enabled again as soon as its document is disabled and enabled."""
        with self.dataset.world.guard:
            self._now.visible[index].switch(False)
            self._row.dataset.changed()

    @property
    def segments(self) -> int:
        """How many segments it has."""
        return len(self._now.visible)

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata as far as Dify shows them: values by name."""
        return self.dataset.fields.shown(self._now)

    @property
    def hit_count(self) -> int:
        """How often it was found by an app; a search through the API does not count."""
        return self._now.hit_count

    @property
    def batch(self) -> str:
        """Name of the batch it was created or replaced in; 20 digits."""
        row = self._row
        if row.batch is None:
            row.batch = row.dataset.world.new_batch()
        return row.batch

    @property
    def locked(self) -> bool:
        """Whether Dify's lock is on it, so that every action is refused."""
        return self.lock_seconds > 0

    @property
    def lock_seconds(self) -> float:
        """How long the lock will last; 0 without one."""
        return max(0.0, self._now.lock_until - self.dataset.world.clock.monotonic())

    def lock(self, seconds: float = LOCK_SECONDS) -> None:
        """Put Dify's lock on it, as a job that never ended leaves it behind."""
        world = self.dataset.world
        with world.guard:
            self._now.lock_until = world.clock.monotonic() + seconds

    def unlock(self) -> None:
        """Take the lock away."""
        with self.dataset.world.guard:
            self._now.lock_until = 0.0

    def lock_metadata(self, seconds: float = METADATA_LOCK_SECONDS) -> None:
        """Put Dify's lock on its metadata, as another operation on them does."""
        world = self.dataset.world
        with world.guard:
            self._row.metadata_lock_until = world.clock.monotonic() + seconds

    def set_metadata(self, **values: object) -> None:
        """Give it these values, by name, and no others; fields that are not there are made."""
        with self.dataset.world.guard:
            self.dataset.set_metadata(self._row, values)

    def finish_indexing(self, after: float = 0.0) -> None:
        """Let its indexing complete in ``after`` seconds: it goes into search, whatever its flags say by then."""
        self.dataset.world.schedule(after, self._row.complete_indexing)

    def fail_indexing(self, text: str, after: float = 0.0) -> None:
        """Let its indexing end in an error in ``after`` seconds."""
        self.dataset.world.schedule(after, lambda at: self._row.fail_indexing(text, at))

    def set(
        self,
        *,
        enabled: bool | None = None,
        archived: bool | None = None,
        paused: bool | None = None,
        indexing_status: str | None = None,
        in_search: bool | None = None,
        hit_count: int | None = None,
    ) -> None:
        """Force a state that Dify would come to by itself, or by an accident; nothing follows from it by itself."""
        world = self.dataset.world
        with world.guard:
            row, at = self._now, world.clock.time()
            row.archived = row.archived if archived is None else archived
            row.paused = row.paused if paused is None else paused
            row.hit_count = row.hit_count if hit_count is None else hit_count
            if enabled is not None:
                row.enabled = enabled
                row.disabled_at = None if enabled else at
            if indexing_status is not None:
                row.indexing_status = indexing_status
                row.completed_at = at if indexing_status == "completed" else None
            if in_search is not None:
                row.show(in_search)
                row.indexed = row.indexed or in_search
            row.touch(at)
