"""Tasks that run a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.tasks.apps.task import AppTask
from airflow_provider_dify.tasks.running import read_event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.apps.report import RunReport
    from airflow_provider_dify.knowledge.apps.run import WorkflowRun
    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.tasks.apps.outputs import Expectation

#: Only runs with these outcomes have outputs that count.
_WITH_OUTPUTS = ("succeeded", "partial-succeeded")
#: What OpenLineage learns about a run.
_FACET = ("run_id", "total_tokens", "total_steps", "elapsed_time")


class WorkflowTask(AppTask):
    """A task that runs a workflow."""

    if_killed = "Killed. Stopping the run in Dify."
    inputs: Any
    files: Any
    workflow_id: str | None
    rerun: str
    tolerate: Any
    expect: Expectation | None
    output_path: str | None
    _written: str | None = None

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> dict[str, JSON]:
        """Return and raise what ``execute`` would.

        :param event: The trigger's event.
        """
        from airflow_provider_dify.knowledge.apps.report import RunReport
        from airflow_provider_dify.tasks.apps.memory import forget
        from airflow_provider_dify.transport.metrics import send_outcomes

        self.read_guards()
        plain, _, error = read_event(event)
        report = RunReport.from_json(plain)
        send_outcomes(report)
        with self.open_hook(context, "") as hook:
            if report.outcome.value in _WITH_OUTPUTS:  # they would be too large for an event
                report = replace(report, outputs=hook.get_app_run(report.run_id).outputs)
        if report.outcome.value != "unknown":
            forget(context)
        if error:
            self.log_cause(error)
        self.publish(report, {}, context)
        if error:
            error.report = report
            raise error
        self.judge(report)
        return self.result_of(report)

    def judge(self, report: RunReport) -> None:
        """Raise an error if the run did not end well, or its outputs are not as expected."""
        from airflow_provider_dify.exceptions import DifyRunFailed
        from airflow_provider_dify.tasks.apps.outputs import problem_of

        never = self.rerun == "never" and report.outcome.value in ("failed", "stopped")
        report.raise_for_outcomes(self.tolerated(report), final=True if never else None)
        if problem := problem_of(report.outputs, self.expect):
            raise DifyRunFailed(
                f"The outputs of run {report.run_id} are not what was expected: {problem}. A retry uses the same run.",
                report,
            )

    def publish(self, report: RunReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Log a report, and leave it for downstream tasks."""
        from airflow_provider_dify.exceptions import DifyError

        good = report.outcome.good or report.outcome in self.tolerated(report)
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
        """Return a report as plain JSON. If requested, its outputs are in a file then."""
        from airflow_provider_dify.tasks.apps.outputs import write

        if self.output_path and report.outputs and report.outcome.value in _WITH_OUTPUTS:
            if self._written is None:
                self._written = write(report.outputs, self.output_path, report.run_id)
            report = replace(report, outputs=None, output_path=self._written)
        return {**report.to_json(), "link": self.link_to(report.app_id)}

    def conversation(self, context: Context) -> WorkflowRun:
        """Return the run of the parameters.

        :raises DifyInputError: They are invalid.
        """
        from airflow_provider_dify.hooks.apps.files import files_of
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.apps.requesting import RunRequest
        from airflow_provider_dify.knowledge.apps.run import WorkflowRun
        from airflow_provider_dify.storage import to_path
        from airflow_provider_dify.tasks.apps.memory import memory_of
        from airflow_provider_dify.tasks.apps.tries import tries_in

        request = RunRequest(
            inputs.by_name(self.inputs, "inputs"),
            files_of(inputs.by_name(self.files, "files")),
            None if self.workflow_id is None else inputs.canonical_id(self.workflow_id, "workflow_id"),
        )
        if self.output_path not in (None, ""):
            to_path(inputs.name(self.output_path, "output_path", "a path or a URL"), "output_path")
        memory = memory_of(context)
        return WorkflowRun(
            tries_in(context, self.user),
            request,
            options=self.options(RunOptions),
            known=memory.recall(),
            keep=lambda note: self.keep(context, memory, note),
        )
