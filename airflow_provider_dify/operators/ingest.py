"""The operator that makes documents of files and texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify.knowledge.ingest.options import (
    HASH_FIELD,
    HIDDEN,
    MAX_FILE_SIZE,
    UTF_8,
    IngestOptions,
    ReadOptions,
)
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID
from airflow_provider_dify.operators.tasks.running import StagedTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
    from airflow_provider_dify.knowledge.ingest.report import IngestReport


class Indexing(str, Enum):
    """Where to wait for indexing."""

    WAIT = "wait"
    DEFER = "defer"
    NONE = "none"


class DifyDocumentIngestOperator(StagedTask, BaseOperator):
    """Make documents of files and texts; when the task is green, each is a document, and indexed.

    What is there is looked at once, first. A content that is unchanged is not sent again: its SHA-256 is kept in the
    document's metadata. An archived or switched-off document of the same name is never overwritten. Where the answer to
    a creation is lost, the document is looked for before anything is sent again, so that a task that is retried, or
    was killed, leaves no duplicates.

    An input that cannot become a document (empty, too large, of a type or a name that Dify does not take, not readable)
    does not keep the others from it: the report names it, and the task fails at the end.

    Files are sent piece by piece, one after the other over one connection: Dify's API works off one request at a time.

    .. seealso:: https://docs.dify.ai/api-reference/documents/create-document-by-file

    :param source: What becomes documents, one or a list of: a path or an URL (``s3://``, ``gs://``, ``file://``: what
        ``ObjectStoragePath`` opens) of a file, of a folder (its files, not those in folders below), or with wildcards
        (``**`` for folders below); a path object; ``{"name": ..., "text": ...}``; ``{"path": ..., "name": ...}``. A
        string may also hold such a list as JSON. Airflow renders Jinja in all of its texts: for one with braces of its
        own, write ``literal(text)`` (from ``airflow.sdk``).
    :param indexing: ``wait`` for it on the worker, ``defer`` the waiting to the triggerer, or ``none``. ``None``: as
        ``deferrable`` says.
    :param deferrable: Whether to wait in the triggerer instead of on the worker, unless ``indexing`` says otherwise.
    :param allow_empty: Whether it is no failure where a source, or one of several, holds nothing, as an empty folder
        does, or a pattern that fits no file.
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, ``document_ids`` of what ended well,
        ``old_document_ids`` for which these stand, and ``documents`` with ``name``, ``source``, ``outcome``
        (``created``, ``updated``, ``skipped``, ``refused``, ``invalid``, ``unreadable``, ``failed``, ``not_indexed``,
        ``not_attempted``), ``document_id``, ``batch``, ``old_document_ids`` and ``error`` for each input. It is in
        XCom under the key
        ``report`` also when the task fails.
    :raises DifyInputError: What was asked for makes no sense, or not with this knowledge base; nothing was sent.
    :raises DifyKnowledgeBaseFailed: The knowledge base takes no documents at all, as its embedding model is missing.
    :raises DifyIngestFailed: Inputs are not fit to become documents, or a namesake stands in the way.
    :raises DifyIngestError: Inputs ended in another outcome that is not tolerated.
    :raises DifyError: Dify could not be asked.
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
    if_killed = "Killed. What is with Dify already stays there:"

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
        self.deferrable = self.indexing == Indexing.DEFER.value  # in each process that the task has

    def execute(self, context: Context) -> dict[str, Any]:
        """Ingest the contents, and return the report."""
        from airflow_provider_dify.knowledge.text.counts import number_of

        self.read_guards()
        ingestion = self.in_knowledge_base(self._ingestion)
        contents = number_of(len(ingestion.report().documents), "content")
        plan = f"Ingesting {contents}; a document of the same name {ingestion.if_exists.describe()}."
        return self.converse(context, ingestion, plan=plan)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> Any:
        """Continue when the documents are indexed; return and raise what :meth:`execute` would.

        :param event: What the trigger fired.
        """
        return self.resume(context, event, lambda state: self._ingestion(state["report"]["dataset_id"], state))

    def ended(self, context: Context, hook: DifyHook, report: IngestReport) -> None:
        """Show the link to the document, if it is only one."""
        self.show_links(context, hook, report.dataset_id, report.ids())

    def judge(self, report: IngestReport) -> None:
        """Raise if an input ended in an outcome that is not tolerated."""
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.ingest.report import IngestOutcome

        report.raise_for_outcomes(inputs.choices(self.tolerate, IngestOutcome, "tolerate"))

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
        """Show a report in the log, and leave it for what comes after the task."""
        from airflow_provider_dify.events import named
        from airflow_provider_dify.knowledge.ingest.report import IngestOutcome

        self.show("the ingestion", report)
        self.publish_report(
            context,
            report.to_json(),
            action="ingest",
            changed=report.ids(IngestOutcome.CREATED, IngestOutcome.UPDATED),
            more={"old_document_ids": named(report.old_document_ids)},
            files=report.files,
        )
