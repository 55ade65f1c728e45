"""What became of each file and each document of a sync."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from airflow_provider_dify.exceptions import DifySyncError, DifySyncFailed
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import some_of
from airflow_provider_dify.knowledge.sync.plan import Move


class SyncOutcome(str, Enum):
    """How a file, or a document whose file is gone, ended."""

    #: A document was made of it, and is indexed.
    CREATED = "created"
    #: The content of its document was replaced, and is indexed.
    UPDATED = "updated"
    #: Its document has its new name, and is indexed.
    RENAMED = "renamed"
    #: Its document was archived or switched off; it is back, and search finds it.
    RESTORED = "restored"
    #: Its file is gone; it is archived, disabled or deleted, as was asked for, and search no longer finds it.
    RETIRED = "retired"
    #: It is there as it should be; nothing was sent for it.
    KEPT = "kept"
    #: Its file is gone, and it stays as it is.
    LEFT = "left"
    #: A document that the sync did not make stands in the way.
    REFUSED = "refused"
    #: The file cannot become a document: empty, too large, or of a type that Dify does not take. What was made of it
    #: before stays as it is.
    INVALID = "invalid"
    #: The file cannot be read, which may pass. What was made of it before stays as it is.
    UNREADABLE = "unreadable"
    #: It is not as it should be, and the error says why.
    FAILED = "failed"
    #: Dify has it, and its indexing had not completed by the deadline, or stood still for too long.
    NOT_INDEXED = "not_indexed"
    #: Dify has indexed it, and search does not return it.
    LAGGING = "lagging"
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable"
    #: The run ended before its turn; in a dry run, it would be done.
    NOT_ATTEMPTED = "not_attempted"

    @property
    def good(self) -> bool:
        """Whether it is as was asked for."""
        return self in _GOOD


_GOOD = frozenset(
    {
        SyncOutcome.CREATED,
        SyncOutcome.UPDATED,
        SyncOutcome.RENAMED,
        SyncOutcome.RESTORED,
        SyncOutcome.RETIRED,
        SyncOutcome.KEPT,
        SyncOutcome.LEFT,
    }
)
_CHANGED = tuple(outcome for outcome in SyncOutcome if outcome in _GOOD - {SyncOutcome.KEPT, SyncOutcome.LEFT})
#: How it ends where all goes well.
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
#: What to do about files and documents that ended so.
_ADVICE = {
    SyncOutcome.REFUSED: "a document that the sync did not make is in the way; the report says which, and what to do",
    SyncOutcome.INVALID: "they cannot become documents; their earlier documents stay; the report says why",
    SyncOutcome.UNREADABLE: "they cannot be read; their earlier documents stay; check the permissions",
    SyncOutcome.FAILED: "not as they should be; the report says why; run it again, or check what is wrong in Dify",
    SyncOutcome.NOT_INDEXED: "not indexed in time; raise the timeout, or check what keeps Dify's worker busy",
    SyncOutcome.LAGGING: "indexed, but search does not return them. Dify 1.16.0 loses keywords if its worker runs "
    "several jobs at once: set CELERY_WORKER_AMOUNT=1, or use a fixed version",
    SyncOutcome.NOT_SEARCHABLE: "Dify found no text in them: exclude them, or give them text",
    SyncOutcome.NOT_ATTEMPTED: "the run ended before their turn; run it again, it continues from there",
}
_FINAL = frozenset({SyncOutcome.REFUSED, SyncOutcome.INVALID, SyncOutcome.NOT_SEARCHABLE})


@dataclass
class SyncEntry:
    """What became of one file, or of one document whose file is gone.

    :param move: What was to be done.
    :param name: Name that the document has, or was to get.
    :param outcome: How it ended.
    :param document_id: Id of the document, where there is one.
    :param old_name: The name that it had before, where it was to be renamed.
    :param error: Why it is not as it should be.
    """

    move: Move
    name: str
    outcome: SyncOutcome = SyncOutcome.NOT_ATTEMPTED
    document_id: str | None = None
    old_name: str | None = None
    error: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, JSON], outcome: str) -> SyncEntry:
        """Return what :meth:`to_json` was made of, under its outcome."""
        found = SyncOutcome(outcome)
        move = Move(data["move"]) if "move" in data else _MOVES[found]
        return cls(move, data["name"], found, data["id"], data.get("old_name"), data.get("error"))

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON; there may be many, so what is known otherwise is left out."""
        move = {} if DONE[self.move] is self.outcome else {"move": self.move.value}
        more = {"old_name": self.old_name, "error": self.error}
        told = {name: value for name, value in more.items() if value}
        return {"name": self.name, "id": self.document_id, **move, **told}


_MOVES = {outcome: move for move, outcome in DONE.items()}


