"""Queries that should find documents, made from the documents' own text as shown in their segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_provider_dify.knowledge.retrieval.search import LONGEST_QUERY
from airflow_provider_dify.knowledge.status.segments import Segment

#: How many keywords of a query count in an economy knowledge base (measured on 1.16.0).
WORDS_THAT_COUNT = 10
#: Maximum length of the words that stand for a document in a query for ten of them, if vectors find it.
_LONGEST_MARK = LONGEST_QUERY // WORDS_THAT_COUNT - 1


@dataclass(frozen=True, slots=True)
class Sample:
    """The part of a document's text by which it can be found.

    :param queries: What finds its segments, one query for each of a few of them: its keywords in an economy knowledge
        base, otherwise the beginning of its text.
    :param entries: Number of its entries in the index: its segments, or their child chunks.
    :param characters: Their length.
    """

    queries: tuple[str, ...]
    entries: float
    characters: float

    @classmethod
    def of(cls, segments: Sequence[Segment], total: int, *, economy: bool) -> Sample:
        """Take a sample of a document: its first, its last, and a segment in between, of those that search can find.

        :param segments: Segments of it, of which at least one is enabled.
        :param total: How many it has.
        :param economy: Whether keywords find it instead of vectors.
        """
        usable = [one for one in segments if one.enabled and query_for(one, economy=economy)]
        places = sorted({0, len(usable) // 2, len(usable) - 1}) if usable else []
        texts = [text for one in segments for text in one.entries]
        times = total / len(segments)
        return cls(
            tuple(query_for(usable[place], economy=economy) for place in places),
            len(texts) * times,
            sum(map(len, texts)) * times,
        )

    @property
    def words(self) -> dict[str, None]:
        """The words of its queries, each once."""
        return dict.fromkeys(word for query in self.queries for word in query.split())


def query_for(segment: Segment, *, economy: bool) -> str:
    """Return what finds a segment; empty if search cannot find it."""
    if economy and segment.keywords is not None:
        # Search splits a query into words: anything longer than a query, or with several words, finds nothing.
        return _joined(word for word in segment.keywords if len(word) <= LONGEST_QUERY and len(word.split()) == 1)
    return " ".join(segment.entries[0].split())[:LONGEST_QUERY].strip()


def shared_words(samples: Iterable[Sample]) -> str:
    """Return a query of the words that most of the samples have in common."""
    counts = Counter(word for sample in samples for word in sample.words)
    return _joined(word for word, _ in counts.most_common(WORDS_THAT_COUNT))


def marks(samples: Mapping[str, Sample], *, economy: bool) -> dict[str, list[str]]:
    """Return short texts that distinguish documents, and the documents that each stands for.

    In an economy knowledge base, that is the word of a document that is rarest among the others, otherwise a few such
    words.
    """
    words = {document_id: sample.words for document_id, sample in samples.items()}
    counts = Counter(word for some in words.values() for word in some)
    found: dict[str, list[str]] = {}
    for document_id, some in words.items():
        # If words are equally rare here, numbers and long words are rarer elsewhere.
        rarest = sorted(some, key=lambda word: (counts[word], not _has_digit(word), -len(word)))
        mark = rarest[0] if economy else _fitting(rarest, _LONGEST_MARK)
        found.setdefault(mark, []).append(document_id)
    return found


def in_queries(words: Iterable[str]) -> Iterable[tuple[str, ...]]:
    """Group words so that each group fits into one query and all of its words count."""
    group: list[str] = []
    for word in words:
        if group and (len(group) >= WORDS_THAT_COUNT or len(" ".join([*group, word])) > LONGEST_QUERY):
            yield tuple(group)
            group = []
        group.append(word)
    if group:
        yield tuple(group)


def _joined(words: Iterable[str]) -> str:
    return " ".join(next(iter(in_queries(words)), ()))


def _fitting(words: Iterable[str], longest: int) -> str:
    text = ""
    for word in words:
        if text and len(text) + 1 + len(word) > longest:
            break
        text = f"{text} {word}".lstrip()
    return text[:longest]


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)
