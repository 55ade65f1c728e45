"""The operator that takes a release, or a change of status, back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException, conf

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.release.manifest import Manifest, flags_to_json
from airflow_provider_dify.knowledge.release.options import Tolerable
from airflow_provider_dify.knowledge.release.rollback import Rollback
from airflow_provider_dify.knowledge.release.rollback_report import RollbackReport
from airflow_provider_dify.knowledge.release.switch import Pace
from airflow_provider_dify.operators.base import DEFAULT_CONN_ID
from airflow_provider_dify.operators.switching import SwitchingOperator, as_event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.triggers.base import BaseTrigger


class DifyRollbackOperator(SwitchingOperator):
    """Give documents exactly the flags again that they had before a release, or before a change of status.

    What was in search is brought back first, and it is proven that search finds it; only then is taken out what was
    not. A document that was archived while it was switched on, and is off by now, is in search for a moment on its way.

    What is deleted stays deleted. Where a document that may have been in search is gone, the task fails and changes
    nothing, unless that is tolerated: the new version stays, rather than nothing being found.

    The report is the task's return value and, also when it fails, in XCom under the key ``report``. It holds what was
    before the rollback, and so can itself be rolled back.

    .. seealso:: https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

    :param manifest: What is to be taken back: the return value (or XCom ``report``) of a ``DifyReleaseOperator``, a
        ``DifyRollbackOperator``, or a ``DifyDocumentStatusOperator``, as a mapping or a string. (templated)
    :param allow_empty: Whether the task is skipped where there is no manifest, since what was to be taken back did not
        run. For a task that runs when another one before it has failed.
    :param tolerate: ``("missing",)``: documents that are gone fail nothing. (templated)
    :param timeout: Seconds to wait for documents that are busy or not yet in step with search. Dify's lock can last
        600 s. (templated)
    :param poll_interval: Seconds between two looks while waiting; the first looks come sooner.
    :param batch_size: How many documents one request names at most.
    :param prove_by: What proves that documents have entered search. ``search``: search returned them; documents that
        Dify calls available and that it does not return are taken out and brought back once, one at a time. A search
        shows up among Dify's recent queries, costs an embedding in a high-quality knowledge base, and counts against
        the request limit of Dify Cloud. ``segments``: only that their segments are enabled, which Dify also shows for
        documents whose keywords it has lost.
    :param deferrable: Whether to wait in the triggerer instead of on the worker.
    :param dify_conn_id: Id of the Airflow Connection. (templated)
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
    noun = "rollback"

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
        self.manifest = manifest
        self.allow_empty = allow_empty
        self.tolerate = tolerate
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.batch_size = batch_size
        self.prove_by = prove_by
        self.deferrable = deferrable
        self.dify_conn_id = dify_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry out the rollback, and return the report."""
        self.read_guards()
        if inputs.flag(self.allow_empty, "allow_empty") and self.manifest in (None, "", "None"):
            raise AirflowSkipException("There is no manifest: the task to roll back has not run.")
        pace = Pace(self.batch_size, self.poll_interval, prove_by=self.prove_by)
        rollback = Rollback(self.manifest, tolerate=self.tolerate, pace=pace)
        self.log.info(
            "Roll back %s: %d documents of Dify dataset %s; waiting up to %g s.",
            rollback.former.source,
            len(rollback.former.ids),
            rollback.dataset_id,
            self.timeout,
        )
        return self._run(rollback, context)

    def _read_report(self, report: Mapping[str, Any]) -> RollbackReport:
        return RollbackReport.from_json(report)

    def _tell(self, report: Manifest | RollbackReport, context: Context) -> None:
        if isinstance(report, RollbackReport):
            plain = report.to_json()
            self.publish_report(
                context, plain, action="roll_back", changed=report.restored, more={"manifest": as_event(plain)}
            )

    def _trigger(self, subject: Rollback, started: float, seconds: float) -> BaseTrigger:
        from airflow_provider_dify.triggers.release import DifyRollbackTrigger

        tolerate = sorted(one.value for one in inputs.choices(self.tolerate, Tolerable, "tolerate"))
        return DifyRollbackTrigger(
            dify_conn_id=self.dify_conn_id,
            manifest=dict(inputs.literal(self.manifest)),  # type: ignore[call-overload]  # it was read as a mapping
            found=flags_to_json(subject.report().previous),
            tolerate=tolerate,
            batch_size=self.batch_size,
            poll_interval=self.poll_interval,
            prove_by=self.prove_by,
            started=started,
            timeout=seconds,
        )
