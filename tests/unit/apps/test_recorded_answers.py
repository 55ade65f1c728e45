"""What a real Dify answers to requests for apps is understood: every recorded exchange."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAppError,
    DifyAppKeyError,
    DifyError,
    DifyNotFoundError,
    DifyRateLimitError,
    DifyRequestError,
    DifyServerError,
)
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.apps import events
from airflow_provider_dify.knowledge.apps.api import AppInfo, AppRun, ChatRow, LogRow
from airflow_provider_dify.knowledge.apps.form import InputForm
from airflow_provider_dify.knowledge.errors import error_in
from airflow_provider_dify.knowledge.flow import Request
from tests.contract.recordings import Record, files, recorded
from tests.unit.base.driving import reply

ANSWERED = [
    record
    for file in files("1.16.0")
    if file.startswith("4")
    for record in recorded("1.16.0", file)
    if record.status is not None
]


def path_of(record: Record) -> str:
    return record.path.partition("?")[0].removeprefix("/v1")


def good(method: str, start: str) -> list[Fields]:
    """The good answers to a kind of request."""
    chosen = [one for one in ANSWERED if one.method == method and path_of(one).startswith(start) and one.status == 200]
    found = [Fields(one.answer_json()) for one in chosen if not one.is_stream and one.answer_json() is not None]
    assert found
    return found


def test_runs() -> None:
    runs = [AppRun.read(payload) for payload in good("GET", "/workflows/run/")]
    statuses = Counter(run.status for run in runs)
    assert {"running", "succeeded", "failed", "stopped", "partial-succeeded", "paused"} <= statuses.keys()
    assert all(run.app_id for run in runs)
    assert {run.status for run in runs if run.is_final} == {"succeeded", "failed", "stopped", "partial-succeeded"}


def test_logs() -> None:
    rows = [LogRow.read(row) for payload in good("GET", "/workflows/logs") for row in payload.items("data")]
    assert {"twice", "u-A", "af/dag/run/task/1"} <= {row.user for row in rows}
    assert all(row.created_at for row in rows)


def test_forms_and_names() -> None:
    forms = [InputForm.read(payload) for payload in good("GET", "/parameters")]
    kinds = {field.kind for form in forms for field in form.fields.values()}
    assert {"text-input", "number", "select", "checkbox", "file", "file-list"} <= kinds
    assert {AppInfo.read(payload).mode for payload in good("GET", "/info")} >= {"workflow", "advanced-chat", "chat"}


def test_messages() -> None:
    rows = [ChatRow.read(row) for payload in good("GET", "/messages") for row in payload.items("data")]
    assert {row.status for row in rows} == {"normal", "error"}
    assert any(row.answer.startswith("You said") for row in rows)


STREAMS = [one for one in ANSWERED if one.is_stream and one.method == "POST" and path_of(one).endswith("/run")]


@pytest.mark.parametrize("record", STREAMS, ids=str)
def test_each_stream_names_its_run_or_says_why_there_is_none(record: Record) -> None:
    body = record.answer.encode()
    start = events.start_in(body)
    if "missing" in record.case:
        assert start.refused == "text is required in input form"
    elif "first ping" in record.case or b"workflow_started" not in body:
        assert start == events.StreamedRun()
    else:
        assert start.run_id
        assert start.task_id != start.run_id
        assert start.app_id
        assert not start.refused
        cut = body[: body.index(b"\n\n", body.index(b"workflow_started")) + 2]
        assert events.names_run(cut)
        assert not events.names_run(cut[:-2])


CHATS = [one for one in ANSWERED if one.is_stream and path_of(one) == "/chat-messages"]


@pytest.mark.parametrize("record", CHATS, ids=str)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_chat_is_heard_piece_by_piece_as_it_is_read_as_a_whole(record: Record, newline: bytes) -> None:
    body = record.answer.encode().replace(b"\n", newline)
    heard: list[events.StreamedRun] = []
    listener = events.Listener(heard.append)
    for end in range(0, len(body), 97):
        listener(body[:end])
    assert listener(body) == bool(listener.start.ended or listener.start.error or listener.start.refused)
    assert listener.start == events.start_in(body)
    assert heard[-1] == listener.start
    assert len(heard) <= 3


CLASSES = {
    "wrong key": DifyAppKeyError,
    "dataset key used for an app": DifyAppKeyError,
    "not published: streaming": DifyAppError,
    "workflow endpoint with a chat key": DifyAppError,
    "chat-messages with a workflow key": DifyAppError,
    "completion-messages with a workflow key": DifyAppError,
    "limit 1: streaming alone": DifyRateLimitError,
    "API service of the app disabled (enable_api false): run": DifyAccessError,
    "E: GET unknown run id": DifyNotFoundError,
    "E: GET malformed run id": DifyServerError,
    "POST /workflows/{unknown uuid}/run": DifyNotFoundError,
    "GET /parameters of an app that is not published": DifyAppError,
    "15 MiB and one byte (limit UPLOAD_FILE_SIZE_LIMIT=15)": DifyRequestError,
}


@pytest.mark.parametrize(("case", "kind"), CLASSES.items(), ids=lambda value: getattr(value, "__name__", str(value)))
def test_each_error_has_its_class(case: str, kind: type[DifyError]) -> None:
    record = next(one for one in ANSWERED if one.case == case)
    assert record.status is not None
    answer = reply(record.status, record.answer, x_version="1.16.0")
    error = error_in(Request(record.method, path_of(record)), answer, reads_work=True)
    assert type(error) is kind
