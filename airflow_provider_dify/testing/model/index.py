"""The search index, by words: so that a query does not scan a large knowledge base."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from airflow_provider_dify.testing.model.rows import Row, Segment, derived_id


class Entry(NamedTuple):
    """A segment, or one of its child chunks.

    :param own: Whether it comes from the text of its document, instead of being added by hand.
    :param child: Number of the child chunk; ``None``: the segment itself.
    :param node: Its id in the index.
    :param vector: How often it contains each word; empty in an economy knowledge base.
    :param length: Length of the vector.
    """

    document: Row
    segment: Segment
    own: bool
    child: int | None
    node: str
    vector: Counter[str]
    length: float

    @property
    def held(self) -> bool:
        """Whether the index contains it now. A segment that does not exist yet is not in it either."""
        return self.segment.in_index and (not self.own or self.document.is_split)


class Index:
    """Everything that may be found in a knowledge base, by word.

    :param documents: In the order in which Dify lists them.
    :param vectors: Whether search uses vectors instead of keywords.
    """

    def __init__(self, documents: Iterable[Row], *, vectors: bool) -> None:
        self.entries: list[Entry] = []
        self._places: dict[str, list[int]] = {}
        self._spellings: dict[str, list[str]] | None = None
        for document in documents:
            for own, segments in ((True, document.own), (False, document.added)):
                for segment in segments:
                    if vectors:
                        self._add_texts(document, segment, own=own)
                    else:
                        entry = Entry(document, segment, own, None, _node(document, segment), Counter(), 0.0)
                        self._add(entry, set(segment.keywords))

    def having(self, words: Collection[str]) -> Iterator[Entry]:
        """The entries that contain one of these words, in the order of the documents."""
        places = {place for word in words for place in self._places.get(word, ())}
        return (self.entries[place] for place in sorted(places))

    def ranked(self, words: Collection[str], *, any_case: bool) -> Iterator[Entry]:
        """The entries in the index, most matching words first, then by id.

        :param any_case: Whether ``Word`` and ``word`` are the same.
        """
        counts: Counter[int] = Counter()
        for found in self._in_any_case(words) if any_case else [self._places.get(word, ()) for word in words]:
            counts.update(found)
        groups: dict[int, list[int]] = {}
        for place, number in counts.items():
            groups.setdefault(number, []).append(place)
        for number in sorted(groups, reverse=True):
            held = [entry for entry in (self.entries[place] for place in groups[number]) if entry.held]
            yield from sorted(held, key=lambda entry: entry.node)

    def _in_any_case(self, words: Collection[str]) -> Iterator[set[int]]:
        if self._spellings is None:
            self._spellings = {}
            for word in self._places:
                self._spellings.setdefault(word.lower(), []).append(word)
        for word in {word.lower() for word in words}:
            yield {place for spelling in self._spellings.get(word, ()) for place in self._places[spelling]}

    def _add_texts(self, document: Row, segment: Segment, *, own: bool) -> None:
        has_children = document.dataset.doc_form == "hierarchical_model"
        for number, text in enumerate(document.entries(segment)):
            vector = vector_of(text)
            length = math.sqrt(sum(count * count for count in vector.values()))
            child = number if has_children else None
            self._add(Entry(document, segment, own, child, _node(document, segment), vector, length), vector)

    def _add(self, entry: Entry, words: Collection[str]) -> None:
        for word in words:
            self._places.setdefault(word, []).append(len(self.entries))
        self.entries.append(entry)


def _node(document: Row, segment: Segment) -> str:
    return derived_id(document, f"node {segment.key}")


def vector_of(text: str) -> Counter[str]:
    """A bag of words, like that of the embedding model of the recordings."""
    return Counter(re.findall(r"\w+", text.lower()))
