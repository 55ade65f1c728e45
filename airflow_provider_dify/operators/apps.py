"""Operators that run Dify apps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_dify import DEFAULT_APP_CONN_ID
from airflow_provider_dify.knowledge.apps.options import ChatOptions, CheckOptions, RunOptions
from airflow_provider_dify.tasks.apps.chat import ChatTask, CheckTask
from airflow_provider_dify.tasks.apps.workflow import WorkflowTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.tasks.apps.outputs import Expectation


class DifyWorkflowRunOperator(WorkflowTask, BaseOperator):
    """Run a Dify workflow exactly once. The task succeeds only when its run succeeded.

    The run is started in streaming mode and then polled, so no proxy cuts it off. A start is never sent twice. If its
    response is lost, or a worker is killed, the task searches for the run in the log of the app: it joins a running
    one, and uses the result of one that succeeded. If Dify cannot say whether there is a run, the task fails with
    ``DifyRunUnknown`` instead of starting a second one.

    If the task is killed or its timeout passes, the run is stopped.

    .. seealso:: https://docs.dify.ai/api-reference/workflows/run-workflow

    .. code-block:: python

        DifyWorkflowRunOperator(
            task_id="summarize",
            inputs={"text": "Visitors park on deck 2."},
            timeout=1800,
        )

    :param inputs: The inputs of the app by name, or a string that renders to a JSON object. They are checked against
        the app's parameters before anything is started.
    :param files: Inputs that are files, by name: a path, a URL of a storage that Airflow opens, or a list of these.
        They are uploaded. Dify itself fetches ``http://`` and ``https://`` URLs.
    :param workflow_id: Which published version to run; by default, the latest.
    :param expect: The expected outputs: a JSON schema, or a function that gets them and returns ``False`` or raises if
        they are wrong.
    :param output_path: Where to write the outputs as JSON, if they are too large for XCom: a path or a URL of a
        storage. If it ends in a slash, the file is named by the run.
    :return: ``outputs`` (``None`` with ``output_path``), ``outcome``, ``run_id``, ``task_id`` (of Dify), ``user``,
        ``app_id``, ``workflow_id``, ``elapsed_time`` in seconds, ``total_tokens``, ``total_steps``, ``joined`` (whether
        an earlier try had started it), ``error``, ``output_path`` and ``link``. If the task fails, it is in XCom under
        the key ``report``.
    :raises DifyInputError: The inputs do not fit the app, or the key is not for a workflow. Nothing was started.
    :raises DifyRunError: The run did not end well; :class:`~airflow_provider_dify.exceptions.DifyRunFailed` if a retry
        cannot fix it.
    :raises DifyRunUnknown: Dify cannot say whether a run was started.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "inputs", "files", "workflow_id", "user", "timeout", "poll_interval", "stall_timeout",
        "appear_timeout", "rerun", "tolerate", "output_path",
    )  # fmt: skip
    template_fields_renderers = {"inputs": "json", "files": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#e3d6ff"
    described_by = (RunOptions,)

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

    def execute(self, context: Context) -> dict[str, JSON]:
        """Run the workflow, and return how it ended and what it returned."""
        from airflow_provider_dify.tasks.apps.outputs import check_expectation

        self.read_guards()
        check_expectation(self.expect)
        run = self.conversation(context)
        return self.converse(context, run, plan=f"Running the workflow as '{run.user}'.")


class DifyChatMessageOperator(ChatTask, BaseOperator):
    """Ask a Dify chat app, agent or chatflow a question, and return its answer.

    A question is never sent twice. If its answer is lost, the task searches for it among the messages of the app, by a
    user name that only this try has; in a continued conversation, among the new messages. If Dify cannot say whether it
    accepted the question, the task fails with ``DifyRunUnknown``.

    .. seealso:: https://docs.dify.ai/api-reference/chats/send-chat-message

    .. code-block:: python

        first = DifyChatMessageOperator(task_id="first", query="Who may park here?", dify_conn_id="helpdesk")
        second = DifyChatMessageOperator(
            task_id="second",
            query="And on Sundays?",
            conversation_id="{{ ti.xcom_pull('first')['conversation_id'] }}",
            conversation_user="{{ ti.xcom_pull('first')['user'] }}",
            dify_conn_id="helpdesk",
        )
        first >> second

    :param query: The question.
    :param conversation_id: The conversation to continue; by default, a new one.
    :param conversation_user: The ``user`` of that conversation.
    :param inputs: The inputs of the app by name, or a string that renders to a JSON object. They are checked against
        the app's parameters before anything is asked. In a continued conversation, a chatflow needs them again; other
        apps keep those of the first question.
    :param expect: The expected answer: a function that gets it and returns ``False`` or raises if it is wrong, or a
        JSON schema for a text.
    :return: ``answer``, ``conversation_id``, ``user``, ``message_id``, ``citations`` (segments with ``document_id``,
        ``document_name``, ``score`` and ``content``), ``usage``, ``outcome``, ``joined``, ``error`` and ``link``. If
        the task fails, it is in XCom under the key ``report``.
    :raises DifyInputError: The app is not a chat app, or the inputs do not fit it. Nothing was asked.
    :raises DifyRunError: There is no answer.
    :raises DifyRunUnknown: Dify cannot say whether it accepted the question.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "query", "conversation_id", "conversation_user", "inputs", "user", "timeout", "poll_interval",
        "appear_timeout", "rerun", "tolerate",
    )  # fmt: skip
    template_fields_renderers = {"inputs": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#e3d6ff"
    described_by = (ChatOptions,)

    def __init__(
        self,
        *,
        query: str,
        conversation_id: str | None = None,
        conversation_user: str | None = None,
        inputs: Mapping[str, Any] | str | None = None,
        dify_conn_id: str = DEFAULT_APP_CONN_ID,
        user: str = "airflow",
        timeout: float = ChatOptions.timeout,
        poll_interval: float = ChatOptions.poll_interval,
        appear_timeout: float = ChatOptions.appear_timeout,
        rerun: str = ChatOptions.rerun,
        tolerate: Iterable[str] = (),
        expect: Expectation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Ask, and return the answer."""
        from airflow_provider_dify.tasks.apps.outputs import check_expectation

        self.read_guards()
        check_expectation(self.expect)
        message = self.conversation(context)
        return self.converse(context, message, plan=f"Asking as '{message.user}'.")


class DifyAnswerCheckOperator(CheckTask, BaseOperator):
    """Ask a chat app golden questions, and check that its answers are as expected.

    Use it between the steps of a release: documents only reach the users if the *app* gives the right answers with
    them. A table in the log shows each question, what was expected, and what the app answered.

    .. seealso:: https://docs.dify.ai/api-reference/chats/send-chat-message

    .. code-block:: python

        DifyAnswerCheckOperator(
            task_id="check_answers",
            questions=[
                {"query": "Where do visitors park?", "contains": "deck 2", "contains_not": ["deck 1"]},
                {"query": "May I park there on Sundays?", "matches": "deck [0-9]"},
            ],
            dify_conn_id="helpdesk",
        )

    :param questions: What to ask: a list of texts, or of mappings with ``query`` and any of ``contains``,
        ``contains_not`` (texts, case-insensitive), ``matches`` (regular expressions), ``cites``, ``cites_not``
        (documents: ids, or patterns for names), ``schema`` (a JSON schema), ``inputs`` (of the app) and ``check`` (a
        function that gets the report of the answer, and returns ``False`` or raises); or a string that renders to such
        a list.
    :param timeout: Seconds for all questions.
    :return: The report as plain JSON: ``passed``, ``counts``, ``total``, ``app_id``, and ``answers``, each with
        ``query``, ``passed``, ``problems``, ``expected``, ``answer`` and ``citations``. It is in XCom under
        the key ``report``, too.
    :raises DifyInputError: The questions are invalid, or the app is not a chat app.
    :raises DifyAnswerCheckFailed: An answer is not as expected; ``report`` says which.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "questions", "user", "timeout", "answer_timeout", "max_active_questions", "on_failure",
    )  # fmt: skip
    template_fields_renderers = {"questions": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#e3d6ff"
    described_by = (CheckOptions,)

    def __init__(
        self,
        *,
        questions: Iterable[str | Mapping[str, Any]] | str,
        dify_conn_id: str = DEFAULT_APP_CONN_ID,
        user: str = "airflow",
        timeout: float = 1800.0,
        answer_timeout: float = CheckOptions.answer_timeout,
        max_active_questions: int = CheckOptions.max_active_questions,
        on_failure: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Ask all questions, and return the report."""
        from airflow_provider_dify.knowledge.text.counts import number_of

        self.read_guards()
        self.read_on_failure()
        check = self.conversation(context)
        return self.converse(context, check, plan=f"Asking {number_of(len(check), 'question')}.")
