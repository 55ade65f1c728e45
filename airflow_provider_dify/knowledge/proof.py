"""The proof that search reflects the flags of documents.

*Leaving search* is proven by segments: Dify never returns a disabled one.

*Entering search* is proven by search: since 1.16.0, jobs that run side by side lose each other's keywords, and Dify
still shows such documents as available (recording 1.16.0/21). What search returned is proven; that it did not return a
document proves nothing yet, as every result is cut to ``top_k``. So it is asked in bulk first, then for ten documents
at a time, then with the text of a single one, and only what is not returned even then counts as lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifyNotFoundError
from airflow_provider_dify.knowledge import answers, api, samples
from airflow_provider_dify.knowledge.documents import Dataset, Document
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.samples import Sample
from airflow_provider_dify.knowledge.segments import all_disabled, until_enabled

#: Why search can never return a document.
NO_TEXT = "Dify found no text in it, so search can never return it."
NO_WORDS = "Dify found no words in it that search could go by, so search can never return it."

#: Up to so many documents it is not worth to find out first whether the worker is through with them.
_FEW = 3
#: From so many documents on, asking in bulk is cheaper than asking for each.
_MANY = 10
#: A bulk query that proves fewer documents than this is the last one.
_WORTHWHILE = 8
#: Up to so many segments a knowledge base is returned whole, if there are enough documents to be proven: 5,000
#: segments take about 2 s and 5 MB (measured on 1.16.0).
_SMALL, _SEGMENTS_WORTH_A_DOCUMENT = 5_000, 100
#: ``top_k`` of bulk queries (and of the last try for a single document), of queries for ten documents, and for one.
_TOP_BULK, _TOP_TENS, _TOP_ALONE = 1_000, 200, 100
#: So many documents are read before the first of them are asked for.
_SLICE = 200
#: After so many misses in a row, documents are skipped: the worker takes its jobs in order and is not that far yet.
_MISSES_BEFORE_SKIPPING = 4


class ProvenBy(str, Enum):
    """What proves that documents have entered search."""

    #: Search itself returned them.
    SEARCH = "search"
    #: Their segments are enabled, which Dify also shows when it has lost their keywords.
    SEGMENTS = "segments"


@dataclass
class Look:
    """What one look at search showed.

    :param followed: Search reflects the flags of these documents.
    :param behind: The worker is not through with these.
    :param lost: The worker is through, and search does not return them.
    :param empty: Search can never return these; why, by id.
    :param gone: These were deleted meanwhile.
    """

    followed: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    empty: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)


class SearchProof:
    """Looks whether search reflects the flags of documents, with few requests.

    :param dataset_id: Their knowledge base.
    :param dataset: What Dify says of it; ``None`` if documents only leave search.
    :param by: What proves that documents have entered search.
    """

    def __init__(self, dataset_id: str, dataset: Dataset | None, by: ProvenBy = ProvenBy.SEARCH) -> None:
        self._dataset_id = dataset_id
        self._document_count = dataset.document_count if dataset else 0
        #: Whether keywords find its documents, and not vectors.
        self.economy = dataset is None or dataset.indexing_technique != "high_quality"
        self._by = by
        self._samples: dict[str, Sample] = {}
        #: The last document that the worker was through with when it was looked at before.
        self._frontier: str | None = None

    def look(
        self, ids: Sequence[str], documents: Mapping[str, Document], *, thorough: bool, progress: Progress
    ) -> Flow[Look]:
        """Look at documents in the order in which they were sent.

        :param documents: Their states; the flags tell whether search should return them.
        :param thorough: Whether to look at each of them, also if the worker does not seem to be that far.
        :param progress: Says how far it is.
        """
        look = Look()
        entering = [i for i in ids if documents[i].belongs_in_search]
        leaving = [i for i in ids if not documents[i].belongs_in_search]
        yield from self._leaving(leaving, look, thorough=thorough, progress=progress)
        yield from self._entering(entering, look, thorough=thorough, progress=progress)
        return look

    def is_cheap(self, ids: Collection[str]) -> Flow[bool]:
        """Whether it takes only a few requests to look at documents that are in search already."""
        if self._by is ProvenBy.SEGMENTS or len(ids) < _MANY:
            return len(ids) < _MANY
        taken = yield from self._sample(ids, Look())
        return not taken or self._segments(taken) <= _SMALL

    def returns(self, document_id: str, progress: Progress) -> Flow[bool]:
        """Whether search returns a document that the worker is through with."""
        look = Look()
        yield from self._slice([document_id], look, thorough=True)
        yield from progress.note(lambda: "Checking a document that was brought back into search.")
        return document_id in look.followed

    def _leaving(self, ids: Sequence[str], look: Look, *, thorough: bool, progress: Progress) -> Flow[None]:
        position, stride, misses = 0, 1, 0
        while position < len(ids):
            document_id = ids[position]
            try:
                left = yield from all_disabled(self._dataset_id, document_id)
            except DifyNotFoundError as error:
                _note_gone(error, document_id, look)
            else:
                (look.followed if left else look.behind).append(document_id)
                misses = 0 if left else misses + 1
                stride = stride * 2 if misses > _MISSES_BEFORE_SKIPPING and not thorough else 1
            yield from progress.note(lambda: f"{len(look.followed)} of {len(ids)} documents have left search.")
            position += stride

    def _entering(self, ids: Sequence[str], look: Look, *, thorough: bool, progress: Progress) -> Flow[None]:
        ready = ids if thorough or len(ids) <= _FEW else (yield from self._ready(ids))
        if self._by is ProvenBy.SEARCH:
            found = yield from self._in_bulk(dict.fromkeys(ready))
            look.followed += [i for i in ready if i in found]
            ready = [i for i in ready if i not in found]
        for start in range(0, len(ready), _SLICE):
            left = [i for i in ready[start : start + _SLICE] if i not in look.followed]
            yield from self._slice(left, look, thorough=thorough)
            yield from progress.note(lambda: f"Search returns {len(look.followed)} of {len(ids)} documents.")
        settled = {*look.followed, *look.lost, *look.empty, *look.gone}
        look.behind += [i for i in ids if i not in settled]

    def _ready(self, ids: Sequence[str]) -> Flow[Sequence[str]]:
        """Return the documents that the worker is through with, if it is through with all, or stands still."""
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
        look = Look()
        return bool((yield from self._read(document_id, look)) or look.gone or look.empty)

    def _in_bulk(self, left: dict[str, None]) -> Flow[set[str]]:
        """Ask for many documents at once; return those that search returned."""
        found: set[str] = set()
        number = len(left)
        while len(left) >= _MANY:
            taken = yield from self._sample(left, Look())
            small = self._is_small(taken, number)
            if not taken or (self.economy and not small):
                break
            top_k = max(_TOP_BULK, self._segments(taken) * 5 // 4) if small else _TOP_BULK
            query = samples.shared_words(taken.values()) if self.economy else next(iter(taken.values())).queries[0]
            new = (yield from self._ask(query, top_k)).keys() & left.keys()
            found |= new
            for document_id in new:
                del left[document_id]
            if len(new) < _WORTHWHILE:
                break
        return found

    def _sample(self, ids: Collection[str], look: Look) -> Flow[dict[str, Sample]]:
        chosen = list(ids)
        taken = {}
        for place in sorted({0, len(chosen) // 2, len(chosen) - 1}):
            if sample := (yield from self._known(chosen[place], look)):
                taken[chosen[place]] = sample
        return taken

    def _segments(self, taken: Mapping[str, Sample]) -> int:
        """Estimate how many segments the knowledge base has."""
        mean = sum(sample.segments for sample in taken.values()) / max(1, len(taken))
        return int(mean * max(self._document_count, len(taken))) + 1

    def _is_small(self, taken: Mapping[str, Sample], number: int) -> bool:
        return self._segments(taken) <= min(_SMALL, number * _SEGMENTS_WORTH_A_DOCUMENT)

    def _slice(self, ids: Sequence[str], look: Look, *, thorough: bool) -> Flow[None]:
        """Prove documents by their own text."""
        known: dict[str, Sample] = {}
        stale = {i for i in ids if i in self._samples}
        misses = 0
        for document_id in ids:
            if misses > _MISSES_BEFORE_SKIPPING and not thorough:
                break
            sample = yield from self._known(document_id, look)
            misses = 0 if sample or document_id in look.empty or document_id in look.gone else misses + 1
            if sample:
                known[document_id] = sample
        if self._by is ProvenBy.SEGMENTS:
            look.followed += known
            return
        found = (yield from self._in_tens(known)) if self.economy and len(known) > 1 else set()
        for document_id, sample in known.items():
            if document_id in found:
                continue
            found |= yield from self._alone(document_id, sample)
            if document_id not in found and document_id in stale:  # its text may be another one by now
                self._samples.pop(document_id, None)
                if fresh := (yield from self._known(document_id, look)):
                    found |= yield from self._alone(document_id, fresh)
        look.followed += [i for i in known if i in found]
        look.lost += [i for i in known if i not in found and i in self._samples]

    def _in_tens(self, known: Mapping[str, Sample]) -> Flow[set[str]]:
        found: set[str] = set()
        for words in samples.in_queries(samples.rare_words(known).values()):
            found |= (yield from self._ask(" ".join(words), _TOP_TENS)).keys()
        return found

    def _alone(self, document_id: str, sample: Sample) -> Flow[set[str]]:
        """Ask for a document by its own text; return all that search returned."""
        first = yield from self._ask(sample.queries[0], _TOP_ALONE)
        # In an economy knowledge base, its own keywords rank it first: only a long result can have been cut before it.
        if document_id in first or (self.economy and sum(first.values()) < _TOP_ALONE // 2):
            return set(first)
        return {*first, *(yield from self._ask(sample.queries[-1], _TOP_BULK))}

    def _known(self, document_id: str, look: Look) -> Flow[Sample | None]:
        return self._samples.get(document_id) or (yield from self._read(document_id, look))

    def _read(self, document_id: str, look: Look) -> Flow[Sample | None]:
        """Take a sample of a document; ``None`` if no segment of it is enabled, or if it can never be returned."""
        try:
            segments, total = yield from until_enabled(self._dataset_id, document_id)
        except DifyNotFoundError as error:
            _note_gone(error, document_id, look)
            return None
        if not total:
            look.empty[document_id] = NO_TEXT
        if not any(segment.enabled for segment in segments):
            return None
        sample = Sample.of(segments, total, economy=self.economy)
        if not sample.queries:
            look.empty[document_id] = NO_WORDS
            return None
        self._samples[document_id] = sample
        return sample

    def _ask(self, query: str, top_k: int) -> Flow[Counter[str]]:
        """Return the documents that search returns for a query, and how many segments of each.

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
        return api.read_answer(response, lambda payload: Counter(map(_document_of, answers.items(payload, "records"))))


def _document_of(record: JSON) -> str:
    answers.check(record["segment"], {"document_id": answers.an_id})
    document_id: str = record["segment"]["document_id"]
    return document_id


def _note_gone(error: DifyNotFoundError, document_id: str, look: Look) -> None:
    if not api.document_is_missing(error):
        raise error
    look.gone.append(document_id)
