"""What became of each document whose metadata was to be changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from airflow_provider_dify.exceptions import DifyMetadataError, DifyMetadataFailed
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import by_name, lines_of, some_of


class MetadataOutcome(str, Enum):
    """How the metadata of a document ended."""

    #: It had other values, Dify took the new ones, and read back they are there.
    CHANGED = "changed"
    #: It had the values already; nothing was sent for it.
    UNCHANGED = "unchanged"
    #: It is not in this knowledge base.
    MISSING = "missing"
    #: Dify refused its values, or took them and does not show them.
    FAILED = "failed"
    #: Nothing was sent for it, because the run ended before its turn.
    NOT_ATTEMPTED = "not_attempted"

    @property
    def good(self) -> bool:
        """Whether the document has the values that were asked for."""
        return self in (MetadataOutcome.CHANGED, MetadataOutcome.UNCHANGED)


#: What to do about documents that ended so.
_ADVICE = {
    MetadataOutcome.MISSING: "not in this knowledge base; check the ids and the dataset_id, or tolerate 'missing'",
    MetadataOutcome.FAILED: "the values are missing; the errors in the report say why",
    MetadataOutcome.NOT_ATTEMPTED: "not changed, because the run ended first",
}


@dataclass(frozen=True)
class MetadataReport:
    """What became of the metadata of each document.

    Every id that was asked for is in exactly one list, in the order it was asked for, spelled as Dify spells it.

    :param dataset_id: The knowledge base.
    :param created_fields: Names of the metadata fields that were created for it.
    :param errors: What there is to say of single documents, by id; where the change went on to its end, why each one
        that is missing, failed or not attempted is so.
    """

    dataset_id: str
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    created_fields: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        dataset_id: str,
        outcomes: Mapping[str, MetadataOutcome],
        errors: Mapping[str, str],
        created_fields: Collection[str] = (),
    ) -> MetadataReport:
        """Make a report from the outcome of each document, in the order of the mapping."""
        return cls(
            dataset_id, errors=dict(errors), created_fields=tuple(created_fields), **by_name(outcomes, MetadataOutcome)
        )

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> MetadataReport:
        """Return the report that :meth:`to_json` was made of."""
        lists = {name: tuple(data[name]) for name in [*(o.value for o in MetadataOutcome), "created_fields"]}
        return cls(dataset_id=data["dataset_id"], errors=dict(data["errors"]), **lists)

    def ids(self, outcome: MetadataOutcome) -> tuple[str, ...]:
        """Return the documents that ended so."""
        ids: tuple[str, ...] = getattr(self, outcome.value)
        return ids

    @property
    def counts(self) -> dict[str, int]:
        """How many documents ended how; every outcome is there."""
        return {outcome.value: len(self.ids(outcome)) for outcome in MetadataOutcome}

    @property
    def total(self) -> int:
        """How many documents were asked for."""
        return sum(self.counts.values())

    def failing(self, tolerate: Collection[MetadataOutcome] = ()) -> dict[MetadataOutcome, tuple[str, ...]]:
        """Return the documents that do not have the values, but for tolerated outcomes."""
        bad = (outcome for outcome in MetadataOutcome if not outcome.good and outcome not in tolerate)
        return {outcome: self.ids(outcome) for outcome in bad if self.ids(outcome)}

    def raise_for_outcomes(self, tolerate: Collection[MetadataOutcome] = ()) -> None:
        """Raise where a document ended in an outcome that is not tolerated.

        :raises DifyMetadataFailed: Only missing documents stand in the way: no retry can help.
        :raises DifyMetadataError: Other outcomes are among them.
        """
        failing = self.failing(tolerate)
        if failing:
            final = failing.keys() == {MetadataOutcome.MISSING}
            raise (DifyMetadataFailed if final else DifyMetadataError)(self._describe(failing), self)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {
            "dataset_id": self.dataset_id,
            "counts": self.counts,
            **{outcome.value: list(self.ids(outcome)) for outcome in MetadataOutcome},
            "created_fields": list(self.created_fields),
            "errors": dict(self.errors),
        }

    def attention(self, tolerate: Collection[MetadataOutcome] = ()) -> list[str]:
        """Return a line for each document that needs a look, some of a kind; none of a tolerated outcome."""
        lines = []
        for outcome, ids in self.failing(tolerate).items():
            lines += [f"{outcome.value}: {len(ids)} ({_ADVICE[outcome]})", *lines_of(ids, {}, self.errors)]
        return lines

    def _describe(self, failing: Mapping[MetadataOutcome, tuple[str, ...]]) -> str:
        count = sum(len(ids) for ids in failing.values())
        parts = [f"{len(ids)} {outcome.value} ({some_of(ids)}): {_ADVICE[outcome]}" for outcome, ids in failing.items()]
        return (
            f"The metadata of {count} of {self.total} documents of knowledge base {self.dataset_id} is not as "
            f"requested. {'. '.join(parts)}."
        )
