"""The outcome of each content of an ingestion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from airflow_provider_dify.exceptions import DifyIngestError, DifyIngestFailed
from airflow_provider_dify.knowledge.answers import Fields, a_list
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, EntryReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of
from airflow_provider_dify.knowledge.text.tables import Row

_LOST_KEYWORDS = (
    "indexed, but not returned by search. Dify 1.16.0 loses keywords if its worker runs several jobs at once: "
    "set CELERY_WORKER_AMOUNT=1, or use a fixed version"
)


class IngestOutcome(ReportOutcome):
    """The outcome of an input."""

    #: A document was created and, unless indexing is not waited for, indexed.
    CREATED = "created"
    #: The content of a document was replaced and, unless indexing is not waited for, the new one is indexed.
    UPDATED = "updated"
    #: A document with this name (with ``update``: and this content) existed; nothing was sent for it.
    SKIPPED = "skipped", "", UNTOUCHED
    #: A document with the same name is in the way.
    REFUSED = (
        "refused",
        "a document with the same name is in the way; the report says which, and what to do",
        FINAL,
        UNTOUCHED,
    )
    #: It cannot become a document: it is empty or too large, or Dify does not accept its type or name.
    INVALID = "invalid", "cannot become a document; the report says why", FINAL, UNTOUCHED
    #: It is missing or could not be read: its storage failed, or it was being changed.
    UNREADABLE = "unreadable", "missing or not readable; check the path and its permissions, then retry", UNTOUCHED
    #: Dify has it, but its indexing failed or was paused, or the document was deleted.
    FAILED = "failed", "Dify's indexing failed; its message is in the report"
    #: Dify has it, but its indexing did not finish by the deadline, or made no progress for too long.
    NOT_INDEXED = "not_indexed", "not indexed in time; raise the timeout, or check what keeps Dify's worker busy"
    #: Dify has indexed it, but search does not return it.
    LAGGING = "lagging", _LOST_KEYWORDS
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable", "Dify found no text; leave such content out, or send a version with text", FINAL
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "the run ended first; run it again, it sends nothing twice", UNTOUCHED


@dataclass(frozen=True)
class Ingested:
    """The outcome of one input.

    :param name: Name of the document.
    :param source: Where it came from: a path, a URL, or ``text``.
    :param outcome: The outcome.
    :param document_id: Id of its document, if it has one.
    :param batch: The batch of its indexing, if something was sent and Dify's response arrived.
    :param old_document_ids: Documents that it stands for and that still exist: other versions, or a disabled document
        with the same name.
    :param error: Why it is not in the expected state.
    """

    name: str
    source: str
    outcome: IngestOutcome
    document_id: str | None = None
    batch: str | None = None
    old_document_ids: tuple[str, ...] = ()
    error: str | None = None

    @classmethod
    def from_json(cls, data: JSON) -> Ingested:
        """Return the entry that :meth:`to_json` was called on."""
        entry = Fields(data)
        return cls(
            entry.text("name"),
            entry.text("source"),
            IngestOutcome(entry.text("outcome")),
            entry.maybe_text("document_id"),
            entry.maybe_text("batch"),
            tuple(entry.texts("old_document_ids")),
            entry.maybe_text("error"),
        )

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        return {**asdict(self), "outcome": self.outcome.value, "old_document_ids": list(self.old_document_ids)}


@dataclass(frozen=True)
class IngestReport(EntryReport[IngestOutcome, Ingested]):
    """The outcome of each input, in the order in which they were given.

    :param dataset_id: The knowledge base.
    :param documents: One entry for each input.
    :param repaired: How many documents search had lost and returns again after they were disabled and enabled.
    """

    kind = IngestOutcome
    measured_as = "documents.ingest"
    raises = DifyIngestError, DifyIngestFailed

    dataset_id: str
    documents: tuple[Ingested, ...]
    repaired: int = 0

    @classmethod
    def from_json(cls, data: JSON) -> IngestReport:
        """Return the report that :meth:`to_json` was called on."""
        report = Fields(data)
        entries = tuple(map(Ingested.from_json, report.read("documents", a_list)))
        return cls(report.text("dataset_id"), entries, report.count("repaired"))

    @property
    def old_document_ids(self) -> tuple[str, ...]:
        """The old documents of all inputs with a good outcome, if they still exist."""
        old = (i for entry in self.documents if entry.outcome.good for i in entry.old_document_ids)
        return tuple(dict.fromkeys(old))

    @property
    def files(self) -> tuple[str, ...]:
        """Paths and URLs of the inputs that became documents. Texts have none."""
        return tuple(entry.source for entry in self.documents if entry.document_id and entry.source != "text")

    def with_outcomes(self, changed: Mapping[str, tuple[IngestOutcome, str]]) -> IngestReport:
        """Return the report with other outcomes for some documents.

        :param changed: Outcome and reason, by document id.
        """
        return replace(self, documents=tuple(_changed(entry, changed) for entry in self.documents))

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {
            "dataset_id": self.dataset_id,
            "counts": self.counts,
            "document_ids": list(self.ids()),
            "old_document_ids": list(self.old_document_ids),
            "documents": [entry.to_json() for entry in self.documents],
            "repaired": self.repaired,
        }

    def _entries(self) -> tuple[Ingested, ...]:
        return self.documents

    def _problem(self, count: int) -> str:
        became = if_one(count, "become a document", "become documents")
        return f"{part_of(count, self.total, 'input')} did not {became} of knowledge base {self.dataset_id}."

    def _row(self, item: Ingested, names: Mapping[str, str]) -> Row:
        name, document_id, remark = super()._row(item, names)
        return name, document_id, f"{remark} (from {item.source})" if remark else ""


def _changed(entry: Ingested, changed: Mapping[str, tuple[IngestOutcome, str]]) -> Ingested:
    found = changed.get(entry.document_id or "")
    if not found or not entry.outcome.good:
        return entry
    outcome, error = found
    return replace(entry, outcome=outcome, error=error)
