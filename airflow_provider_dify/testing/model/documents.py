"""Knowledge bases and documents as a test sees them: anything due happens before a value is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_dify.testing.model.chunks import Chunk
from airflow_provider_dify.testing.model.rows import LOCK_SECONDS, METADATA_LOCK_SECONDS, Row
from airflow_provider_dify.testing.model.shelf import Shelf
from airflow_provider_dify.testing.text.cutting import has_text
from airflow_provider_dify.testing.text.uploads import Upload


class Document:
    """One document of a knowledge base, created by :meth:`Dataset.add_document` or by a request."""

    __slots__ = ("_dataset", "_row")

    def __init__(self, dataset: Dataset, row: Row) -> None:
        self._dataset = dataset
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
        """Its name, which may not be unique."""
        return self._row.name

    @property
    def text(self) -> str:
        """Its text; search finds it by the words."""
        return self._row.text

    @property
    def content(self) -> bytes:
        """Its original content: the bytes of the file or text."""
        return self._row.content

    @property
    def dataset(self) -> Dataset:
        """Its knowledge base."""
        return self._dataset

    @property
    def is_file(self) -> bool:
        """Whether it was created from a file, not from a text."""
        return self._row.file is not None

    @property
    def created_at(self) -> float:
        """When it was created, in seconds since 1970."""
        return self._row.created_at

    @property
    def enabled(self) -> bool:
        """The flag; search may not reflect it yet."""
        return self._now.enabled

    @property
    def archived(self) -> bool:
        """The flag; search may not reflect it yet."""
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
        """The state that Dify shows, derived from the indexing status and the flags."""
        return self._now.display_status

    @property
    def error(self) -> str | None:
        """Why indexing, or the last change, failed."""
        return self._now.error

    @property
    def in_search(self) -> bool:
        """Whether search can return it: at least one of its segments is enabled, and its keywords are not lost."""
        return self._now.searchable

    @property
    def chunks(self) -> list[Chunk]:
        """Its segments, in order; those that were added by hand come last."""
        return [Chunk(self._row, one) for one in self._now.visible]

    def lose_file(self, *, unreadable: bool = False) -> None:
        """Let Dify have its file no more: not even its name, or (``unreadable``) only its name."""
        with self.dataset.world.guard:
            self._row.file_state = "unreadable" if unreadable else "forgotten"
            self._row.dataset.changed()

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
        """Its metadata as shown by Dify: values by name."""
        return self.dataset.fields.shown(self._now)

    @property
    def hit_count(self) -> int:
        """How often an app has found it; a search through the API does not count."""
        return self._now.hit_count

    @property
    def batch(self) -> str:
        """Name of the batch in which it was created or replaced; 20 digits."""
        row = self._row
        if row.batch is None:
            row.batch = row.dataset.world.new_batch()
        return row.batch

    @property
    def locked(self) -> bool:
        """Whether Dify has locked it, so that every action is refused."""
        return self.lock_seconds > 0

    @property
    def lock_seconds(self) -> float:
        """How long the lock will last; 0 without one."""
        return max(0.0, self._now.lock_until - self.dataset.world.clock.monotonic())

    def lock(self, seconds: float = LOCK_SECONDS) -> None:
        """Put Dify's lock on it, as a job that never ended would leave it."""
        world = self.dataset.world
        with world.guard:
            self._now.lock_until = world.clock.monotonic() + seconds

    def unlock(self) -> None:
        """Take the lock away."""
        with self.dataset.world.guard:
            self._now.lock_until = 0.0

    def lock_retry(self, seconds: float = LOCK_SECONDS) -> None:
        """Put Dify's lock on indexing it again, as a job that never ended would leave it."""
        world = self.dataset.world
        with world.guard:
            self._now.retry_lock_until = world.clock.monotonic() + seconds

    def lock_metadata(self, seconds: float = METADATA_LOCK_SECONDS) -> None:
        """Put Dify's lock on its metadata, as another operation would do."""
        world = self.dataset.world
        with world.guard:
            self._row.metadata_lock_until = world.clock.monotonic() + seconds

    def set_metadata(self, **values: object) -> None:
        """Give it exactly these values, by name; missing fields are created."""
        with self.dataset.world.guard:
            self.dataset.set_metadata(self._row, values)

    def finish_indexing(self, after: float = 0.0) -> None:
        """Complete its indexing in ``after`` seconds: it enters search, whatever its flags are by then."""
        self.dataset.world.schedule(after, self._row.complete_indexing)

    def fail_indexing(self, text: str, after: float = 0.0) -> None:
        """Let its indexing fail in ``after`` seconds."""
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
        """Force a state that Dify would reach by itself or by an accident; nothing else follows from it."""
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


