"""What does not fit the app is an error before anything is started, for each operator on apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyAppError, DifyAppKeyError, DifyError, DifyInputError
from airflow_provider_dify.operators.apps import (
    DifyAnswerCheckOperator,
    DifyChatMessageOperator,
    DifyWorkflowRunOperator,
)
from airflow_provider_dify.testing import App, FakeDify, Input
from tests.unit.apps.running import Ran, Store, run_try

FORM = [
    Input("text", required=True, max_length=48),
    Input("number", "number"),
    Input("choice", "select", options=["red", "green"]),
    Input("flag", "checkbox"),
    Input("doc", "file"),
    Input("docs", "file-list", max_length=2),
]
GOOD = {"text": "x"}
FILE = {"type": "document", "transfer_method": "remote_url", "url": "https://example.com/a.pdf"}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown name": ({"text": "x", "tetx": "y"}, "The app has no input 'tetx'; Dify would drop it silently."),
    "a name to correct": ({"text": "x", "nummer": 1}, "Did you mean 'number'?"),
    "missing": ({}, "Input 'text' is missing: the app requires it. It has the inputs 'text', 'number'"),
    "null": ({"text": None}, "Input 'text' is missing"),
    "too long": ({"text": "x" * 49}, "Input 'text' has 49 characters; the app accepts at most 48."),
    "list for text": ({"text": ["x"]}, "Input 'text' must be text, not ['x']"),
    "text for number": ({"text": "x", "number": "many"}, "Input 'number' must be a number, not 'many'"),
    "unknown option": ({"text": "x", "choice": "blue"}, "Input 'choice' must be one of red, green, not 'blue'"),
    "text for checkbox": ({"text": "x", "flag": "yes"}, "Input 'flag' must be True or False, not 'yes'"),
    "path for file": ({"text": "x", "doc": "a.pdf"}, "Input 'doc' must be a file, not 'a.pdf'"),
    "file for files": ({"text": "x", "docs": FILE}, "Input 'docs' must be a list of files"),
    "too many files": ({"text": "x", "docs": [FILE] * 3}, "Input 'docs' has 3 files; the app accepts at most 2."),
}


def workflow(inputs: Any) -> Any:
    return DifyWorkflowRunOperator(task_id="change", inputs=inputs)


def chat(inputs: Any) -> Any:
    return DifyChatMessageOperator(task_id="change", query="hello", inputs=inputs)


def answers(inputs: Any) -> Any:
    questions = [{"query": "fine", "inputs": GOOD}, {"query": "hello", "inputs": inputs}]
    return DifyAnswerCheckOperator(task_id="change", questions=questions)


Make = Callable[[Any], Any]
EACH = pytest.mark.parametrize("make", [workflow, chat, answers])


def app_for(dify: FakeDify, make: Make, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app that the operator can use, and the connection to it."""
    if make is workflow:
        app = dify.add_workflow("echo", run=lambda inputs: {"text": inputs["text"]}, inputs=FORM)
    else:
        app = dify.add_chat_app("helpdesk", answer=lambda question: question.query, inputs=FORM)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=app))
    return app


def assert_nothing_sent(dify: FakeDify, ran: Ran, kind: type[DifyError], text: str) -> None:
    assert type(ran.error) is kind
    assert text in ran.error.message
    assert {request.method for request in dify.requests} == {"GET"}
    assert ran.report["counts"] in ({"not_started": 1}, {"passed": 0, "failed": 0, "not_asked": 2})


@EACH
def test_good_input_runs(dify: FakeDify, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app_for(dify, make, monkeypatch)
    given = {"text": "x", "number": "7", "choice": "red", "flag": True, "doc": FILE, "docs": [FILE]}
    assert run_try(make(given)).error is None


@EACH
@pytest.mark.parametrize("case", BAD)
def test_bad_input(dify: FakeDify, make: Make, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app_for(dify, make, monkeypatch)
    inputs, text = BAD[case]
    ran = run_try(make(inputs))
    assert_nothing_sent(dify, ran, DifyInputError, text)
    assert str(ran.error).startswith("Question 2: ") == (make is answers)


@EACH
def test_an_app_of_another_mode(dify: FakeDify, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app_for(dify, chat if make is workflow else workflow, monkeypatch)
    ran = run_try(make(GOOD))
    errors: dict[Make, tuple[type[DifyError], str]] = {
        workflow: (DifyInputError, "which is not a workflow: its mode is 'advanced-chat'. Use DifyChatMessageOperator"),
        chat: (DifyAppError, "Use DifyWorkflowRunOperator for workflows, and DifyChatMessageOperator for chat apps"),
        answers: (DifyInputError, "which is not a chat app: its mode is 'workflow'. Use DifyWorkflowRunOperator"),
    }
    assert_nothing_sent(dify, ran, *errors[make])


@EACH
def test_an_app_that_is_not_published(dify: FakeDify, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app_for(dify, make, monkeypatch).published = False
    assert_nothing_sent(dify, run_try(make(GOOD)), DifyAppError, "Publish the app in Dify")


@EACH
@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("app-0123456789", "Put the API key of the app (it starts with 'app-') into the password of the connection."),
        ("dataset-0123456789", "is a Knowledge API key, which does not work for apps"),
    ],
)
def test_a_wrong_key(dify: FakeDify, make: Make, key: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_for(dify, make, monkeypatch)
    connection = dify.airflow_connection({"timeout": 2}, app=app).replace(app.api_key, key)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", connection)
    assert_nothing_sent(dify, run_try(make(GOOD)), DifyAppKeyError, text)


@pytest.mark.parametrize("mode", ["advanced-chat", "chat"])
def test_inputs_of_a_continued_conversation(dify: FakeDify, mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chatflow needs them for each question. Other apps keep those of the first one."""
    app = dify.add_chat_app(
        "helpdesk", answer=lambda question: question.inputs["text"], inputs=[Input("text", required=True)], mode=mode
    )
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=app))
    first = run_try(chat({"text": "one"})).returned
    more = {"conversation_id": first["conversation_id"], "conversation_user": first["user"]}

    def again(**inputs: str) -> Ran:
        task = DifyChatMessageOperator(task_id="change", query="again", inputs=inputs, **more)
        return run_try(task, store=Store())

    assert "The app has no input 'tetx'" in str(again(tetx="two").error)
    assert again(text="two").returned["answer"] == ("two" if mode == "advanced-chat" else "one")
    if mode == "advanced-chat":
        assert "Input 'text' is missing" in str(again().error)
    assert len(app.messages) == 2
