"""The documents of a knowledge base, by id, name and age."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from airflow_provider_dify.testing.model.index import Index
from airflow_provider_dify.testing.model.knowledge_base import KnowledgeBase
from airflow_provider_dify.testing.model.rows import Row
from airflow_provider_dify.testing.model.site import Site


class Shelf(KnowledgeBase):
    """A knowledge base with its documents, as in Dify's database."""

    def __init__(self, world: Site, name: str, *, indexing_technique: str | None, dataset_id: str) -> None:
        super().__init__(world, name, indexing_technique=indexing_technique, dataset_id=dataset_id)
        #: By id, in the order of creation.
        self.rows: dict[str, Row] = {}
        self._ordered: list[Row] = []
        self._named: dict[str, dict[str, Row]] = {}
        self._filtered: tuple[object, int, list[Row]] | None = None
        self._index: tuple[int, bool, Index] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def new_row(self, name: str, text: str, row_id: str | None = None, created_at: float | None = None) -> Row:
        """Create a document that waits for its indexing; it is not listed yet."""
        at = self.world.clock.time() if created_at is None else created_at
        position = next(reversed(self.rows.values())).position + 1 if self.rows else 1
        made = Row(self, row_id or self.world.new_id(), name, text, position, at)
        made.updated_at = made.uploaded_at = at
        return made

    def get(self, row_id: str) -> Row | None:
        """The document with that (canonical) id, if it is in this knowledge base."""
        return self.rows.get(row_id)

    def insert(self, row: Row) -> None:
        """Add a document to the list."""
        self.rows[row.id] = row
        self._named.setdefault(row.name, {})[row.id] = row
        bisect.insort(self._ordered, row, key=_newest_first)
        self.doc_form = self.doc_form or "text_model"
        self.text_changed()
        self.changed()

    def remove(self, row: Row) -> None:
        """Delete a document."""
        del self.rows[row.id]
        row.deleted = True
        del self._ordered[bisect.bisect_left(self._ordered, _newest_first(row), key=_newest_first)]
        _forget(self._named, row)
        self.fields.forget(row)
        self.text_changed()
        self.changed()

    def rename(self, row: Row, name: str) -> None:
        """Change the name of a document."""
        _forget(self._named, row)
        row.name = name
        self._named.setdefault(name, {})[row.id] = row
        self.changed()

    def named(self, name: str) -> list[Row]:
        """The documents with exactly that name, newest first."""
        return sorted(self._named.get(name, {}).values(), key=_newest_first)

    def in_order(self) -> list[Row]:
        """Its documents as Dify lists them, newest first. Do not change this list."""
        return self._ordered

    def filtered(self, key: object, keep: Callable[[Row], bool]) -> list[Row]:
        """The documents of :meth:`in_order` for which ``keep`` is true; cached under ``key`` until
        something changes.
        """
        if self._filtered is None or self._filtered[:2] != (key, self.changes):
            self._filtered = (key, self.changes, [row for row in self.in_order() if keep(row)])
        return self._filtered[2]

    @property
    def index(self) -> Index:
        """The search index; created again if a text has changed."""
        if self._index is None or self._index[:2] != (self.text_changes, self.has_vectors):
            self._index = self.text_changes, self.has_vectors, Index(self.in_order(), vectors=self.has_vectors)
        return self._index[2]

    def available(self) -> int:
        """How many documents are available, as Dify calls it."""
        return sum(row.display_status == "available" for row in self.rows.values())


def _newest_first(row: Row) -> tuple[float, int]:
    return -row.created_at, -row.position


def _forget(index: dict[str, dict[str, Row]], row: Row) -> None:
    """Remove a document from an index of names."""
    rows = index[row.name]
    del rows[row.id]
    if not rows:
        del index[row.name]
