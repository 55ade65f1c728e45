"""Operators that change the metadata of documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID
from airflow_provider_dify.operators.tasks.running import ConversationTask, DocumentsTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.metadata.fields import Value
    from airflow_provider_dify.knowledge.metadata.report import MetadataReport
    from airflow_provider_dify.knowledge.metadata.update import MetadataChange


class DifyDocumentMetadataOperator(ConversationTask, BaseOperator):
    """Give documents metadata or take it away; when the task is green they have it, read back from Dify.

    Values that are not named stay as they are. A field that is not there is created, of the type of its value. A
    document that has the values already is left alone, so a retried task does only what is left.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``.

    .. seealso:: https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch

    :param values: The values by the name of their field, or a string that renders to a JSON object: text, numbers, or
        datetimes with a time zone, which Dify keeps in whole seconds. A rendered template is text, unless the DAG has
        ``render_template_as_native_obj=True``.
    :param clear: Names of fields whose values are taken away.
    :param timeout: Seconds to wait for documents whose metadata somebody else is changing.
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, a list of ids for each outcome
        (``changed``, ``unchanged``, ``missing``, ``failed``, ``not_attempted``), ``created_fields``, and ``errors`` by
        id.
    :raises DifyInputError: What was asked for makes no sense, or does not go into the fields that are there; nothing
        was changed.
    :raises DifyMetadataFailed: Documents are missing, and no retry can mend that.
    :raises DifyMetadataError: Documents ended in another outcome that is not tolerated.
    :raises DifyError: Dify could not be asked.
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

    def execute(self, context: Context) -> dict[str, Any]:
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
        """Show a report in the log, and leave it for what comes after the task."""
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.metadata.report import MetadataOutcome

        tolerate = inputs.choices(self.tolerate, MetadataOutcome, "tolerate")
        self.show("the change of metadata", report, names, tolerate)
        self.publish_report(context, report.to_json(), action="metadata", changed=report.changed)
