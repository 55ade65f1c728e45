"""The operator that exports a Dify knowledge base into a folder or a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.export.options import MOST_IN_ARCHIVE, ExportOptions
from airflow_provider_dify.tasks.running import ConversationTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.export.export import Export
    from airflow_provider_dify.knowledge.export.report import ExportReport
    from airflow_provider_dify.knowledge.flow import JSON


class DifyExportOperator(ConversationTask, BaseOperator):
    """Export a knowledge base into a folder or a bucket; when the task is green, everything is there.

    The content of every document is written to a file of its own, whatever its state: enabled, disabled, archived, or
    with a failed indexing. The manifest (``manifest.json``) maps these files to names, flags, metadata, process rules
    and SHA-256 checksums, and has the settings of the knowledge base. Every file is read back and compared with what
    Dify sent.

    A task that was killed continues where it stopped, and a later export downloads only what has changed. The manifest
    is written after all contents, so an export that breaks off leaves the previous one intact. Then files that the
    manifest no longer names are deleted. Do not let two tasks export into the same folder at the same time.

    **What is not exported.** Changes that people made to single chunks: an import splits the content again. If Dify
    keeps no file of a document (a page of Notion or of a website, a document of a knowledge pipeline), its content is
    put together from its chunks, in order. It then lacks what the process rule removed, and overlaps are repeated.

    It needs Dify 1.13.1 or newer. ``DifySyncOperator`` recreates an export in this or another knowledge base.

    .. seealso:: https://docs.dify.ai/api-reference/documents/download-documents-as-zip

    :param target: The folder: a path, a URL that ``ObjectStoragePath`` opens (such as ``s3://``, ``gs://`` or
        ``file://``), or a path object. It is created if necessary. Use one folder for each knowledge base.
    :return: The report as plain JSON: ``dataset_id``, ``target``, ``bytes`` (written by this run), ``manifest_sha256``,
        ``counts`` by outcome, a list of ids for each outcome (``downloaded``, ``from_chunks``, ``unchanged``,
        ``deleted``, ``no_content``, ``changed``, ``failed``, ``not_attempted``), and ``errors`` by id.
    :raises DifyInputError: A parameter is invalid, the target holds something else, or Dify is too old.
    :raises DifyStorageError: The target cannot be read or written.
    :raises DifyExportFailed: Dify has no content of some documents, and a retry cannot fix that.
    :raises DifyExportError: Documents have another outcome that is not tolerated.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "target", "batch_size", "timeout", "tolerate",
    )  # fmt: skip
    ui_color = "#d6e4ff"
    described_by = (ExportOptions,)
    writes = False
    target: Any
    tolerate: Any
    if_killed = "Killed. What was exported so far stays; run the task again to continue from there."

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        target: Any,
        batch_size: int = MOST_IN_ARCHIVE,
        timeout: float = 3600.0,
        tolerate: Iterable[str] = (),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Export the knowledge base, and return the report."""
        self.read_guards()
        export = self.in_knowledge_base(self._export)
        plan = f"Exporting it to {export.report().target}, for up to {self.timeout:g} s."
        return self.converse(context, export, plan=plan)

    def judge(self, report: ExportReport) -> None:
        """Raise if documents ended in an outcome that is not tolerated."""
        report.raise_for_outcomes(self.tolerated(report))

    def _export(self, dataset_id: object) -> Export:
        from airflow_provider_dify.exports.target import open_target
        from airflow_provider_dify.knowledge.export.export import Export

        options = self.options(ExportOptions)
        return Export(dataset_id, open_target(self.target), options)

    def publish(self, report: ExportReport, names: Mapping[str, str], context: Context) -> None:
        """Show a report in the log, and leave it for what comes after the task."""
        self.show("the export", report, names, self.tolerated(report))
        self.publish_report(context, report.to_json(), action="export")
