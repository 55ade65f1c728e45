"""DifyChatMessageOperator against the built-in Dify."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAppError,
    DifyInputError,
    DifyRunError,
    DifyRunFailed,
    DifyRunUnknown,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.apps.chat import ChatMessage
from airflow_provider_dify.knowledge.apps.requesting import ChatRequest
from airflow_provider_dify.knowledge.apps.tries import tries_of
from airflow_provider_dify.operators.apps import DifyChatMessageOperator
from airflow_provider_dify.testing import FakeDify, Fault
from tests.unit.apps.running import Ran, Store, run_try
from tests.waiting import until


def ask(number: int = 1, store: Store | None = None, **kwargs: Any) -> Ran:
    kwargs = {"query": "hello", **kwargs}
    return run_try(DifyChatMessageOperator(task_id="change", **kwargs), number, store)


def test_a_question_is_answered(chat: Any) -> None:
    ran = ask(inputs={"name": "Ann"})
    assert ran.error is None
    assert ran.returned["answer"] == "You said: hello"
    assert ran.returned["conversation_id"] == chat.messages[0].conversation_id
    assert ran.returned["message_id"] == chat.messages[0].id
    citation = ran.returned["citations"][0]
    assert (citation["document_name"], citation["score"]) == ("leave.md", 0.9)
    assert (ran.returned["usage"]["message_tokens"], ran.returned["usage"]["answer_tokens"]) == (7, 5)
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
    assert (ran.returned["answer"], ran.returned["error"]) == ("You said: lost", None)
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


def test_a_failed_answer_in_a_conversation_is_asked_again(chat: Any) -> None:
    first = ask().returned
    more = {"conversation_id": first["conversation_id"], "conversation_user": first["user"]}

    def fail(_: Any) -> str:
        raise ValueError("Out of paper.")

    chat.function, good = fail, chat.function
    store = Store()
    assert isinstance(ask(query="again", store=store, **more).error, DifyRunError)
    chat.function = good
    assert ask(2, store, query="again", **more).returned["answer"] == "You said: again"


def test_an_answer_that_takes_too_long_is_stopped_and_asked_again(chat: Any, mode: str) -> None:
    chat.seconds = 100
    store = Store()
    late = ask(store=store, timeout=30)
    assert isinstance(late.error, DifyRunError)
    assert late.report["outcome"] == "stopped"
    assert "There was no complete answer after 30 s, and this task told it to stop." in late.error.message
    assert [run.status for run in chat.runs] == (["stopped"] if mode == "advanced-chat" else [])
    chat.seconds = 3
    again = ask(2, store)
    assert (again.returned["answer"], again.returned["joined"]) == ("You said: hello", False)
    assert len(chat.messages) == 2


def test_a_killed_task_stops_its_answer_and_a_retry_does_not_take_half_of_it(
    dify: FakeDify, chat: Any, mode: str
) -> None:
    chat.seconds = 100
    dify.holds_clock = True
    store = Store()
    tries = tries_of("airflow", "dag", "change", "run", -1, 1)
    message = ChatMessage(tries, ChatRequest("hello"), keep=lambda note: store.set("dify_run", dict(note)))
    with DifyHook("dify_app") as hook, ThreadPoolExecutor(1) as killer:

        def kill() -> None:
            assert until(lambda: bool(chat.messages))
            dify.clock.advance(50)
            assert until(lambda: bool(message.start.task_id))
            dify.holds_clock = False
            hook.stop()
            hook.run_apart(message.when_killed(), 20)

        killed = killer.submit(kill)
        hook.run(message.flow(hook.deadline(1000)))
        killed.result()
    dify.clock.sleep(60)
    assert message.report().outcome.value == "stopped"
    assert (chat.messages[0].answer, chat.messages[0].status) == ("You said: ", "normal"), "half of it looks complete"
    chat.seconds = 3
    assert ask(2, store, rerun="never").report["outcome"] == "stopped"
    assert ask(3, store).returned["answer"] == "You said: hello"
    assert len(chat.messages) == 2


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


@pytest.mark.parametrize("query", [" Why does {{ ds }} stay in my text?\n", '{"text": "{% if x %}"}'])
def test_a_question_about_templates_is_sent_unchanged(chat: Any, query: str) -> None:
    assert ask(query=query).error is None
    assert chat.messages[0].query == query


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
        answer = hook.ask_app("hello", user="ann", conversation_id="")  # a new one, as in Dify's API
        again = hook.ask_app("more", user="ann", conversation_id=answer.conversation_id)
        assert again.answer == "You said: more"
        assert [row["id"] for row in hook.list_conversations(user="ann")] == [answer.conversation_id]
        rows = hook.list_messages(answer.conversation_id, user="ann")
    assert {row.query for row in rows} == {"hello", "more"}
    assert len(chat.messages) == 2
