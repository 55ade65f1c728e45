"""The state behind the API: knowledge bases, keys, time, and what is due."""

from __future__ import annotations

import bisect
import heapq
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_dify.testing.model.clock import Clock, VirtualClock
from airflow_provider_dify.testing.model.documents import Document
from airflow_provider_dify.testing.model.fields import Fields
from airflow_provider_dify.testing.model.rows import Row, Segment, derived_id
from airflow_provider_dify.testing.text.cutting import Rule, has_text
from airflow_provider_dify.testing.text.uploads import Upload
from airflow_provider_dify.testing.work.worker import USUAL_JOBS, Broker, LostKeywords, Worker

if TYPE_CHECKING:
    from airflow_provider_dify.testing.model.index import Index

LockRace = Literal["measured", "always", "never"]

#: About what a text takes; only looked at where there is an embedding model.
CHARACTERS_PER_TOKEN = 4

#: Called with the wall clock, in seconds since 1970, at which it was due.
Event = Callable[[float], None]


class Dataset:
    """A knowledge base. Made by :meth:`FakeDify.add_dataset` or by a request."""

    def __init__(self, world: World, name: str, *, indexing_technique: str | None, dataset_id: str) -> None:
        self.world = world
        self.id = dataset_id
        self.name = name
        self.indexing_technique = indexing_technique
        self.created_at = world.clock.time()
        self.description = ""
        #: How apps search it, if somebody set that up; parts may be null or missing, such as ``weights``.
        self.retrieval_model: dict[str, Any] | None = None
        #: Whether the knowledge base may be used through the API.
        self.api_enabled = True
        #: ``False``: the embedding model is gone, and every action is refused.
        self.embedding_available = True
        #: ``rag_pipeline``: made by a knowledge pipeline.
        self.runtime_mode = "general"
        #: ``external``: its documents are elsewhere, and it takes none.
        self.provider = "vendor"
        #: Whether the vector store refuses vectors that it has already, as pgvector does; only matters with
        #: ``high_quality``, as do the next two.
        self.duplicate_insert_fails = True
        #: Whether the vector store keeps what it should delete; nobody is told.
        self.refuses_deletes = False
        #: How many segments the vector store looks at for a search, unless its ``top_k`` is large.
        self.candidates = 40
        #: The latest rule of processing, which holds for documents that come without one.
        self.rule: Rule | None = None
        #: Fields of metadata, and which documents have values for them.
        self.fields = Fields()
        #: Form of its documents, which the first one decides.
        self.doc_form: str | None = None
        self._rows: dict[str, Row] = {}
        self._ordered: list[Row] = []
        self._named: dict[str, dict[str, Row]] = {}
        self._version = 0
        #: What search goes through; ``None``: it is to be made, as a text has changed.
        self.index: Index | None = None
        self._filtered: tuple[object, int, list[Row]] | None = None

    def __repr__(self) -> str:
        return f"<Dataset {self.name!r} with {len(self)} documents>"

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def has_vectors(self) -> bool:
        """Whether search goes by vectors, not by keywords."""
        return self.indexing_technique == "high_quality"

    def duplicate_key(self, document: Row, segment: Segment) -> str:
        """What pgvector says of a vector that it has already (1.16.0, file 23)."""
        table = f"embedding_vector_index_{self.id.replace('-', '_')}"
        key = derived_id(document, f"node {segment.key}")
        text = f'duplicate key value violates unique constraint "{table[:58]}_pkey"'
        return f"{text}\nDETAIL:  Key (id)=({key}) already exists.\n"

    @property
    def documents(self) -> list[Document]:
        """Its documents in the order of their creation."""
        with self.world.guard:
            self.world.tick()
            return [Document(row) for row in self._rows.values()]

    def add_document(
        self,
        name: str,
        *,
        text: str = "The quick brown fox jumps over the lazy dog.",
        segments: int = 1,
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
        id: str | None = None,  # noqa: A002
    ) -> Document:
        """Put a document there in any state, without a request.

        :param text: Its text; search finds it by these words. Without any there are no segments, as of a file in which
            Dify finds none.
        :param segments: Number of segments the text is cut into.
        :param indexing_status: As Dify has it. One that is not ``completed`` stays so until
            :meth:`Document.finish_indexing` or :meth:`Document.fail_indexing` is called.
        :param in_search: Whether search returns it; ``None``: as on a healthy Dify, where completed documents that
            are enabled and not archived are found.
        :param metadata: Values by name; fields that there are not yet are made.
        :param created_at: In seconds since 1970; ``None``: now. It decides the place in the list.
        :param updated_at: In seconds since 1970; ``None``: when it was created.
        :param hit_count: How often it was found by an app. A search through the API does not count.
        :param file_name: Name of the file that it was made of, which had ``text`` in it; ``None``: made of a text.
        :param id: Its id, a UUID; ``None``: a new one.
        """
        world = self.world
        with world.guard:
            completed = indexing_status == "completed"
            row = self.new_row(name, text, id, created_at)
            row.cut(_pieces(text, segments))
            at = row.created_at
            row.updated_at = at if updated_at is None else updated_at
            row.hit_count = hit_count
            row.file = None if file_name is None else Upload.of(file_name, text)
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
            return Document(row)

    def add_documents(self, number: int, prefix: str = "document-") -> list[Document]:
        """Put ``number`` healthy documents there, named ``prefix`` and a number."""
        return [self.add_document(f"{prefix}{index}") for index in range(number)]

    def add_field(self, name: str, kind: str) -> str:
        """Make a field of metadata; return its id.

        :param kind: ``string``, ``number`` or ``time``.
        """
        return self.fields.add(self.world.new_id(), name, kind).id

    def set_metadata(self, row: Row, values: Mapping[str, Any]) -> None:
        """Give a document these values, by name, and no others; fields that are not there are made."""
        ids = []
        for name, value in values.items():
            known = self.fields.named(name)
            kind = "number" if isinstance(value, (int, float)) else "string"
            ids.append(self.add_field(name, kind) if known is None else known.id)
        self.fields.assign(row, dict(values), ids)

    def new_row(self, name: str, text: str, row_id: str | None = None, created_at: float | None = None) -> Row:
        """Make a document that waits for its indexing; it is not filed yet."""
        at = self.world.clock.time() if created_at is None else created_at
        position = next(reversed(self._rows.values())).position + 1 if self._rows else 1
        made = Row(self, row_id or self.world.new_id(), name, text, position, at)
        made.updated_at = made.uploaded_at = at
        return made

    def get(self, row_id: str) -> Row | None:
        """The document of that (canonical) id, if it is in this knowledge base."""
        return self._rows.get(row_id)

    def insert(self, row: Row) -> None:
        """File a document; it is listed from now on."""
        self._rows[row.id] = row
        self.world.rows[row.id] = row
        self._named.setdefault(row.name, {})[row.id] = row
        bisect.insort(self._ordered, row, key=_newest_first)
        self.doc_form = self.doc_form or "text_model"
        self.text_changed()
        self.changed()

    def remove(self, row: Row) -> None:
        """Delete a document."""
        del self._rows[row.id]
        del self.world.rows[row.id]
        del self._ordered[bisect.bisect_left(self._ordered, _newest_first(row), key=_newest_first)]
        _forget(self._named, row)
        self.fields.forget(row)
        self.text_changed()
        self.changed()

    def rename(self, row: Row, name: str) -> None:
        """Give a document another name."""
        _forget(self._named, row)
        row.name = name
        self._named.setdefault(name, {})[row.id] = row
        self.changed()

    def named(self, name: str) -> list[Row]:
        """Its documents of exactly that name, the newest first."""
        return sorted(self._named.get(name, {}).values(), key=_newest_first)

    def tokens(self, text: str) -> int:
        """What Dify counts for a text: nothing, where no embedding model reads it."""
        return len(text) // CHARACTERS_PER_TOKEN if self.indexing_technique == "high_quality" else 0

    def changed(self) -> None:
        """Note that a document changed: what was filtered before may be filtered otherwise now."""
        self._version += 1

    def text_changed(self) -> None:
        """Note that search has to go by other texts than before."""
        self.index = None

    def in_order(self) -> list[Row]:
        """Its documents as Dify lists them: the newest first. The list is its own; do not change it."""
        return self._ordered

    def filtered(self, key: object, keep: Callable[[Row], bool]) -> list[Row]:
        """Those of :meth:`in_order` that ``keep`` keeps; remembered under ``key`` until something changes."""
        if self._filtered is None or self._filtered[:2] != (key, self._version):
            self._filtered = (key, self._version, [row for row in self.in_order() if keep(row)])
        return self._filtered[2]

    def available(self) -> int:
        """How many documents Dify calls available."""
        return sum(row.display_status == "available" for row in self._rows.values())


