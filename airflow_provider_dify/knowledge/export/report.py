"""What happened to each document that an export should save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.exceptions import DifyExportError, DifyExportFailed
from airflow_provider_dify.knowledge.report import FINAL, UNTOUCHED, DocumentReport, ReportOutcome
from airflow_provider_dify.knowledge.text.counts import if_one, part_of


class ExportOutcome(ReportOutcome):
    """How a document ended."""

    #: Its content was downloaded, and read back from the target, it is as it was sent.
    DOWNLOADED = "downloaded"
    #: Its content was put together from its chunks, because Dify has no file of it.
    FROM_CHUNKS = "from_chunks"
    #: The target had its content already; read back, it is as it was.
    UNCHANGED = "unchanged", "", UNTOUCHED
    #: It was deleted in Dify while the export ran, and is not part of it.
    DELETED = "deleted"
    #: Dify has neither a file nor a chunk of it.
    NO_CONTENT = "no_content", "Dify has no file and no chunks; the rest of the export is complete", FINAL
    #: Its content was replaced in Dify while the export ran.
    CHANGED = "changed", "replaced in Dify during the export; run it again"
    #: Dify does not give its content, or the target does not give it back as it was.
    FAILED = "failed", "not exported; the errors in the report say why; run it again, it continues from there"
    #: The run ended before its turn.
    NOT_ATTEMPTED = "not_attempted", "the run ended first; run it again, it continues from there", UNTOUCHED


@dataclass(frozen=True)
class ExportReport(DocumentReport[ExportOutcome]):
    """What happened to each document of a knowledge base.

    :param dataset_id: The knowledge base.
    :param target: Where the export is.
    :param bytes: How many bytes of content were written.
    :param manifest_sha256: SHA-256 of the manifest; ``None`` if none was written, because documents are left.
    :param errors: What there is to say of single documents, by id.
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
