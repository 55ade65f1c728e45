"""Brings documents back that Dify calls available but search does not return.

Dify 1.16.0 loses the keywords of a document if the jobs of several run in parallel (recording 1.16.0/21). Disabling and
enabling the document writes them again, unless another job runs at the same time. So documents are repaired one at a
time, each job is finished before the next one is sent, and no id is repeated in a call.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_dify.exceptions import DifyDocumentBusyError, DifyError, DifyNotFoundError
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Measure, Note, Pause
from airflow_provider_dify.knowledge.progress import Intervals, Progress, checking_again
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.chunks import DisabledChunks
from airflow_provider_dify.knowledge.status.proof import SearchProof
from airflow_provider_dify.knowledge.status.segments import until_enabled
from airflow_provider_dify.knowledge.text.counts import number_of

#: Why search does not return a document, in an economy and in a high-quality knowledge base.
_LOST = "Dify calls it available, but search does not return it: Dify's worker lost its keywords."
_LOST_VECTORS = "Dify calls it available, but search does not return it for its own text: its vectors are missing."
HALFWAY = "A repair took it out of search and could not bring it back: {} it."
#: After this many repairs without effect, the others are not repaired.
_MOST_FAILURES = 5
#: Maximum seconds of a pause while waiting for a job, and of the whole wait.
_LONGEST_PAUSE, _PATIENCE = 5.0, 120.0
#: Seconds before the first repair: for a repeated id, the second job may still be running.
_SETTLING = 1.5


class Repair:
    """The repair of documents that search has lost.

    Its whole state is in this object, not in the generator, so it is correct at any moment.

    :param dataset_id: The knowledge base.
    :param adding: What brings them into search: ``enable`` or ``un_archive``.
    :param proof: Checks whether search returns them.
    """

    def __init__(self, dataset_id: str, adding: Action, proof: SearchProof) -> None:
        #: The documents that search returns again.
        self.repaired: list[str] = []
        #: Why search does not return the others, by id.
        self.failed: dict[str, str] = {}
        #: The documents that were taken out of search and are not back yet.
        self.halfway: dict[str, None] = {}
        self._dataset_id = dataset_id
        self._adding = adding
        self._proof = proof
        self._why = why_lost(proof)
        self._chunks = DisabledChunks(dataset_id)
        #: Whether documents may be out of search, so that this process has to finish the repair.
        self.under_way = False

    @property
    def tried(self) -> set[str]:
        """The documents that should not be repaired again."""
        return {*self.repaired, *self.failed, *self.halfway}

    def flow(self, lost: Sequence[str], deadline: Deadline, retries: Retries) -> Flow[None]:
        """Repair documents.

        :param lost: Documents that this run has brought into search, and that search does not return.
        :raises DifyError: A request to Dify failed.
        """
        progress, waits = Progress(deadline), Intervals(longest=10.0)
        left = dict.fromkeys(lost)
        yield Note(
            f"Search does not return {number_of(len(left))} that Dify calls available. Repairing them one at a time: "
            f"{self._adding.opposite.value}, then {self._adding.value}."
        )
        yield Pause(min(_SETTLING, deadline.remaining), "")
        self.under_way = True
        while left and not deadline.passed:
            before = len(left) + len(self.halfway)
            for document_id in [*left]:
                if deadline.passed or (len(self.failed) >= _MOST_FAILURES and not self.repaired):
                    break
                if (yield from self._one(document_id, deadline, retries, progress)):
                    del left[document_id]
                    yield Measure("repairs.failed" if document_id in self.failed else "repairs.succeeded")
                    yield from progress.note("Repaired", len(self.repaired), len(lost))
            if len(self.failed) >= _MOST_FAILURES and not self.repaired:
                break
            if left and len(left) + len(self.halfway) == before:
                wait = min(waits.next(), deadline.remaining)
                yield progress.pause(wait, f"Dify to release its lock on {number_of(len(left))} to be repaired")
        for document_id in [*self.halfway]:
            yield from self._give_back(document_id)
        self.under_way = False
        self.failed.update(dict.fromkeys((i for i in left if i not in self.halfway), self._why))
        if left:
            yield Measure("repairs.failed", len(left))

    def _one(self, document_id: str, deadline: Deadline, retries: Retries, progress: Progress) -> Flow[bool]:
        """Continue with one document; return whether it is done, successfully or not."""
        try:
            if document_id not in self.halfway:
                yield from self._chunks.note([document_id], progress)
                if not (yield from self._send(self._adding.opposite, document_id, deadline, retries)):
                    return False
                self.halfway[document_id] = None
                yield from self._wait(document_id, deadline, enabled=False)
            if not (yield from self._send(self._adding, document_id, deadline, retries)):
                return False
            self.halfway.pop(document_id)
            yield from self._wait(document_id, deadline, enabled=True)
            found = yield from self._proof.returns(document_id)
            not_restored = yield from self._chunks.restore([document_id], deadline)
        except DifyNotFoundError as error:
            if not api.document_is_missing(error):
                raise
            self.halfway.pop(document_id, None)
            self.failed[document_id] = "It was deleted while it was being repaired."
            return True
        if not_restored:
            self.failed |= not_restored
        elif found:
            self.repaired.append(document_id)
        else:
            self.failed[document_id] = self._why
        return True

    def _send(self, action: Action, document_id: str, deadline: Deadline, retries: Retries) -> Flow[bool]:
        """Change the status of one document; return ``False`` if Dify holds its lock."""
        failures = 0
        while True:
            try:
                yield from api.change_status(self._dataset_id, action, [document_id])
            except DifyDocumentBusyError:
                return False
            except DifyError as error:
                failures += 1
                wait = retries.wait_after(failures, error, deadline)
                yield Pause(wait, checking_again(wait, error))
                document = yield from api.get_document(self._dataset_id, document_id)
                if not action.reached(document):
                    continue
            return True

    def _wait(self, document_id: str, deadline: Deadline, *, enabled: bool) -> Flow[None]:
        """Wait until the worker has changed the segments of a document."""
        waits, patience = Intervals(longest=_LONGEST_PAUSE, first=0.1), deadline.within(_PATIENCE)
        while True:
            segments, _ = yield from until_enabled(self._dataset_id, document_id)
            if any(segment.enabled for segment in segments) is enabled or patience.passed:
                return
            yield Pause(min(waits.next(), patience.remaining), "")

    def _give_back(self, document_id: str) -> Flow[None]:
        """Try once to bring back a document that was taken out, without waiting for search."""
        try:
            yield from api.change_status(self._dataset_id, self._adding, [document_id])
        except DifyDocumentBusyError:
            self.failed[document_id] = HALFWAY.format(self._adding.value)
            return
        del self.halfway[document_id]
        self.failed[document_id] = self._why


def why_lost(proof: SearchProof) -> str:
    """Say why search does not return a document."""
    return _LOST if proof.economy else _LOST_VECTORS
