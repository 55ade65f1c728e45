"""Sends many contents to Dify, a few at a time, each with its metadata, and follows them until they are indexed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_provider_dify.exceptions import DifyMetadataError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Plain
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Flow, Note
from airflow_provider_dify.knowledge.ingest.options import DeliveryOptions
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.ingest.sender import ContentSender, Item
from airflow_provider_dify.knowledge.ingest.watch import Watch
from airflow_provider_dify.knowledge.metadata.fields import Value, kinds_of, same
from airflow_provider_dify.knowledge.metadata.report import MetadataOutcome
from airflow_provider_dify.knowledge.metadata.update import set_values
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.reading import read_documents

#: How many documents get their metadata at once. After a kill, this many have to be sent again.
_MARKED_AT_ONCE = 50
#: Seconds in which the digest of an old content has to be removed: other documents should not wait until the end.
_PATIENCE = 60.0


class Delivery:
    """Contents on their way to Dify, for whose documents everything is decided.

    :param dataset_id: The knowledge base.
    :param options: How they are sent and followed.
    :param hash_field: Name of the metadata field with the digest of a document's content; ``None``: store none.
    :param values: Metadata values of each document.
    """

    def __init__(
        self,
        dataset_id: str,
        options: DeliveryOptions,
        *,
        hash_field: str | None = None,
        values: Mapping[str, Value] | None = None,
    ) -> None:
        self._dataset_id = dataset_id
        self._hash_field = hash_field
        self._values = dict(values or {})
        self._max_active = options.max_active
        #: The documents that are being indexed.
        self.watch = Watch(dataset_id, options)
        #: Why documents did not get their metadata, by id.
        self.errors: dict[str, tuple[IngestOutcome, str]] = {}
        self._unmarked: dict[str, dict[str, Value]] = {}
        #: The documents that must have their metadata at the end, and how the digest of each begins.
        self.expected: dict[str, str] = {}
        #: Whether anything was sent or waited for since the documents were listed.
        self.acted = False

    def there(self, document: Document, *, mark: bool = True, digest: str | None = None) -> None:
        """Add a document that already has its content: it may still be in indexing, or lack metadata.

        :param mark: Whether it gets the values that it lacks.
        :param digest: The digest of its content, if it lacks that.
        """
        if not document.indexed:
            self.watch.active[document.id] = document.indexing_status
            self.acted = True
        digests = {self._hash_field: digest} if self._hash_field and digest else {}
        if mark:
            self._expect(document.id, digest or document.metadata.get(self._hash_field or ""))
        if mark and (missing := _lacking({**self._values, **digests}, document)):
            self._unmarked[document.id] = missing

    def flow(self, items: Sequence[Item], sender: ContentSender, progress: Progress) -> Flow[None]:
        """Send contents, and give the documents their metadata. Those still in indexing at the end are in ``watch``.

        :param items: What to send. An item without an outcome afterwards was not sent because the time was up.
        """
        self.acted = self.acted or bool(items)
        yield from self._withdraw_digests(items, sender)
        items = [item for item in items if not item.outcome]
        for number, item in enumerate(items):
            yield from self.watch.until_below(self._max_active, sender.deadline, progress)
            if sender.deadline.passed:
                break
            yield from sender.put(item)
            if item.outcome and item.outcome.good and item.document_id:
                self.watch.add([item.document_id], sender.deadline)
                self._to_mark(item, item.document_id)
            if len(self._unmarked) >= _MARKED_AT_ONCE:
                yield from self.mark(sender)
            yield from progress.note("Sent", number + 1, len(items), "content")
        yield from self.mark(sender)

    def mark(self, sender: ContentSender) -> Flow[None]:
        """Give documents the metadata that they lack."""
        values, self._unmarked = self._unmarked, {}
        if not values:
            return
        self.acted = True
        try:
            yield from set_values(self._dataset_id, values, deadline=sender.deadline, retries=sender.retries)
        except DifyMetadataError as error:
            if not self._values:  # only the digest is lost: the content is sent again next time
                yield Note(f"The digests of the contents could not be stored: {error.message}")
                for document_id in values:
                    self.expected.pop(document_id, None)
                return
            self.errors.update(_failures(error, values))

    def prove(self) -> Flow[None]:
        """At the end, check that documents have their metadata. Differences are errors.

        A different digest also means that somebody has replaced the content.
        """
        ids = [i for i in self.expected if i not in self.errors and i not in self.watch.ended]
        found = yield from read_documents(self._dataset_id, ids, with_metadata=True)
        for document_id in ids:
            if document_id not in found:
                self.errors[document_id] = IngestOutcome.FAILED, "It was deleted in the meantime."
            elif names := self._wrong(found[document_id]):
                shown = ", ".join(map(inputs.show, names))
                why = f"At the end, its metadata was not as it was set: somebody changed {shown} in the meantime."
                self.errors[document_id] = IngestOutcome.FAILED, why

    def _wrong(self, document: Document) -> list[str]:
        """Return the fields in which a document has wrong values."""
        kinds, present = kinds_of([self._values]), document.metadata
        wrong = [
            name
            for name, wanted in self._values.items()
            if not same(kinds[name].value if name in kinds else "", wanted, present.get(name))
        ]
        digest = str(present.get(self._hash_field or "", ""))
        return wrong + [self._hash_field or ""] * (not digest.startswith(self.expected[document.id]))

    def _expect(self, document_id: str, digest: Plain) -> None:
        if self._values or digest:
            self.expected[document_id] = str(digest or "")

    def _withdraw_digests(self, items: Iterable[Item], sender: ContentSender) -> Flow[None]:
        """Remove the digest from documents that get another content, so that a killed run leaves no wrong digest."""
        field = self._hash_field
        if not field:
            return
        stale: dict[str, Item] = {}
        for item in items:
            document = item.decision.document if item.decision else None
            if document and document.metadata.get(field) not in (None, item.source.digest()):
                stale[document.id] = item
        if not stale:
            return
        for document_id in stale:
            self.expected.pop(document_id, None)
        values = {document_id: {field: None} for document_id in stale}
        soon, gone = sender.deadline.within(_PATIENCE), MetadataOutcome.MISSING.value
        try:
            # Documents that were deleted meanwhile are created again.
            yield from set_values(self._dataset_id, values, deadline=soon, retries=sender.retries, tolerate=[gone])
        except DifyMetadataError as error:
            for document_id, (_, why) in _failures(error, stale).items():
                stale[document_id].end(IngestOutcome.NOT_ATTEMPTED, f"Its old digest could not be removed. {why}")

    def _to_mark(self, item: Item, document_id: str) -> None:
        digest = {self._hash_field: item.source.digest()} if self._hash_field else {}
        self._expect(document_id, next(iter(digest.values()), None))
        before = item.decision.document if item.decision else None
        if values := _lacking({**self._values, **digest}, before if before and before.id == document_id else None):
            self._unmarked[document_id] = values


def _lacking(values: Mapping[str, Value], document: Document | None) -> dict[str, Value]:
    """Return the values that a document does not have."""
    present = document.metadata if document else {}
    # Dify's list shows all values as text.
    return {name: value for name, value in values.items() if str(present.get(name)) != str(value)}


def _failures(error: DifyMetadataError, ids: Iterable[str]) -> dict[str, tuple[IngestOutcome, str]]:
    texts = error.report.errors
    return {i: (IngestOutcome.FAILED, texts[i] if texts else error.message) for i in ids if not texts or i in texts}
