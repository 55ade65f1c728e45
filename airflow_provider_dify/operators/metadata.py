"""Operators that change the metadata of documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.tasks.running import ConversationTask, DocumentsTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.metadata.fields import Value
    from airflow_provider_dify.knowledge.metadata.report import MetadataReport
    from airflow_provider_dify.knowledge.metadata.update import MetadataChange


class DifyDocumentMetadataOperator(ConversationTask, BaseOperator):
    """Set or remove metadata of documents. The task succeeds only when Dify shows the requested values.

    Other values stay. Missing fields are created with the type of their value. A document that has the values is left
    alone, so a retry only does what is left.

    The report is the task's return value and, even if it fails, in XCom under the key ``report``.

    .. seealso:: https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch

    :param values: The values by field name, or a string that renders to a JSON object: text, numbers, or datetimes with
        a time zone, which Dify keeps in whole seconds. A rendered template is text, unless the DAG has
        ``render_template_as_native_obj=True``.
    :param clear: Names of fields whose values are removed.
    :param timeout: Seconds to wait for documents whose metadata somebody else is changing.
    :param tolerate: Outcomes that should not fail the task, such as ``("missing",)``.
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, a list of ids for each outcome
        (``changed``, ``unchanged``, ``missing``, ``failed``, ``not_attempted``), ``created_fields``, and ``errors`` by
        id.
    :raises DifyInputError: The parameters are invalid, or do not fit the existing fields; nothing was changed.
    :raises DifyMetadataFailed: Documents are missing, which a retry cannot fix.
    :raises DifyMetadataError: Documents have another outcome that is not tolerated.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "values", "clear", "tolerate", "timeout",
    )  # fmt: skip
    template_fields_renderers = {"values": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#d6e4ff"
    described_by = (DocumentsTask, StatusOptions)
    document_ids: Any
    values: Any
    clear: Any
    batch_size: int
    tolerate: Any

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str,
        values: Mapping[str, Value] | str | None = None,
        clear: Iterable[str] | str | None = None,
        dify_conn_id: str = DEFAULT_CONN_ID,
        batch_size: int = 50,
        timeout: float = 300.0,
        tolerate: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Change the metadata, and return the report."""
        from airflow_provider_dify.knowledge.text.counts import number_of

        self.read_guards()
        change = self.in_knowledge_base(self._change)
        number = number_of(len(change.values))
        plan = f"Changing the metadata of {number} in batches of {self.batch_size}: {change.describe()}."
        return self.converse(context, change, tuple(change.values), plan=plan)

    def _change(self, dataset_id: str) -> MetadataChange:
        from airflow_provider_dify.knowledge.metadata.update import MetadataChange

        return MetadataChange.same_for_all(
            dataset_id,
            self.document_ids,
            self.values,
            clear=self.clear,
            batch_size=self.batch_size,
            tolerate=self.tolerate,
        )

    def publish(self, report: MetadataReport, names: Mapping[str, str], context: Context) -> None:
        """Log a report, and leave it for downstream tasks."""
        self.show("the change of metadata", report, names, self.tolerated(report))
        self.publish_report(context, report.to_json(), action="metadata", changed=report.changed)
