"""Chat apps of the built-in Dify: answers, conversations, and what they cite."""

from __future__ import annotations

import json

import pytest

from airflow_provider_dify.testing import Answer, FakeDify, Input, Node, Question
from airflow_provider_dify.testing.apps.plan import Mode
from tests.testing.apps.asking import AppClient, events, first_event

CHATS: list[Mode] = ["advanced-chat", "chat", "agent-chat"]


def said(question: Question) -> str:
    if question.query == "fail":
        raise ValueError("no model")
    return f"You said {question.query} after {len(question.history)} to {question.inputs.get('name')}"


def chat(dify: FakeDify, mode: Mode = "advanced-chat", user: str = "ann") -> AppClient:
    return AppClient(dify, dify.add_chat_app("chat", answer=said, mode=mode, inputs=[Input("name")]), user)


@pytest.mark.parametrize("mode", CHATS[:2])
def test_a_conversation_goes_on(sim: FakeDify, mode: Mode) -> None:
    client = chat(sim, mode)
    first = client.ask("hello", name="Ann").json()
    assert (first["answer"], first["mode"]) == ("You said hello after 0 to Ann", mode)
    assert (
        client.ask("again", conversation=first["conversation_id"]).json()["answer"].startswith("You said again after 1")
    )
    listed = client.get(f"/messages?user=ann&conversation_id={first['conversation_id']}")
    assert [one["query"] for one in listed["data"]] == ["hello", "again"]
    [conversation] = client.app.conversations
    assert [(one.query, one.user) for one in conversation.messages] == [("hello", "ann"), ("again", "ann")]
    assert client.get("/conversations?user=ann")["data"][0]["name"] == "hello"


@pytest.mark.parametrize("mode", CHATS)
def test_an_answer_comes_in_pieces(sim: FakeDify, mode: Mode) -> None:
    client = chat(sim, mode)
    answer = client.ask("hello", "streaming")
    text = answer.text
    assert text.startswith("event: ping") == (mode == "advanced-chat")
    bodies = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    kind = "agent_message" if mode == "agent-chat" else "message"
    pieces = [one["answer"] for one in bodies if one["event"] == kind]
    assert "".join(pieces) == client.app.messages[0].answer == "You said hello after 0 to None"
    assert len(pieces) > 3
    [end] = [one for one in bodies if one["event"] == "message_end"]
    assert end["message_id"] == client.app.messages[0].id
    assert len(client.app.runs) == (mode == "advanced-chat")


def test_an_agent_only_streams(sim: FakeDify) -> None:
    assert chat(sim, "agent-chat").ask("hello").status_code == 400


def test_a_completion_app_has_no_conversations(sim: FakeDify) -> None:
    app = sim.add_chat_app(
        "write", answer=lambda question: f"On {question.inputs['about']}", mode="completion", inputs=["about"]
    )
    client = AppClient(sim, app)
    body = {"inputs": {"about": "rain"}, "user": "ann"}
    answer = client.call("POST", "/completion-messages", json=body).json()
    assert (answer["answer"], "conversation_id" in answer) == ("On rain", False)
    streamed = client.call("POST", "/completion-messages", json={**body, "response_mode": "streaming"})
    assert [one["event"] for one in events(streamed)] == ["message", "message", "message_end"]


@pytest.mark.parametrize("mode", CHATS[:2])
def test_a_failure_looks_like_refused_input(sim: FakeDify, mode: Mode) -> None:
    client = chat(sim, mode)
    answer = client.ask("fail")
    assert answer.status_code == 400
    assert "no model" in answer.json()["message"]
    last = events(client.ask("fail", "streaming"))[-1]
    assert last["event"] == ("workflow_finished" if mode == "advanced-chat" else "error")
    assert [one.status for one in client.app.messages] == ["error", "error"]


def test_a_stopped_answer_is_kept_in_part(sim: FakeDify) -> None:
    app = sim.add_chat_app("slow", answer=lambda _: "one two three four", nodes=[Node("model", 40, kind="llm")])
    client = AppClient(sim, app)
    task_id = first_event(client.ask("hello", "streaming"))["task_id"]
    sim.clock.advance(15)
    assert app.messages[0].answer == ""
    assert client.call("POST", f"/chat-messages/{task_id}/stop", json={"user": "bob"}).ok
    sim.clock.advance(1)
    assert (app.messages[0].answer, app.messages[0].status) == ("one two ", "normal")
    assert app.runs[0].status == "stopped"


def test_the_stop_of_a_basic_chat_goes_by_the_user(sim: FakeDify) -> None:
    app = sim.add_chat_app("slow", answer=lambda _: "one two three four", mode="chat", seconds=40)
    client = AppClient(sim, app)
    task_id = first_event(client.ask("hello", "streaming"))["task_id"]
    client.call("POST", f"/chat-messages/{task_id}/stop", json={"user": "bob"})
    sim.clock.advance(15)
    client.call("POST", f"/chat-messages/{task_id}/stop", json={"user": "ann"})
    sim.clock.advance(100)
    assert app.messages[0].answer == "one two "


def test_conversations_belong_to_a_user(sim: FakeDify) -> None:
    client = chat(sim)
    conversation = client.ask("hello").json()["conversation_id"]
    other = AppClient(sim, client.app, user="bob")
    assert other.ask("mine?", conversation=conversation).status_code == 404
    assert other.get("/conversations?user=bob")["data"] == []
    delete = {"user": "bob"}
    assert other.call("DELETE", f"/conversations/{conversation}", json=delete).status_code == 404
    assert client.call("DELETE", f"/conversations/{conversation}", json={"user": "ann"}).status_code == 204
    assert client.get("/conversations?user=ann")["data"] == []


def test_an_answer_cites_what_search_finds(sim: FakeDify) -> None:
    kb = sim.add_dataset("handbook")
    old = kb.add_document("travel 2025", text="Every journey by train is paid, first class included.")
    new = kb.add_document(
        "travel 2026", text="Journeys by train are paid, first class from four hours on.", enabled=False
    )

    def answer(question: Question) -> Answer:
        found = sim.find(kb, question.query)
        return Answer(found[0].chunks[0].text if found else "I do not know.", sources=found, tokens=(20, 5))

    client = AppClient(sim, sim.add_chat_app("helpdesk", answer=answer))
    body = client.ask("first class train").json()
    assert [one["document_id"] for one in body["metadata"]["retriever_resources"]] == [old.id]
    assert body["metadata"]["usage"]["total_tokens"] == 25
    old.set(enabled=False, in_search=False)
    assert client.ask("first class train").json()["answer"] == "I do not know."
    new.set(enabled=True, in_search=True)
    assert (
        client.ask("first class train").json()["metadata"]["retriever_resources"][0]["document_name"] == "travel 2026"
    )


def test_files_belong_to_the_user_who_uploaded_them(sim: FakeDify) -> None:
    app = sim.add_workflow(
        "files", run=lambda inputs: {"name": inputs["doc"]["filename"]}, inputs=[Input("doc", "file")]
    )
    client, other = AppClient(sim, app), AppClient(sim, app, user="bob")
    stored = client.call("POST", "/files/upload", files={"file": ("a.txt", b"hello")}, data={"user": "ann"})
    assert (stored.status_code, stored.json()["size"]) == (201, 5)
    given = {"type": "document", "transfer_method": "local_file", "upload_file_id": stored.json()["id"]}
    assert client.run(doc=given).json()["data"]["outputs"] == {"name": "a.txt"}
    assert other.run(doc=given).json()["message"] == "Invalid upload file"
