"""What became of each document that was to have its former flags again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifyRollbackError, DifyRollbackFailed
from airflow_provider_dify.knowledge.documents import Flags
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.release.manifest import flags_from, flags_to_json
from airflow_provider_dify.knowledge.report import by_name, some_of
from airflow_provider_dify.knowledge.status.chunks import chunks_from, chunks_to_json


class RollbackOutcome(str, Enum):
    """How a document ended."""

    #: It has the flags again that it had.
    RESTORED = "restored"
    #: It had them all the time; nothing was sent for it.
    UNCHANGED = "unchanged"
    #: It is not in the knowledge base any more.
    MISSING = "missing"
    #: It does not have them, or search does not follow them.
    FAILED = "failed"
    #: It is as it was found, because the run ended before its turn, or to keep what search finds.
    NOT_ATTEMPTED = "not_attempted"

    @property
    def good(self) -> bool:
        """Whether the document is as it was."""
        return self in (RollbackOutcome.RESTORED, RollbackOutcome.UNCHANGED)


_ADVICE = {
    RollbackOutcome.MISSING: "deleted since, and cannot be restored; to restore the others, tolerate 'missing'",
    RollbackOutcome.FAILED: "the errors in the report say why",
    RollbackOutcome.NOT_ATTEMPTED: "left as they were found",
}


@dataclass(frozen=True)
class RollbackReport:
    """What became of each document of a rollback. It is a manifest, too: it can be rolled back itself.

    :param dataset_id: The knowledge base.
    :param source: What was rolled back: a release by its name, or an action.
    :param previous: The flags of each document before the rollback.
    :param errors: What there is to say of single documents, by id.
    :param disabled_chunks: Ids of the chunks that were disabled in documents that the rollback takes out of search, by
        the id of their document.
    """

    dataset_id: str
    source: str
    restored: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    previous: Mapping[str, Flags] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    disabled_chunks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        dataset_id: str,
        source: str,
        outcomes: Mapping[str, RollbackOutcome],
        previous: Mapping[str, Flags],
        errors: Mapping[str, str],
        disabled_chunks: Mapping[str, tuple[str, ...]],
    ) -> RollbackReport:
        """Make a report from the outcome of each document, in the order of the mapping."""
        return cls(
            dataset_id,
            source,
            previous=dict(previous),
            errors=dict(errors),
            disabled_chunks=dict(disabled_chunks),
            **by_name(outcomes, RollbackOutcome),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> RollbackReport:
        """Return the report that :meth:`to_json` was made of."""
        lists = {outcome.value: tuple(data[outcome.value]) for outcome in RollbackOutcome}
        previous = flags_from(data["previous"])
        chunks = chunks_from(data.get("disabled_chunks", {}), "disabled_chunks")
        return cls(
            data["dataset_id"],
            data["source"],
            previous=previous,
            errors=dict(data["errors"]),
            disabled_chunks=chunks,
            **lists,
        )

    def ids(self, outcome: RollbackOutcome) -> tuple[str, ...]:
        """Return the documents that ended so."""
        ids: tuple[str, ...] = getattr(self, outcome.value)
        return ids

    @property
    def counts(self) -> dict[str, int]:
        """How many documents ended how; every outcome is there."""
        return {outcome.value: len(self.ids(outcome)) for outcome in RollbackOutcome}

    def describe(self) -> str:
        """Say how it ended, for the log."""
        return ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count) or "no documents"

    def raise_for_outcomes(self, *, tolerated: Collection[RollbackOutcome] = (), final: bool = False) -> None:
        """Raise where a document is not as it was.

        :param tolerated: Outcomes that are no failure.
        :param final: Whether no retry can mend it.
        :raises DifyRollbackError: One is not.
        """
        bad = (outcome for outcome in RollbackOutcome if not outcome.good and outcome not in tolerated)
        failing = {outcome: self.ids(outcome) for outcome in bad if self.ids(outcome)}
        if not failing:
            return
        errors = [self.errors[i] for ids in failing.values() for i in ids if i in self.errors]
        parts = [f"{len(ids)} {outcome.value} ({some_of(ids)}): {_ADVICE[outcome]}" for outcome, ids in failing.items()]
        count = sum(len(ids) for ids in failing.values())
        kind = DifyRollbackFailed if final else DifyRollbackError
        raise kind(
            f"Rollback of {self.source}: {count} of {sum(self.counts.values())} documents of knowledge base "
            f"{self.dataset_id} are not as they were. "
            f"{'. '.join(parts)}.{f' The first one: {errors[0]}' if errors else ''}",
            self,
        )

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {
            "dataset_id": self.dataset_id,
            "source": self.source,
            "counts": self.counts,
            **{outcome.value: list(self.ids(outcome)) for outcome in RollbackOutcome},
            "previous": flags_to_json(self.previous),
            "errors": dict(self.errors),
            **chunks_to_json(self.disabled_chunks),
        }
