"""The endpoints of Dify's app API: how each request is built and its response is read.

Reference: https://docs.dify.ai/api-reference
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from airflow_provider_dify.knowledge.answers import Fields, a_list_or_nothing, a_number_or_nothing, a_text
from airflow_provider_dify.knowledge.api import about, read_answer
from airflow_provider_dify.knowledge.apps import events
from airflow_provider_dify.knowledge.apps.events import StreamedRun
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request, Upload, answered

#: One page: with several, rows of the same second are repeated and omitted (1.16.0, file 45).
_LOG_ROWS = 100
_CITATION = ("position", "dataset_id", "dataset_name", "document_id", "document_name", "segment_id", "score", "content")
_USAGE = ("message_tokens", "answer_tokens", "total_tokens", "total_price", "currency", "provider_response_latency")
#: Runs with these statuses do not change any more. All others, even unknown ones of a later Dify, are not final.
FINAL_STATUSES = frozenset({"succeeded", "failed", "stopped", "partial-succeeded"})
PAUSED = "paused"


@dataclass(frozen=True)
class AppInfo:
    """An app.

    :param name: Its name.
    :param mode: ``workflow``, ``advanced-chat`` (a chatflow), ``chat``, ``agent-chat`` or ``completion``; empty if Dify
        does not say.
    :param description: Its description.
    :param tags: Its tags.
    """

    name: str
    mode: str
    description: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def read(cls, payload: Fields) -> AppInfo:
        """Read a response."""
        return cls(
            payload.text("name"),
            payload.maybe_text("mode") or "",
            payload.maybe_text("description") or "",
            tuple(filter(a_text, payload.read("tags", a_list_or_nothing) or ())),
        )


@dataclass(frozen=True)
class AppRun:
    """A run of a workflow or chatflow, as Dify shows it.

    :param id: Its id.
    :param status: ``running``, ``paused``, ``succeeded``, ``partial-succeeded``, ``failed`` or ``stopped``.
    :param workflow_id: Which published version ran.
    :param app_id: The app; empty if Dify does not say.
    :param outputs: What it returned.
    :param error: Why it failed or was stopped.
    :param elapsed_time: How long it ran, in seconds.
    :param total_tokens: How many tokens its models used.
    :param total_steps: How many nodes ran; 0 while it runs.
    :param created_at: When it began, in seconds since the epoch.
    :param finished_at: When it ended.
    """

    id: str
    status: str
    workflow_id: str = ""
    app_id: str = ""
    outputs: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    error: str | None = None
    elapsed_time: float = 0.0
    total_tokens: int = 0
    total_steps: int = 0
    created_at: float | None = None
    finished_at: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL_STATUSES

    @classmethod
    def read(cls, payload: Fields) -> AppRun:
        """Read a response."""
        outputs = payload.get("outputs") or {}
        if not isinstance(outputs, dict):
            raise ValueError(f"'outputs' is not an object but a {type(outputs).__name__}")  # noqa: TRY004
        error = payload.get("error")
        return cls(
            id=payload.id(),
            status=payload.text("status"),
            workflow_id=str(payload.get("workflow_id") or ""),
            app_id=_app_id(payload.get("inputs")),
            outputs=outputs,
            error=None if error is None else str(error)[:10_000],
            elapsed_time=payload.number("elapsed_time"),
            total_tokens=payload.count("total_tokens"),
            total_steps=payload.count("total_steps"),
            created_at=payload.read("created_at", a_number_or_nothing),
            finished_at=payload.read("finished_at", a_number_or_nothing),
        )


@dataclass(frozen=True)
class LogRow:
    """A run in the log of its app.

    :param run_id: Id of the run.
    :param status: Its status.
    :param created_at: When it began, in seconds since the epoch.
    :param user: Who started it: the ``user`` of the request; empty if it came from elsewhere.
    """

    run_id: str
    status: str
    created_at: float
    user: str = ""

    @classmethod
    def read(cls, row: Fields) -> LogRow:
        """Read a response."""
        run, user = row.object("workflow_run"), row.maybe_object("created_by_end_user")
        return cls(run.id(), run.text("status"), run.number("created_at"), str(user.get("session_id") or ""))


@dataclass(frozen=True)
class ChatRow:
    """A message, as a chat app shows it.

    :param id: Its id.
    :param conversation_id: The conversation.
    :param query: What was asked.
    :param answer: The answer; empty while it is being written.
    :param status: ``normal`` or ``error``.
    :param error: Why there is no answer.
    :param citations: The segments that were used, each with its document.
    :param usage: Tokens, price and seconds.
    :param created_at: When it was asked, in seconds since the epoch.
    """

    id: str
    conversation_id: str
    query: str
    answer: str
    status: str
    error: str | None
    citations: tuple[Mapping[str, JSON], ...] = field(repr=False)
    usage: Mapping[str, JSON] = field(repr=False)
    created_at: float

    @classmethod
    def read(cls, row: Fields) -> ChatRow:
        """Read a response."""
        sources = [one for one in row.read("retriever_resources", a_list_or_nothing) or () if isinstance(one, dict)]
        error = row.get("error")
        return cls(
            id=row.id(),
            conversation_id=row.id("conversation_id"),
            query=str(row.get("query") or ""),
            answer=str(row.get("answer") or ""),
            status=row.maybe_text("status") or "normal",
            error=str(error)[:10_000] if error else None,
            citations=tuple({name: one.get(name) for name in _CITATION} for one in sources),
            usage={name: row.get(name) for name in _USAGE},
            created_at=row.number("created_at"),
        )


def get_info() -> Flow[AppInfo]:
    """Read the name and the mode of the app.

    https://docs.dify.ai/api-reference/applications/get-app-info
    """
    response = yield Request("GET", "/info")
    return read_answer(response, AppInfo.read)


def get_parameters() -> Flow[dict[str, JSON]]:
    """Read the parameters of the app.

    :raises DifyAppError: It is not published.

    https://docs.dify.ai/api-reference/applications/get-app-parameters
    """
    response = yield Request("GET", "/parameters")
    return read_answer(response, lambda payload: payload.values)


def start_run(inputs: Mapping[str, JSON], user: str, *, workflow_id: str | None = None) -> Flow[StreamedRun]:
    """Start a run of a workflow, and read its id from the stream. The request is never retried by itself.

    https://docs.dify.ai/api-reference/workflows/run-workflow
    """
    path = f"/workflows/{workflow_id}/run" if workflow_id else "/workflows/run"
    body: dict[str, JSON] = {"inputs": dict(inputs), "user": user, "response_mode": "streaming"}
    response = yield Request("POST", path, json=body, repeatable=False, enough=events.names_run)
    return events.start_in(answered(response).body)


def get_run(run_id: str) -> Flow[AppRun]:
    """Read a run.

    :raises DifyNotFoundError: The app has no such run.

    https://docs.dify.ai/api-reference/workflows/get-workflow-run-detail
    """
    response = yield Request("GET", f"/workflows/run/{run_id}")
    return read_answer(response, about(run_id, AppRun.read))


def runs_of(user: str | None, *, status: str | None = None, limit: int = _LOG_ROWS) -> Flow[tuple[LogRow, ...]]:
    """List the runs of a user in the log of the app, newest first. A run that waits in a queue is not in it.

    :param user: Exactly this text; ``None``: everybody. A Dify without this filter lists all runs, so the rows are
        checked.

    https://docs.dify.ai/api-reference/workflows/list-workflow-logs
    """
    query: list[tuple[str, str | int]] = [("page", 1), ("limit", limit)]
    if user is not None:
        query.append(("created_by_end_user_session_id", user))
    if status is not None:
        query.append(("status", status))
    response = yield Request("GET", "/workflows/logs", query=tuple(query))
    rows = read_answer(response, lambda payload: tuple(map(LogRow.read, payload.items("data"))))
    return rows if user is None else tuple(row for row in rows if row.user == user)


def send_message(
    body: Mapping[str, JSON], hear: Callable[[StreamedRun], None], is_late: Callable[[], bool] = lambda: False
) -> Flow[StreamedRun]:
    """Ask a chat app, and read its stream to the end, or as far as it comes. The request is never retried by itself.

    The stream is read to its end, because only chatflows are known to continue without a reader.

    :param hear: Called with what is known about the answer while it comes, such as the id for stopping it.
    :param is_late: Whether it is too late to go on reading.

    https://docs.dify.ai/api-reference/chats/send-chat-message
    """
    sent = {**body, "response_mode": "streaming"}
    listener = events.Listener(hear, is_late)
    response = yield Request("POST", "/chat-messages", json=sent, repeatable=False, enough=listener)
    listener(answered(response).body)
    return listener.start


def conversations_of(user: str, *, limit: int = 20) -> Flow[tuple[dict[str, JSON], ...]]:
    """List the conversations of a user, latest first, as in Dify's response.

    https://docs.dify.ai/api-reference/conversations/list-conversations
    """
    response = yield Request("GET", "/conversations", query=(("user", user), ("limit", limit)))
    return read_answer(response, lambda payload: tuple(map(_with_id, payload.items("data"))))


def messages_of(user: str, conversation_id: str, *, limit: int = 100) -> Flow[tuple[ChatRow, ...]]:
    """List the latest messages of a conversation.

    https://docs.dify.ai/api-reference/conversations/list-conversation-messages
    """
    query = (("user", user), ("conversation_id", conversation_id), ("limit", limit))
    response = yield Request("GET", "/messages", query=query)
    return read_answer(response, lambda payload: tuple(map(ChatRow.read, payload.items("data"))))


def stop_message(task_id: str, user: str) -> Flow[None]:
    """Ask Dify to stop an answer. It always responds "success".

    https://docs.dify.ai/api-reference/chats/stop-chat-message-generation
    """
    yield Request("POST", f"/chat-messages/{task_id}/stop", json={"user": user})


def find_task(run_id: str, user: str) -> Flow[str]:
    """Return the id for stopping a run; empty if its events do not contain it soon.

    The snapshot is requested because otherwise a second reader takes events from the first (1.16.0, file 41, cases T
    and U).
    """
    response = yield _events_of(run_id, user, lambda body: bool(events.task_in(run_id, body)))
    return events.task_in(run_id, answered(response).body)


def shows_life(run_id: str, user: str) -> Flow[bool]:
    """Whether a worker is running it: the worker writes a ping every 10 s."""
    response = yield _events_of(run_id, user, events.shows_life)
    return events.shows_life(answered(response).body)


def stop_task(task_id: str, user: str) -> Flow[None]:
    """Ask Dify to stop a run. It always responds "success": read the run to see whether it stopped.

    https://docs.dify.ai/api-reference/workflows/stop-workflow-task
    """
    yield Request("POST", f"/workflows/tasks/{task_id}/stop", json={"user": user})


def upload_file(upload: Upload) -> Flow[dict[str, JSON]]:
    """Upload a file, which belongs to its user; return Dify's response, with its ``id``.

    https://docs.dify.ai/api-reference/files/upload-file
    """
    return read_answer((yield Request("POST", "/files/upload", upload=upload)), _with_id)


def _with_id(item: Fields) -> dict[str, JSON]:
    return {**item.values, "id": item.id()}


def _events_of(run_id: str, user: str, enough: Callable[[bytes], bool]) -> Request:
    query = (("user", user), ("include_state_snapshot", "true"))
    return Request("GET", f"/workflow/{run_id}/events", query=query, repeatable=False, enough=enough)


def _app_id(inputs: JSON) -> str:
    """Return the app of a run, which only its inputs contain; in a response they are JSON as text."""
    with suppress(ValueError, RecursionError):
        return Fields(json.loads(inputs) if isinstance(inputs, str) else inputs).id("sys.app_id")
    return ""
