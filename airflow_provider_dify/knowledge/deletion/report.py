"""The outcome of each document in a deletion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyDocumentDeleteError
from airflow_provider_dify.knowledge.report import UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of


class DeleteOutcome(ReportOutcome):
    """The outcome of a document."""

    #: It existed, Dify deleted it, and a final read confirmed it.
    DELETED = "deleted"
    #: It was not in this knowledge base, or somebody else deleted it first.
    MISSING = "missing", "", UNTOUCHED
    #: It is archived, and Dify still held its lock at the deadline, so it could not be un-archived first.
    BUSY = "busy", "archived, and Dify holds a lock for at most 600 s; raise the timeout or retry later"
    #: Dify does not delete it.
    FAILED = "failed", "not deleted by Dify; the errors in the report say why"
    #: The run ended before its turn. In a dry run, it would be deleted.
    NOT_ATTEMPTED = "not_attempted", "not deleted, because the run ended first", UNTOUCHED


@dataclass(frozen=True)
class DeleteReport(DocumentReport[DeleteOutcome]):
    """The outcome of each document in a deletion.

    Each requested id is in exactly one list, in the order requested, as Dify writes it.

    :param dataset_id: The knowledge base.
    :param errors: Messages about single documents, by id.
    :param dry_run: Whether nothing should be deleted: what would have been is ``not_attempted``, which is not a
        failure.
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
        was = if_one(count, "was", "were")
        return f"{part_of(count, self.total)} of knowledge base {self.dataset_id} {was} not deleted."
