"""What a try leaves to later tries: in the state store of its task, or in a Variable."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from airflow.providers.common.compat import sdk

from airflow_provider_dify.exceptions import DifyError, DifyStorageError
from airflow_provider_dify.operators.apps import DifyChatMessageOperator, DifyWorkflowRunOperator
from airflow_provider_dify.tasks.apps.memory import forget, memory_of
from airflow_provider_dify.testing import FakeDify, Fault, Input
from tests.unit.apps.running import Store, context_of, run_try


class Variables:
    """Variables of Airflow, as Airflow 2 or 3 has them."""

    kept: ClassVar[dict[str, str]] = {}
    missing: ClassVar[type[Exception]] = KeyError
    broken: ClassVar[bool] = False

    @classmethod
    def _check(cls) -> None:
        if cls.broken:
            raise RuntimeError("The database is away: postgres://me:secret@db")

    @classmethod
    def get(cls, key: str) -> str:
        cls._check()
        if key not in cls.kept:
            raise cls.missing(f"VARIABLE_NOT_FOUND: {key}")
        return cls.kept[key]

    @classmethod
    def set(cls, key: str, value: str) -> None:
        cls._check()
        cls.kept[key] = value

    @classmethod
    def delete(cls, key: str) -> None:
        cls._check()
        del cls.kept[key]


class ApiError(Exception):
    """What Airflow 3 raises."""


@pytest.fixture(params=[KeyError, ApiError])
def variables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Variables]:
    monkeypatch.setattr(sdk, "Variable", Variables, raising=False)
    monkeypatch.setattr(Variables, "kept", {})
    monkeypatch.setattr(Variables, "missing", request.param)
    return Variables


@pytest.fixture
def app(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = dify.add_workflow("echo", run=lambda inputs: {"text": inputs["text"]}, inputs=[Input("text")], seconds=20)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=made))
    return made


def start(number: int = 1, **kwargs: Any) -> Any:
    task = DifyWorkflowRunOperator(task_id="change", inputs={"text": "hello"}, **kwargs)
    context = context_of(number, None)
    try:
        return task.execute(context)  # type: ignore[arg-type]
    except DifyError as error:
        return error


def test_a_variable_is_there_only_while_nobody_knows(variables: type[Variables]) -> None:
    first, later = memory_of(context_of(1, None)), memory_of(context_of(2, None))
    assert first.recall() == {}
    first.keep({"user": "u", "sent": True})
    (name,) = variables.kept
    assert name.startswith("dify_run_")
    assert later.recall() == {"user": "u", "sent": True}
    first.keep({"user": "u", "run_id": "r"})
    assert variables.kept == {}
    assert later.recall() == {}


def test_nothing_is_started_if_it_cannot_be_kept(app: Any, variables: type[Variables]) -> None:
    def unavailable(name: str, value: str) -> None:
        raise ConnectionError("the API server restarts")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variables, "set", staticmethod(unavailable))
        error = start()
    assert isinstance(error, DifyStorageError)
    assert "(ConnectionError: the API server restarts), so nothing was sent" in error.message
    assert error.retryable
    assert not app.runs


def test_a_try_in_the_triggerer_leaves_none_behind(variables: type[Variables]) -> None:
    memory_of(context_of(1, None)).keep({"user": "u", "sent": True})
    forget(context_of(1, None))
    assert variables.kept == {}


def test_a_run_leaves_none_behind(app: Any, variables: type[Variables]) -> None:
    assert start()["outputs"] == {"text": "hello"}
    assert variables.kept == {}
    assert len(app.runs) == 1


def test_a_lost_start_is_known_to_the_next_try(dify: FakeDify, app: Any, variables: type[Variables]) -> None:
    dify.faults.add(Fault("reset_before", path="/workflows/run$"))
    assert "may or may not have started" in str(start(appear_timeout=5))
    assert len(variables.kept) == 1
    assert "may or may not have started" in str(start(2, appear_timeout=5))
    assert start(3, rerun="unknown", appear_timeout=5)["outputs"] == {"text": "hello"}
    assert variables.kept == {}
    assert len(app.runs) == 1


def test_an_answer_that_was_stopped_is_known_to_the_next_try(
    dify: FakeDify, variables: type[Variables], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = dify.add_chat_app("helpdesk", answer=lambda _: "one two three", seconds=100)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=chat))
    late = DifyChatMessageOperator(task_id="change", query="Where?", timeout=30)
    with pytest.raises(DifyError, match="this task told it to stop"):
        late.execute(context_of(1, None))  # type: ignore[arg-type]
    assert len(variables.kept) == 1
    chat.seconds = 3
    again = DifyChatMessageOperator(task_id="change", query="Where?")
    assert again.execute(context_of(2, None))["answer"] == "one two three"  # type: ignore[arg-type]
    assert variables.kept == {}
    assert len(chat.messages) == 2


def test_nothing_is_sent_if_nothing_can_be_kept(
    app: Any, variables: type[Variables], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variables, "broken", True)
    error = str(start())
    assert "nothing was sent" in error
    assert "secret" not in error
    assert app.runs == []


def test_nothing_is_sent_if_the_store_fails_later(app: Any) -> None:
    class Broken(Store):
        def set(self, key: str, value: Any) -> None:
            raise RuntimeError("This try is not the current one.")

    ran = run_try(DifyWorkflowRunOperator(task_id="change", inputs={"text": "hello"}), store=Broken())
    assert "nothing was sent" in str(ran.error)
    assert app.runs == []
