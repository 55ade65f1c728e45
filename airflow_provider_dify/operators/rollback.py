"""The operator that rolls a release or a status change back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, conf

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.tasks.running import ConversationTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport


class DifyRollbackOperator(ConversationTask, BaseOperator):
    """Restore exactly the flags that documents had before a release or a status change.

    Documents that were in search return to it first, and search is proven to return them; only then do the others leave
    it. A document that was enabled and archived, and is disabled now, is in search for a moment on its way.

    Deleted documents stay deleted. If a document that may have been in search was deleted, the task fails and changes
    nothing, unless that is tolerated: it is better to keep the new version than to find nothing.

    The report is the task's return value and, even if it fails, in XCom under the key ``report``. It contains the state
    before the rollback, so it can be rolled back itself.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param manifest: What to roll back: the return value (or XCom ``report``) of a ``DifyReleaseOperator``, a
        ``DifyRollbackOperator``, or a ``DifyDocumentStatusOperator``, as a mapping or a string.
    :param allow_empty: Whether to skip the task if there is no manifest because the other task did not run. Use it in a
        task that runs after a failure.
    :param tolerate: ``("missing",)``: deleted documents do not fail the task.
    :param timeout: Seconds to wait for documents that are busy or not yet reflected by search. Dify's lock can last 600
        s.
    :return: The report as plain JSON: ``dataset_id``, ``source`` (what was rolled back), ``counts`` by outcome, a list
        of ids for each outcome (``restored``, ``unchanged``, ``missing``, ``failed``, ``not_attempted``), ``previous``
        (the flags before the rollback), and ``errors`` by id.
    :raises DifyInputError: The manifest is invalid; nothing was sent.
    :raises DifyRollbackFailed: Documents that may have been in search were deleted; nothing was changed.
    :raises DifyRollbackError: Documents do not have their previous flags.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = ("dify_conn_id", "manifest", "tolerate", "timeout")
    template_fields_renderers = {"manifest": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#ffe8cc"
    described_by = (StatusOptions,)
    manifest: Any
    allow_empty: bool
    tolerate: Any
    batch_size: int
    poll_interval: float
    prove_by: str
    if_killed = "Killed. What was changed so far stays as it is; a retry continues from there."

    def __init__(
        self,
        *,
        manifest: Mapping[str, Any] | str | None,
        allow_empty: bool = False,
        tolerate: Iterable[str] = (),
        timeout: float = 1800.0,
        poll_interval: float = 10.0,
        batch_size: int = 100,
        prove_by: str = "search",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        dify_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Roll back, and return the report."""
        self.read_guards()
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.release.rollback import Rollback
        from airflow_provider_dify.knowledge.text.counts import number_of

        if inputs.flag(self.allow_empty, "allow_empty") and self.manifest in (None, "", "None"):
            raise AirflowSkipException("There is no manifest: the task to roll back has not run.")
        options = StatusOptions(
            batch_size=self.batch_size, poll_interval=self.poll_interval, repair=True, prove_by=self.prove_by
        )
        rollback = Rollback(self.manifest, tolerate=self.tolerate, options=options)
        number = number_of(len(rollback.wanted.ids))
        plan = f"Rolling back {rollback.wanted.source}: {number}, for up to {self.timeout:g} s."
        return self.converse(context, rollback, plan=plan)

    def read_report(self, plain: dict[str, JSON]) -> RollbackReport:
        """Return the report in a trigger's event."""
        from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport

        return RollbackReport.from_json(plain)

    def publish(self, report: RollbackReport, names: Mapping[str, str], context: Context) -> None:
        """Log a report, and leave it for downstream tasks."""
        from airflow_provider_dify.events import as_event

        self.show("the rollback", report, names, self.tolerated(report))
        plain = report.to_json()
        self.publish_report(
            context, plain, action="roll_back", changed=report.restored, more={"manifest": as_event(plain)}
        )