class Dataset(Shelf):
    """A knowledge base, created by :meth:`FakeDify.add_dataset` or by a request."""

    def __repr__(self) -> str:
        return f"<Dataset {self.name!r} with {len(self)} documents>"

    @property
    def documents(self) -> list[Document]:
        """Its documents in the order of their creation."""
        with self.world.guard:
            self.world.tick()
            return [Document(self, row) for row in self.rows.values()]

    def add_document(
        self,
        name: str,
        *,
        text: str = "The quick brown fox jumps over the lazy dog.",
        segments: int | Sequence[str] = 1,
        indexing_status: str = "completed",
        enabled: bool = True,
        archived: bool = False,
        paused: bool = False,
        error: str | None = None,
        in_search: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_at: float | None = None,
        updated_at: float | None = None,
        hit_count: int = 0,
        file_name: str | None = None,
        source_type: str = "upload_file",
        id: str | None = None,  # noqa: A002
    ) -> Document:
        """Add a document in any state, without a request.

        :param text: Its text, by whose words search finds it. If it is empty there are no segments, as for a file
            without text.
        :param segments: Number of segments to split the text into; or their texts, which then replace ``text``.
        :param indexing_status: As in Dify. Unless it is ``completed``, it stays until :meth:`Document.finish_indexing`
            or :meth:`Document.fail_indexing` is called.
        :param in_search: Whether search returns it; ``None``: as in a healthy Dify, which finds completed documents
            that are enabled and not archived.
        :param metadata: Values by name. Missing fields are created.
        :param created_at: In seconds since 1970; ``None``: now. It determines the position in the list.
        :param updated_at: In seconds since 1970; ``None``: when it was created.
        :param hit_count: How often an app has found it. A search through the API does not count.
        :param file_name: Name of the file that it was created from, with the content ``text``; ``None``: created from a
            text.
        :param source_type: Where it comes from: ``upload_file``, also for a text. Dify keeps no file of
            ``website_crawl`` and ``notion_import``.
        :param id: Its id, a UUID; ``None``: a new one.
        """
        world = self.world
        with world.guard:
            completed = indexing_status == "completed"
            text = text if isinstance(segments, int) else "\n\n".join(segments)
            row = self.new_row(name, text, id, created_at)
            row.cut(_pieces(text, segments) if isinstance(segments, int) else segments)
            at = row.created_at
            row.updated_at = at if updated_at is None else updated_at
            row.hit_count = hit_count
            row.file = None if file_name is None else Upload.of(file_name, text)
            row.source_type = source_type
            row.rule = self.rule
            row.tokens = self.tokens(text) if completed else None
            row.indexing_status = indexing_status
            row.word_count = len(text)
            row.completed_at = at if completed else None
            row.enabled = enabled
            row.disabled_at = None if enabled else at
            row.archived = archived
            row.paused = paused
            row.error = error
            shown = (completed and enabled and not archived) if in_search is None else in_search
            row.show(shown)
            row.indexed = completed or shown
            self.insert(row)
            if metadata:
                self.set_metadata(row, metadata)
            return Document(self, row)

    def add_documents(self, number: int, prefix: str = "document-") -> list[Document]:
        """Add ``number`` healthy documents, named ``prefix`` and a number."""
        return [self.add_document(f"{prefix}{index}") for index in range(number)]


def _pieces(text: str, number: int) -> list[str]:
    """Split a text into this many segments: none if it is empty."""
    if not has_text(text):
        return []
    words = text.split()
    return [text] if number == 1 else [" ".join(words[index::number]) or text for index in range(number)]
