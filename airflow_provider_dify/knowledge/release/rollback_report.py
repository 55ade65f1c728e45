"""The outcome of each document in a rollback."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_dify.exceptions import DifyRollbackError, DifyRollbackFailed
from airflow_provider_dify.knowledge.documents import Flags
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.release.manifest import read_fields
from airflow_provider_dify.knowledge.report import UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of

if TYPE_CHECKING:
    from typing_extensions import Self


class RollbackOutcome(ReportOutcome):
    """The outcome of a document."""

    #: It has its previous flags again.
    RESTORED = "restored"
    #: It had them all the time; nothing was sent for it.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: It is not in the knowledge base any more.
    MISSING = "missing", "deleted since, and cannot be restored; to restore the rest, tolerate 'missing'", UNTOUCHED
    #: It does not have them, or search does not reflect them.
    FAILED = "failed", "the errors in the report say why"
    #: It is unchanged, because the run ended before its turn, or to keep documents in search.
    NOT_ATTEMPTED = "not_attempted", "left unchanged", UNTOUCHED


@dataclass(frozen=True)
class RollbackReport(DocumentReport[RollbackOutcome]):
    """The outcome of each document in a rollback. It is a manifest, too: it can be rolled back itself.

    :param dataset_id: The knowledge base.
    :param source: What was rolled back: a release by its name, or an action.
    :param previous: The flags of each document before the rollback.
    :param errors: Messages about single documents, by id.
    :param disabled_chunks: Ids of the chunks that were disabled in documents that the rollback removes from search, by
        document id.
    """

    kind = RollbackOutcome
    measured_as = "documents.rollback"
    raises = DifyRollbackError, DifyRollbackFailed

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
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Return the report that :meth:`to_json` was called on."""
        return cls(**read_fields(cls, data))

    def _problem(self, count: int) -> str:
        return (
            f"Rollback of {self.source}: {part_of(count, self.total)} of knowledge base {self.dataset_id} "
            f"{if_one(count, 'is not as it was', 'are not as they were')}."
        )
