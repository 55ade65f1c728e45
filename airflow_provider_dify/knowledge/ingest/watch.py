"""Follows the indexing of many documents, each with its own outcome."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_dify.exceptions import DifyError, DifyIndexingError, DifyIndexingStalled, DifyIndexingTimeout
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.progress import Intervals, Progress, WholeJob
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.status.options import WaitOptions
from airflow_provider_dify.knowledge.text.counts import number_of

#: Why a document is given up at the deadline.
_NOT_IN_TIME = "Its indexing had not completed by the deadline."


class Watch:
    """Documents that are being indexed, and the outcome of those that are done.

    :param dataset_id: The knowledge base.
    :param options: How they are followed.
    """

    def __init__(self, dataset_id: str, options: WaitOptions) -> None:
        self.dataset_id = dataset_id
        #: The documents that are not done, in the order in which they were added.
        self.active: dict[str, str] = {}
        #: Why documents were not indexed, by id.
        self.ended: dict[str, tuple[IngestOutcome, str]] = {}
        #: The indexed documents, as they were then.
        self.through: dict[str, Document] = {}
        #: Whether :meth:`finish` waits for them now.
        self.awaited = False
        self._options = options
        self._waits = Intervals(longest=options.poll_interval)
        self._moved = 0.0
        #: Why the wait elsewhere gave up, if it did.
        self._gave_up: str | None = None

    def add(self, ids: Iterable[str], deadline: Deadline) -> None:
        """Follow more documents."""
        self.active.update(dict.fromkeys(ids, "waiting"))
        self._moved = deadline.elapsed

    def until_below(self, number: int, deadline: Deadline, progress: Progress) -> Flow[None]:
        """Wait until fewer documents than that are being indexed, or until they are given up.

        :return: At the deadline, or if there was no progress for too long, some documents are still active.
        """
        while len(self.active) >= number:
            yield from self.look(deadline)
            if len(self.active) < number or deadline.passed:
                return
            if self._stands_still(deadline):
                self._give_up(_stalled(deadline.elapsed - self._moved))
                return
            yield progress.pause(min(self._waits.next(), deadline.remaining), self._awaits())

    def look(self, deadline: Deadline) -> Flow[None]:
        """Check the documents once."""
        found = yield from read_documents(self.dataset_id, self.active)
        moved = False
        for document_id, before in [*self.active.items()]:
            document = found.get(document_id)
            moved = moved or document is None or document.indexing_status != before
            self._sort(document_id, document)
        if moved:
            self._moved = deadline.elapsed
            self._waits.restart()

    def finish(self, deadline: Deadline, progress: Progress) -> Flow[None]:
        """Wait until all documents are indexed, unless the wait elsewhere gave up, and give each an outcome."""
        if self._gave_up:
            yield from self.look(deadline)
        else:
            self.awaited = True
            yield from self.until_below(1, deadline, progress)
            self.awaited = False
        self._give_up(self._gave_up or _NOT_IN_TIME)

    def elsewhere(self, total: int) -> IndexingWait:
        """Return the wait for the documents in another process. Pass its result to :meth:`take`.

        :param total: How many documents the whole job has, for the log.
        """
        wait = IndexingWait(
            self.dataset_id,
            document_ids=list(self.active),
            stall_timeout=self._options.stall_timeout,
            poll_interval=self._options.poll_interval,
        )
        wait.whole = WholeJob.around(len(self.active), total)
        return wait

    def take(self, error: DifyError | None) -> bool:
        """Take the result of the wait elsewhere.

        :param error: How it failed.
        :return: Whether it ended because of the documents. If not, nothing is known about them.
        """
        if isinstance(error, DifyIndexingStalled):
            self._gave_up = _stalled(self._options.stall_timeout or 0.0)
        elif isinstance(error, DifyIndexingTimeout):
            self._gave_up = _NOT_IN_TIME
        return error is None or isinstance(error, (DifyIndexingError, DifyIndexingTimeout))

    def _sort(self, document_id: str, document: Document | None) -> None:
        if document is None:
            self._end(document_id, IngestOutcome.FAILED, "It was deleted while it was being indexed.")
        elif document.failed:
            self._end(document_id, IngestOutcome.FAILED, document.error or "Its indexing failed.")
        elif document.indexed:
            del self.active[document_id]
            self.through[document_id] = document
        elif document.paused:
            self._end(document_id, IngestOutcome.FAILED, "Its indexing is paused. Resume it in Dify.")
        else:
            self.active[document_id] = document.indexing_status

    def _awaits(self) -> str:
        indexed = f", {len(self.through)} indexed so far" if self.through else ""
        return f"Dify to index {number_of(len(self.active))}{indexed}"

    def _stands_still(self, deadline: Deadline) -> bool:
        limit = self._options.stall_timeout
        return limit is not None and deadline.elapsed - self._moved >= limit

    def _give_up(self, why: str) -> None:
        for document_id, status in [*self.active.items()]:
            self._end(document_id, IngestOutcome.NOT_INDEXED, f"{why} It is still {status}.")

    def _end(self, document_id: str, outcome: IngestOutcome, why: str) -> None:
        del self.active[document_id]
        self.ended[document_id] = outcome, why


def _stalled(seconds: float) -> str:
    """Say that there was no progress for so long."""
    return f"Nothing has moved for {seconds:.0f} s: is Dify's worker down?"
