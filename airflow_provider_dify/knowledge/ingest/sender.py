"""Sends one content so that it becomes exactly one document, even if responses are lost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyKnowledgeBaseError,
    DifyNotFoundError,
    DifyRequestError,
    DifySourceError,
    DifyTransportError,
)
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Dataset, Document
from airflow_provider_dify.knowledge.errors import may_be_carried_out
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Pause
from airflow_provider_dify.knowledge.ingest import contents
from airflow_provider_dify.knowledge.ingest.contents import Accepted, Source
from airflow_provider_dify.knowledge.ingest.namesakes import Decision, Verb, keyword_of
from airflow_provider_dify.knowledge.ingest.options import DocumentOptions
from airflow_provider_dify.knowledge.ingest.report import Ingested, IngestOutcome
from airflow_provider_dify.knowledge.progress import Intervals, seconds_of
from airflow_provider_dify.knowledge.reading import Pager
from airflow_provider_dify.knowledge.retries import Retries, last_read

#: With these statuses, Dify rejects the content, not the caller or all contents (:class:`DifyKnowledgeBaseError`).
_ABOUT_THE_CONTENT = (400, 413, 415, 422)
#: Dify may still be working on it: a proxy has stopped waiting (524: Cloudflare's), or the server has (408).
_TIMED_OUT = (408, 504, 524)
#: Errors of a connection that ends while a file is sent.
_BROKEN_OFF = re.compile(r"reset|broken ?pipe|aborted|closed|disconnect|WriteError", re.IGNORECASE)
#: Seconds between checks for a document whose creation timed out: Dify may still be working on it.
_CHECKS_AFTER_TIMEOUT = (2.0, 4.0, 8.0)


@dataclass
class Item:
    """A content on its way to become a document."""

    source: Source
    namesakes: list[Document] = field(default_factory=list)
    decision: Decision | None = None
    outcome: IngestOutcome | None = None
    document_id: str | None = None
    batch: str | None = None
    error: str | None = None

    def end(self, outcome: IngestOutcome, error: str) -> None:
        """Record why it did not become a document."""
        self.outcome, self.error = outcome, error

    def skipped(self, document: Document) -> None:
        """Record that it exists already."""
        self.outcome, self.document_id = IngestOutcome.SKIPPED, document.id

    def taken(self, taken: Accepted) -> None:
        """Record that Dify has it."""
        there = any(document.id == taken.document_id for document in self.namesakes)
        self.outcome = IngestOutcome.UPDATED if there else IngestOutcome.CREATED
        self.document_id, self.batch = taken.document_id, taken.batch or None

    def entry(self) -> Ingested:
        """Return its outcome so far."""
        old = self.decision.old if self.decision else ()
        return Ingested(
            name=self.decision.name if self.decision else self.source.name,
            source=self.source.place,
            outcome=self.outcome or IngestOutcome.NOT_ATTEMPTED,
            document_id=self.document_id,
            batch=self.batch,
            old_document_ids=tuple(i for i in old if i != self.document_id),
            error=self.error,
        )


class ContentSender:
    """Sends contents to one knowledge base.

    :param dataset: The knowledge base.
    :param options: How Dify should process the documents, including what the knowledge base determines.
    :param retries: How failed requests are retried.
    :param deadline: No wait goes beyond it.
    """

    def __init__(self, dataset: Dataset, options: DocumentOptions, retries: Retries, deadline: Deadline) -> None:
        self._dataset_id = dataset.id
        self._options = options.for_first_document(dataset)
        self._later_options = options
        self.retries = retries
        self.deadline = deadline

    def put(self, item: Item) -> Flow[None]:
        """Send a content until Dify accepts or rejects it.

        :raises DifyError: A request to Dify failed, or Dify rejects the caller.
        """
        failures = 0
        unsure = False
        waits = Intervals(longest=10.0)
        while not item.outcome:
            if not unsure:  # otherwise a new document of this name counts as created by this run: see _look_up
                yield from self._check_name(item)
            if item.outcome:
                return
            try:
                item.taken((yield from self._request(item)))
                self._options = self._later_options
            except DifySourceError as error:
                item.end(IngestOutcome.UNREADABLE, error.message)
            except DifyError as error:
                if _is_unavailable(error):
                    yield from self._wait_until_available(item, waits)
                elif error.status in _ABOUT_THE_CONTENT and not isinstance(error, DifyKnowledgeBaseError):
                    item.end(IngestOutcome.INVALID, _explained(error))
                else:
                    failures += 1
                    unsure = unsure or may_be_carried_out(error)
                    yield from self._recover(item, error, failures)

    def _check_name(self, item: Item) -> Flow[None]:
        """Check again that a name is free: Dify would replace an enabled document with it.

        The knowledge base was listed before the first content was sent, which may be an hour ago. One page is enough,
        since the list begins with the newest documents.
        """
        decision = _decision(item)
        if decision.verb is not Verb.CREATE:
            return
        page = yield from api.document_page(self._dataset_id, 1, keyword=keyword_of(decision.name))
        known = {document.id for document in item.namesakes}
        for one in page.items:
            # A failed document should be replaced, and a disabled one stays next to the new one.
            expected = one.id in known and (not one.enabled or (one.failed and one.belongs_in_search))
            if one.name == decision.name and not expected:
                why = f"Document {one.id} got this name after the knowledge base was listed."
                item.end(IngestOutcome.FAILED, f"{why} Dify might replace it, so nothing was sent. Try again.")
                return

    def _request(self, item: Item) -> Flow[Accepted]:
        decision = _decision(item)
        if decision.verb is Verb.UPDATE and decision.document:
            sending = contents.update(self._dataset_id, decision.document.id, decision.name, item.source, self._options)
        else:
            sending = contents.create(self._dataset_id, decision.name, item.source, self._options)
        return (yield from sending)

    def _recover(self, item: Item, error: DifyError, failures: int) -> Flow[None]:
        """After a failure, wait, and check whether Dify has the content anyway."""
        try:
            wait = self.retries.wait_after(failures, error, self.deadline)
        except DifyError:
            if item.source.text is None and isinstance(error, DifyTransportError) and _BROKEN_OFF.search(error.message):
                error.add(
                    "A proxy may end the connection like this when a file is too large. Check client_max_body_size "
                    "there (nginx), and UPLOAD_FILE_SIZE_LIMIT in Dify."
                )
            if may_be_carried_out(error):
                yield from last_read(self._look_up(item), error)
            raise
        looks = (wait, *_CHECKS_AFTER_TIMEOUT) if _timed_out(error) else (wait,)
        for seconds in looks:
            wait = min(seconds, self.deadline.remaining)
            yield Pause(wait, f"Checking in {seconds_of(wait)} whether Dify created the document: {error.message}")
            if may_be_carried_out(error):
                yield from self._look_up(item)
            if item.outcome:
                return

    def _look_up(self, item: Item) -> Flow[None]:
        """Check whether a content became a document although the response was lost."""
        decision = _decision(item)
        if decision.verb is Verb.UPDATE and decision.document:
            document = yield from self._get(decision.document.id)
            # It was indexed before, or Dify would have refused the update. Now it is not, so this run has updated it.
            if document and not document.indexed:
                item.taken(Accepted(document.id, ""))
            return
        before = {document.id: document for document in item.namesakes}
        pager: Pager[Document] = Pager()
        while not pager.done:
            keyword = keyword_of(decision.name)
            page = yield from api.document_page(self._dataset_id, pager.page, keyword=keyword, limit=pager.limit)
            for document in pager.take(page):
                known = before.get(document.id)
                if document.name == decision.name and (not known or (known.failed and not document.failed)):
                    item.taken(Accepted(document.id, ""))
                    return

    def _wait_until_available(self, item: Item, waits: Intervals) -> Flow[None]:
        """The document cannot be updated now: wait if that is temporary."""
        decision = _decision(item)
        document = yield from self._get(decision.document.id if decision.document else "")
        if document is None:
            item.decision = Decision(Verb.CREATE, decision.name)
        elif not document.belongs_in_search:
            item.end(IngestOutcome.REFUSED, f"Document {document.id} was disabled or archived in the meantime.")
        elif document.failed or document.paused:
            item.end(IngestOutcome.REFUSED, f"The indexing of document {document.id} was {document.indexing_status}.")
        elif self.deadline.passed:
            item.end(IngestOutcome.NOT_INDEXED, f"Document {document.id} was still {document.indexing_status}.")
        else:
            wait = min(waits.next(), self.deadline.remaining)
            awaits = f"'{decision.name}', which is still {document.indexing_status}, before it is updated"
            yield Pause(wait, f"Waiting for {awaits} (next check in {seconds_of(wait)})")

    def _get(self, document_id: str) -> Flow[Document | None]:
        try:
            return (yield from api.get_document(self._dataset_id, document_id))
        except DifyNotFoundError as error:
            if not api.document_is_missing(error):
                raise
            return None


def _decision(item: Item) -> Decision:
    return item.decision or Decision(Verb.CREATE, item.source.name)


def _is_unavailable(error: DifyError) -> bool:
    """Whether Dify refuses an update because of the state of the document, or because it is gone."""
    if not isinstance(error, DifyRequestError):
        return False
    gone = isinstance(error, DifyNotFoundError) and api.document_is_missing(error)
    return gone or "not available" in error.detail.lower()


def _timed_out(error: DifyError) -> bool:
    return error.status in _TIMED_OUT or isinstance(error, DifyTransportError)


def _explained(error: DifyError) -> str:
    if isinstance(error, DifyRequestError) and error.status == 400 and error.code and not error.detail:
        return (
            "Dify refused it without a reason. It does that with file types that it does not accept, and with files "
            "over its limit (15 MB by default)."
        )
    return error.message
