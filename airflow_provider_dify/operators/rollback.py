"""The operator that takes a release, or a change of status, back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, conf

from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID
from airflow_provider_dify.operators.tasks.running import ConversationTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport


class DifyRollbackOperator(ConversationTask, BaseOperator):
    """Give documents exactly the flags again that they had before a release, or before a change of status.

    What was in search is brought back first, and it is proven that search finds it; only then is taken out what was
    not. A document that was archived while it was switched on, and is off by now, is in search for a moment on its way.

    What is deleted stays deleted. Where a document that may have been in search is gone, the task fails and changes
    nothing, unless that is tolerated: the new version stays, rather than nothing being found.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``. It holds what was
    before the rollback, and so can itself be rolled back.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param manifest: What is to be taken back: the return value (or XCom ``report``) of a ``DifyReleaseOperator``, a
        ``DifyRollbackOperator``, or a ``DifyDocumentStatusOperator``, as a mapping or a string.
    :param allow_empty: Whether the task is skipped where there is no manifest, since what was to be taken back did not
        run. For a task that runs when another one before it has failed.
    :param tolerate: ``("missing",)``: documents that are gone fail nothing.
    :param timeout: Seconds to wait for documents that are busy or not yet in step with search. Dify's lock can last
        600 s.
    :return: The report as plain JSON: ``dataset_id``, ``source`` (what was taken back), ``counts`` by outcome, a list
        of ids for each outcome (``restored``, ``unchanged``, ``missing``, ``failed``, ``not_attempted``), ``previous``
        (the flags before the rollback), and ``errors`` by id.
    :raises DifyInputError: It is no such manifest; nothing was sent.
    :raises DifyRollbackFailed: Documents that may have been in search are gone; nothing was changed.
    :raises DifyRollbackError: Documents are not as they were.
    :raises DifyError: Dify could not be asked.
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
    if_killed = "Killed. What was changed so far stays as it is; a retry continues from there:"

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

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry out the rollback, and return the report."""
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
        number = number_of(len(rollback.former.ids))
        plan = f"Rolling back {rollback.former.source}: {number}, for up to {self.timeout:g} s."
        return self.converse(context, rollback, plan=plan)

    def read_report(self, plain: dict[str, Any]) -> RollbackReport:
        """Return the report that a trigger fired."""
        from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport

        return RollbackReport.from_json(plain)

    def publish(self, report: RollbackReport, names: Mapping[str, str], context: Context) -> None:
        """Show a report in the log, and leave it for what comes after the task."""
        from airflow_provider_dify.events import as_event

        self.show("the rollback", report, names)
        plain = report.to_json()
        self.publish_report(
            context, plain, action="roll_back", changed=report.restored, more={"manifest": as_event(plain)}
        )
