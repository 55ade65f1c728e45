"""The outcome of each file and document of a sync."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifySyncError, DifySyncFailed
from airflow_provider_dify.knowledge.answers import Fields, a_list
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, EntryReport, ReportOutcome
from airflow_provider_dify.knowledge.sync.plan import Move
from airflow_provider_dify.knowledge.text.counts import if_one, part_of
from airflow_provider_dify.knowledge.text.tables import Row

_NOT_OURS = "a document that the sync did not create is in the way; the report says which, and what to do"


class SyncOutcome(ReportOutcome):
    """The outcome of a file, or of a document whose file is gone."""

    #: A document was created for it, and is indexed.
    CREATED = "created"
    #: The content of its document was replaced, and is indexed.
    UPDATED = "updated"
    #: Its document has its new name, and is indexed.
    RENAMED = "renamed"
    #: Its document was archived or disabled; it is back, and search returns it.
    RESTORED = "restored"
    #: Its file is gone; it was archived, disabled or deleted as requested, and search no longer returns it.
    RETIRED = "retired"
    #: It is in the expected state; nothing was sent for it.
    KEPT = "kept", "", UNTOUCHED
    #: Its file is gone, but it stays unchanged.
    LEFT = "left", "", UNTOUCHED
    #: A document that the sync did not create is in the way.
    REFUSED = "refused", _NOT_OURS, FINAL, UNTOUCHED
    #: The file cannot become a document: it is empty or too large, or Dify does not accept its type. Its earlier
    #: document stays unchanged.
    INVALID = (
        "invalid",
        "cannot become a document; any earlier document stays; the report says why",
        FINAL,
        UNTOUCHED,
    )
    #: The file cannot be read, which may be temporary. Its earlier document stays unchanged.
    UNREADABLE = (
        "unreadable",
        "missing or not readable; any earlier document stays; check the path and its permissions",
        UNTOUCHED,
    )
    #: It is not in the expected state; the error says why.
    FAILED = "failed", "not in the expected state; the report says why; run it again, or check what is wrong in Dify"
    #: Dify has it, but its indexing did not finish by the deadline, or made no progress for too long.
    NOT_INDEXED = "not_indexed", IngestOutcome.NOT_INDEXED.advice
    #: Dify has indexed it, but search does not return it.
    LAGGING = "lagging", IngestOutcome.LAGGING.advice
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable", "Dify found no text; add some, or exclude such files", FINAL
    #: The run ended before its turn; in a dry run, it would be done.
    NOT_ATTEMPTED = "not_attempted", "the run ended first; run it again, it continues from there", UNTOUCHED


_UNCHANGED = (SyncOutcome.KEPT, SyncOutcome.LEFT)
#: The outcome of a successful move.
DONE = {
    Move.CREATE: SyncOutcome.CREATED,
    Move.UPDATE: SyncOutcome.UPDATED,
    Move.RENAME: SyncOutcome.RENAMED,
    Move.RESTORE: SyncOutcome.RESTORED,
    Move.RETIRE: SyncOutcome.RETIRED,
    Move.KEEP: SyncOutcome.KEPT,
    Move.LEAVE: SyncOutcome.LEFT,
    Move.REFUSE: SyncOutcome.REFUSED,
    Move.HOLD: SyncOutcome.INVALID,
}


@dataclass
class SyncEntry:
    """The outcome of one file, or of one document whose file is gone.

    :param move: What was planned.
    :param name: Name that the document has or was to get.
    :param outcome: The outcome.
    :param document_id: Id of the document, if there is one.
    :param old_name: Its previous name, if it was to be renamed.
    :param error: Why it is not in the expected state.
    """

    move: Move
    name: str
    outcome: SyncOutcome = SyncOutcome.NOT_ATTEMPTED
    document_id: str | None = None
    old_name: str | None = None
    error: str | None = None

    @classmethod
    def from_json(cls, data: JSON, outcome: SyncOutcome) -> SyncEntry:
        """Return the entry that :meth:`to_json` was called on, with its outcome."""
        entry = Fields(data)
        move = entry.maybe_text("move")
        return cls(
            Move(move) if move else _MOVES[outcome],
            entry.text("name"),
            outcome,
            entry.maybe_text("id"),
            entry.maybe_text("old_name"),
            entry.maybe_text("error"),
        )

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON. There may be many entries, so anything redundant is left out."""
        move = {} if DONE[self.move] is self.outcome else {"move": self.move.value}
        more = {"old_name": self.old_name, "error": self.error}
        told = {name: value for name, value in more.items() if value}
        return {"name": self.name, "id": self.document_id, **move, **told}


_MOVES = {outcome: move for move, outcome in DONE.items()}


@dataclass(frozen=True)
class SyncReport(EntryReport[SyncOutcome, SyncEntry]):
    """The outcome of each file of a source, and of each document in use that an earlier sync created from it.

    :param dataset_id: The knowledge base.
    :param sync_source: The name of the sync, stored in its documents.
    :param entries: One for each file, then one for each document whose file is gone.
    :param dry_run: Whether nothing should be changed: what would have been is ``not_attempted``, which is not a
        failure.
    :param repaired: How many documents search had lost and returns again after they were disabled and enabled.
    """

    kind = SyncOutcome
    measured_as = "documents.sync"
    raises = DifySyncError, DifySyncFailed

    dataset_id: str
    sync_source: str
    entries: tuple[SyncEntry, ...]
    dry_run: bool = False
    repaired: int = 0

    @classmethod
    def from_json(cls, data: JSON) -> SyncReport:
        """Return the report that :meth:`to_json` was called on; its entries are ordered by outcome."""
        report = Fields(data)
        return cls(
            report.text("dataset_id"),
            report.text("sync_source"),
            tuple(SyncEntry.from_json(one, kind) for kind in SyncOutcome for one in report.read(kind.value, a_list)),
            bool(report.get("dry_run")),
            report.count("repaired"),
        )

    @property
    def changed_ids(self) -> tuple[str, ...]:
        """The documents that were created, changed or removed."""
        return self.ids(*(outcome for outcome in SyncOutcome if outcome.good and outcome not in _UNCHANGED))

    @property
    def changed(self) -> bool:
        """Whether the knowledge base was changed."""
        return bool(self.changed_ids)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {
            "dataset_id": self.dataset_id,
            "sync_source": self.sync_source,
            "counts": self.counts,
            "changed": self.changed,
            **{outcome.value: [entry.to_json() for entry in self.of(outcome)] for outcome in SyncOutcome},
            "repaired": self.repaired,
            **({"dry_run": True} if self.dry_run else {}),
        }

    def _entries(self) -> tuple[SyncEntry, ...]:
        return self.entries

    def _problem(self, count: int) -> str:
        return (
            f"{part_of(count, self.total, 'file or document', 'files and documents')} of sync '{self.sync_source}' "
            f"{if_one(count, 'is not as it', 'are not as they')} should be in knowledge base {self.dataset_id}."
        )

    def _row(self, item: SyncEntry, names: Mapping[str, str]) -> Row:
        name, document_id, remark = super()._row(item, names)
        return name, document_id, remark or ("" if item.outcome is DONE[item.move] else f"to {item.move.value}")
