"""The methods of the hook for apps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_dify.hooks.apps import flows
from airflow_provider_dify.hooks.apps.files import files_of, local_file
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs as values
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import AppInfo, AppRun, ChatRow, LogRow
from airflow_provider_dify.knowledge.apps.chat import ChatMessage
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.knowledge.apps.report import ChatReport, RunReport
from airflow_provider_dify.knowledge.apps.requesting import upload_of
from airflow_provider_dify.knowledge.apps.run import WorkflowRun
from airflow_provider_dify.knowledge.apps.tries import checked_user


class AppVerbs(FlowHook):
    """Runs apps. The password of the connection must be the app key."""

    def app_info(self) -> AppInfo:
        """Read the name and mode of the app.

        https://docs.dify.ai/api-reference/applications/get-app-info

        :return: The app.
        :raises DifyAppKeyError: The key is not an app key.
        """
        return self.run(api.get_info())

    def app_parameters(self) -> dict[str, Any]:
        """Read the parameters of the app as in Dify's response: ``user_input_form``, ``file_upload`` and so on.

        https://docs.dify.ai/api-reference/applications/get-app-parameters

        :return: Dify's response.
        :raises DifyAppError: The app is not published.
        """
        return self.run(api.get_parameters())

    def run_workflow(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        user: str,
        files: Mapping[str, str | list[str]] | None = None,
        workflow_id: str | None = None,
        options: RunOptions | None = None,
    ) -> RunReport:
        """Run a workflow and wait for its end. If the log of the app has a run of this user already, that one counts.

        https://docs.dify.ai/api-reference/workflows/run-workflow

        :param inputs: The inputs of the app, by name.
        :param user: The name under which Dify shows the run, at most 255 characters. Use a new name for each run: the
            same name gives the result of the same run.
        :param files: Inputs that are files, by name: a path, a URL of a storage that Airflow opens, or a list of these.
            Dify itself fetches ``http://`` and ``https://`` URLs.
        :param workflow_id: Which published version to run; by default, the latest.
        :param options: How to wait, for how long, and which outcomes should not raise.
        :return: How the run ended, and what it returned.
        :raises DifyInputError: The inputs do not fit the app. Nothing was started.
        :raises DifyRunError: The run did not end well.
        :raises DifyRunUnknown: Dify cannot say whether the run was started.
        """
        chosen = files_of(values.by_name(files, "files"))
        run = WorkflowRun.of_user(user, inputs, options, files=chosen, workflow_id=workflow_id)
        self.run(*self._within(run, run.options.timeout))
        return run.result()

    def ask_app(
        self,
        query: str,
        *,
        user: str,
        conversation_id: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        options: RunOptions | None = None,
    ) -> ChatReport:
        """Ask a chat app, an agent or a chatflow a question. If this user has asked already, that answer counts.

        https://docs.dify.ai/api-reference/chats/send-chat-message

        :param query: The question.
        :param user: Who asks, at most 255 characters. A new conversation needs a user without conversations.
        :param conversation_id: The conversation to continue; it belongs to its user.
        :param inputs: The inputs of the app, by name. In a continued conversation, only a chatflow needs them again.
        :param options: How to wait, for how long, and which outcomes should not raise.
        :return: The answer, and what it is based on.
        :raises DifyInputError: The app is not a chat app, or the inputs do not fit it. Nothing was asked.
        :raises DifyRunError: There is no answer.
        :raises DifyRunUnknown: Dify cannot say whether it accepted the question.
        """
        message = ChatMessage.of_user(user, query, inputs, options, conversation_id=conversation_id)
        self.run(*self._within(message, message.options.timeout))
        return message.result()

    def list_conversations(self, *, user: str, limit: int = 20) -> list[dict[str, Any]]:
        """List the conversations of a user, latest first, as in Dify's response.

        https://docs.dify.ai/api-reference/conversations/list-conversations

        :param user: Whose conversations.
        :param limit: Maximum number.
        :return: Dify's rows.
        """
        return list(self.run(flows.conversations(user, limit)))

    def list_messages(self, conversation_id: str, *, user: str, limit: int = 100) -> list[ChatRow]:
        """List the latest messages of a conversation.

        https://docs.dify.ai/api-reference/conversations/list-conversation-messages

        :param conversation_id: The conversation.
        :param user: Its user.
        :param limit: Maximum number.
        :return: The messages, each with its answer.
        :raises DifyNotFoundError: The user has no such conversation.
        """
        return list(self.run(flows.messages(conversation_id, user, limit)))

    def get_app_run(self, run_id: str) -> AppRun:
        """Read a run of a workflow or chatflow.

        https://docs.dify.ai/api-reference/workflows/get-workflow-run-detail

        :param run_id: Id of the run.
        :return: The run.
        :raises DifyNotFoundError: The app has no such run.
        """
        return self.run(flows.run(run_id))

    def list_app_runs(self, *, user: str | None = None, status: str | None = None, limit: int = 100) -> list[LogRow]:
        """List runs in the log of the app, newest first. A run that waits in Dify's queue is not in it.

        https://docs.dify.ai/api-reference/workflows/list-workflow-logs

        :param user: Only those of exactly this user.
        :param status: Only ``succeeded``, ``failed`` or ``stopped`` ones; Dify has no filter for others.
        :param limit: Maximum number, at most 100: with more pages, Dify repeats and omits rows.
        :return: The runs.
        """
        return list(self.run(flows.runs(user, status, limit)))

    def stop_app_run(self, run_id: str, *, user: str, task_id: str = "") -> AppRun:
        """Stop a run of a workflow, and check whether it has stopped: Dify itself always says so.

        https://docs.dify.ai/api-reference/workflows/stop-workflow-task

        :param run_id: Id of the run.
        :param user: The name under which Dify shows it.
        :param task_id: Id for stopping it, from its start; empty: it is read from the run's events.
        :return: The run after the stop. Check its ``status``.
        :raises DifyNotFoundError: The app has no such run.
        """
        return self.run(flows.stop(run_id, user, task_id))

    def upload_app_file(self, path: str, *, user: str) -> dict[str, Any]:
        """Upload a file for an app. Only its user can use it.

        https://docs.dify.ai/api-reference/files/upload-file

        :param path: The file: a path, or a URL of a storage that Airflow opens.
        :param user: The name under which the app will run with it.
        :return: Dify's response, with the ``id`` of the file.
        """
        return self.run(api.upload_file(upload_of(local_file(path, "path"), checked_user(user))))
