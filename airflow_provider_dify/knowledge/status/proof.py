"""The proof that search reflects the flags of documents.

*Leaving search* is proven by segments: Dify never returns a disabled one.

*Entering search* is proven by search: since 1.16.0, jobs that run in parallel lose each other's keywords, and Dify
still shows such documents as available (recording 1.16.0/21). If search returned a document, that is proof. If it did
not, that proves nothing yet, because every result is cut to ``top_k``. So search is queried in bulk first, then for ten
documents at a time, then with the text of a single one. Only a document that is not returned even then counts as lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifyNotFoundError
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.answers import Fields, a_list_or_nothing
from airflow_provider_dify.knowledge.documents import Dataset, Document, Technique
from airflow_provider_dify.knowledge.flow import Flow, Request
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.status import samples
from airflow_provider_dify.knowledge.status.samples import Sample
from airflow_provider_dify.knowledge.status.segments import all_disabled, until_enabled

#: Why search can never return a document.
NO_TEXT = "Dify found no text in it, so search can never return it."
NO_WORDS = "Dify found no words in it that search could go by, so search can never return it."

#: Up to this many documents, it is not worth finding out first whether the worker is done with them.
_FEW = 3
#: From this many documents on, a bulk query is cheaper than a query for each.
_MANY = 10
#: A bulk query that proves fewer documents than this is the last one.
_WORTHWHILE = 8
#: Up to this many segments (5,000, plus a margin because the number is estimated), search returns a knowledge base
#: completely if enough documents have to be proven: 5,000 take about 2 s and 5 MB (measured on 1.16.0), as long as 40
#: documents one by one.
_SMALL, _SEGMENTS_WORTH_A_DOCUMENT = 6_000, 250
#: ``top_k`` of queries for one document, for many, and of the last try, in which nothing can fill up the places.
_TOP_ALONE, _TOP_BULK, _TOP_LAST = 100, 1_000, 20_000
#: How many documents are read before the first queries.
_SLICE = 500
#: Queries for ten documents at a time end if, after this many documents, fewer than one in that many were proven.
_ENOUGH_ASKED, _SHARE_WORTHWHILE = 30, 4
#: After this many misses in a row, skip documents: the worker takes its jobs in order and is not that far yet.
_MISSES_BEFORE_SKIPPING = 4


class ProvenBy(str, Enum):
    """What proves that documents have entered search."""

    #: Search itself returned them.
    SEARCH = "search"
    #: Their segments are enabled. Dify also shows that after it has lost their keywords.
    SEGMENTS = "segments"


@dataclass
class SearchCheck:
    """The result of one check of search.

    :param followed: Search reflects the flags of these documents.
    :param behind: The worker is not done with these.
    :param lost: The worker is done, but search does not return them.
    :param empty: Search can never return these; reasons by id.
    :param gone: These were deleted meanwhile.
    """

    followed: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    empty: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SearchResult:
    """The result of a search.

    :param documents: Its documents, each once.
    :param beyond: Whether it also contains results that match worse than a document's own text would. So it was not cut
        before that, and a document that is not in it is not in search.
    """

    documents: frozenset[str]
    beyond: bool

    @classmethod
    def read(cls, payload: Fields, query: str, *, economy: bool) -> SearchResult:
        """Read a response."""
        records = payload.items("records")
        segments = [record.object("segment") for record in records]
        scores = [record.number("score") for record in records]
        keywords = [one.read("keywords", a_list_or_nothing) for one in segments]
        words = set(query.split())
        if economy:
            # Search ranks by the number of keywords, and a document has all keywords of its own query.
            beyond = any(some and not words.issubset(some) for some in keywords)
        else:
            beyond = not scores or min(scores) < max(scores)
        return cls(frozenset(one.id("document_id") for one in segments), beyond)


class SearchProof:
    """Checks whether search reflects the flags of documents, with few requests.

    :param dataset_id: Their knowledge base.
    :param dataset: What Dify says about it; ``None`` if documents only leave search.
    :param by: What proves that documents have entered search.
    """

    def __init__(self, dataset_id: str, dataset: Dataset | None, by: ProvenBy = ProvenBy.SEARCH) -> None:
        self._dataset_id = dataset_id
        self._dataset = dataset
        #: Whether its documents are found by keywords instead of vectors.
        self.economy = dataset is None or dataset.indexing_technique != Technique.HIGH_QUALITY.value
        self._by = by
        self._samples: dict[str, Sample] = {}
        #: The documents whose samples were taken in this check: the text of the others may have changed.
        self._fresh: set[str] = set()
        #: The last document that the worker was done with at the previous check.
        self._frontier: str | None = None

    def look(
        self, ids: Sequence[str], documents: Mapping[str, Document], *, thorough: bool, progress: Progress
    ) -> Flow[SearchCheck]:
        """Check documents in the order in which they were sent.

        :param documents: Their states; the flags decide whether search should return them.
        :param thorough: Whether to check each of them, even if the worker does not seem to be that far.
        :param progress: Reports the progress.
        """
        check = SearchCheck()
        self._fresh.clear()
        entering = [i for i in ids if documents[i].belongs_in_search]
        leaving = [i for i in ids if not documents[i].belongs_in_search]
        yield from self._leaving(leaving, check, thorough=thorough, progress=progress)
        yield from self._entering(entering, check, thorough=thorough, progress=progress)
        return check

    def is_cheap(self, ids: Collection[str]) -> Flow[bool]:
        """Whether checking documents that are in search already takes only a few requests."""
        if self._by is ProvenBy.SEGMENTS or len(ids) < _MANY:
            return len(ids) < _MANY
        taken = yield from self._sample(ids)
        return not taken or self._entries(taken) <= _SMALL

    def returns(self, document_id: str) -> Flow[bool]:
        """Whether search returns a document that the worker is done with."""
        self._fresh.clear()
        found = yield from self._slice([document_id], SearchCheck(), thorough=True)
        return document_id in found

    def _leaving(self, ids: Sequence[str], check: SearchCheck, *, thorough: bool, progress: Progress) -> Flow[None]:
        position, stride, misses = 0, 1, 0
        while position < len(ids):
            document_id = ids[position]
            try:
                left = yield from all_disabled(self._dataset_id, document_id)
            except DifyNotFoundError as error:
                _note_gone(error, document_id, check)
            else:
                (check.followed if left else check.behind).append(document_id)
                misses = 0 if left else misses + 1
                stride = stride * 2 if misses > _MISSES_BEFORE_SKIPPING and not thorough else 1
            yield from progress.search(len(check.followed), len(ids))
            position += stride

    def _entering(self, ids: Sequence[str], check: SearchCheck, *, thorough: bool, progress: Progress) -> Flow[None]:
        ready = ids if thorough or len(ids) <= _FEW else (yield from self._ready(ids))
        found = (yield from self._in_bulk(ready)) if self._by is ProvenBy.SEARCH else set()
        for start in range(0, len(ready), _SLICE):
            left = [i for i in ready[start : start + _SLICE] if i not in found]
            found |= yield from self._slice(left, check, thorough=thorough)
            yield from progress.search(sum(i in found for i in ready), len(ids))
        check.followed += [i for i in ready if i in found]
        check.lost[:] = [i for i in check.lost if i not in found]  # a later query may have found it
        settled = {*check.followed, *check.lost, *check.empty, *check.gone}
        check.behind += [i for i in ids if i not in settled]

    def _ready(self, ids: Sequence[str]) -> Flow[Sequence[str]]:
        """Return the documents that the worker is done with, if it is done with all or makes no progress."""
        if (yield from self._is_through(ids[-1])):
            return ids
        low, high = 0, len(ids) - 1
        while low < high:
            middle = (low + high) // 2
            if (yield from self._is_through(ids[middle])):
                low = middle + 1
            else:
                high = middle
        before, self._frontier = self._frontier, ids[low - 1] if low else None
        return ids[:low] if low and before == self._frontier else []

    def _is_through(self, document_id: str) -> Flow[bool]:
        check = SearchCheck()
        return bool((yield from self._read(document_id, check)) or check.gone or check.empty)

    def _in_bulk(self, ids: Iterable[str]) -> Flow[set[str]]:
        """Query search for many documents at once; return what it returned."""
        left, found = dict.fromkeys(ids), set[str]()
        number = len(left)
        while len(left) >= _MANY:
            taken = yield from self._sample(left)
            entries = self._entries(taken)
            small = entries <= min(_SMALL, number * _SEGMENTS_WORTH_A_DOCUMENT)
            if not taken or (self.economy and not small):
                break
            # Twice the number of entries, since removed documents may still take up places.
            top_k = max(_TOP_BULK, 2 * entries) if small else _TOP_BULK
            query = samples.shared_words(taken.values()) if self.economy else next(iter(taken.values())).queries[0]
            new = (yield from self._ask(query, top_k)).documents & left.keys()
            found |= new
            for document_id in new:
                del left[document_id]
            if len(new) < _WORTHWHILE:
                break
        return found

    def _sample(self, ids: Collection[str]) -> Flow[dict[str, Sample]]:
        chosen = list(ids)
        taken = {}
        for place in sorted({0, len(chosen) // 2, len(chosen) - 1}):
            if sample := (yield from self._known(chosen[place], SearchCheck())):
                taken[chosen[place]] = sample
        return taken

    def _entries(self, taken: Mapping[str, Sample]) -> int:
        """Estimate how many entries the index of the knowledge base has."""
        entries = sum(sample.entries for sample in taken.values())
        if not taken or not self._dataset:
            return 0
        if self._dataset.word_count:
            return int(entries * self._dataset.word_count / max(1, sum(one.characters for one in taken.values()))) + 1
        return int(entries * max(self._dataset.document_count, len(taken)) / len(taken)) + 1

    def _slice(self, ids: Sequence[str], check: SearchCheck, *, thorough: bool) -> Flow[set[str]]:
        """Prove documents by their own text; return what search returned."""
        known: dict[str, Sample] = {}
        misses = 0
        for document_id in ids:
            if misses > _MISSES_BEFORE_SKIPPING and not thorough:
                break
            sample = yield from self._known(document_id, check)
            misses = 0 if sample or document_id in check.empty or document_id in check.gone else misses + 1
            if sample:
                known[document_id] = sample
        if self._by is ProvenBy.SEGMENTS:
            return set(known)
        found = (yield from self._in_tens(known, _TOP_BULK)) if len(known) > 1 else set()
        found |= yield from self._alone({i: sample for i, sample in known.items() if i not in found}, len(known))
        again = {}
        for document_id in [i for i in known if i not in found and i not in self._fresh]:
            del self._samples[document_id]
            if sample := (yield from self._known(document_id, check)):
                again[document_id] = sample
        found |= yield from self._alone(again, len(known))
        check.lost += [i for i in known if i not in found and i in self._samples]
        return found

    def _in_tens(self, known: Mapping[str, Sample], top_k: int) -> Flow[set[str]]:
        """Query search for ten documents at a time, by words that distinguish them; return what it returned."""
        found: set[str] = set()
        asked: list[str] = []
        marks = samples.marks(known, economy=self.economy)
        for group in samples.in_queries(marks):
            found |= (yield from self._ask(" ".join(group), top_k)).documents
            asked += [i for mark in group for i in marks[mark]]
            few = sum(i in found for i in asked) * _SHARE_WORTHWHILE < len(asked)
            if few and len(asked) >= _ENOUGH_ASKED and top_k < _TOP_LAST:
                break
        return found

    def _alone(self, known: Mapping[str, Sample], number: int) -> Flow[set[str]]:
        """Query search for each document by its own text; return what it returned.

        :param number: How many documents were queried before, ten at a time if there were several.
        """
        found: set[str] = set()
        doubtful: dict[str, Sample] = {}
        # A vector store may examine only a few candidates, unless ``top_k`` is large.
        top_k = _TOP_ALONE if self.economy or number == 1 else _TOP_BULK
        for query, asked in _by_query(known):
            if found.issuperset(asked):
                continue
            answer = yield from self._ask(query, top_k)
            found |= answer.documents
            if not answer.beyond or not (self.economy or top_k == _TOP_BULK):
                doubtful |= {i: known[i] for i in asked if i not in found}
        return found | (yield from self._in_doubt(doubtful, top_k))

    def _in_doubt(self, known: Mapping[str, Sample], before: int) -> Flow[set[str]]:
        """Query search again for documents that others with the same text, or removed ones, may have hidden."""
        if self.economy:
            return (yield from self._in_tens(known, _TOP_LAST))
        found: set[str] = set()
        for query, asked in _by_query(known):
            for top_k in (_TOP_BULK, _TOP_LAST):
                if top_k > before and not found.issuperset(asked):
                    answer = yield from self._ask(query, top_k)
                    found |= answer.documents
                    before = _TOP_LAST if answer.beyond else before
        return found

    def _known(self, document_id: str, check: SearchCheck) -> Flow[Sample | None]:
        return self._samples.get(document_id) or (yield from self._read(document_id, check))

    def _read(self, document_id: str, check: SearchCheck) -> Flow[Sample | None]:
        """Take a sample of a document; ``None`` if none of its segments is enabled, or if search can
        never return it.
        """
        try:
            segments, total = yield from until_enabled(
                self._dataset_id, document_id, lambda one: bool(samples.query_for(one, economy=self.economy))
            )
        except DifyNotFoundError as error:
            _note_gone(error, document_id, check)
            return None
        if not total:
            check.empty[document_id] = NO_TEXT
        if not any(segment.enabled for segment in segments):
            return None
        sample = Sample.of(segments, total, economy=self.economy)
        if not sample.queries:
            check.empty[document_id] = NO_WORDS
            return None
        self._samples[document_id] = sample
        self._fresh.add(document_id)
        return sample

    def _ask(self, query: str, top_k: int) -> Flow[SearchResult]:
        """Query search.

        https://docs.dify.ai/api-reference/knowledge-bases/retrieve-chunks-from-a-knowledge-base-test-retrieval
        """
        settings = {
            "search_method": "keyword_search" if self.economy else "semantic_search",
            "reranking_enable": False,
            "score_threshold_enabled": False,
            "top_k": top_k,
        }
        path = f"/datasets/{self._dataset_id}/retrieve"
        response = yield Request("POST", path, json={"query": query, "retrieval_model": settings})
        return api.read_answer(response, lambda payload: SearchResult.read(payload, query, economy=self.economy))


def _by_query(known: Mapping[str, Sample]) -> Iterable[tuple[str, list[str]]]:
    """Group documents by the query that finds them: documents with the same text share one."""
    groups: dict[str, list[str]] = {}
    for document_id, sample in known.items():
        groups.setdefault(sample.queries[0], []).append(document_id)
    return groups.items()


def _note_gone(error: DifyNotFoundError, document_id: str, check: SearchCheck) -> None:
    if not api.document_is_missing(error):
        raise error
    check.gone.append(document_id)
