"""A Dify app as an agent of Airflow's provider for AI, ``apache-airflow-providers-common-ai``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow_provider_dify import DEFAULT_APP_CONN_ID
from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifyRunError, DifyRunUnknown
from airflow_provider_dify.hooks.connection import advised
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.chat import ChatMessage
from airflow_provider_dify.knowledge.apps.options import ChatOptions
from airflow_provider_dify.knowledge.apps.report import ChatReport
from airflow_provider_dify.knowledge.apps.requesting import ChatRequest
from airflow_provider_dify.knowledge.apps.tries import single_try
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.transport.metrics import measured
from airflow_provider_dify.transport.sync import Client

if TYPE_CHECKING:
    from airflow.providers.common.ai.managed_agents import (
        BaseManagedAgentHook,
        ManagedAgentCapabilities,
        ManagedAgentRef,
        ManagedAgentRequest,
        ManagedAgentResponse,
    )
else:
    try:
        from airflow.providers.common.ai.managed_agents import BaseManagedAgentHook
    except ImportError:  # who makes a hook is told
        BaseManagedAgentHook = object

_OPTIONS = ("inputs",)


class DifyAgentHook(DifyHook, BaseManagedAgentHook):  # type: ignore[misc, unused-ignore]  # Any without its provider
    """A chat app, agent or chatflow of Dify that other agents may ask.

    Each call has its own connection to Dify, so an agent may ask several things at the same time. A ``session_id``
    continues a conversation. ``vendor_options`` may have ``inputs``: the inputs of the app, by name.

    A question is never sent twice within a call. If a task is retried, its agent asks again.

    :param dify_conn_id: Id of the Airflow Connection, whose password is the app key. It only works for this app.
    """

    agent_platform = "dify"

    def __init__(self, dify_conn_id: str = DEFAULT_APP_CONN_ID) -> None:
        if BaseManagedAgentHook is object:
            raise ImportError("DifyAgentHook needs apache-airflow-providers-common-ai. Install it.")
        super().__init__(dify_conn_id)

    def resolve_agent(self, agent: str) -> ManagedAgentRef:
        """Return the identity of an app.

        :param agent: The name of the app.
        """
        from airflow.providers.common.ai.managed_agents import ManagedAgentRef

        return ManagedAgentRef(self.agent_platform, inputs.text(agent, "agent"))

    def get_agent_capabilities(self, agent: str) -> ManagedAgentCapabilities:  # noqa: ARG002 - all can do the same
        """Return what an app can do."""
        from airflow.providers.common.ai.managed_agents import ManagedAgentCapabilities

        return ManagedAgentCapabilities(sessions=True, usage=True, trace=True)

    def invoke_agent(self, agent: str, request: ManagedAgentRequest) -> ManagedAgentResponse:
        """Ask an app, and return its answer.

        https://docs.dify.ai/api-reference/chats/send-chat-message

        :param agent: The name of the app. It has to be the app of the connection.
        :param request: What to ask.
        :raises ManagedAgentRejected: The app failed with this question; another one may work.
        :raises ManagedAgentInvocationError: It cannot work, for example because of a wrong key.
        :raises DifyError: A request to Dify failed; a retry can help.
        """
        from airflow.providers.common.ai.exceptions import ManagedAgentInvocationError, ManagedAgentRejected

        try:
            report = self._ask(agent, request)
        except DifyRunUnknown:
            raise
        except DifyRunError as error:
            raise ManagedAgentRejected(error.message) from error
        except DifyError as error:
            if not error.final:
                raise
            raise ManagedAgentInvocationError(error.message) from error
        return _response(report)

    def _ask(self, agent: str, request: ManagedAgentRequest) -> ChatReport:
        timeout = inputs.number(request.timeout or ChatOptions.timeout, "timeout")
        if unknown := [name for name in request.vendor_options if name not in _OPTIONS]:
            raise DifyInputError(f"vendor_options has an unknown key {inputs.show(unknown[0])}: it may have 'inputs'.")
        conversation_id, user = _of_session(request.session_id)
        chat = ChatRequest(_question(request), request.vendor_options.get("inputs") or {}, conversation_id)
        message = ChatMessage(single_try(user), chat, options=ChatOptions(timeout=timeout))
        deadline = self.deadline(timeout)

        def flow() -> Flow[None]:
            info = yield from api.get_info()
            if info.name != agent:
                raise DifyInputError(
                    f"Connection '{self.dify_conn_id}' opens the app '{info.name}', not {inputs.show(agent)}. Use the "
                    "connection of that app, or this name."
                )
            yield from measured(message, message.flow(deadline))

        settings = replace(self.settings, timeout=min(self.settings.timeout, timeout))
        client = Client(settings, self.log, self._clock)
        try:
            client.run(retrying(flow(), settings.retries, deadline))
        except DifyError as error:
            raise advised(error, settings) from None
        finally:
            client.close()
        return message.result()


def _question(request: ManagedAgentRequest) -> str:
    """Return the question. Dify keeps the earlier messages by itself.

    :raises DifyInputError: It is more than one message.
    """
    if request.prompt is not None:
        return str(request.prompt)
    messages = request.as_messages()
    content = messages[0].get("content") if len(messages) == 1 and messages[0].get("role") == "user" else None
    parts = [{"text": content}] if isinstance(content, str) else content
    texts = [part.get("text") for part in parts or () if isinstance(part, dict)]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DifyInputError(
            "messages must be one message of the user with text: Dify keeps the conversation itself. Use session_id to "
            "continue one."
        )
    return "\n".join(map(str, texts))


def _of_session(session_id: str | None) -> tuple[str | None, str]:
    """Return the conversation to continue, and its user; a new user for a new one.

    :raises DifyInputError: It is not a session of this hook.
    """
    if session_id is None:
        return None, f"airflow/agent/{uuid4()}"
    conversation_id, _, user = session_id.partition(" ")
    if not user:
        raise DifyInputError(f"session_id is none that this hook has returned: {inputs.show(session_id)}.")
    return inputs.canonical_id(conversation_id, "session_id"), user


def _response(report: ChatReport) -> ManagedAgentResponse:
    from airflow.providers.common.ai.managed_agents import ManagedAgentResponse, ManagedAgentUsage

    counts: list[Any] = [report.usage.get(name) for name in ("message_tokens", "answer_tokens")]
    return ManagedAgentResponse(
        text=report.answer,
        raw=report.to_json(),
        session_id=f"{report.conversation_id} {report.user}",
        usage=ManagedAgentUsage(*(count if isinstance(count, int) else None for count in counts)),
        trace_ref=report.run_id or report.message_id,
    )
