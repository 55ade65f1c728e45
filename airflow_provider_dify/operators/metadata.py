"""Operators that change the metadata of documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.metadata.fields import Value
from airflow_provider_dify.knowledge.metadata.report import MetadataOutcome, MetadataReport
from airflow_provider_dify.knowledge.metadata.update import BATCH_SIZE, MetadataChange
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID, KnowledgeBaseTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DifyDocumentMetadataOperator(KnowledgeBaseTask, BaseOperator):
    """Give documents metadata or take it away; when the task is green they have it, read back from Dify.

    Values that are not named stay as they are. A field that is not there is created, of the type of its value. A
    document that has the values already is left alone, so a retried task does only what is left.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``.

    .. seealso:: https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch

    :param dataset_id: UUID of the knowledge base. (templated)
    :param dataset_name: Instead of its id, the name of the knowledge base, which exactly one must have. It takes one
        more request, and a key that may list knowledge bases. (templated)
    :param document_ids: UUIDs of the documents: a list, one id, the output of another task, or a string that renders to
        a JSON list or to ids separated by commas or white space. (templated)
    :param values: The values by the name of their field, or a string that renders to a JSON object: text, numbers, or
        datetimes with a time zone, which Dify keeps in whole seconds. A rendered template is text, unless the DAG has
        ``render_template_as_native_obj=True``. (templated)
    :param clear: Names of fields whose values are taken away. (templated)
    :param dify_conn_id: Id of the Airflow Connection. (templated)
    :param batch_size: How many documents one request names at most.
    :param timeout: Seconds to wait for documents whose metadata somebody else is changing. (templated)
    :param tolerate: Outcomes that should not fail the task, such as ``("missing",)``. (templated)
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

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str,
        values: Mapping[str, Value] | str | None = None,
        clear: Iterable[str] | str | None = None,
        dify_conn_id: str = DEFAULT_CONN_ID,
        batch_size: int = BATCH_SIZE,
        timeout: float = 300.0,
        tolerate: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_id = dataset_id
        self.dataset_name = dataset_name
        self.document_ids = document_ids
        self.values = values
        self.clear = clear
        self.dify_conn_id = dify_conn_id
        self.batch_size = batch_size
        self.timeout = timeout
        self.tolerate = tolerate
        self._stop: Callable[[], None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the metadata, and return the report."""
        self.read_guards()
        change, seconds = self.in_knowledge_base(self._change), self.timeout
        self.log.info(
            "Metadata of %d documents of Dify dataset %s: %s, in batches of %d.",
            len(change.values),
            change.dataset_id,
            change.describe(),
            self.batch_size,
        )
        with self.open_hook(context, change.dataset_id, tuple(change.values)) as hook:
            deadline = hook.deadline(seconds)
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._publish(change.report(), context)

            # Only while nothing but Dify is spoken to: Airflow bears no call from within another one.
            self._stop = stop
            try:
                hook.run(change.flow(deadline, hook.retries), deadline)
            finally:
                self._stop = None
                # Also where it failed or was killed: whoever mends it needs to know what was done.
                self._publish(change.report(), context)
        return change.report().to_json()

    def on_kill(self) -> None:
        """Send nothing more, and leave behind what was done so far: in the log, and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning("Killed. What was changed so far stays as it is:")
            self._stop()

    def _change(self, dataset_id: str) -> MetadataChange:
        return MetadataChange.same_for_all(
            dataset_id,
            self.document_ids,
            self.values,
            clear=self.clear,
            batch_size=self.batch_size,
            tolerate=self.tolerate,
        )

    def _publish(self, report: MetadataReport, context: Context) -> None:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
        self.log.info("Result of the change of metadata: %s.", counts)
        tolerate = inputs.choices(self.tolerate, MetadataOutcome, "tolerate")
        for line in report.tolerated(tolerate):
            self.log.info("%s", line)
        for line in report.attention(tolerate=tolerate):
            self.log.warning("%s", line)
        self.publish_report(context, report.to_json(), action="metadata", changed=report.changed)
