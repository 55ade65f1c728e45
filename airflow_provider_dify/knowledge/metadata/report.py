"""The outcome of each document in a metadata change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyMetadataError, DifyMetadataFailed
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import part_of


class MetadataOutcome(ReportOutcome):
    """The outcome of a document."""

    #: It had other values, Dify accepted the new ones, and a final read confirmed them.
    CHANGED = "changed"
    #: It already had the values; nothing was sent for it.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: It is not in this knowledge base.
    MISSING = (
        "missing",
        "not in this knowledge base; check the ids and the dataset_id, or tolerate 'missing'",
        FINAL,
        UNTOUCHED,
    )
    #: Dify rejected its values, or accepted them but does not show them.
    FAILED = "failed", "values missing; the errors in the report say why"
    #: Nothing was sent for it, because the run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "not changed, because the run ended first", UNTOUCHED


@dataclass(frozen=True)
class MetadataReport(DocumentReport[MetadataOutcome]):
    """The outcome of each document in a metadata change.

    Each requested id is in exactly one list, in the order requested, as Dify writes it.

    :param dataset_id: The knowledge base.
    :param created_fields: Names of the metadata fields that were created for it.
    :param errors: Messages about single documents, by id. If the change ran to its end, they say why each document is
        missing, failed or not attempted.
    """

    kind = MetadataOutcome
    measured_as = "documents.metadata"
    raises = DifyMetadataError, DifyMetadataFailed

    dataset_id: str
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    created_fields: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    def _problem(self, count: int) -> str:
        return f"The metadata of {part_of(count, self.total)} of knowledge base {self.dataset_id} is not as requested."
