"""What became of each content that was to be a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum

from airflow_provider_dify.exceptions import DifyIngestError, DifyIngestFailed
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import some_of


class IngestOutcome(str, Enum):
    """How an input ended."""

    #: A document was created; where indexing is waited for, it is indexed.
    CREATED = "created"
    #: The content of a document was replaced; where indexing is waited for, the new one is indexed.
    UPDATED = "updated"
    #: A document of this name, and with ``update`` of this content, was there already; nothing was sent for it.
    SKIPPED = "skipped"
    #: A document of the same name stands in the way.
    REFUSED = "refused"
    #: It cannot become a document: empty, too large, of a type or a name that Dify does not take.
    INVALID = "invalid"
    #: It is not there, or could not be read: its storage failed, or it was being changed.
    UNREADABLE = "unreadable"
    #: Dify has it, and its indexing failed, was paused, or the document is gone again.
    FAILED = "failed"
    #: Dify has it, and its indexing had not completed by the deadline, or stood still for too long.
    NOT_INDEXED = "not_indexed"
    #: Dify has indexed it, and search does not return it.
    LAGGING = "lagging"
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable"
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted"

    @property
    def good(self) -> bool:
        """Whether there is a document with this content, as was asked for."""
        return self in (IngestOutcome.CREATED, IngestOutcome.UPDATED, IngestOutcome.SKIPPED)


#: What to do about inputs that ended so.
_ADVICE = {
    IngestOutcome.REFUSED: "a document with the same name is in the way; the report says which, and what to do",
    IngestOutcome.INVALID: "they cannot become documents; the report says why",
    IngestOutcome.UNREADABLE: "they are missing or cannot be read; the report says why, and a retry checks again",
    IngestOutcome.FAILED: "Dify could not index them; its message is in the report",
    IngestOutcome.NOT_INDEXED: "not indexed in time; raise the timeout, or check what keeps Dify's worker busy",
    IngestOutcome.LAGGING: "indexed, but search does not return them. Dify 1.16.0 loses keywords if its worker runs "
    "several jobs at once: set CELERY_WORKER_AMOUNT=1, or use a fixed version",
    IngestOutcome.NOT_SEARCHABLE: "Dify found no text in them: leave them out, or send a version with text",
    IngestOutcome.NOT_ATTEMPTED: "the run ended before their turn; run it again, it sends nothing twice",
}
_FINAL = frozenset({IngestOutcome.REFUSED, IngestOutcome.INVALID, IngestOutcome.NOT_SEARCHABLE})


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
class IngestReport:
    """What became of each input, in the order in which they were given.

    :param dataset_id: The knowledge base.
    :param documents: One entry for each input.
    :param repaired: How many documents search had lost, and returns again after they were taken out and brought back.
    """

    dataset_id: str
    documents: tuple[Ingested, ...]
    repaired: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> IngestReport:
        """Return the report that :meth:`to_json` was made of."""
        entries = tuple(Ingested.from_json(entry) for entry in data["documents"])
        return cls(data["dataset_id"], entries, int(data.get("repaired", 0)))

    @property
    def counts(self) -> dict[str, int]:
        """How many inputs ended how; every outcome is there."""
        found = Counter(entry.outcome for entry in self.documents)
        return {outcome.value: found[outcome] for outcome in IngestOutcome}

    def ids(self, *outcomes: IngestOutcome) -> tuple[str, ...]:
        """Return the documents of inputs that ended so; without outcomes, of those that ended well."""
        wanted = outcomes or tuple(outcome for outcome in IngestOutcome if outcome.good)
        return tuple(entry.document_id for entry in self.documents if entry.outcome in wanted and entry.document_id)

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

    def raise_for_outcomes(self, tolerate: Collection[IngestOutcome] = ()) -> None:
        """Raise where an input ended in an outcome that is not tolerated.

        :raises DifyIngestFailed: Only inputs that no retry can mend stand in the way.
        :raises DifyIngestError: Others are among them.
        """
        bad = [e for e in self.documents if not e.outcome.good and e.outcome not in tolerate]
        if bad:
            final = {entry.outcome for entry in bad} <= _FINAL
            raise (DifyIngestFailed if final else DifyIngestError)(self._describe(bad), self)

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

    def attention(self, limit: int = 20) -> list[str]:
        """Return a line for each input that needs a look, at most so many of a kind."""
        lines = []
        for outcome in (outcome for outcome in IngestOutcome if not outcome.good):
            entries = [entry for entry in self.documents if entry.outcome is outcome]
            if entries:
                lines.append(f"{outcome.value}: {len(entries)} ({_ADVICE[outcome]})")
            lines += [f"  {entry.source} ('{entry.name}'): {entry.error or outcome.value}" for entry in entries[:limit]]
            if len(entries) > limit:
                lines.append(f"  and {len(entries) - limit} more")
        return lines

    def _describe(self, bad: list[Ingested]) -> str:
        by_outcome = {outcome: [entry for entry in bad if entry.outcome is outcome] for outcome in IngestOutcome}
        parts = [
            f"{len(entries)} {outcome.value} ({_named(entries)}): {_ADVICE[outcome]}"
            for outcome, entries in by_outcome.items()
            if entries
        ]
        first = next((f" '{entry.name}': {entry.error}" for entry in bad if entry.error), "")
        return (
            f"{len(bad)} of {len(self.documents)} inputs did not become documents of knowledge base "
            f"{self.dataset_id}. {'. '.join(parts)}.{first}"
        )


def _changed(entry: Ingested, changed: Mapping[str, tuple[IngestOutcome, str]]) -> Ingested:
    found = changed.get(entry.document_id or "")
    if not found or not entry.outcome.good:
        return entry
    outcome, error = found
    return replace(entry, outcome=outcome, error=error)


def _named(entries: Iterable[Ingested]) -> str:
    return some_of(tuple(f"'{entry.name}'" for entry in entries))
