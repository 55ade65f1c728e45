"""Operators that change documents of a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.selection.choice import Choice
from airflow_provider_dify.knowledge.selection.guards import AUTO
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.report import Outcome, StatusReport
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID, REPORT_KEY, KnowledgeBaseTask
from airflow_provider_dify.operators.deferring import defer_for_status, unknown
from airflow_provider_dify.transport import clock as clocks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class DifyDocumentStatusOperator(KnowledgeBaseTask, BaseOperator):
    """Enable, disable, archive or un-archive documents; when the task is green they are so, and search follows.

    Each document is looked at first: what is in the wanted state already is left alone, and where a document is
    missing or the change would do harm, nothing is changed at all. The others are changed in batches. Documents that
    Dify is working on, or is still indexing, are waited for. At the end it is proven from Dify's own data that the
    flags are set and that search follows them.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``. Its list
    ``changed`` is what to give to the opposite action for a rollback.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param dataset_id: UUID of the knowledge base. (templated)
    :param dataset_name: Instead of its id, the name of the knowledge base, which exactly one must have. It takes one
        more request, and a key that may list knowledge bases. (templated)
    :param document_ids: UUIDs of the documents: a list, one id, the output of another task, or a string that renders to
        a JSON list or to ids separated by commas or white space. (templated)
    :param filters: Instead of ids, what the documents have to be, such as ``{"status": "available", "created_before":
        "90d"}``: at least one parameter of :meth:`DifyHook.list_documents`, or a text that renders to such a mapping.
        They are selected once, when the task begins. A retry selects anew: where the change itself takes documents out
        of the selection (archiving what is ``available``), it finds only those that were not changed before, and its
        report is about these. (templated)
    :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``. (templated)
    :param max_documents: Fail, and change nothing, where more documents than this are meant. (templated)
    :param max_share: Fail, and change nothing, where more than this part of all documents is meant, such as ``0.1``.
        ``auto``: one half of what there is for filters, any for ids; ``None``: any. (templated)
    :param dry_run: Whether to look and to plan only: nothing is changed, and what would be is ``not_attempted`` in the
        report, which then has ``"dry_run": true``. (templated)
    :param dify_conn_id: Id of the Airflow Connection. (templated)
    :param batch_size: How many documents one request names at most.
    :param wait_for_completion: Whether to wait until search follows, and not only for the flags.
    :param repair: Whether documents that search still does not follow when half of the time is gone are driven through
        the opposite action and back, which queues again the job that Dify lost.
    :param prove_by: What proves that documents have entered search. ``search``: search returned them; documents that
        Dify calls available and that it does not return are taken out and brought back once, one at a time. A search
        shows up among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against
        the request limit of Dify Cloud. ``segments``: only that their segments are enabled, which Dify also shows for
        documents whose keywords it has lost.
    :param keep_chunks: Whether to note the chunks that a person disabled in documents which leave search. Dify enables
        them when it brings the document back; ``DifyRollbackOperator`` disables them again by the report. It takes one
        read for each of these documents.
    :param timeout: Seconds to wait for documents that are busy, being indexed, or not yet in step with search. Dify's
        lock on a document can last 600 s. (templated)
    :param poll_interval: Seconds between two looks while waiting; the first looks come sooner.
    :param tolerate: Outcomes that should not fail the task, such as ``("missing",)``. Where filters select the
        documents, one that is deleted after that is ``missing`` and fails nothing. (templated)
    :param deferrable: Whether to wait in the triggerer instead of on the worker.
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

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        document_ids: Iterable[str] | str | None = None,
        filters: Mapping[str, Any] | str | None = None,
        action: str,
        max_documents: int | None = None,
        max_share: float | str | None = AUTO,
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
        self.dataset_id = dataset_id
        self.dataset_name = dataset_name
        self.document_ids = document_ids
        self.filters = filters
        self.action = action
        self.max_documents = max_documents
        self.max_share = max_share
        self._dry_run = dry_run  # without the underscore, it is a method of every operator
        self.dify_conn_id = dify_conn_id
        self.batch_size = batch_size
        self.wait_for_completion = wait_for_completion
        self.repair = repair
        self.prove_by = prove_by
        self.keep_chunks = keep_chunks
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.tolerate = tolerate
        self.deferrable = deferrable
        self._stop: Callable[[], None] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the documents, and return the report."""
        self.read_guards()
        change, seconds = self.in_knowledge_base(self._status_change), self.timeout
        self.log.info(
            "%s%s %s of Dify dataset %s, in batches of %d; waiting up to %g s%s.",
            "Dry run, nothing is changed: " if self._dry_run else "",
            change.action.verb.capitalize(),
            change.choice.describe(),
            change.dataset_id,
            self.batch_size,
            seconds,
            " for search to follow" if self.wait_for_completion else " (flags only)",
        )
        started = clocks.clock.time()
        with self.open_hook(context, change.dataset_id, change.choice.ids) as hook:
            deadline = hook.deadline(seconds)
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._publish(change.report(), change.names, context)

            # Only while nothing but Dify is spoken to: Airflow bears no call from within another one.
            self._stop = stop
            try:
                hook.run(change.flow(deadline, hook.retries, hand_over=self.deferrable), deadline)
            finally:
                self._stop = None
                # Also where it failed or was killed: whoever mends it needs to know what was done.
                if not change.handed_over:
                    self._publish(change.report(), change.names, context)
        if change.handed_over:
            self._defer(change, context, started, seconds)
        return change.report().to_json()

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None, *, report: dict[str, Any], document_ids: list[str]
    ) -> dict[str, Any]:
        """Put together what was done before and after the wait; return and raise what :meth:`execute` would.

        :param event: What the trigger fired.
        :param report: What had become of the documents before it.
        :param document_ids: All documents, in the order they were asked for.
        """
        if not event or "report" not in event:
            raise unknown(event)
        self.open_hook(context, report["dataset_id"], document_ids)  # for what it shows: there is nothing left to ask
        whole = StatusReport.from_json(report).continued_by(StatusReport.from_json(event["report"]), document_ids)
        self._publish(whole, event["names"], context)
        if event["error"]:
            error = DifyError.from_json(event["error"])
            error.report = whole
            raise error
        whole.raise_for_outcomes(self._tolerated())
        return whole.to_json()

    def on_kill(self) -> None:
        """Send nothing more, and leave behind what was done so far: in the log, and in XCom under ``report``."""
        if self._stop is not None:
            self.log.warning("Killed. What was changed so far stays as it is:")
            self._stop()

    def _defer(self, change: StatusChange, context: Context, started: float, seconds: float) -> None:
        report = change.report().to_json()
        context["ti"].xcom_push(key=REPORT_KEY, value=report)
        defer_for_status(
            self,
            change.dataset_id,
            change.action.value,
            change.handover(),
            started=started,
            timeout=seconds,
            options=self._options(),
            kwargs={"report": report, "document_ids": list(change.document_ids)},
        )

    def _status_change(self, dataset_id: str) -> StatusChange:
        choice = Choice.of(
            self.document_ids,
            self.filters,
            now=clocks.clock.time(),
            max_documents=self.max_documents,
            max_share=self.max_share,
        )
        return StatusChange(
            dataset_id, choice, self.action, tolerate=self.tolerate, dry_run=self._dry_run, **self._options()
        )

    def _tolerated(self) -> frozenset[Outcome]:
        tolerate = inputs.choices(self.tolerate, Outcome, "tolerate")
        # What was selected by filters, and deleted after that, is no longer meant.
        return tolerate if self.filters is None else tolerate | {Outcome.MISSING}

    def _options(self) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "wait_for_completion": self.wait_for_completion,
            "repair": self.repair,
            "prove_by": self.prove_by,
            "keep_chunks": self.keep_chunks,
            "poll_interval": self.poll_interval,
        }

    def _publish(self, report: StatusReport, names: Mapping[str, str], context: Context) -> StatusReport:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count)
        dry_run = " (a dry run: nothing was changed)" if report.dry_run else ""
        self.log.info("Result of %s%s: %s.", report.action, dry_run, counts or "no documents")
        tolerate = self._tolerated()
        for line in report.tolerated(tolerate, names):
            self.log.info("%s", line)
        for line in report.attention(names, tolerate):
            self.log.warning("%s", line)
        self.publish_report(context, report.to_json(), action=report.action, changed=report.changed)
        return report
