"""The operator that deletes documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify.operators.base import DEFAULT_CONN_ID
from airflow_provider_dify.operators.tasks.running import DocumentsTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.deletion.deletion import Deletion
    from airflow_provider_dify.knowledge.deletion.report import DeleteReport


class DifyDocumentDeleteOperator(DocumentsTask, BaseOperator):
    """Delete documents for good; when the task is green they are gone.

    Archived documents are deleted too, which Dify does not do by itself: such a one is switched off where it is on, so
    that it does not come back into search for a moment, then un-archived, then deleted; where Dify holds its lock on
    it, that is waited for. A document that is not there is as good as deleted, so a retry ends well. At the end it is
    read back from Dify that all of them are gone.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``. What had to be
    un-archived and could not be deleted is archived again where that is possible; ``errors`` tells where it is not.

    .. seealso:: https://docs.dify.ai/api-reference/documents/delete-document

    :param dry_run: Whether to look and to plan only: nothing is deleted, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``.
    :param timeout: Seconds to wait for archived documents on which Dify holds its lock. That can last 600 s.
    :param poll_interval: Seconds between two tries while waiting; the first ones come sooner.
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, a list of ids for each outcome
        (``deleted``, ``missing``, ``busy``, ``failed``, ``not_attempted``), and ``errors`` by id.
    :raises DifyInputError: What was asked for makes no sense; nothing was sent.
    :raises DifyGuardError: More documents are meant than a limit allows; nothing was changed.
    :raises DifyDocumentDeleteError: Documents are still there.
    :raises DifyError: Dify could not be asked.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "filters", "max_documents", "max_share",
        "_dry_run", "timeout",
    )  # fmt: skip
    ui_color = "#ffd6d6"
    poll_interval: float
    _dry_run: bool
    if_killed = "Killed. What was deleted so far stays deleted:"

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
        timeout: float = 900.0,
        poll_interval: float = 10.0,
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the documents, and return the report."""
        self.read_guards()
        deletion = self.in_knowledge_base(self._deletion)
        verb = "Dry run: would delete" if self._dry_run else "Deleting"
        plan = f"{verb} {deletion.choice.describe()}, for up to {self.timeout:g} s."
        return self.converse(context, deletion, deletion.choice.ids, plan=plan)

    def _deletion(self, dataset_id: str) -> Deletion:
        from airflow_provider_dify.knowledge.deletion.deletion import Deletion

        return Deletion(dataset_id, self.choice(), poll_interval=self.poll_interval, dry_run=self._dry_run)

    def publish(self, report: DeleteReport, names: Mapping[str, str], context: Context) -> None:
        """Show a report in the log, and leave it for what comes after the task."""
        self.show("the deletion", report, names)
        self.publish_report(context, report.to_json(), action="delete", changed=report.deleted)
