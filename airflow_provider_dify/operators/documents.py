"""Operators that change documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID
from airflow_provider_dify.operators.tasks.running import DocumentsTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.status.change import StatusChange
    from airflow_provider_dify.knowledge.status.report import StatusReport


class DifyDocumentStatusOperator(DocumentsTask, BaseOperator):
    """Enable, disable, archive or un-archive documents; when the task is green they are so, and search follows.

    Each document is looked at first: what is in the wanted state already is left alone, and where a document is
    missing or the change would do harm, nothing is changed at all. The others are changed in batches. Documents that
    Dify is working on, or is still indexing, are waited for. At the end it is proven from Dify's own data that the
    flags are set and that search follows them.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``. Its list
    ``changed`` is what to give to the opposite action for a rollback.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
    :return: The report as plain JSON: ``dataset_id``, ``action``, ``counts`` by outcome, a list of ids for each outcome
        (``changed``, ``unchanged``, ``missing``, ``refused``, ``not_ready``, ``busy``, ``reverted``, ``lagging``,
        ``not_attempted``, ``not_searchable``), ``errors`` by id, ``repaired`` (how many documents search had lost and
        returns again), and, if some were noted, ``disabled_chunks`` by the id of their document.
    :raises DifyInputError: What was asked for makes no sense; nothing was sent.
    :raises DifyGuardError: More documents are meant than a limit allows; nothing was changed.
    :raises DifyDocumentStatusFailed: Documents are missing or refused, and no retry can mend that.
    :raises DifyDocumentStatusError: Documents ended in another outcome that is not tolerated.
    :raises DifyError: Dify could not be asked.
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
        max_documents: int | None = None,
        max_share: float | str | None = "auto",
        dry_run: bool = False,
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

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the documents, and return the report."""
        self.read_guards()
        change = self.in_knowledge_base(self._status_change)
        action = change.action.verb if self._dry_run else change.action.verb.capitalize()
        plan = f"{action} {change.choice.describe()} in batches of {self.batch_size}, for up to {self.timeout:g} s."
        plan = f"Dry run: would {plan}" if self._dry_run else plan
        plan = plan if self.wait_for_completion else f"{plan} Search is not checked (wait_for_completion=False)."
        return self.converse(context, change, change.choice.ids, plan=plan)

    def read_report(self, plain: dict[str, Any]) -> StatusReport:
        """Return the report that a trigger fired."""
        from airflow_provider_dify.knowledge.status.report import StatusReport

        return StatusReport.from_json(plain)

    def ids_of(self, report: StatusReport) -> Sequence[str]:
        """Return the documents of a report, for the links."""
        return tuple(report.outcomes())

    def _status_change(self, dataset_id: str) -> StatusChange:
        from airflow_provider_dify.knowledge.status.change import StatusChange

        return StatusChange(dataset_id, self.choice(), self.action, self.options(StatusOptions))

    def publish(self, report: StatusReport, names: Mapping[str, str], context: Context) -> None:
        """Show a report in the log, and leave it for what comes after the task."""
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.status.report import Outcome

        tolerate = inputs.choices(self.tolerate, Outcome, "tolerate")
        # What was selected by filters, and deleted after that, is no longer meant.
        missing = set() if self.filters is None else {Outcome.MISSING}
        self.show(report.action, report, names, tolerate | missing)
        self.publish_report(context, report.to_json(), action=report.action, changed=report.changed)
