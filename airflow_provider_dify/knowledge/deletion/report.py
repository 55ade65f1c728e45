"""What became of each document that was to be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifyDocumentDeleteError
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import by_name, lines_of, some_of


class DeleteOutcome(str, Enum):
    """How a document ended."""

    #: It was there, Dify deleted it, and read back, it is gone.
    DELETED = "deleted"
    #: It was not in this knowledge base, or somebody else was faster: it is as gone as was asked for.
    MISSING = "missing"
    #: It is archived, and Dify still held its lock at the deadline: it could not be un-archived, which has to be first.
    BUSY = "busy"
    #: Dify does not delete it.
    FAILED = "failed"
    #: The run ended before its turn; in a dry run, it would be deleted.
    NOT_ATTEMPTED = "not_attempted"

    @property
    def good(self) -> bool:
        """Whether the document is gone."""
        return self in (DeleteOutcome.DELETED, DeleteOutcome.MISSING)


#: What to do about documents that ended so.
_ADVICE = {
    DeleteOutcome.BUSY: "archived, and Dify holds their lock for at most 600 s; raise the timeout or retry later",
    DeleteOutcome.FAILED: "Dify did not delete them; the errors in the report say why",
    DeleteOutcome.NOT_ATTEMPTED: "not deleted, because the run ended first",
}


@dataclass(frozen=True)
class DeleteReport:
    """What became of each document of a deletion.

    Every id that was asked for is in exactly one list, in the order it was asked for, spelled as Dify spells it.

    :param dataset_id: The knowledge base.
    :param errors: What there is to say of single documents, by id.
    :param dry_run: Whether nothing was to be deleted: what would have been is ``not_attempted``, which is no failure.
    """

    dataset_id: str
    deleted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    @classmethod
    def build(
        cls,
        dataset_id: str,
        outcomes: Mapping[str, DeleteOutcome],
        errors: Mapping[str, str],
        *,
        dry_run: bool = False,
    ) -> DeleteReport:
        """Make a report from the outcome of each document, in the order of the mapping."""
        return cls(dataset_id=dataset_id, errors=dict(errors), dry_run=dry_run, **by_name(outcomes, DeleteOutcome))

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> DeleteReport:
        """Return the report that :meth:`to_json` was made of."""
        lists = {outcome.value: tuple(data[outcome.value]) for outcome in DeleteOutcome}
        dry_run = bool(data.get("dry_run"))
        return cls(dataset_id=data["dataset_id"], errors=dict(data["errors"]), dry_run=dry_run, **lists)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {
            "dataset_id": self.dataset_id,
            "counts": self.counts,
            **{outcome.value: list(self.ids(outcome)) for outcome in DeleteOutcome},
            "errors": dict(self.errors),
            **({"dry_run": True} if self.dry_run else {}),
        }

    def ids(self, outcome: DeleteOutcome) -> tuple[str, ...]:
        """Return the documents that ended so."""
        ids: tuple[str, ...] = getattr(self, outcome.value)
        return ids

    @property
    def counts(self) -> dict[str, int]:
        """How many documents ended how; every outcome is there."""
        return {outcome.value: len(self.ids(outcome)) for outcome in DeleteOutcome}

    @property
    def total(self) -> int:
        """How many documents were asked for."""
        return sum(self.counts.values())

    def failing(self) -> dict[DeleteOutcome, tuple[str, ...]]:
        """Return the documents that are still there, and were not to be."""
        fine = {DeleteOutcome.NOT_ATTEMPTED} if self.dry_run else set()
        bad = (outcome for outcome in DeleteOutcome if not outcome.good and outcome not in fine)
        return {outcome: self.ids(outcome) for outcome in bad if self.ids(outcome)}

    def raise_for_outcomes(self) -> None:
        """Raise where a document is still there.

        :raises DifyDocumentDeleteError: One is.
        """
        failing = self.failing()
        if not failing:
            return
        count = sum(len(ids) for ids in failing.values())
        parts = [f"{len(ids)} {outcome.value} ({some_of(ids)}): {_ADVICE[outcome]}" for outcome, ids in failing.items()]
        raise DifyDocumentDeleteError(
            f"{count} of {self.total} documents of knowledge base {self.dataset_id} were not deleted. "
            f"{'. '.join(parts)}.",
            self,
        )

    def attention(self, names: Mapping[str, str], limit: int = 20) -> list[str]:
        """Return a line for each document that needs a look, at most so many of a kind.

        :param names: The names of documents, by id, where they are known.
        """
        lines = []
        for outcome, ids in self.failing().items():
            lines.append(f"{outcome.value}: {len(ids)} ({_ADVICE[outcome]})")
            lines += lines_of(ids, names, self.errors, limit)
        return lines
