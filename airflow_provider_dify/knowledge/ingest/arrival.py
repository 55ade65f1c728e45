"""The last part of an ingestion, a sync, or a wait for indexing: indexed documents arrive in search.

Completed indexing is not enough: Dify also completes a file in which it finds no text (recording 1.16.0/26), and loses
keywords if it indexes several documents in parallel (recording 1.16.0/21).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Action, Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Measure
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.progress import Intervals, Progress, WholeJob
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.options import WaitOptions
from airflow_provider_dify.knowledge.status.proof import ProvenBy, SearchCheck, SearchProof
from airflow_provider_dify.knowledge.status.repair import HALFWAY, Repair, why_lost
from airflow_provider_dify.knowledge.text.counts import number_of

_GONE = "It was deleted in the meantime."
_OUT_OF_USE = "It was archived or disabled in the meantime."
_INDEXED_AGAIN = "It is being indexed again: somebody else changed it in the meantime."
_BEHIND = "Dify indexed it, but did not bring it into search by the deadline."


class Arrival:
    """Indexed documents on their way into search.

    Its whole state is in this object, not in the generator, so it is correct at any moment.

    :param dataset_id: The knowledge base.
    :param options: What proves that documents have entered search, and how often that is checked.
    """

    def __init__(self, dataset_id: str, options: WaitOptions) -> None:
        self._dataset_id = dataset_id
        self._by = ProvenBy(options.prove_by)
        self._waits = Intervals(longest=options.poll_interval)
        self._bad: dict[str, tuple[IngestOutcome, str]] = {}
        self._repair: Repair | None = None
        self._documents: dict[str, Document] = {}

    @property
    def ended(self) -> dict[str, tuple[IngestOutcome, str]]:
        """Why documents are not in the expected state, by id."""
        halfway = self._repair.halfway if self._repair else {}
        return {**self._bad, **dict.fromkeys(halfway, (IngestOutcome.LAGGING, HALFWAY.format(Action.ENABLE.value)))}

    @property
    def repaired(self) -> int:
        """How many documents search had lost and returns again."""
        return len(self._repair.repaired) if self._repair else 0

    def flow(
        self,
        brought: Sequence[str],
        deadline: Deadline,
        retries: Retries,
        progress: Progress,
        *,
        kept: Sequence[str] = (),
        in_use: Collection[str] = (),
    ) -> Flow[None]:
        """Prove that search returns documents, and repair those that it has lost.

        :param brought: Documents to prove in any case, and to repair: this run has brought them into search.
        :param kept: Documents that existed before. In a large knowledge base, only their flags are read.
        :param in_use: Which of them must be enabled and not archived. Others may be out of search.
        """
        if not brought and not kept:
            return
        indexed_at = deadline.elapsed
        proof = SearchProof(self._dataset_id, (yield from api.get_dataset(self._dataset_id)), self._by)
        self._repair = Repair(self._dataset_id, Action.ENABLE, proof)
        everything = [*brought, *kept]
        awaited = yield from self._in_search(everything, in_use)
        known = set(kept)
        if not (yield from proof.is_cheap([i for i in awaited if i in known])):
            awaited = [i for i in awaited if i not in known]
        proven = list(awaited)
        if (yield from self._prove(awaited, proof, brought, in_use, deadline, retries, progress)):
            # This took time: the first of them may have been changed or lost by now.
            yield from self._in_search(everything, in_use)
            check = yield from self._look([i for i in proven if i not in self._bad], proof, True, progress)
            self._lagging((*check.lost, *check.behind), why_lost(proof))
        if brought and not self._bad:
            yield Measure("search_lag", seconds=deadline.elapsed - indexed_at)

    def _prove(
        self,
        awaited: list[str],
        proof: SearchProof,
        changed: Collection[str],
        in_use: Collection[str],
        deadline: Deadline,
        retries: Retries,
        progress: Progress,
    ) -> Flow[bool]:
        """Query search until it returns all documents or the time is up; return whether it took more than one check."""
        waited, repairable, total = False, set(changed), len(awaited)
        while awaited:
            progress.whole = WholeJob.around(len(awaited), total)
            check = yield from self._look(awaited, proof, deadline.passed, progress)
            lost = [i for i in check.lost if i in repairable and not deadline.passed]
            if lost and self._repair:
                yield from self._repair.flow(lost, deadline, retries)
                waited = True
                back = set(self._repair.repaired)
                self._bad.update({i: (IngestOutcome.LAGGING, why) for i, why in self._repair.failed.items()})
                lost = [i for i in lost if i in back]
            self._lagging((i for i in check.lost if i not in lost and i not in self._bad), why_lost(proof))
            if not check.behind:
                return waited
            if deadline.passed:
                self._lagging(check.behind, _BEHIND)
                return waited
            waited = True
            wait = min(self._waits.next(), deadline.remaining)
            yield progress.pause(wait, f"search to update: {number_of(len(check.behind))}")
            awaited = yield from self._in_search(check.behind, in_use)
        return waited

    def _look(self, ids: Sequence[str], proof: SearchProof, thorough: bool, progress: Progress) -> Flow[SearchCheck]:
        check = yield from proof.look(ids, self._documents, thorough=thorough, progress=progress)
        self._bad.update({i: (IngestOutcome.NOT_SEARCHABLE, why) for i, why in check.empty.items()})
        self._bad.update(dict.fromkeys(check.gone, (IngestOutcome.FAILED, _GONE)))
        return check

    def _in_search(self, ids: Sequence[str], in_use: Collection[str]) -> Flow[list[str]]:
        """Read documents; return those that search should return."""
        found = yield from read_documents(self._dataset_id, ids)
        must = set(in_use)
        for document_id in ids:
            document = found.get(document_id)
            if document is None:
                self._bad[document_id] = IngestOutcome.FAILED, _GONE
            elif document_id in must and not document.belongs_in_search:
                self._bad[document_id] = IngestOutcome.FAILED, _OUT_OF_USE
            elif document.failed:
                self._bad[document_id] = IngestOutcome.FAILED, document.error or "Its indexing failed."
            elif not document.indexed:
                self._bad[document_id] = IngestOutcome.NOT_INDEXED, _INDEXED_AGAIN
        self._documents.update(found)
        return [i for i in ids if i not in self._bad and found[i].belongs_in_search]

    def _lagging(self, ids: Iterable[str], why: str) -> None:
        self._bad.update(dict.fromkeys(ids, (IngestOutcome.LAGGING, why)))
