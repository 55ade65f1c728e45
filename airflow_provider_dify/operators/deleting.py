"""The operator that deletes documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify.knowledge.deletion.deletion import Deletion
from airflow_provider_dify.knowledge.selection.choice import Choice
from airflow_provider_dify.knowledge.selection.guards import AUTO
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID, KnowledgeBaseTask
from airflow_provider_dify.transport import clock as clocks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DifyDocumentDeleteOperator(KnowledgeBaseTask, BaseOperator):
    """Delete documents for good; when the task is green they are gone.

    Archived documents are deleted too, which Dify does not do by itself: such a one is switched off where it is on, so
    that it does not come back into search for a moment, then un-archived, then deleted; where Dify holds its lock on
    it, that is waited for. A document that is not there is as good as deleted, so a retry ends well. At the end it is
    read back from Dify that all of them are gone.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``. What had to be
    un-archived and could not be deleted is archived again where that is possible; ``errors`` tells where it is not.

    .. seealso:: https://docs.dify.ai/api-reference/documents/delete-document

    :param dataset_id: UUID of the knowledge base. (templated)
    :param dataset_name: Instead of its id, the name of the knowledge base, which exactly one must have. It takes one
        more request, and a key that may list knowledge bases. (templated)
    :param document_ids: UUIDs of the documents: a list, one id, the output of another task, or a string that renders to
        a JSON list or to ids separated by commas or white space. (templated)
    :param filters: Instead of ids, what the documents have to be, such as ``{"status": "archived", "updated_before":
        "90d"}``: at least one parameter of :meth:`DifyHook.list_documents`, or a text that renders to such a mapping.
        They are selected once, when the task begins; a retry selects anew, what is left. (templated)
    :param max_documents: Fail, and delete nothing, where more documents than this are meant. (templated)
    :param max_share: Fail, and delete nothing, where more than this part of all documents is meant, such as ``0.1``.
        ``auto``: one half of what there is for filters, any for ids; ``None``: any. (templated)
    :param dry_run: Whether to look and to plan only: nothing is deleted, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``. (templated)
    :param timeout: Seconds to wait for archived documents on which Dify holds its lock. That can last 600 s.
        (templated)
    :param poll_interval: Seconds between two tries while waiting; the first ones come sooner.
    :param dify_conn_id: Id of the Airflow Connection. (templated)
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

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        max_documents: int | None = None,
        max_share: float | str | None = AUTO,
        dry_run: bool = False,
        timeout: float = 900.0,
        poll_interval: float = 10.0,
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset_id = dataset_id
        self.dataset_name = dataset_name
        self.document_ids = document_ids
        self.filters = filters
        self.max_documents = max_documents
        self.max_share = max_share
        self._dry_run = dry_run  # without the underscore, it is a method of every operator
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.dify_conn_id = dify_conn_id
        self._stop: Callable[[], None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Delete the documents, and return the report."""
        self.read_guards()
        deletion, seconds = self.in_knowledge_base(self._deletion), self.timeout
        self.log.info(
            "%sDelete %s of Dify dataset %s; waiting up to %g s for what is busy.",
            "Dry run, nothing is changed: " if self._dry_run else "",
            deletion.choice.describe(),
            deletion.dataset_id,
            seconds,
        )
        with self.open_hook(context, deletion.dataset_id, deletion.choice.ids) as hook:
            deadline = hook.deadline(seconds)
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._publish(deletion, context)

            # Only while nothing but Dify is spoken to: Airflow bears no call from within another one.
            self._stop = stop
            try:
                hook.run(deletion.flow(deadline, hook.retries), deadline)
            finally:
                self._stop = None
                # Also where it failed or was killed: whoever mends it needs to know what was done.
                self._publish(deletion, context)
        return deletion.report().to_json()

    def on_kill(self) -> None:
        """Send nothing more, and leave behind what was done so far: in the log, and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning("Killed. What was deleted so far stays deleted:")
            self._stop()

    def _deletion(self, dataset_id: str) -> Deletion:
        choice = Choice.of(
            self.document_ids,
            self.filters,
            now=clocks.clock.time(),
            max_documents=self.max_documents,
            max_share=self.max_share,
        )
        return Deletion(dataset_id, choice, poll_interval=self.poll_interval, dry_run=self._dry_run)

    def _publish(self, deletion: Deletion, context: Context) -> None:
        report = deletion.report()
        counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
        dry_run = " (a dry run: nothing was changed)" if report.dry_run else ""
        self.log.info("Result of the deletion%s: %s.", dry_run, counts or "no documents")
        for line in report.attention(deletion.names):
            self.log.warning("%s", line)
        self.publish_report(context, report.to_json(), action="delete", changed=report.deleted)
