"""DifyChatMessageOperator and DifyAnswerCheckOperator against the built-in Dify."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAnswerCheckFailed,
    DifyAppError,
    DifyError,
    DifyInputError,
    DifyKilledError,
    DifyRunError,
    DifyRunFailed,
    DifyRunUnknown,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.apps import DifyAnswerCheckOperator, DifyChatMessageOperator
from airflow_provider_dify.testing import Answer, Dataset, FakeDify, Fault, Input
from tests.unit.apps.running import Ran, Store, run_try
from tests.waiting import until


@pytest.fixture(params=["advanced-chat", "chat", "agent-chat"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chat(dify: FakeDify, kb: Dataset, mode: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A chat app that cites a document, and the connection ``dify_app`` with its key."""
    page = kb.add_document("leave.md")
    made = dify.add_chat_app(
        "helpdesk",
        answer=lambda question: Answer(f"You said: {question.query}", sources=[page]),
        mode=mode,  # type: ignore[arg-type]
        inputs=[Input("name")],
        seconds=3,
    )
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=made))
    return made


def ask(number: int = 1, store: Store | None = None, **kwargs: Any) -> Ran:
    kwargs = {"query": "hello", **kwargs}
    return run_try(DifyChatMessageOperator(task_id="change", **kwargs), number, store)


def test_a_question_is_answered(chat: Any) -> None:
    ran = ask(inputs={"name": "Ann"})
    assert ran.error is None
    assert ran.returned["answer"] == "You said: hello"
    assert ran.returned["conversation_id"] == chat.messages[0].conversation_id
    assert ran.returned["message_id"] == chat.messages[0].id
    assert ran.returned["citations"][0]["document_name"] == "leave.md"
    assert ran.returned["user"] == "airflow/dag/change/run/try-1"
    assert ran.returned["outcome"] == "succeeded"
    assert ran.report == ran.returned
    assert len(chat.messages) == 1


def test_a_conversation_is_continued(chat: Any) -> None:
    first = ask().returned
    more = {"conversation_id": first["conversation_id"], "conversation_user": first["user"]}
    store = Store()
    second = ask(query="again", store=store, **more)
    assert second.returned["answer"] == "You said: again"
    assert second.returned["conversation_id"] == first["conversation_id"]
    assert ask(2, store, query="again", **more).returned["message_id"] == second.returned["message_id"]
    assert ask(query="again", **more).returned["message_id"] != second.returned["message_id"]  # another task
    assert len(chat.messages) == 3


def test_a_retry_takes_the_answer_of_an_earlier_try(chat: Any) -> None:
    store = Store()
    first = ask(store=store)
    second = ask(2, store)
    assert second.returned["joined"]
    assert second.returned["message_id"] == first.returned["message_id"]
    assert len(chat.messages) == 1


@pytest.mark.parametrize("kind", ["drop_stream", "end_stream", "status_after"])
@pytest.mark.parametrize("continued", [False, True])
def test_a_lost_answer_is_no_second_question(dify: FakeDify, chat: Any, kind: str, continued: bool) -> None:
    more = {}
    if continued:
        first = ask().returned
        more = {"conversation_id": first["conversation_id"], "conversation_user": first["user"]}
    fault = {"status": 502} if kind == "status_after" else {}
    dify.faults.add(Fault(kind, path="/chat-messages$", **fault))  # type: ignore[arg-type]
    ran = ask(query="lost", **more)
    assert ran.error is None
    assert ran.returned["answer"] == "You said: lost"
    assert [message.query for message in chat.messages].count("lost") == 1


def test_a_question_of_which_nothing_is_known_is_red(dify: FakeDify, chat: Any) -> None:
    dify.faults.add(Fault("reset_before", path="/chat-messages$"))
    store = Store()
    assert isinstance(ask(store=store).error, DifyRunUnknown)
    assert isinstance(ask(2, store).error, DifyRunUnknown)
    assert chat.messages == []
    assert ask(3, store, rerun="unknown").error is None
    assert len(chat.messages) == 1


def test_an_error_is_red_and_a_retry_asks_again(chat: Any) -> None:
    def fail(_: Any) -> str:
        raise ValueError("Out of paper.")

    chat.function, good = fail, chat.function
    store = Store()
    first = ask(store=store)
    assert isinstance(first.error, DifyRunError)
    chat.function = good
    assert ask(2, store).returned["answer"] == "You said: hello"


@pytest.mark.parametrize(
    ("kwargs", "says"),
    [
        ({"query": ""}, "query must be text"),
        ({"inputs": {"nam": "x"}}, "no input 'nam'"),
        ({"conversation_id": "5cd7dc6a-e446-4696-ad00-30036e58194e"}, "Give conversation_id and conversation_user"),
        ({"conversation_id": "x", "conversation_user": "u"}, "conversation_id is not a UUID"),
    ],
)
def test_bad_input_is_not_sent(chat: Any, kwargs: dict[str, Any], says: str) -> None:
    ran = ask(**kwargs)
    assert isinstance(ran.error, DifyInputError)
    assert says in ran.error.message
    assert chat.messages == []


