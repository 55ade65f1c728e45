"""What became of each document whose metadata was to be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyMetadataError, DifyMetadataFailed
from airflow_provider_dify.knowledge.report import FINAL, DocumentReport, ReportOutcome


class MetadataOutcome(ReportOutcome):
    """How the metadata of a document ended."""

    #: It had other values, Dify took the new ones, and read back they are there.
    CHANGED = "changed"
    #: It had the values already; nothing was sent for it.
    UNCHANGED = "unchanged"
    #: It is not in this knowledge base.
    MISSING = "missing", "not in this knowledge base; check the ids and the dataset_id, or tolerate 'missing'", FINAL
    #: Dify refused its values, or took them and does not show them.
    FAILED = "failed", "the values are missing; the errors in the report say why"
    #: Nothing was sent for it, because the run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "not changed, because the run ended first"


@dataclass(frozen=True)
class MetadataReport(DocumentReport[MetadataOutcome]):
    """What became of the metadata of each document.

    Every id that was asked for is in exactly one list, in the order it was asked for, spelled as Dify spells it.

    :param dataset_id: The knowledge base.
    :param created_fields: Names of the metadata fields that were created for it.
    :param errors: What there is to say of single documents, by id; where the change went on to its end, why each one
        that is missing, failed or not attempted is so.
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
        return (
            f"The metadata of {count} of {self.total} documents of knowledge base {self.dataset_id} is not as "
            "requested."
        )
