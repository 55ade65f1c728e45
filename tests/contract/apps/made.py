"""The apps of the recordings, as functions."""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_dify.testing import Answer, App, FakeDify, Input, Inputs, Node, Partial, Paused, Question
from tests.contract.recordings import Record

REFUSED = "[Errno 111] Connection refused"
_SLOW = [Input(name, "number", required=True) for name in ("secs", "secs2")]
_SLOW_NODES = [Node("first", lambda inputs: inputs["secs"]), Node("second", lambda inputs: inputs["secs2"])]
_ECHO = [
    Input("text", required=True, max_length=48),
    Input("number", "number"),
    Input("choice", "select", options=["red", "green"]),
    Input("flag", "checkbox"),
    Input("doc", "file"),
    Input("docs", "file-list", max_length=3),
]


def _echo(inputs: Inputs) -> dict[str, Any]:
    return {**inputs, "user": inputs.run.user, "run": inputs.run.id}


def _slept(seconds: float) -> str:
    return json.dumps({"slept": f"{seconds:g}"})


def _slow(inputs: Inputs) -> dict[str, Any]:
    return {"first": _slept(inputs["secs"]), "second": _slept(inputs["secs2"]), "tag": inputs["tag"]}


def _broken(_: Any) -> Any:
    raise ConnectionError(REFUSED)


def _human(inputs: Inputs) -> Paused:
    content = "Please say {{#$output.note#}} about " + inputs["text"]
    return Paused(content, inputs=["note"], then=lambda fields: {"note": fields["note"], "text": inputs["text"]})


def _model(question: Question) -> Answer:
    """The model of the recordings said something about each question, which does not matter here."""
    return Answer(f"An answer to {question.query}", tokens=(1, 1))


def make(dify: FakeDify) -> dict[str, App]:
    """Create them all, by the names that :func:`name_of` returns."""
    text = [Input("text", required=True)]
    slow: list[Input | str] = [*_SLOW, "tag"]
    apps = {
        "echo": dify.add_workflow("echo", run=_echo, inputs=_ECHO, seconds=0.1),
        "echo 2": dify.add_workflow("echo 2", run=_echo, inputs=_ECHO),
        "ties": dify.add_workflow("ties", run=_echo, inputs=_ECHO),
        "only text": dify.add_workflow("only text", inputs=text),
        "fail": dify.add_workflow("fail", run=_broken, inputs=text, nodes=["broken"]),
        "partial": dify.add_workflow(
            "partial", run=lambda inputs: Partial({"text": inputs["text"], "body": "fallback"}), inputs=text,
            nodes=["broken"],
        ),
        "slow": dify.add_workflow("slow", run=_slow, inputs=slow, nodes=_SLOW_NODES),
        "limited": dify.add_workflow("limited", run=_slow, inputs=slow, nodes=_SLOW_NODES),
        "retry": dify.add_workflow("retry", run=_broken, inputs=text, nodes=[Node("broken", retries=2)]),
        "loop": dify.add_workflow("loop", run=lambda _: {"num": 5}, nodes=[Node("1754827949615", kind="loop")]),
        "draft": dify.add_workflow("draft", inputs=text, published=False),
        "big": dify.add_workflow(
            "big", run=lambda inputs: {"body": "x" * inputs["n"]}, inputs=[Input("n", "number")], nodes=["http"]
        ),
        "human": dify.add_workflow("human", run=_human, inputs=text, nodes=[Node("ask", 0.2, kind="human-input")]),
        **_chats(dify),
    }  # fmt: skip
    for name, app in apps.items():
        app.description = "recording" if name in ("basicchat", "completion") else f"recording: {name}"
    return apps


def _chats(dify: FakeDify) -> dict[str, App]:
    secs = [Input("secs", "number", required=True)]
    return {
        "chatflow": dify.add_chat_app(
            "chatflow", answer=lambda asked: f"You said: {asked.query} (name {asked.inputs['name'] or ''})",
            inputs=[Input("name", max_length=48)],
        ),
        "slowchat": dify.add_chat_app(
            "slowchat", answer=lambda asked: f"slept for {asked.inputs['secs']}: {_slept(asked.inputs['secs'])}",
            inputs=secs, nodes=[Node("first", lambda inputs: inputs["secs"])],
        ),
        "failchat": dify.add_chat_app("failchat", answer=_broken, nodes=["broken"]),
        "basicchat": dify.add_chat_app("basicchat", answer=_model, mode="chat", opening_statement="Hello"),
        "completion": dify.add_chat_app(
            "completion", answer=_model, mode="completion", inputs=[Input("query", "paragraph", required=True)],
            opening_statement="Hello", suggested_questions=["What?"],
        ),
    }  # fmt: skip


#: Which app a request was for: start of the file, what is found in its case or section, name. The first one counts;
#: an empty name: the key was wrong.
_NAMES = (
    ("4", r"wrong key", ""),
    ("40", r"default value|^partial", "partial"),
    ("40", r"^failing node", "fail"),
    ("40", r"12\+12|24 s|6\+6", "slow"),
    ("40", r"2 retries", "retry"),
    ("40", r"loop", "loop"),
    ("41", r"^D: (stop|GET) .*key of another|refused|the id that the refused|^logs by its user|^events of it", "echo"),
    ("41", r"chat key", "basicchat"),
    ("41", r"^human", "human"),
    ("41", r"", "slow"),
    ("42", r"basic chat key|with a chat key", "basicchat"),
    ("42", r"with a completion key", "completion"),
    ("42", r"advanced-chat key", "chatflow"),
    ("42", r"not published", "draft"),
    ("42", r"^limit", "limited"),
    ("42", r"^output of", "big"),
    ("42", r"^connections", "slow"),
    ("43", r"with a completion key|completion app", "completion"),
    ("43", r"with a workflow key", "echo"),
    ("43", r"missing required input|client going away", "slowchat"),
    ("43", r"basic chat", "basicchat"),
    ("43", r"node that fails", "failchat"),
    ("43", r"", "chatflow"),
    ("44", r"not published", "draft"),
    ("44", r"\(chatflow\)", "chatflow"),
    ("44", r"\(basicchat\)", "basicchat"),
    ("44", r"\(completion\)", "completion"),
    ("44", r"that the app does not have", "only text"),
    ("44", r"given to app 2", "echo 2"),
    ("45", r"whose runs failed|status=failed", "fail"),
    ("45", r"advanced-chat", "chatflow"),
    ("45", r"basic chat", "basicchat"),
    ("45", r"blocking run|30 s ago|fraction|not encoded", "slow"),
    ("45", r"in one second|at the same time|no run in between|one page of 20", "ties"),
    ("4", r"", "echo"),
)


def name_of(record: Record) -> str:
    """The app of a request; empty: its key was wrong."""
    texts = (record.case, record.section)
    return next(
        name
        for file, pattern, name in _NAMES
        if record.file.startswith(file) and any(re.search(pattern, text) for text in texts)
    )
