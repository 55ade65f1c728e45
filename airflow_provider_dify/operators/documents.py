"""Operators that change the status of documents, and have failed ones indexed again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.reindex.options import ReindexOptions
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT, StatusOptions
from airflow_provider_dify.tasks.running import DocumentsTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.reindex.reindex import Reindex
    from airflow_provider_dify.knowledge.reindex.report import ReindexReport
    from airflow_provider_dify.knowledge.status.change import StatusChange
    from airflow_provider_dify.knowledge.status.report import StatusReport


class DifyDocumentStatusOperator(DocumentsTask, BaseOperator):
    """Enable, disable, archive or un-archive documents.

    The task succeeds only when every document has the requested status and search reflects it.

    All documents are read first. Those that have the requested status are left alone. If a document is missing or the
    change would do harm, nothing is changed at all. The others are changed in batches. The task waits for documents
    that Dify is working on or still indexing. At the end it proves from Dify's own data that the flags are set and that
    search reflects them.

    The report is the task's return value and, even if it fails, in XCom under the key ``report``. For a rollback, pass
    its list ``changed`` to the opposite action.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
    :return: The report as plain JSON: ``dataset_id``, ``action``, ``counts`` by outcome, a list of ids for each outcome
        (``changed``, ``unchanged``, ``missing``, ``refused``, ``not_ready``, ``busy``, ``reverted``, ``lagging``,
        ``not_attempted``, ``not_searchable``), ``errors`` by id, ``repaired`` (how many documents search had lost and
        returns again), and, if some were remembered, ``disabled_chunks`` by document id.
    :raises DifyInputError: The parameters are invalid; nothing was sent.
    :raises DifyGuardError: More documents are selected than a limit allows; nothing was changed.
    :raises DifyDocumentStatusFailed: Documents are missing or refused, which a retry cannot fix.
    :raises DifyDocumentStatusError: Documents have another outcome that is not tolerated.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "filters", "action", "max_documents", "max_share",
        "_dry_run", "tolerate", "timeout",
    )  # fmt: skip
    ui_color = "#d6e4ff"
    described_by = (StatusOptions,)
    action: str
    tolerate: Any
    batch_size: int
    wait_for_completion: bool
    _dry_run: bool

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        action: str,
        max_documents: int | str | None = None,
        max_share: float | str | None = "auto",
        dry_run: bool | str = False,
        dify_conn_id: str = DEFAULT_CONN_ID,
        batch_size: int = 100,
        wait_for_completion: bool = True,
        repair: bool = False,
        prove_by: str = "search",
        keep_chunks: bool = False,
        timeout: float = 900.0,
        poll_interval: float = 10.0,
        tolerate: Iterable[str] = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Change the documents, and return the report."""
        self.read_guards()
        change = self.in_knowledge_base(self._status_change)
        action = change.action.verb if self._dry_run else change.action.verb.capitalize()
        plan = f"{action} {change.choice.describe()} in batches of {self.batch_size}, for up to {self.timeout:g} s."
        plan = f"Dry run: would {plan}" if self._dry_run else plan
        plan = plan if self.wait_for_completion else f"{plan} Search is not checked (wait_for_completion=False)."
        return self.converse(context, change, change.choice.ids, plan=plan)

    def read_report(self, plain: dict[str, JSON]) -> StatusReport:
        """Return the report in a trigger's event."""
        from airflow_provider_dify.knowledge.status.report import StatusReport

        return StatusReport.from_json(plain)

    def _status_change(self, dataset_id: str) -> StatusChange:
        from airflow_provider_dify.knowledge.status.change import StatusChange

        return StatusChange(dataset_id, self.choice(), self.action, self.options(StatusOptions))

    def publish(self, report: StatusReport, names: Mapping[str, str], context: Context) -> None:
        """Log a report, and leave it for downstream tasks."""
        self.show(report.action, report, names, self.tolerated(report))
        self.publish_report(context, report.to_json(), action=report.action, changed=report.changed)


class DifyReindexOperator(DocumentsTask, BaseOperator):
    """Have Dify index failed documents again. The task succeeds only when search returns them.

    Releases of Dify up to 1.17.1 cannot do it; the task asks Dify first, and fails before anything is changed. Dify
    indexes the content that it has kept: nothing is uploaded, and ids, names and metadata stay. A document that is
    indexed already is not sent, so a retry only does what is left. One that is still being indexed is waited for. A
    failed document that is disabled is enabled, because Dify itself disables documents that it cannot bring into
    search.

    The report is the task's return value and, even if it fails, in XCom under the key ``report``.

    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, a list of ids for each outcome
        (``reindexed``, ``unchanged``, ``missing``, ``refused``, ``busy``, ``failed``, ``not_indexed``, ``lagging``,
        ``not_searchable``, ``not_attempted``), ``errors`` by id, and ``repaired`` (how many documents search had lost
        and returns again).
    :raises DifyInputError: The parameters are invalid, or this Dify cannot do it; nothing was changed.
    :raises DifyGuardError: More documents are selected than a limit allows; nothing was changed.
    :raises DifyKnowledgeBaseFailed: The embedding model of the knowledge base is missing; nothing was sent.
    :raises DifyReindexFailed: Documents are missing, archived or without text, which a retry cannot fix.
    :raises DifyReindexError: Documents have another outcome that is not tolerated.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "filters", "max_documents", "max_share",
        "_dry_run", "tolerate", "timeout",
    )  # fmt: skip
    ui_color = "#d6e4ff"
    described_by = (ReindexOptions,)
    tolerate: Any
    _dry_run: bool

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        max_documents: int | None = None,
        max_share: float | str | None = "auto",
        dry_run: bool = False,
        batch_size: int = 100,
        prove_by: str = "search",
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
        stall_timeout: float | None = STALL_TIMEOUT,
        tolerate: Iterable[str] = (),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Have the documents indexed again, and return the report."""
        self.read_guards()
        job = self.in_knowledge_base(self._reindexing)
        verb = "Dry run: would index" if self._dry_run else "Indexing"
        plan = f"{verb} {job.choice.describe()} again, for up to {self.timeout:g} s."
        return self.converse(context, job, job.choice.ids, plan=plan)

    def read_report(self, plain: dict[str, JSON]) -> ReindexReport:
        """Return the report in a trigger's event."""
        from airflow_provider_dify.knowledge.reindex.report import ReindexReport

        return ReindexReport.from_json(plain)

    def _reindexing(self, dataset_id: str) -> Reindex:
        from airflow_provider_dify.knowledge.reindex.reindex import Reindex

        return Reindex(dataset_id, self.choice(), self.options(ReindexOptions))

    def publish(self, report: ReindexReport, names: Mapping[str, str], context: Context) -> None:
        """Log a report, and leave it for downstream tasks."""
        self.show("indexing again", report, names, self.tolerated(report))
        self.publish_report(context, report.to_json(), action="reindex", changed=report.reindexed)
