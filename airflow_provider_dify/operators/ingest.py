"""The operator that creates documents from files and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.ingest.options import (
    HASH_FIELD,
    HIDDEN,
    MAX_FILE_SIZE,
    UTF_8,
    IngestOptions,
    ReadOptions,
)
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT
from airflow_provider_dify.tasks.running import StagedTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
    from airflow_provider_dify.knowledge.ingest.report import IngestReport


class Indexing(str, Enum):
    """Where to wait for indexing."""

    WAIT = "wait"
    DEFER = "defer"
    NONE = "none"


class DifyDocumentIngestOperator(StagedTask, BaseOperator):
    """Create documents from files and texts. The task succeeds only when each input is an indexed document.

    Existing documents are read once, at the start. Unchanged contents are not sent again: the document's metadata
    contains their SHA-256. An archived or disabled document of the same name is never overwritten. If the response to a
    creation is lost, the task looks for the document before it sends anything again, so that a retry after an error or
    a kill leaves no duplicates.

    An input that cannot become a document (it is empty, too large or unreadable, or Dify does not accept its type or
    name) does not stop the others: the report names it, and the task fails at the end.

    Files are sent piece by piece, one after the other over one connection: Dify's API handles one request at a time.

    .. seealso:: https://docs.dify.ai/api-reference/documents/create-document-by-file

    :param source: What becomes documents, one or a list of: a path or URL (``s3://``, ``gs://``, ``file://``: anything
        that ``ObjectStoragePath`` opens) of a file, of a folder (its files, without subfolders), or with wildcards
        (``**`` for subfolders); a path object; ``{"name": ..., "text": ...}``; ``{"path": ..., "name": ...}``. A string
        may also contain such a list as JSON. Airflow renders Jinja in all of these texts: for a text that contains
        braces, write ``literal(text)`` (from ``airflow.sdk``).
    :param indexing: ``wait`` for it on the worker, ``defer`` the wait to the triggerer, or ``none``. ``None``: as
        ``deferrable`` says.
    :param deferrable: Whether to wait in the triggerer instead of on the worker, unless ``indexing`` says otherwise.
    :param allow_empty: Whether the source, or an item of a list, may have no contents, such as an empty folder or a
        pattern that matches no file.
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, ``document_ids`` of all good outcomes,
        ``old_document_ids`` that these stand for, and ``documents`` with ``name``, ``source``, ``outcome``
        (``created``, ``updated``, ``skipped``, ``refused``, ``invalid``, ``unreadable``, ``failed``, ``not_indexed``,
        ``lagging``, ``not_searchable``, ``not_attempted``), ``document_id``, ``batch``, ``old_document_ids`` and
        ``error`` for each input. It is in XCom under the key ``report`` even if the task fails.
    :raises DifyInputError: The parameters are invalid, or do not work with this knowledge base; nothing was sent.
    :raises DifyKnowledgeBaseFailed: The knowledge base accepts no documents at all, because its embedding model is
        missing.
    :raises DifyIngestFailed: Inputs cannot become documents, or a document with the same name is in the way.
    :raises DifyIngestError: Inputs have another outcome that is not tolerated.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "source", "if_exists", "process_rule", "metadata", "exclude",
        "encoding", "tolerate", "timeout",
    )  # fmt: skip
    ui_color = "#d6e4ff"
    described_by = (ReadOptions, IngestOptions)
    source: Any
    indexing: str
    allow_empty: bool
    tolerate: Any
    if_killed = "Killed. What is with Dify already stays there."

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        source: Any,
        if_exists: str = "update",
        indexing: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        process_rule: Mapping[str, Any] | None = None,
        doc_form: str | None = None,
        doc_language: str | None = None,
        indexing_technique: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        hash_field: str | None = HASH_FIELD,
        max_active: int = 20,
        max_file_size: int | None = MAX_FILE_SIZE,
        exclude: Iterable[str] | str = HIDDEN,
        encoding: str | None = UTF_8,
        follow_links: bool = False,
        allow_empty: bool = False,
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        tolerate: Iterable[str] = (),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())
        self.indexing = ("defer" if deferrable else "wait") if indexing is None else indexing
        self.deferrable = self.indexing == Indexing.DEFER.value  # in each process of the task

    def execute(self, context: Context) -> dict[str, JSON]:
        """Ingest the contents, and return the report."""
        from airflow_provider_dify.knowledge.text.counts import number_of

        self.read_guards()
        ingestion = self.in_knowledge_base(self._ingestion)
        contents = number_of(len(ingestion.report().documents), "input")
        plan = f"Ingesting {contents}; a document of the same name {ingestion.if_exists.describe()}."
        return self.converse(context, ingestion, plan=plan)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Continue when the documents are indexed; return and raise what :meth:`execute` would.

        :param event: The trigger's event.
        """
        from airflow_provider_dify.knowledge.answers import Fields

        return self.resume(
            context, event, lambda state: self._ingestion(Fields(state).object("report").text("dataset_id"), state)
        )

    def ended(self, context: Context, hook: DifyHook, report: IngestReport) -> None:
        """Show the link to the document, if it is only one."""
        self.show_links(context, hook, report.dataset_id, report.ids())

    def _ingestion(self, dataset_id: str, before: Mapping[str, Any] | None = None) -> Ingestion:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
        from airflow_provider_dify.sources import resolve

        inputs.choice(self.indexing, Indexing, "indexing")
        options = self.options(IngestOptions)
        sources = [] if before else resolve(self.source, self.options(ReadOptions), allow_empty=self.allow_empty)
        wait = self.indexing != Indexing.NONE.value
        return Ingestion(dataset_id, sources, options, wait=wait, before=before)

    def publish(self, report: IngestReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Log a report, and leave it for downstream tasks."""
        from airflow_provider_dify.events import named
        from airflow_provider_dify.knowledge.ingest.report import IngestOutcome

        self.show("the ingestion", report, tolerate=self.tolerated(report))
        self.publish_report(
            context,
            report.to_json(),
            action="ingest",
            changed=report.ids(IngestOutcome.CREATED, IngestOutcome.UPDATED),
            more={"old_document_ids": named(report.old_document_ids)},
            files=report.files,
        )
