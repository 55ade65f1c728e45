"""Running a Dify workflow as a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify import DEFAULT_APP_CONN_ID
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.operators.apps.task import AppTask
from airflow_provider_dify.operators.running import read_event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.apps.report import RunOutcome, RunReport
    from airflow_provider_dify.knowledge.apps.run import WorkflowRun
    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.operators.apps.memory import Memory
    from airflow_provider_dify.operators.apps.outputs import Expectation

#: Only runs that ended so have outputs that count.
_WITH_OUTPUTS = ("succeeded", "partial-succeeded")
#: What OpenLineage learns of a run.
_FACET = ("run_id", "total_tokens", "total_steps", "elapsed_time")


class DifyWorkflowRunOperator(AppTask, BaseOperator):
    """Run a Dify workflow exactly once; when the task is green, its run succeeded.

    The run is started in streaming mode and then polled, so that no proxy cuts it off. A start is never sent twice. If
    its answer is lost, or a worker is killed, the run is looked for in the log of the app: a running one is joined, and
    the result of one that succeeded is taken. If Dify cannot say whether there is a run, the task fails with
    :class:`~airflow_provider_dify.exceptions.DifyRunUnknown` instead of starting a second one.

    If the task is killed or its timeout passes, the run is stopped.

    .. seealso:: https://docs.dify.ai/api-reference/workflows/run-workflow

    .. code-block:: python

        DifyWorkflowRunOperator(
            task_id="summarize",
            inputs={"text": "{{ ti.xcom_pull('read') }}"},
            timeout=1800,
        )

    :param inputs: The inputs of the app by name, or a string that renders to a JSON object. They are checked against
        what the app asks for before anything is started.
    :param files: Inputs that are files, by name: a path, an URL of a storage that Airflow opens, or a list of these.
        They are uploaded. Dify itself fetches ``http://`` and ``https://`` URLs.
    :param workflow_id: Which published version to run; by default, the latest.
    :param dify_conn_id: Id of the Airflow Connection, whose password is the key of the app.
    :param user: What begins the name under which Dify shows the run, followed by DAG id, task id, run id, map index and
        try number. Give each Airflow that uses the app its own: they would take each other's runs.
    :param expect: What the outputs have to be: a JSON schema, or a function that gets them and returns ``False`` or
        raises if they are not.
    :param output_path: Where to write the outputs as JSON, for outputs that are too large for XCom: a path or an URL of
        a storage. If it ends in a slash, the file is named by the run.
    :return: ``outputs`` (``None`` with ``output_path``), ``outcome``, ``run_id``, ``task_id`` (of Dify), ``user``,
        ``app_id``, ``workflow_id``, ``elapsed_time`` in seconds, ``total_tokens``, ``total_steps``, ``joined`` (whether
        an earlier try had started it), ``error``, ``output_path`` and ``link``. If the task fails, it is in XCom under
        the key ``report``.
    :raises DifyInputError: The inputs are not what the app asks for, or the key opens no workflow. Nothing was started.
    :raises DifyRunError: The run did not end well; :class:`~airflow_provider_dify.exceptions.DifyRunFailed` if a retry
        cannot fix it.
    :raises DifyRunUnknown: Dify cannot say whether a run was started.
    :raises DifyError: Dify could not be asked.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "inputs", "files", "workflow_id", "user", "timeout", "poll_interval", "stall_timeout",
        "appear_timeout", "rerun", "tolerate", "output_path",
    )  # fmt: skip
    template_fields_renderers = {"inputs": "json", "files": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#e3d6ff"
    if_killed = "The run is stopped:"
    described_by = (RunOptions,)
    inputs: Any
    files: Any
    workflow_id: str | None
    poll_interval: float
    stall_timeout: float | None
    appear_timeout: float
    rerun: str
    tolerate: Any
    expect: Expectation | None
    output_path: str | None
    _written: str | None = None

    def __init__(
        self,
        *,
        inputs: Mapping[str, Any] | str | None = None,
        files: Mapping[str, Any] | str | None = None,
        workflow_id: str | None = None,
        dify_conn_id: str = DEFAULT_APP_CONN_ID,
        user: str = "airflow",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        timeout: float = RunOptions.timeout,
        poll_interval: float = RunOptions.poll_interval,
        stall_timeout: float | None = RunOptions.stall_timeout,
        appear_timeout: float = RunOptions.appear_timeout,
        rerun: str = RunOptions.rerun,
        tolerate: Iterable[str] = (),
        expect: Expectation | None = None,
        output_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the workflow, and return how it ended and what it returned."""
        from airflow_provider_dify.operators.apps.outputs import check_expectation

        self.read_guards()
        check_expectation(self.expect)
        run = self._conversation(context)
        self.log.info("Running a workflow of Dify (connection '%s') as '%s'.", self.dify_conn_id, run.user)
        return self.converse(context, run)

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> dict[str, Any]:
        """Return and raise what ``execute`` would.

        :param event: What the trigger fired.
        """
        from airflow_provider_dify.knowledge.apps.report import RunReport
        from airflow_provider_dify.operators.apps.memory import forget

        self.read_guards()
        plain, _, error = read_event(event)
        report = RunReport.from_json(plain)
        with self.open_hook(context, "") as hook:
            if report.outcome.value in _WITH_OUTPUTS:  # they would be too much for an event
                report = replace(report, outputs=hook.get_app_run(report.run_id).outputs)
        if report.outcome.value != "unknown":
            forget(context)
        self.publish(report, {}, context)
        if error:
            error.report = report
            raise error
        self.judge(report)
        return self.result_of(report)

    def judge(self, report: RunReport) -> None:
        """Raise if the run did not end well, or its outputs are not what was expected."""
        from airflow_provider_dify.exceptions import DifyRunFailed
        from airflow_provider_dify.operators.apps.outputs import problem_of

        never = self.rerun == "never" and report.outcome.value in ("failed", "stopped")
        report.raise_for_outcomes(self._tolerated(), final=True if never else None)
        if problem := problem_of(report.outputs, self.expect):
            raise DifyRunFailed(
                f"The outputs of run {report.run_id} are not what was expected: {problem}. A retry takes the same run.",
                report,
            )

    def publish(self, report: RunReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Show a report in the log, and leave it for what comes after the task."""
        from airflow_provider_dify.exceptions import DifyError

        good = report.outcome.good or report.outcome in self._tolerated()
        say = self.log.info if good else self.log.warning
        say("%s%s", report.describe(), f' "{report.error}"' if report.error else "")
        run = {name: getattr(report, name) for name in _FACET} if report.run_id else {}
        self.show_app(context, report.app_id)
        try:
            plain = self.result_of(report)
        except DifyError:
            self.publish_run(context, replace(report, outputs=None).to_json(), "run", run)
            raise
        self.publish_run(context, plain, "run", {**run, "outcome": report.outcome.value} if run else {})

    def result_of(self, report: RunReport) -> dict[str, JSON]:
        """Return a report as plain JSON. If it is asked for, its outputs are in a file then."""
        from airflow_provider_dify.operators.apps.outputs import write

        if self.output_path and report.outputs and report.outcome.value in _WITH_OUTPUTS:
            if self._written is None:
                self._written = write(report.outputs, self.output_path, report.run_id)
            report = replace(report, outputs=None, output_path=self._written)
        return {**report.to_json(), "link": self.link_to(report.app_id)}

    def _tolerated(self) -> frozenset[RunOutcome]:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.apps.report import RunOutcome

        return inputs.choices(self.tolerate, RunOutcome, "tolerate")

    def _conversation(self, context: Context) -> WorkflowRun:
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.apps.requesting import RunRequest
        from airflow_provider_dify.knowledge.apps.run import WorkflowRun
        from airflow_provider_dify.operators.apps.memory import memory_of
        from airflow_provider_dify.operators.apps.parameters import files_of, named, tries_in

        request = RunRequest(
            named(self.inputs, "inputs"),
            files_of(named(self.files, "files")),
            None if self.workflow_id is None else inputs.canonical_id(self.workflow_id, "workflow_id"),
        )
        memory = memory_of(context)
        return WorkflowRun(
            tries_in(context, self.user),
            request,
            options=self.options(RunOptions),
            known=memory.recall(),
            keep=lambda note: self._keep(context, memory, note),
        )

    def _keep(self, context: Context, memory: Memory, note: Mapping[str, JSON]) -> None:
        # Airflow allows no call from within another one, as a signal would make one.
        stop, self._stop = self._stop, None
        try:
            memory.keep(note)
            self.show_app(context, str(note.get("app_id") or ""))
        finally:
            self._stop = stop
