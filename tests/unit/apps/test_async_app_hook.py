"""Apps from an event loop: the same as the verbs of the hook, in parallel."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from airflow_provider_dify.exceptions import DifyAppKeyError, DifyInputError, DifyNotFoundError, DifyRunError
from airflow_provider_dify.hooks.apps.asynchronous import DifyAsyncAppHook
from airflow_provider_dify.hooks.apps.verbs import AppVerbs
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.testing import FakeDify, Input
from tests.unit.conftest import UNKNOWN

T = TypeVar("T")


@pytest.fixture
def app(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = dify.add_workflow("echo", run=dict, inputs=[Input("text", required=True)], seconds=20)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=made))
    return made


def with_hook(act: Callable[[DifyAsyncAppHook], Awaitable[T]]) -> T:
    async def run() -> T:
        async with DifyAsyncAppHook() as hook:
            return await act(hook)

    return asyncio.run(run())


def test_it_has_the_methods_of_the_hook() -> None:
    """All but the upload, with the same parameters and results."""
    ours = {name: value for name, value in vars(AppVerbs).items() if name[0] != "_" and callable(value)}
    assert len(ours) == 10
    del ours["upload_app_file"]
    for name, method in ours.items():
        other = getattr(DifyAsyncAppHook, name)
        assert inspect.iscoroutinefunction(other)
        expected = inspect.signature(method)
        given = [one for one in expected.parameters.values() if one.name != "files"]
        assert inspect.signature(other) == expected.replace(parameters=given)


def test_what_an_app_is(app: Any) -> None:
    async def act(hook: DifyAsyncAppHook) -> None:
        assert (await hook.app_info()).name == "echo"
        assert "text" in str((await hook.app_parameters())["user_input_form"])

    with_hook(act)
    assert app.runs == []


def test_runs_side_by_side(app: Any) -> None:
    async def act(hook: DifyAsyncAppHook) -> None:
        reports = await asyncio.gather(*(hook.run_workflow({"text": f"{n}"}, user=f"u{n}") for n in range(5)))
        assert [report.outputs and report.outputs["text"] for report in reports] == ["0", "1", "2", "3", "4"]
        again = await hook.run_workflow({"text": "other"}, user="u1")
        assert again.run_id == reports[1].run_id
        assert [row.run_id for row in await hook.list_app_runs(user="u1")] == [again.run_id]
        assert (await hook.get_app_run(again.run_id)).status == "succeeded"

    with_hook(act)
    assert len(app.runs) == 5


def test_a_run_is_stopped(app: Any) -> None:
    app.seconds = 1000

    async def act(hook: DifyAsyncAppHook) -> None:
        with pytest.raises(DifyRunError):
            await hook.run_workflow({"text": "x"}, user="ann", options=RunOptions(timeout=30))
        assert (await hook.stop_app_run(app.runs[0].id, user="ann")).status == "stopped"

    with_hook(act)


def test_a_chat(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = dify.add_chat_app("helpdesk", answer=lambda question: f"You said: {question.query}")
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=chat))

    async def act(hook: DifyAsyncAppHook) -> None:
        answer = await hook.ask_app("hello", user="ann")
        more = await hook.ask_app("more", user="ann", conversation_id=answer.conversation_id)
        assert more.answer == "You said: more"
        assert [row["id"] for row in await hook.list_conversations(user="ann")] == [answer.conversation_id]
        rows = await hook.list_messages(answer.conversation_id, user="ann")
        assert {row.query for row in rows} == {"hello", "more"}

    with_hook(act)


def test_errors_are_those_of_the_hook(dify: FakeDify, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(hook: DifyAsyncAppHook) -> None:
        with pytest.raises(DifyNotFoundError):
            await hook.get_app_run(UNKNOWN)
        with pytest.raises(DifyInputError):
            await hook.run_workflow({"txt": "x"}, user="ann")
        with pytest.raises(DifyInputError):
            await hook.run_workflow({"text": "x"}, user="")

    with_hook(act)
    assert app.runs == []
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection())
    with pytest.raises(DifyAppKeyError):
        with_hook(lambda hook: hook.app_info())


def test_it_is_a_context_manager(app: Any) -> None:
    with pytest.raises(TypeError, match="async with"):
        asyncio.run(DifyAsyncAppHook().app_info())
