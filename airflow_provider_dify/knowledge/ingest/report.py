"""What became of each content that was to be a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from airflow_provider_dify.exceptions import DifyIngestError, DifyIngestFailed
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import FINAL, EntryReport, ReportOutcome
from airflow_provider_dify.knowledge.text.tables import Row

_LOST_KEYWORDS = (
    "indexed, but search does not return them. Dify 1.16.0 loses keywords if its worker runs several jobs at once: "
    "set CELERY_WORKER_AMOUNT=1, or use a fixed version"
)


class IngestOutcome(ReportOutcome):
    """How an input ended."""

    #: A document was created; where indexing is waited for, it is indexed.
    CREATED = "created"
    #: The content of a document was replaced; where indexing is waited for, the new one is indexed.
    UPDATED = "updated"
    #: A document of this name, and with ``update`` of this content, was there already; nothing was sent for it.
    SKIPPED = "skipped"
    #: A document of the same name stands in the way.
    REFUSED = "refused", "a document with the same name is in the way; the report says which, and what to do", FINAL
    #: It cannot become a document: empty, too large, of a type or a name that Dify does not take.
    INVALID = "invalid", "they cannot become documents; the report says why", FINAL
    #: It is not there, or could not be read: its storage failed, or it was being changed.
    UNREADABLE = "unreadable", "they are missing or cannot be read; the report says why, and a retry checks again"
    #: Dify has it, and its indexing failed, was paused, or the document is gone again.
    FAILED = "failed", "Dify could not index them; its message is in the report"
    #: Dify has it, and its indexing had not completed by the deadline, or stood still for too long.
    NOT_INDEXED = "not_indexed", "not indexed in time; raise the timeout, or check what keeps Dify's worker busy"
    #: Dify has indexed it, and search does not return it.
    LAGGING = "lagging", _LOST_KEYWORDS
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable", "Dify found no text in them: leave them out, or send a version with text", FINAL
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "the run ended before their turn; run it again, it sends nothing twice"


@dataclass(frozen=True)
class Ingested:
    """What became of one input.

    :param name: Name of the document.
    :param source: Where it came from: a path, an URL, or ``text``.
    :param outcome: How it ended.
    :param document_id: Id of its document, where there is one.
    :param batch: The batch of its indexing, where something was sent and Dify's answer was seen.
    :param old_document_ids: Documents that it stands for and that are still there: other versions, or a namesake
        that is switched off.
    :param error: Why it is not as it should be.
    """

    name: str
    source: str
    outcome: IngestOutcome
    document_id: str | None = None
    batch: str | None = None
    old_document_ids: tuple[str, ...] = ()
    error: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Ingested:
        """Return what :meth:`to_json` was made of."""
        old = tuple(data["old_document_ids"])
        return cls(**{**data, "outcome": IngestOutcome(data["outcome"]), "old_document_ids": old})

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        return {**asdict(self), "outcome": self.outcome.value, "old_document_ids": list(self.old_document_ids)}


@dataclass(frozen=True)
class IngestReport(EntryReport[IngestOutcome, Ingested]):
    """What became of each input, in the order in which they were given.

    :param dataset_id: The knowledge base.
    :param documents: One entry for each input.
    :param repaired: How many documents search had lost, and returns again after they were taken out and brought back.
    """

    kind = IngestOutcome
    measured_as = "documents.ingest"
    raises = DifyIngestError, DifyIngestFailed

    dataset_id: str
    documents: tuple[Ingested, ...]
    repaired: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> IngestReport:
        """Return the report that :meth:`to_json` was made of."""
        entries = tuple(Ingested.from_json(entry) for entry in data["documents"])
        return cls(data["dataset_id"], entries, int(data.get("repaired", 0)))

    @property
    def old_document_ids(self) -> tuple[str, ...]:
        """The documents that those that ended well stand for, and that are still there."""
        old = (i for entry in self.documents if entry.outcome.good for i in entry.old_document_ids)
        return tuple(dict.fromkeys(old))

    @property
    def files(self) -> tuple[str, ...]:
        """Paths and URLs of the inputs that Dify has a document of; texts have none."""
        return tuple(entry.source for entry in self.documents if entry.document_id and entry.source != "text")

    def with_outcomes(self, changed: Mapping[str, tuple[IngestOutcome, str]]) -> IngestReport:
        """Return it with other ends for some documents.

        :param changed: The outcome and the reason, by id of the document.
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
        return f"{count} of {self.total} inputs did not become documents of knowledge base {self.dataset_id}."

    def _row(self, item: Ingested, names: Mapping[str, str]) -> Row:
        name, document_id, remark = super()._row(item, names)
        return name, document_id, f"{remark} (from {item.source})" if remark else ""


def _changed(entry: Ingested, changed: Mapping[str, tuple[IngestOutcome, str]]) -> Ingested:
    found = changed.get(entry.document_id or "")
    if not found or not entry.outcome.good:
        return entry
    outcome, error = found
    return replace(entry, outcome=outcome, error=error)
