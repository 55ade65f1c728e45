"""DifyAnswerCheckOperator against the built-in Dify."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyAnswerCheckFailed, DifyError, DifyInputError, DifyKilledError
from airflow_provider_dify.operators.apps import DifyAnswerCheckOperator
from airflow_provider_dify.testing import FakeDify, Fault
from tests.unit.apps.running import Ran, run_try
from tests.waiting import until


def check(questions: Any, **kwargs: Any) -> Ran:
    return run_try(DifyAnswerCheckOperator(task_id="change", questions=questions, **kwargs))


def test_right_answers_are_green(chat: Any) -> None:
    ran = check(
        [
            "hello",
            {"query": "leave", "contains": "LEAVE", "cites": "leave*", "matches": "^You said"},
            {"query": "x", "contains_not": ["secret"], "cites_not": "draft*", "check": lambda one: one["answer"]},
        ]
    )
    assert ran.error is None
    assert ran.returned["passed"]
    assert ran.returned["counts"] == {"passed": 3, "failed": 0, "not_asked": 0}
    assert len(chat.messages) == 3
    assert len({message.conversation_id for message in chat.messages}) == 3


@pytest.mark.parametrize(
    ("expectation", "problem"),
    [
        ({"contains": ["bye", "hello"]}, "does not contain 'bye'"),
        ({"contains_not": "HELLO"}, "contains 'HELLO'"),
        ({"matches": "^hello"}, "does not match ^hello"),
        ({"cites": "travel*"}, "does not cite travel*"),
        ({"cites_not": "leave*"}, "cites leave*"),
        ({"schema": {"type": "object"}}, "is not JSON"),
        ({"check": lambda one: one["answer"] == "no"}, "<lambda> returned False"),
        ({"check": lambda one: one["nothing"]}, "KeyError: 'nothing'"),
    ],
)
def test_wrong_answers_are_red(
    chat: Any, expectation: dict[str, Any], problem: str, said: pytest.LogCaptureFixture
) -> None:
    ran = check([{"query": "hello", **expectation}, "fine"])
    assert isinstance(ran.error, DifyAnswerCheckFailed)
    assert problem in ran.error.message
    assert ran.report["answers"][0]["problems"] == [problem]
    assert ran.report["answers"][1]["passed"]
    (table,) = [one.getMessage() for one in said.records if "1 of 2 answers is as expected." in one.getMessage()]
    assert "FAILED  hello\n        expected: " in table
    assert f"        got:      You said: hello (cites leave.md)\n        problem:  {problem}\n" in table
    assert "passed  fine\n        expected: any answer\n" in table
    assert len(chat.messages) == 2


def test_answers_in_json_are_checked_by_their_schema(chat: Any) -> None:
    chat.function = lambda question: json.dumps({"deck": question.query})
    schema = {"type": "object", "properties": {"deck": {"enum": ["2"]}}, "required": ["deck"]}
    ran = check([{"query": "2", "schema": schema}, {"query": "1", "schema": schema}])
    right, wrong = ran.report["answers"]
    assert (right["passed"], right["expected"]) == (True, "is JSON that fits the schema")
    assert wrong["problems"] == ["does not fit the schema: deck: '1' is not one of ['2']"]


def test_a_question_without_an_answer_is_red(chat: Any) -> None:
    def fail(_: Any) -> str:
        raise ValueError("Out of paper.")

    chat.function = fail
    ran = check(["hello"])
    assert isinstance(ran.error, DifyAnswerCheckFailed)
    assert "no answer (failed" in ran.error.message


@pytest.mark.parametrize("most", [1, 3])
def test_some_are_asked_at_a_time(dify: FakeDify, chat: Any, most: int) -> None:
    ended = Event()
    dify.holds_clock = True

    def let_go() -> int:
        until(lambda: len(chat.messages) == most or ended.is_set())
        begun = len(chat.messages)
        dify.holds_clock = False
        return begun

    # The task runs in this thread: Airflow 2 refuses to execute an operator in another one.
    with ThreadPoolExecutor(1) as worker:
        begun = worker.submit(let_go)
        try:
            ran = check([f"question {n}" for n in range(7)], max_active_questions=most)
        finally:
            ended.set()
    assert begun.result() == most
    assert ran.returned["counts"]["passed"] == 7
    assert [one["query"] for one in ran.returned["answers"]] == [f"question {n}" for n in range(7)]
    times = [(message.created_at, message.created_at + message.latency) for message in chat.messages]
    overlaps = [sum(begin <= other[0] < end for other in times) for begin, end in times]
    assert max(overlaps) <= most


def test_a_failure_ends_all_of_it(dify: FakeDify, chat: Any) -> None:
    dify.faults.add(Fault("status", path="/parameters$", status=401, times=None))
    ran = check([f"question {n}" for n in range(5)])
    assert isinstance(ran.error, DifyError)
    assert not isinstance(ran.error, DifyAnswerCheckFailed)
    assert ran.report["counts"] == {"passed": 0, "failed": 0, "not_asked": 5}


def test_a_killed_task_asks_nothing_more(chat: Any) -> None:
    task: Any
    questions: list[Any] = [{"query": "first", "check": lambda _: task.on_kill()}, "second"]
    task = DifyAnswerCheckOperator(task_id="change", questions=questions, max_active_questions=1)
    ran = run_try(task)
    assert isinstance(ran.error, DifyKilledError)
    assert [message.query for message in chat.messages] == ["first"]
    assert ran.report["counts"] == {"passed": 1, "failed": 0, "not_asked": 1}


def test_it_may_only_report(chat: Any) -> None:
    ran = check([{"query": "hello", "contains": "bye"}], on_failure="report")
    assert ran.error is None
    assert not ran.returned["passed"]
    assert chat.messages


@pytest.mark.parametrize(
    "questions",
    [
        [],
        "hello",
        [5],
        [{"query": ""}],
        [{"query": "x", "contain": "y"}],
        [{"query": "x", "matches": "("}],
        [{"query": "x", "check": "y"}],
        [{"query": "x", "schema": "y"}],
        [{"query": "x", "schema": {"type": "nonsense"}}],
    ],
)
def test_questions_are_checked_before_any_is_asked(chat: Any, questions: Any) -> None:
    ran = check(questions)
    assert isinstance(ran.error, DifyError)
    assert isinstance(ran.error, DifyInputError)
    assert chat.messages == []
