"""Driving a flow with written replies: no server, and no waiting."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyRequestError,
)
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Measure, Note, Pause, Request, Response
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import VirtualClock

T = TypeVar("T")
Reply = Response | DifyError
ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
DATASET: dict[str, Any] = {"id": ID, "name": "handbook"}
RATE_LIMIT = "Sorry, you have reached the knowledge base request rate limit of your subscription."
#: The clock of the tests starts at 2026-01-01 00:00:00.
AT = 1_767_225_600.0


def reply(status: int, body: object = None, **headers: str) -> Response:
    """A response: a mapping is JSON, a text is sent unchanged."""
    sent = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, sent.encode(), at=AT)


def dify_error(status: int, code: str = "odd", message: str = "Oh no.", **headers: str) -> Response:
    return reply(status, {"code": code, "message": message, "status": status}, **headers)


def name_of(value: object) -> str | None:
    """How a test is called after an answer."""
    return f"{value.status} {value.body[:60].decode(errors='replace')}" if isinstance(value, Response) else None


@dataclass
class Driven:
    """How a flow went: what it sent and logged, how long it waited, and how it ended."""

    result: object = None
    error: DifyError | None = None
    requests: list[Request] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)

    @property
    def waits(self) -> list[float]:
        return [pause.seconds for pause in self.pauses]


def drive(flow: Flow[T], replies: list[Reply], clock: VirtualClock | None = None) -> Driven:
    """Run a flow against replies, one for each request; the last one is repeated."""
    driven = Driven()
    left = list(replies)
    try:
        step = next(flow)
        while True:
            if isinstance(step, Pause):
                driven.pauses.append(step)
                if clock:
                    clock.sleep(step.seconds)
                step = next(flow)
                continue
            if isinstance(step, Measure):
                driven.measures.append(step)
                step = next(flow)
                continue
            if isinstance(step, Note):
                driven.notes.append(step)
                step = next(flow)
                continue
            assert isinstance(step, Request)
            driven.requests.append(step)
            answer = left.pop(0) if len(left) > 1 else left[0]
            step = flow.throw(answer) if isinstance(answer, DifyError) else flow.send(answer)
    except StopIteration as stop:
        driven.result = stop.value
    except DifyError as error:
        driven.error = error
    return driven


def read(replies: list[Reply], *, jitter: float = 0.0, deadline: float | None = None, **settings: Any) -> Driven:
    """Read a knowledge base, with retries."""
    clock = VirtualClock()
    retries = Retries(jitter=lambda: jitter, **settings)
    limit = None if deadline is None else Deadline(deadline, clock.monotonic)
    return drive(retrying(api.get_dataset(ID), retries, limit), replies, clock)


def error_of(answer: Response) -> DifyRequestError:
    """The error that an answer is, without a second try."""
    error = read([answer], max_retries=0).error
    assert isinstance(error, DifyRequestError)
    return error