def test_an_answer_that_was_not_expected(chat: Any) -> None:
    ran = ask(expect=lambda answer: "bye" in answer)
    assert isinstance(ran.error, DifyRunFailed)
    assert ran.report["answer"] == "You said: hello"


def test_a_workflow_is_no_chat(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    app = dify.add_workflow("w", run=lambda inputs: inputs)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=app))
    ran = ask()
    assert isinstance(ran.error, DifyAppError)
    assert "Use DifyWorkflowRunOperator for workflows" in ran.error.message


def test_the_hook_asks_and_lists(chat: Any) -> None:
    with DifyHook("dify_app") as hook:
        answer = hook.ask_app("hello", user="ann")
        again = hook.ask_app("more", user="ann", conversation_id=answer.conversation_id)
        assert again.answer == "You said: more"
        assert [row["id"] for row in hook.list_conversations(user="ann")] == [answer.conversation_id]
        rows = hook.list_messages(answer.conversation_id, user="ann")
    assert {row.query for row in rows} == {"hello", "more"}
    assert len(chat.messages) == 2


class TestGoldenQuestions:
    """The answers of an app are checked."""

    @staticmethod
    def check(questions: Any, **kwargs: Any) -> Ran:
        return run_try(DifyAnswerCheckOperator(task_id="change", questions=questions, **kwargs))

    def test_right_answers_are_green(self, chat: Any) -> None:
        ran = self.check(
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
            ({"check": lambda one: one["answer"] == "no"}, "<lambda> returned False"),
            ({"check": lambda one: one["nothing"]}, "KeyError: 'nothing'"),
        ],
    )
    def test_wrong_answers_are_red(
        self, chat: Any, expectation: dict[str, Any], problem: str, said: pytest.LogCaptureFixture
    ) -> None:
        ran = self.check([{"query": "hello", **expectation}, "fine"])
        assert isinstance(ran.error, DifyAnswerCheckFailed)
        assert problem in ran.error.message
        assert ran.report["answers"][0]["problems"] == [problem]
        assert ran.report["answers"][1]["passed"]
        (table,) = [one.getMessage() for one in said.records if "1 of 2 answers are as expected." in one.getMessage()]
        assert "FAILED  hello\n        expected: " in table
        assert f"        got:      You said: hello (cites leave.md)\n        problem:  {problem}\n" in table
        assert "passed  fine\n        expected: any answer\n" in table
        assert len(chat.messages) == 2

    def test_a_question_without_an_answer_is_red(self, chat: Any) -> None:
        def fail(_: Any) -> str:
            raise ValueError("Out of paper.")

        chat.function = fail
        ran = self.check(["hello"])
        assert isinstance(ran.error, DifyAnswerCheckFailed)
        assert "no answer (failed" in ran.error.message

    @pytest.mark.parametrize("most", [1, 3])
    def test_some_are_asked_at_a_time(self, dify: FakeDify, chat: Any, most: int) -> None:
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
                ran = self.check([f"question {n}" for n in range(7)], max_active_questions=most)
            finally:
                ended.set()
        assert begun.result() == most
        assert ran.returned["counts"]["passed"] == 7
        assert [one["query"] for one in ran.returned["answers"]] == [f"question {n}" for n in range(7)]
        times = [(message.created_at, message.created_at + message.latency) for message in chat.messages]
        overlaps = [sum(begin <= other[0] < end for other in times) for begin, end in times]
        assert max(overlaps) <= most

    def test_a_failure_ends_all_of_it(self, dify: FakeDify, chat: Any) -> None:
        dify.faults.add(Fault("status", path="/parameters$", status=401, times=None))
        ran = self.check([f"question {n}" for n in range(5)])
        assert isinstance(ran.error, DifyError)
        assert not isinstance(ran.error, DifyAnswerCheckFailed)
        assert ran.report["counts"] == {"passed": 0, "failed": 0, "not_asked": 5}

    def test_a_killed_task_asks_nothing_more(self, chat: Any) -> None:
        task: Any
        questions: list[Any] = [{"query": "first", "check": lambda _: task.on_kill()}, "second"]
        task = DifyAnswerCheckOperator(task_id="change", questions=questions, max_active_questions=1)
        ran = run_try(task)
        assert isinstance(ran.error, DifyKilledError)
        assert [message.query for message in chat.messages] == ["first"]
        assert ran.report["counts"] == {"passed": 1, "failed": 0, "not_asked": 1}

    def test_it_may_only_report(self, chat: Any) -> None:
        ran = self.check([{"query": "hello", "contains": "bye"}], on_failure="report")
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
        ],
    )
    def test_questions_are_checked_before_any_is_asked(self, chat: Any, questions: Any) -> None:
        ran = self.check(questions)
        assert isinstance(ran.error, DifyError)
        assert isinstance(ran.error, DifyInputError)
        assert chat.messages == []
