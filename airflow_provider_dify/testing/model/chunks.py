"""Chunks as a test sees them."""

from __future__ import annotations

from airflow_provider_dify.testing.model.rows import Row, Segment, derived_id


class Chunk:
    """One segment of a document. It shows the current state, whatever happens to its document."""

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
    def children(self) -> list[str]:
        """The texts of its child chunks, which find it in a parent-child knowledge base."""
        return [one.content for one in self._document.children(self._now)]

    @property
    def enabled(self) -> bool:
        """As the API shows it. A disabled chunk is never found; an enabled one may have lost its keywords."""
        return self._now.enabled

    @property
    def disabled_by_hand(self) -> bool:
        """Whether it was disabled alone, and has not been enabled with its document since."""
        return self._now.by_hand

    @property
    def in_index(self) -> bool:
        """Whether the keyword table or the vector store contains it; set it to simulate the result of an accident."""
        return self._now.in_index

    @in_index.setter
    def in_index(self, held: bool) -> None:
        with self._document.dataset.world.guard:
            self._now.in_index = held

    @property
    def in_search(self) -> bool:
        """Whether search can return it."""
        return self._document.indexed and self._now.enabled and self._segment.in_index
