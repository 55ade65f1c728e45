"""Tasks that ask a chat app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.knowledge.apps.options import ChatOptions, CheckOptions
from airflow_provider_dify.tasks.apps.task import AppTask
from airflow_provider_dify.tasks.running import CheckingTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.apps.chat import ChatMessage
    from airflow_provider_dify.knowledge.apps.check import AnswerCheck, AnswerReport
    from airflow_provider_dify.knowledge.apps.report import ChatReport
    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.tasks.apps.outputs import Expectation


class ChatTask(AppTask):
    """A task that asks a chat app."""

    if_killed = "Killed. Stopping the answer in Dify."
    query: Any
    inputs: Any
    conversation_id: str | None
    conversation_user: str | None
    tolerate: Any
    expect: Expectation | None

    def conversation(self, context: Context) -> ChatMessage:
        """Return the question of the parameters.

        :raises DifyInputError: They are invalid.
        """
        from airflow_provider_dify.exceptions import DifyInputError
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.apps.chat import ChatMessage
        from airflow_provider_dify.knowledge.apps.requesting import ChatRequest
        from airflow_provider_dify.knowledge.apps.tries import single_try
        from airflow_provider_dify.tasks.apps.memory import memory_of
        from airflow_provider_dify.tasks.apps.tries import tries_in

        if bool(self.conversation_id) != bool(self.conversation_user):
            raise DifyInputError(
                "Give conversation_id and conversation_user, or neither: a conversation belongs to its user. The task "
                "that started it returns both, as 'conversation_id' and 'user'."
            )
        tries, conversation_id = tries_in(context, self.user), None
        if self.conversation_id:
            tries = single_try(self.conversation_user)
            conversation_id = inputs.canonical_id(self.conversation_id, "conversation_id")
        memory = memory_of(context)
        return ChatMessage(
            tries,
            ChatRequest(inputs.question(self.query, "query"), inputs.by_name(self.inputs, "inputs"), conversation_id),
            options=self.options(ChatOptions),
            known=memory.recall(),
            keep=lambda note: self.keep(context, memory, note),
        )

    def judge(self, report: ChatReport) -> None:
        """Raise an error if there is no answer, or not the expected one."""
        from airflow_provider_dify.exceptions import DifyRunFailed
        from airflow_provider_dify.tasks.apps.outputs import problem_of

        report.raise_for_outcomes(self.tolerated(report))
        if problem := problem_of(report.answer, self.expect):
            raise DifyRunFailed(
                f"The answer is not what was expected: {problem}. A retry gets the same answer.", report
            )

    def publish(self, report: ChatReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Log a report, and leave it for downstream tasks."""
        say = self.log.info if report.outcome.good else self.log.warning
        say("%s%s", report.describe(), f' "{report.error}"' if report.error else "")
        self.show_app(context, report.app_id)
        self.publish_run(context, self.result_of(report), "ask", _facts_of(report))

    def result_of(self, report: ChatReport) -> dict[str, JSON]:
        """Return a report as plain JSON."""
        return {**report.to_json(), "link": self.link_to(report.app_id)}


def _facts_of(report: ChatReport) -> dict[str, JSON]:
    """Return what events and OpenLineage learn about an answer; empty if there is none."""
    if not report.message_id:
        return {}
    tokens, seconds = (report.usage.get(name) for name in ("total_tokens", "provider_response_latency"))
    return {
        "run_id": report.run_id,
        "outcome": report.outcome.value,
        "total_tokens": tokens if isinstance(tokens, int) else 0,
        "total_steps": 0,
        "elapsed_time": seconds if isinstance(seconds, (int, float)) else 0.0,
    }


class CheckTask(CheckingTask, AppTask):
    """A task that checks the answers of an app."""

    if_killed = "Killed. No more questions are asked."
    limits_retries = False
    questions: Any

    def conversation(self, context: Context) -> AnswerCheck:
        """Return the check of the parameters.

        :raises DifyInputError: They are invalid.
        """
        from airflow_provider_dify.knowledge.apps.check import AnswerCheck
        from airflow_provider_dify.knowledge.apps.expectations import read_questions
        from airflow_provider_dify.tasks.apps.tries import tries_in

        user, questions = tries_in(context, self.user).user, read_questions(self.questions)
        return AnswerCheck(user, questions, options=self.options(CheckOptions))

    def publish(self, report: AnswerReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Log a report, and leave it for downstream tasks."""
        (self.log.info if report.passed else self.log.warning)("%s", report.table())
        self.show_app(context, report.app_id)
        self.publish_run(context, report.to_json(), "check", {})
