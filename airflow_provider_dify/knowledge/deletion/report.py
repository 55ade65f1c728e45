"""What became of each document that was to be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyDocumentDeleteError
from airflow_provider_dify.knowledge.report import DocumentReport, ReportOutcome


class DeleteOutcome(ReportOutcome):
    """How a document ended."""

    #: It was there, Dify deleted it, and read back, it is gone.
    DELETED = "deleted"
    #: It was not in this knowledge base, or somebody else deleted it first.
    MISSING = "missing"
    #: It is archived, and Dify still held its lock at the deadline: it could not be un-archived, which has to be first.
    BUSY = "busy", "archived, and Dify holds their lock for at most 600 s; raise the timeout or retry later"
    #: Dify does not delete it.
    FAILED = "failed", "Dify did not delete them; the errors in the report say why"
    #: The run ended before its turn; in a dry run, it would be deleted.
    NOT_ATTEMPTED = "not_attempted", "not deleted, because the run ended first"


@dataclass(frozen=True)
class DeleteReport(DocumentReport[DeleteOutcome]):
    """What became of each document of a deletion.

    Every id that was asked for is in exactly one list, in the order it was asked for, spelled as Dify spells it.

    :param dataset_id: The knowledge base.
    :param errors: What there is to say of single documents, by id.
    :param dry_run: Whether nothing was to be deleted: what would have been is ``not_attempted``, which is no failure.
    """

    kind = DeleteOutcome
    measured_as = "documents.delete"
    raises = DifyDocumentDeleteError, DifyDocumentDeleteError

    dataset_id: str
    deleted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False

    def _problem(self, count: int) -> str:
        return f"{count} of {self.total} documents of knowledge base {self.dataset_id} were not deleted."
