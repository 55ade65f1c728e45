"""Reads Dify's streams: server-sent events, of which only the beginning is trusted.

Each event is a line of JSON after ``data:``, and an empty line. Pings have no data. A stream may end without its last
event (1.16.0, file 41), so its end means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from airflow_provider_dify.knowledge import answers
from airflow_provider_dify.knowledge.flow import JSON

_PING = b"event: ping"
_ENDS = (b"\n\n", b"\r\n\r\n")


def events_in(body: bytes) -> Iterator[dict[str, JSON]]:
    """Return the complete events, without pings."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    for block in blocks[:-1]:
        data = b"\n".join(line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:"))
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


@dataclass(frozen=True)
class StreamedRun:
    """What a stream says about its run.

    :param run_id: Id of the run.
    :param task_id: Id for stopping it.
    :param refused: Why there is no such run: Dify rejected the inputs only after it had sent an id.
    :param error: What went wrong before a run was named. It may have been started anyway.
    :param conversation_id: The conversation, in a chat.
    :param message_id: The message, in a chat.
    :param app_id: The app, if known.
    :param ended: Whether the answer of a chat is complete.
    """

    run_id: str = ""
    task_id: str = ""
    refused: str = ""
    error: str = ""
    conversation_id: str = ""
    message_id: str = ""
    app_id: str = ""
    ended: bool = False


def start_in(body: bytes) -> StreamedRun:
    """Return what a stream has said so far; everything is empty if it has said nothing.

    If inputs are rejected, Dify sends the same id for the run and the task, and no such run exists (1.16.0, file 42).
    """
    start = StreamedRun()
    for event in events_in(body):
        start = _heard(start, event)
    return start


def _heard(start: StreamedRun, event: Mapping[str, JSON]) -> StreamedRun:
    """Return what is known after one more event."""
    if start.error or start.refused:
        return start
    kind, data = event.get("event"), event.get("data")
    if kind == "error":
        return replace(start, error=_text(event.get("message")) or "an error without a message")
    if not start.task_id:
        start = StreamedRun(
            run_id=_id(event, "workflow_run_id"),
            task_id=_id(event, "task_id"),
            conversation_id=_id(event, "conversation_id"),
            message_id=_id(event, "message_id"),
            app_id=_app_id(event),
        )
    if kind == "workflow_finished" and start.run_id == start.task_id and isinstance(data, dict):
        return StreamedRun(refused=_text(data.get("error")) or "no reason was given")
    return replace(start, ended=True) if kind == "message_end" else start


class Listener:
    """Reads the stream of a chat as it comes: each event once, because an answer can have thousands.

    :param hear: Called with what is known when that has changed.
    :param is_late: Whether it is too late to go on reading.
    """

    def __init__(
        self, hear: Callable[[StreamedRun], None] = lambda _: None, is_late: Callable[[], bool] = lambda: False
    ) -> None:
        self.start = StreamedRun()
        self._hear = hear
        self._is_late = is_late
        self._heard = 0

    def __call__(self, body: bytes) -> bool:
        """Take everything that has arrived so far, and return whether to stop reading: the answer is complete, never
        will be, or takes too long.
        """
        before, end = self.start, _end_of_events(body)
        for event in events_in(body[self._heard : end]):
            self.start = _heard(self.start, event)
        self._heard = end
        if self.start != before:
            self._hear(self.start)
        return bool(self.start.refused or self.start.error or self.start.ended) or self._is_late()


def _end_of_events(body: bytes) -> int:
    """Return where the last complete event ends."""
    return max((at + len(end) for end in _ENDS if (at := body.rfind(end)) >= 0), default=0)


def names_run(body: bytes) -> bool:
    """Whether a stream has named an existing run, or never will."""
    start = start_in(body)
    return bool(start.refused or start.error) or (bool(start.run_id) and start.run_id != start.task_id)


def task_in(run_id: str, body: bytes) -> str:
    """Return the id for stopping a run, from its events; empty if they do not contain it.

    Repeated events may have the id of the run instead (1.16.0, file 41, case A).
    """
    ids = (event.get("task_id") for event in events_in(body))
    return next((str(one) for one in ids if answers.an_id(one) and one != run_id), "")


def shows_life(body: bytes) -> bool:
    """Whether a stream shows that a worker is running it: the first ping is the API's, later ones are the worker's."""
    ended = any(event.get("event") == "workflow_finished" for event in events_in(body))
    return ended or body.count(_PING) > 1


def _id(event: Mapping[str, JSON], name: str) -> str:
    value = event.get(name)
    return str(value) if answers.an_id(value) else ""


def _app_id(event: Mapping[str, JSON]) -> str:
    data = event.get("data")
    given = data.get("inputs") if isinstance(data, dict) else None
    return _id(given, "sys.app_id") if isinstance(given, dict) else ""


def _text(value: JSON) -> str:
    return value[:1000] if answers.a_text(value) else ""