@dataclass(frozen=True)
class SyncReport:
    """What became of each file of a source, and of each document in use that an earlier sync made of it.

    :param dataset_id: The knowledge base.
    :param sync_source: The name of the sync, which its documents bear.
    :param entries: One for each file, then one for each document whose file is gone.
    :param dry_run: Whether nothing was to be changed: what would have been is ``not_attempted``, which is no failure.
    :param repaired: How many documents search had lost, and returns again after they were taken out and brought back.
    """

    dataset_id: str
    sync_source: str
    entries: tuple[SyncEntry, ...]
    dry_run: bool = False
    repaired: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> SyncReport:
        """Return a report that :meth:`to_json` was made of; its entries are in the order of their outcomes."""
        found = (SyncEntry.from_json(one, outcome.value) for outcome in SyncOutcome for one in data[outcome.value])
        dry_run, repaired = bool(data.get("dry_run")), int(data.get("repaired", 0))
        return cls(data["dataset_id"], data["sync_source"], tuple(found), dry_run, repaired)

    def of(self, outcome: SyncOutcome) -> tuple[SyncEntry, ...]:
        """Return the entries that ended so."""
        return tuple(entry for entry in self.entries if entry.outcome is outcome)

    def ids(self, *outcomes: SyncOutcome) -> tuple[str, ...]:
        """Return the documents of entries that ended so."""
        return tuple(e.document_id for e in self.entries if e.outcome in outcomes and e.document_id)

    @property
    def counts(self) -> dict[str, int]:
        """How many ended how; every outcome is there."""
        found = Counter(entry.outcome for entry in self.entries)
        return {outcome.value: found[outcome] for outcome in SyncOutcome}

    @property
    def changed_ids(self) -> tuple[str, ...]:
        """The documents that are others than before, or are new or gone."""
        return self.ids(*_CHANGED)

    @property
    def changed(self) -> bool:
        """Whether the knowledge base is another one than before."""
        return bool(self.changed_ids)

    def raise_for_outcomes(self, tolerate: Collection[SyncOutcome] = ()) -> None:
        """Raise where something ended in an outcome that is not tolerated.

        :raises DifySyncFailed: Only what no retry can mend stands in the way.
        :raises DifySyncError: Other outcomes are among them.
        """
        bad = self._failing(tolerate)
        if bad:
            final = {entry.outcome for entry in bad} <= _FINAL
            raise (DifySyncFailed if final else DifySyncError)(self._describe(bad), self)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        lists: dict[str, list[JSON]] = {outcome.value: [] for outcome in SyncOutcome}
        for entry in self.entries:
            lists[entry.outcome.value].append(entry.to_json())
        return {
            "dataset_id": self.dataset_id,
            "sync_source": self.sync_source,
            "counts": self.counts,
            "changed": self.changed,
            **lists,
            "repaired": self.repaired,
            **({"dry_run": True} if self.dry_run else {}),
        }

    def attention(self, limit: int = 20) -> list[str]:
        """Return a line for each file or document that needs a look, at most so many of a kind."""
        lines = []
        bad = self._failing(())
        for outcome in (outcome for outcome in SyncOutcome if not outcome.good):
            entries = [entry for entry in bad if entry.outcome is outcome]
            if not entries:
                continue
            lines.append(f"{outcome.value}: {len(entries)} ({_ADVICE[outcome]})")
            lines += [f"  '{entry.name}': {entry.error or f'to {entry.move.value}'}" for entry in entries[:limit]]
            if len(entries) > limit:
                lines.append(f"  and {len(entries) - limit} more")
        return lines

    def _failing(self, tolerate: Collection[SyncOutcome]) -> list[SyncEntry]:
        fine = {*tolerate, *([SyncOutcome.NOT_ATTEMPTED] if self.dry_run else [])}
        return [entry for entry in self.entries if not entry.outcome.good and entry.outcome not in fine]

    def _describe(self, bad: Sequence[SyncEntry]) -> str:
        by_outcome = {outcome: [entry for entry in bad if entry.outcome is outcome] for outcome in SyncOutcome}
        parts = [
            f"{len(entries)} {outcome.value} ({_named(entries)}): {_ADVICE[outcome]}"
            for outcome, entries in by_outcome.items()
            if entries
        ]
        first = next((f" '{entry.name}': {entry.error}" for entry in bad if entry.error), "")
        return (
            f"{len(bad)} of {len(self.entries)} files and documents of sync '{self.sync_source}' are not as they "
            f"should be in knowledge base {self.dataset_id}. {'. '.join(parts)}.{first}"
        )


def _named(entries: Iterable[SyncEntry]) -> str:
    return some_of(tuple(f"'{entry.name}'" for entry in entries))
