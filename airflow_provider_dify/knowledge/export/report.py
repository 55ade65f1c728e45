"""What happened to each document of an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyExportError, DifyExportFailed
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of


class ExportOutcome(ReportOutcome):
    """The outcome of a document."""

    #: Its content was downloaded, and reads back from the target as Dify sent it.
    DOWNLOADED = "downloaded"
    #: Its content was put together from its chunks, because Dify has no file of it.
    FROM_CHUNKS = "from_chunks"
    #: The target already had its content, and it is still intact.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: It was deleted in Dify while the export ran, and is not part of it.
    DELETED = "deleted"
    #: Dify has neither a file nor chunks of it.
    NO_CONTENT = "no_content", "Dify has no file and no chunks; the rest of the export is complete", FINAL
    #: Its content was replaced in Dify while the export ran.
    CHANGED = "changed", "replaced in Dify during the export; run it again"
    #: Dify does not return its content, or the target does not keep it.
    FAILED = "failed", "not exported; the errors in the report say why; run it again, it continues from there"
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "the run ended first; run it again, it continues from there", UNTOUCHED


@dataclass(frozen=True)
class ExportReport(DocumentReport[ExportOutcome]):
    """What happened to each document of a knowledge base.

    :param dataset_id: The knowledge base.
    :param target: Where the export is.
    :param bytes: How many bytes of content this run wrote.
    :param manifest_sha256: SHA-256 of the manifest; ``None`` if the run ended before it was written.
    :param errors: Errors and notes about single documents, by id.
    """

    kind = ExportOutcome
    measured_as = "documents.export"
    raises = DifyExportError, DifyExportFailed

    dataset_id: str
    target: str
    bytes: int = 0
    manifest_sha256: str | None = None
    downloaded: tuple[str, ...] = ()
    from_chunks: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    no_content: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    not_attempted: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)

    def _problem(self, count: int) -> str:
        was = if_one(count, "was", "were")
        return f"{part_of(count, self.total)} of knowledge base {self.dataset_id} {was} not exported."