def _pieces(text: str, number: int) -> list[str]:
    """A text cut into so many segments: none, where there is nothing in it."""
    if not has_text(text):
        return []
    words = text.split()
    return [text] if number == 1 else [" ".join(words[index::number]) or text for index in range(number)]


def _newest_first(row: Row) -> tuple[float, int]:
    return -row.created_at, -row.position


def _forget(index: dict[str, dict[str, Row]], row: Row) -> None:
    """Take a document out of an index of names."""
    rows = index[row.name]
    del rows[row.id]
    if not rows:
        del index[row.name]


class World:
    """Everything behind the API, under one lock.

    :param clock: Time; nothing happens in here but when somebody asks what has become due.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        version: str,
        seed: int,
        lock_race: LockRace,
        jobs: int = USUAL_JOBS,
        lost_keywords: LostKeywords = "never",
    ) -> None:
        self.clock = clock
        self.version = version
        self.lock_race = lock_race
        self.random = random.Random(seed)
        self.guard = threading.RLock()
        self.datasets: dict[str, Dataset] = {}
        self.rows: dict[str, Row] = {}
        #: Keys, each with the knowledge base that it is bound to, if any.
        self.keys: dict[str, Dataset | None] = {}
        self.worker = Worker(self, jobs=jobs, lost_keywords=lost_keywords, seed=seed)
        self.broker = Broker(self)
        self.user_id = self.new_id()
        #: Tags of knowledge bases, as the API shows them.
        self.tags: list[dict[str, Any]] = []
        self._events: list[tuple[float, int, Event]] = []
        self._count = count()
        self._ticking = False
        if isinstance(clock, VirtualClock):
            clock.on_advance(self.tick)

    @property
    def is_recent(self) -> bool:
        """Whether this Dify has what 1.16.0 brought."""
        return [int(part) for part in self.version.split(".")[:2]] >= [1, 16]

    def new_id(self) -> str:
        """A UUID, the same ones in the same order for the same seed."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_rule(self, given: Mapping[str, Any]) -> Rule:
        """The rule that a request brings, as a row of its own."""
        return Rule.of(self.new_id(), given)

    def new_batch(self) -> str:
        """Name of a batch: the time, and digits at random."""
        now = time.strftime("%Y%m%d%H%M%S", time.gmtime(self.clock.time()))
        return f"{now}{self.random.randrange(10**6):06}"

    def add_dataset(self, name: str, indexing_technique: str | None) -> Dataset:
        """Make an empty knowledge base."""
        with self.guard:
            dataset = Dataset(self, name, indexing_technique=indexing_technique, dataset_id=self.new_id())
            self.datasets[dataset.id] = dataset
            return dataset

    def schedule(self, after: float, event: Event) -> None:
        """Let something happen in ``after`` seconds."""
        with self.guard:
            heapq.heappush(self._events, (self.clock.monotonic() + after, next(self._count), event))
            self.tick()

    def next_due(self) -> float | None:
        """When something happens next, by the monotonic clock; ``None``: nothing will by itself."""
        scheduled = self._events[0][0] if self._events else None
        at_work = self.worker.next_due()
        if scheduled is None or at_work is None:
            return at_work if scheduled is None else scheduled
        return min(scheduled, at_work)

    def tick(self) -> None:
        """Let happen what is due by now, in its order."""
        with self.guard:
            if self._ticking:
                return
            self._ticking = True
            try:
                self._run_due(self.clock.monotonic())
            finally:
                self._ticking = False

    def _run_due(self, now: float) -> None:
        offset = self.clock.time() - now
        # Times are sums of many parts; a job that is due at the same moment must not miss it by a rounding.
        while (due := self.next_due()) is not None and due <= now + 1e-9:
            if self._events and self._events[0][0] == due:
                heapq.heappop(self._events)[2](due + offset)
            else:
                self.worker.step(due, due + offset)

    def settle(self) -> None:
        """Let time pass until nothing more happens by itself."""
        self.tick()
        while (due := self.next_due()) is not None:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            self.tick()
