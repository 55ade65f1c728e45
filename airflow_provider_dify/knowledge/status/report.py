"""What became of each document that was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyDocumentStatusFailed
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import by_name, lines_of, some_of
from airflow_provider_dify.knowledge.status.chunks import chunks_to_json


class Outcome(str, Enum):
    """How a document ended."""

    #: It was not in the wanted state, Dify took the change, and it is.
    CHANGED = "changed"
    #: It was already there; nothing was sent for it.
    UNCHANGED = "unchanged"
    #: It is not in this knowledge base.
    MISSING = "missing"
    #: The change would do harm, or cannot bring what was asked.
    REFUSED = "refused"
    #: Its indexing failed, is paused, or had not completed by the deadline.
    NOT_READY = "not_ready"
    #: Dify still held its lock at the deadline.
    BUSY = "busy"
    #: Dify took the change, and its worker undid it or marked the document as failed.
    REVERTED = "reverted"
    #: The flags are as asked, but search had not followed by the deadline.
    LAGGING = "lagging"
    #: Dify found no text in it, so search can never return it.
    NOT_SEARCHABLE = "not_searchable"
    #: It would have been changed, but the run ended before its turn.
    NOT_ATTEMPTED = "not_attempted"

    @property
    def good(self) -> bool:
        """Whether the document is in the state that was asked for."""
        return self in (Outcome.CHANGED, Outcome.UNCHANGED)


#: What to do about documents that ended so.
ADVICE = {
    Outcome.MISSING: "not in this knowledge base; check the ids and the dataset_id, or tolerate 'missing'",
    Outcome.REFUSED: "archived: un_archive them first",
    Outcome.NOT_READY: "their indexing failed, is paused, or takes longer; check them in Dify",
    Outcome.BUSY: "Dify holds their lock, for at most 600 s after its job; raise the timeout or retry later",
    Outcome.REVERTED: "Dify's worker or somebody else undid the change; the errors in the report say more",
    Outcome.LAGGING: "search does not reflect it: Dify's worker is down, is slow, or lost the job or the keywords. "
    "Dify 1.16.0 loses keywords if its worker runs several jobs at once: set CELERY_WORKER_AMOUNT=1, "
    "or use a fixed version",
    Outcome.NOT_SEARCHABLE: "Dify found no text in them; send the content again, or leave them out",
    Outcome.NOT_ATTEMPTED: "not changed, because the run ended first",
}
#: What a retry cannot fix.
_FINAL = frozenset({Outcome.MISSING, Outcome.REFUSED, Outcome.NOT_SEARCHABLE})


@dataclass(frozen=True)
class StatusReport:
    """What became of each document of a change of status.

    Every id that was asked for is in exactly one list, in the order it was asked for, spelled as Dify spells it.
    ``changed`` is the rollback list: give it to the opposite action.

    :param dataset_id: The knowledge base.
    :param action: What was asked for.
    :param errors: What Dify or the check said of single documents, by id.
    :param dry_run: Whether nothing was to be changed: what would have been is ``not_attempted``, which is no failure.
    :param disabled_chunks: Ids of the chunks that were disabled in documents before they were taken out of search, by
        the id of their document, if they were noted: a rollback disables them again.
    :param repaired: How many documents search had lost, and returns again after they were taken out and brought back.
    """

    dataset_id: str
    action: str
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    not_ready: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    reverted: tuple[str, ...] = ()
    lagging: tuple[str, ...] = ()
    not_searchable: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    repaired: int = 0
    disabled_chunks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        dataset_id: str,
        action: str,
        outcomes: Mapping[str, Outcome],
        errors: Mapping[str, str],
        *,
        dry_run: bool = False,
        repaired: int = 0,
        disabled_chunks: Mapping[str, tuple[str, ...]] | None = None,
    ) -> StatusReport:
        """Make a report from the outcome of each document, in the order of the mapping."""
        return cls(
            dataset_id=dataset_id,
            action=action,
            errors=dict(errors),
            dry_run=dry_run,
            repaired=repaired,
            disabled_chunks=dict(disabled_chunks or {}),
            **by_name(outcomes, Outcome),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> StatusReport:
        """Return the report that :meth:`to_json` was made of."""
        lists = {outcome.value: tuple(data.get(outcome.value, ())) for outcome in Outcome}
        return cls(
            dataset_id=data["dataset_id"],
            action=data["action"],
            errors=dict(data["errors"]),
            dry_run=bool(data.get("dry_run")),
            repaired=int(data.get("repaired", 0)),
            disabled_chunks={i: tuple(ids) for i, ids in data.get("disabled_chunks", {}).items()},
            **lists,
        )

    def outcomes(self) -> dict[str, Outcome]:
        """Return how each document ended, by id."""
        return {document_id: outcome for outcome in Outcome for document_id in self.ids(outcome)}

    def continued_by(self, later: StatusReport, order: Iterable[str]) -> StatusReport:
        """Return the whole report where some of the documents went on elsewhere.

        :param later: What became of those.
        :param order: All documents, in the order they were asked for.
        """
        later_outcomes = later.outcomes()
        outcomes = {**self.outcomes(), **later_outcomes}
        kept = {i: text for i, text in self.errors.items() if i not in later_outcomes}
        return self.build(
            self.dataset_id,
            self.action,
            {i: outcomes[i] for i in order},
            {**kept, **later.errors},
            repaired=self.repaired + later.repaired,
            disabled_chunks={**self.disabled_chunks, **later.disabled_chunks},
        )

    def ids(self, outcome: Outcome) -> tuple[str, ...]:
        """Return the documents that ended so."""
        ids: tuple[str, ...] = getattr(self, outcome.value)
        return ids

    @property
    def counts(self) -> dict[str, int]:
        """How many documents ended how; every outcome is there."""
        return {outcome.value: len(self.ids(outcome)) for outcome in Outcome}

    @property
    def total(self) -> int:
        """How many documents were asked for."""
        return sum(self.counts.values())

    def failing(self, tolerate: Collection[Outcome] = ()) -> dict[Outcome, tuple[str, ...]]:
        """Return the documents that are not where they should be, but for tolerated outcomes."""
        fine = {*tolerate, *([Outcome.NOT_ATTEMPTED] if self.dry_run else [])}
        bad = (outcome for outcome in Outcome if not outcome.good and outcome not in fine)
        return {outcome: self.ids(outcome) for outcome in bad if self.ids(outcome)}

    def raise_for_outcomes(self, tolerate: Collection[Outcome] = ()) -> None:
        """Raise where a document ended in an outcome that is not tolerated.

        :raises DifyDocumentStatusFailed: A retry cannot help: all that stands in the way is missing, refused or not
            searchable.
        :raises DifyDocumentStatusError: Other outcomes are among them.
        """
        failing = self.failing(tolerate)
        if not failing:
            return
        final = bool(_FINAL & failing.keys()) and failing.keys() <= _FINAL | {Outcome.NOT_ATTEMPTED}
        error = DifyDocumentStatusFailed if final else DifyDocumentStatusError
        raise error(self._describe(failing), self)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        lists = {name: list(value) for name, value in plain.items() if isinstance(value, tuple)}
        return {
            "dataset_id": self.dataset_id,
            "action": self.action,
            "counts": self.counts,
            **lists,
            "errors": dict(self.errors),
            "repaired": self.repaired,
            **chunks_to_json(self.disabled_chunks),
            **({"dry_run": True} if self.dry_run else {}),
        }

    def _describe(self, failing: Mapping[Outcome, tuple[str, ...]]) -> str:
        count = sum(len(ids) for ids in failing.values())
        parts = [f"{len(ids)} {outcome.value} ({some_of(ids)}): {ADVICE[outcome]}" for outcome, ids in failing.items()]
        return (
            f"{self.action}: {count} of {self.total} documents of knowledge base {self.dataset_id} are not in the "
            f"requested state. {'. '.join(parts)}."
        )


def needing_attention(report: StatusReport, names: Mapping[str, str], limit: int = 20) -> dict[str, str]:
    """Return the names that :func:`attention` shows, and no others."""
    ids = [document_id for ids in report.failing().values() for document_id in ids[:limit]]
    return {document_id: names[document_id] for document_id in ids if document_id in names}


def attention(
    report: StatusReport, names: Mapping[str, str], tolerate: Collection[Outcome] = (), limit: int = 20
) -> list[str]:
    """Return a line for each document that needs a look, at most so many of a kind; none of a tolerated outcome."""
    lines = []
    for outcome, ids in report.failing(tolerate).items():
        lines.append(f"{outcome.value}: {len(ids)} ({ADVICE[outcome]})")
        lines += lines_of(ids, names, report.errors, limit)
    for outcome in (outcome for outcome in Outcome if outcome.good):
        if doubtful := tuple(document_id for document_id in report.ids(outcome) if document_id in report.errors):
            lines.append(f"{outcome.value}, but not for certain: {some_of(doubtful)}: {report.errors[doubtful[0]]}")
    return lines
