"""Waiting for indexing as a conversation, against written replies: no server, and no waiting."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Pause, Request, Response
from airflow_provider_dify.knowledge.indexing.report import IndexingReport
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.knowledge.retries import Retries, retrying

KB = "cb9ba4b4-c26d-45cb-b768-80d93c52ba71"
BATCH = "20261123115848274364"
NOW = 1_795_435_000
A, B, C = (f"0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3))


def state(document_id: str, status: str, *, segments: tuple[int, int] = (0, 0), **times: int | None) -> dict[str, Any]:
    """A document as Dify shows it in the state of a batch."""
    steps = ("processing_started_at", "parsing_completed_at", "cleaning_completed_at", "splitting_completed_at",
             "completed_at", "paused_at", "stopped_at")  # fmt: skip
    return {
        "id": document_id,
        "indexing_status": status,
        **dict.fromkeys(steps),
        **times,
        "error": None,
        "completed_segments": segments[0],
        "total_segments": segments[1],
    }


def document(
    document_id: str, status: str, *, display: str = "indexing", single: bool = True, **more: Any
) -> dict[str, Any]:
    """A document as Dify shows it by itself, or in a list."""
    shown = {
        "id": document_id,
        "name": f"page {document_id[7]}",
        "indexing_status": status,
        "display_status": display,
        "enabled": True,
        "archived": False,
        "error": None,
        "created_at": NOW,
    }
    own = {"segment_count": 0, "updated_at": None, "completed_at": None} if single else {}
    return {**shown, **own, **more}


class Script:
    """Answers a flow, and counts the time that it lets pass.

    :param answer: Returns the response to a path at a moment, in seconds since the start: JSON, or a text for a 404.
    """

    def __init__(self, answer: Callable[[str, float], Any], *, ahead: float = 0.0, start: float = 0.0) -> None:
        self.answer = answer
        self.now = start
        self.ahead = ahead
        self.paths: list[str] = []
        self.notes: list[tuple[float, str]] = []
        self.pauses: list[float] = []

    def deadline(self, seconds: float = 1e6) -> Deadline:
        return Deadline(seconds, lambda: self.now, 0.0)

    def run(self, flow: Flow[Any]) -> Any:
        flow = retrying(flow, Retries(max_retries=0))
        answer: Response | None = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = self._do(step)

    def _do(self, step: object) -> Response | None:
        if isinstance(step, Request):
            self.paths.append(step.path.removeprefix(f"/datasets/{KB}"))
            return self._response(self.answer(self.paths[-1], self.now))
        if isinstance(step, Note):
            assert step.level == logging.INFO
            self.notes.append((self.now, step.text))
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
        return None

    def _response(self, answer: Any) -> Response:
        status = 404 if isinstance(answer, str) else 200
        payload = {"code": "not_found", "message": answer, "status": 404} if status == 404 else answer
        # A server whose clock is ahead of ours shows it.
        date = {"date": formatdate(NOW + self.now + self.ahead, usegmt=True)} if self.ahead else {}
        return Response(status, date, json.dumps(payload).encode(), at=NOW + self.now)


def batch_of(*states: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(states)}


def always(answer: Any) -> Script:
    return Script(lambda path, now: answer)


def wait_for(script: Script, *, timeout: float = 1e6, poll_interval: float = 60.0, **kwargs: Any) -> IndexingReport:
    what = kwargs if "document_ids" in kwargs else {"batch": BATCH} | kwargs
    return finish(IndexingWait(KB, poll_interval=poll_interval, **what), script, timeout=timeout)


def finish(wait: IndexingWait, script: Script, *, timeout: float = 1e6) -> IndexingReport:
    report = script.run(wait.flow(script.deadline(timeout)))
    assert isinstance(report, IndexingReport)
    return report
