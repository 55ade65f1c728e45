"""A release that an app has to approve. Imports almost nothing, because each parse of a DAG file loads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.knowledge.apps.options import CheckOptions
from airflow_provider_dify.tasks.running import ConversationTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.apps.check import AnswerCheck
    from airflow_provider_dify.knowledge.flow import Deadline

#: XCom key of the answers.
ANSWERS_KEY = "answers"
#: Prefix of the name under which Dify shows the questions.
_PREFIX = "airflow"


class GatedTask(ConversationTask):
    """A task that continues only if an app answers golden questions as expected.

    :param checks: What the app has to answer before old documents leave, as ``questions`` of
        ``DifyAnswerCheckOperator``. If an answer is wrong, the release is undone. A retry asks again. The answers are
        in XCom under the key ``answers``.
    :param checks_conn_id: Id of the Airflow Connection of that app.
    """

    checks: Any
    checks_conn_id: str

    def require_app(self, context: Context) -> None:
        """Check that the app answers questions with these inputs, before anything is changed.

        :raises DifyInputError: It does not, or the questions are invalid.
        """
        from airflow_provider_dify.hooks.dify import DifyHook

        if (check := self._check(context)) is not None:
            with DifyHook(self.checks_conn_id) as hook:
                hook.run(check.prepare())

    def gate(self, context: Context) -> Callable[[Deadline], None] | None:
        """Return a function that asks the app, and raises if an answer is wrong; ``None`` if there are no questions.

        :raises DifyInputError: The questions are invalid.
        """
        check = self._check(context)
        return None if check is None else lambda deadline: self._ask(check, context, deadline)

    def _check(self, context: Context) -> AnswerCheck | None:
        from airflow_provider_dify.knowledge.apps.check import AnswerCheck
        from airflow_provider_dify.knowledge.apps.expectations import read_questions
        from airflow_provider_dify.tasks.apps.tries import tries_in

        if self.checks is None:
            return None
        user, questions = tries_in(context, _PREFIX).user, read_questions(self.checks, "checks")
        return AnswerCheck(user, questions, options=self.options(CheckOptions))

    def _ask(self, check: AnswerCheck, context: Context, deadline: Deadline) -> None:
        from airflow_provider_dify.hooks.dify import DifyHook
        from airflow_provider_dify.knowledge.text.counts import number_of

        questions = number_of(len(check), "question")
        self.log.info("Asking an app of Dify %s (connection '%s').", questions, self.checks_conn_id)
        outer = self._stop
        with DifyHook(self.checks_conn_id) as hook:
            hook.get_conn()

            def stop() -> None:
                hook.stop()
                self._stop_in_dify(check, hook)
                if outer:
                    outer()

            self._stop = stop
            try:
                hook.run(check.flow(deadline))
            finally:
                self._stop = None  # Airflow does not allow a call from within another one
                self._show_answers(check, context)
                self._stop = outer
        check.report().raise_for_failures()

    def _show_answers(self, check: AnswerCheck, context: Context) -> None:
        report = check.report()
        (self.log.info if report.passed else self.log.warning)("%s", report.table())
        context["ti"].xcom_push(key=ANSWERS_KEY, value=report.to_json())
