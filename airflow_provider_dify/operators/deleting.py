"""The operator that deletes documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.tasks.running import DocumentsTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.deletion.deletion import Deletion
    from airflow_provider_dify.knowledge.deletion.report import DeleteReport
    from airflow_provider_dify.knowledge.flow import JSON


class DifyDocumentDeleteOperator(DocumentsTask, BaseOperator):
    """Delete documents permanently. The task succeeds only when all of them are gone.

    Archived documents are deleted, too, which Dify does not do by itself. They are disabled if necessary, so that they
    do not appear in search for a moment, then un-archived, then deleted; if Dify has locked one, the task waits for it.
    A document that does not exist counts as deleted, so a retry succeeds. At the end, the task reads from Dify that all
    of them are gone.

    The report is the task's return value and, even if it fails, in XCom under the key ``report``. Documents that were
    un-archived but could not be deleted are archived again if possible; otherwise ``errors`` names them.

    .. seealso:: https://docs.dify.ai/api-reference/documents/delete-document

    :param dry_run: Whether to only read and plan: nothing is deleted, and documents that would be are ``not_attempted``
        in the report, which then has ``"dry_run": true``.
    :param timeout: Seconds to wait for archived documents that Dify has locked. A lock can last 600 s.
    :param poll_interval: Seconds between two tries while waiting; the first ones come sooner.
    :return: The report as plain JSON: ``dataset_id``, ``counts`` by outcome, a list of ids for each outcome,
        and ``errors`` by id.
    :raises DifyInputError: The parameters are invalid; nothing was sent.
    :raises DifyGuardError: More documents are selected than a limit allows; nothing was changed.
    :raises DifyDocumentDeleteError: Documents still exist.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "filters", "max_documents", "max_share",
        "_dry_run", "timeout",
    )  # fmt: skip
    ui_color = "#ffd6d6"
    poll_interval: float
    _dry_run: bool
    if_killed = "Killed. What was deleted so far stays deleted."

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        max_documents: int | str | None = None,
        max_share: float | str | None = "auto",
        dry_run: bool | str = False,
        timeout: float = 900.0,
        poll_interval: float = 10.0,
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
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
        """Log a report, and leave it for downstream tasks."""
        self.show("the deletion", report, names)
        self.publish_report(context, report.to_json(), action="delete", changed=report.deleted)
