"""Queries that should find documents: made of the documents' own text, as Dify shows it in their segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_dify.knowledge.retrieval import LONGEST_QUERY
from airflow_provider_dify.knowledge.segments import Segment

#: So many keywords of a query count in an economy knowledge base (measured on 1.16.0).
WORDS_THAT_COUNT = 10
#: So many segments of a document are kept as its sample.
_KEPT = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of a document's text by which it can be found.

    :param queries: What finds its segments, one query for each of a few segments.
    :param words: The keywords of these segments, without doubles; empty in a high-quality knowledge base.
    :param segments: How many segments the document has.
    """

    queries: tuple[str, ...]
    words: tuple[str, ...]
    segments: int

    @classmethod
    def of(cls, segments: Sequence[Segment], total: int, *, economy: bool) -> Sample:
        """Take a sample of a document: of its first, its last, and a segment between, of those that are enabled.

        :param segments: Segments of it, of which at least one is enabled.
        :param total: How many it has.
        :param economy: Whether keywords find it, and not vectors.
        """
        usable = [one for one in segments if one.enabled and _query(one, economy=economy)]
        places = sorted({0, len(usable) // 2, len(usable) - 1}) if usable else []
        kept = [usable[place] for place in places][:_KEPT]
        words = dict.fromkeys(word for one in kept for word in one.keywords or ()) if economy else {}
        return cls(tuple(_query(one, economy=economy) for one in kept), tuple(words), total)


def shared_words(samples: Iterable[Sample]) -> str:
    """Return a query of the words that most of the samples have in common."""
    counts = Counter(word for sample in samples for word in sample.words)
    return _joined(word for word, _ in counts.most_common(WORDS_THAT_COUNT))


def rare_words(samples: Mapping[str, Sample]) -> dict[str, str]:
    """Return for each document the word of it that the fewest of the others have.

    A document of which no keywords are known is not in the result.
    """
    counts = Counter(word for sample in samples.values() for word in sample.words)
    chosen = {}
    for document_id, sample in samples.items():
        if sample.words:
            # Of words that are equally rare here, numbers and long words are rarer elsewhere.
            rarest = min(sample.words, key=lambda word: (counts[word], not _has_digit(word), -len(word)))
            chosen[document_id] = rarest[:LONGEST_QUERY]
    return chosen


def in_queries(words: Iterable[str]) -> Iterable[tuple[str, ...]]:
    """Group words so that each group fits into one query, and all of it counts."""
    group: list[str] = []
    for word in words:
        if group and (len(group) >= WORDS_THAT_COUNT or len(" ".join([*group, word])) > LONGEST_QUERY):
            yield tuple(group)
            group = []
        group.append(word)
    if group:
        yield tuple(group)


def _query(segment: Segment, *, economy: bool) -> str:
    if economy and segment.keywords is not None:
        return _joined(segment.keywords)
    return " ".join(segment.content.split())[:LONGEST_QUERY].strip()


def _joined(words: Iterable[str]) -> str:
    return " ".join(next(iter(in_queries(words)), ()))[:LONGEST_QUERY]


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)
