"""A Dify app as an agent that other agents ask."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.testing import FakeDify, Fault, Input, Question

pytest.importorskip("airflow.providers.common.ai.managed_agents", reason="its provider is not installed")


@pytest.fixture
def app(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Any:
    def answer(question: Question) -> str:
        if question.query == "fail":
            raise ValueError("Out of paper.")
        return f"{len(question.history)} {question.query} {question.inputs.get('floor') or ''}".strip()

    made = dify.add_chat_app("helpdesk", answer=answer, inputs=[Input("floor")], seconds=2)
    monkeypatch.setenv("AIRFLOW_CONN_HELPDESK", dify.airflow_connection(app=made))
    return made


def invoke(**request: Any) -> Any:
    from airflow.providers.common.ai.managed_agents import ManagedAgentRequest

    from airflow_provider_dify.hooks.apps.agent import DifyAgentHook

    agent = request.pop("agent", "helpdesk")
    return DifyAgentHook("helpdesk").agent(agent).invoke(ManagedAgentRequest(**request))


def test_an_agent_asks_the_app_with_the_tool_of_the_documentation(app: Any) -> None:
    from tests.docs.examples.agent_app import helpdesk

    context: Any = SimpleNamespace(max_retries=1)
    tools = asyncio.run(helpdesk.get_tools(context))
    answer = asyncio.run(helpdesk.call_tool("ask_helpdesk", {"prompt": "parking"}, context, tools["ask_helpdesk"]))
    assert "0 parking" in str(answer)
    assert [message.query for message in app.messages] == ["parking"]


def test_a_session_continues_a_conversation(app: Any) -> None:
    first = invoke(prompt="one", vendor_options={"inputs": {"floor": "2"}})
    assert first.text == "0 one 2"
    second = invoke(
        messages=[{"role": "user", "content": [{"type": "text", "text": "two"}]}], session_id=first.session_id
    )
    assert second.text.startswith("1 two")
    assert second.session_id == first.session_id
    assert second.raw["conversation_id"] == app.messages[0].conversation_id
    assert second.usage is not None
    assert second.trace_ref in {run.id for run in app.runs}
    assert invoke(prompt="three").text == "0 three"


def test_calls_may_run_side_by_side(app: Any) -> None:
    from airflow.providers.common.ai.managed_agents import ManagedAgentRequest

    from airflow_provider_dify.hooks.apps.agent import DifyAgentHook

    agent = DifyAgentHook("helpdesk").agent("helpdesk")
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda n: agent.invoke(ManagedAgentRequest(prompt=f"q{n}")).text, range(6)))
    assert answers == [f"0 q{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"prompt": "x", "agent": "other"}, "opens the app 'helpdesk', not 'other'"),
        ({"prompt": "x", "session_id": "nonsense"}, "session_id is none that this hook has returned"),
        ({"prompt": "x", "vendor_options": {"user": "bob"}}, "unknown key 'user'"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages must be one message of the user"),
        ({"prompt": "x", "vendor_options": {"inputs": {"flor": "2"}}}, "no input 'flor'"),
    ],
)
def test_what_cannot_work_is_said(app: Any, request_: dict[str, Any], says: str) -> None:
    from airflow.providers.common.ai.exceptions import ManagedAgentInvocationError

    with pytest.raises(ManagedAgentInvocationError, match=says):
        invoke(**request_)
    assert app.messages == []


def test_failures_are_told_apart(dify: FakeDify, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.ai.exceptions import ManagedAgentInvocationError, ManagedAgentRejected

    with pytest.raises(ManagedAgentRejected, match="Out of paper"):
        invoke(prompt="fail")
    dify.faults.add(Fault("status", status=503, times=None))
    with pytest.raises(DifyError):
        invoke(prompt="x", timeout=5)
    dify.faults.clear()
    monkeypatch.setenv("AIRFLOW_CONN_HELPDESK", dify.airflow_connection())
    with pytest.raises(ManagedAgentInvocationError, match="Knowledge API key"):
        invoke(prompt="x")


def test_chosen_methods_for_apps_are_tools(app: Any) -> None:
    from airflow.providers.common.ai.toolsets.hook import HookToolset

    from airflow_provider_dify.hooks.dify import DifyHook

    toolset = HookToolset(DifyHook("helpdesk"), allowed_methods=["ask_app", "app_info"], tool_prefix="dify")
    context: Any = SimpleNamespace(max_retries=1)
    tools = asyncio.run(toolset.get_tools(context))
    schema = tools["dify_ask_app"].tool_def.parameters_json_schema
    assert {"query", "user"} <= set(schema["required"])
    arguments = {"query": "parking", "user": "agent 7"}
    found = asyncio.run(toolset.call_tool("dify_ask_app", arguments, context, tools["dify_ask_app"]))
    assert "0 parking" in str(found)
