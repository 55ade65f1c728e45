"""Between the socket and the API: the record of requests, faults, and the time that calls take."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from airflow_provider_dify.testing.api.call import Call, Route, answer
from airflow_provider_dify.testing.api.replies import (
    HTML,
    Later,
    LaterReply,
    Outcome,
    Reply,
    Stream,
    error_body,
    http_date,
    proxy_page,
)
from airflow_provider_dify.testing.api.routes import ROUTES
from airflow_provider_dify.testing.apps.site import Apps
from airflow_provider_dify.testing.model.clock import VirtualClock
from airflow_provider_dify.testing.web.costs import Costs
from airflow_provider_dify.testing.web.faults import Fault, Faults
from airflow_provider_dify.testing.web.waiting import Gone, Waiting
from airflow_provider_dify.testing.work.world import World

#: The error for a client for which time would stand still.
STANDS_STILL = (
    "This built-in Dify has a virtual clock, which only its own process can move. For a client in another process its "
    "worker would never get to work: give it real time (FakeDify without a clock, or dify_factory(clock=SystemClock()))"
    ", or start one with: python -m airflow_provider_dify.testing"
)
PLAN_LIMIT = "Sorry, you have reached the knowledge base request rate limit of your subscription."
_CODES = {
    429: ("too_many_requests", "Too many requests."),
    500: ("unknown", "Internal Server Error"),
    502: ("bad_gateway", "Bad gateway."),
    503: ("service_unavailable", "The service is unavailable for now."),
    504: ("gateway_timeout", "The gateway timed out."),
}
#: Kinds of faults for which the request is carried out.
_CARRIED_OUT = ("hang_after", "reset_after", "status_after", "page_after", "truncated")
#: Kinds that affect a run of an app, and a stream.
_OF_RUNS = ("queued", "orphan", "restart")
_OF_STREAMS: dict[str, Literal["cut", "clean", "mute"]] = {
    "drop_stream": "cut",
    "end_stream": "clean",
    "mute_stream": "mute",
}
#: Dify's text for a request above the limit of an app. A fault does not know the app, so its id is made up.
TOO_MANY = (
    "Too many requests. Please try again later. The current maximum concurrent requests allowed for "
    "00000000-0000-4000-8000-000000000000 is 1."
)


@dataclass
class RequestRecord:
    """One request as it arrived, and how it ended.

    :param query: The parameters; if one is repeated, the first.
    :param json: The body if it is JSON; for a form, its field ``data``.
    :param files: Names of the uploaded files.
    :param connection: Number of the TCP connection, from 1.
    :param at: When it arrived, by the clock's ``monotonic()``.
    :param status: HTTP status of the response; ``None``: there was none.
    """

    method: str
    path: str
    query: dict[str, str]
    json: Any
    headers: dict[str, str]
    connection: int
    at: float
    status: int | None = None
    files: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it is meant to change something; a search is not, although it is a ``POST``."""
        return self.method != "GET" and not self.path.endswith("/retrieve")


@dataclass(frozen=True)
class Silence:
    """No response.

    :param reset: Whether the connection is reset; otherwise it stays open, silent.
    """

    reset: bool


class Front:
    """Handles requests one at a time, like one API process.

    :param costs: How long calls take; ``None``: no time.
    :param apps: The apps of this Dify, whose keys allow additional routes.
    """

    def __init__(self, world: World, faults: Faults, costs: Costs | None, apps: Apps) -> None:
        self.world = world
        self.apps = apps
        self.routes: list[Route] = [*ROUTES, *apps.routes()]
        self.waiting = Waiting(world)
        #: Kills the API process and starts another one.
        self.restart: Callable[[], None] = lambda: None
        self.faults = faults
        self.costs = costs
        self.requests: list[RequestRecord] = []
        #: Whether clients in other processes are allowed although the clock is virtual.
        self.admits_other_processes = False
        #: How many requests are kept.
        self.remembered = sys.maxsize
        #: Called with each request when it has its response.
        self.told: Callable[[RequestRecord], None] = lambda _: None
        #: The version in the headers of its responses.
        self.version = world.version
        #: As behind Dify's own nginx, which opens a new connection for each request.
        self.new_connection_per_request = False
        #: One request at a time; the lock belongs to the event loop of the running server.
        self.turn = asyncio.Lock()

    async def handle(
        self, call: Call, connection: int, client_gone: Callable[[], Gone], *, foreign: bool = False
    ) -> Reply | Stream | Silence:
        """Answer a request, or not.

        :param client_gone: Returns a future that is done when the client has disconnected. Only called if the response
            takes time.
        :param foreign: Whether it comes from another process.
        """
        record = _record(call, connection, self.world.clock.monotonic())
        self.requests.append(record)
        del self.requests[: -self.remembered]
        if foreign and not self.admits_other_processes and isinstance(self.world.clock, VirtualClock):
            outcome: Reply | Stream | Silence = Reply(400, error_body(400, "virtual_clock", STANDS_STILL), proxied=True)
        else:
            delay, fault = self.faults.take(call.method, call.path)
            await self._pass_time(delay)
            outcome = await self._outcome(call, fault, client_gone)
        record.status = outcome.status if isinstance(outcome, Reply) else 200 if isinstance(outcome, Stream) else None
        self.told(record)
        return outcome

    async def _outcome(
        self, call: Call, fault: Fault | None, client_gone: Callable[[], Gone]
    ) -> Reply | Stream | Silence:
        kinds = (*_CARRIED_OUT, *_OF_RUNS, *_OF_STREAMS)
        if fault is not None and fault.kind not in kinds:
            return self._instead(call, fault)
        outcome = await self._carried_out(call)
        if fault is None:
            return await self._waited_for(outcome, client_gone)
        self._befall(outcome, fault)
        if fault.kind not in _CARRIED_OUT:
            return await self._waited_for(outcome, client_gone)
        if fault.kind == "truncated":
            whole = await self._waited_for(outcome, client_gone)
            return replace(whole, cut=True) if isinstance(whole, Reply) else whole
        await self._pass_time(fault.answer_after)
        if fault.kind in ("hang_after", "reset_after"):
            return Silence(reset=fault.kind == "reset_after")
        return self._page(fault, 504) if fault.kind == "page_after" else self._error(fault, 500)

    async def _waited_for(self, outcome: Outcome, client_gone: Callable[[], Gone]) -> Reply | Stream | Silence:
        """The same, but wait for a response that comes later."""
        if not isinstance(outcome, LaterReply):
            return outcome
        return await self.waiting.for_reply(outcome, client_gone()) or Silence(reset=True)

    async def _carried_out(self, call: Call) -> Outcome:
        """Carry out a request; one at a time."""
        async with self.turn:
            with self.world.guard:
                outcome = answer(call, self.routes)
            if self.costs is not None and isinstance(outcome, Reply):
                seconds = self.costs.of_reply(
                    outcome.cost, outcome.size, refused_jobs=outcome.refused_jobs, new_connection=call.new_connection
                )
                await self._pass_time(seconds)
        return outcome

    def _befall(self, outcome: Outcome, fault: Fault) -> None:
        """Apply a fault to the accepted run, or to its stream."""
        if fault.kind == "restart":
            self.world.schedule(fault.answer_after, lambda _: self.restart())
        elif isinstance(outcome, Later) and fault.kind == "queued":
            outcome.postpone(fault.answer_after)
        elif isinstance(outcome, Later) and fault.kind == "orphan":
            outcome.orphan_after(fault.answer_after)
        elif isinstance(outcome, Stream) and fault.kind in _OF_STREAMS:
            outcome.end_after(fault.events, _OF_STREAMS[fault.kind])

    def _instead(self, call: Call, fault: Fault) -> Reply | Silence:
        """The response to a request that is not carried out."""
        if fault.kind in ("reset_before", "hang"):
            return Silence(reset=fault.kind == "reset_before")
        if fault.kind == "plan_limit":
            text = fault.body if isinstance(fault.body, str) else PLAN_LIMIT
            return self._error(replace(fault, body=error_body(403, "forbidden", text)), 403)
        if fault.kind == "too_many_requests":
            return self._error(replace(fault, body=error_body(400, "invalid_param", TOO_MANY)), 400)
        if fault.kind == "echo_key":
            text = f"Cannot handle a request with Authorization: {call.headers.get('authorization', '')}"
            return self._error(replace(fault, body=error_body(fault.status or 400, "bad_request", text)), 400)
        if fault.kind == "redirect":
            url = fault.body if isinstance(fault.body, str) else call.base
            headers = {"Location": url, **self._headers(fault)}
            return Reply(fault.status or 302, content_type=HTML, headers=headers, proxied=True)
        if fault.kind == "page":
            return self._page(fault, 502)
        return self._error(fault, 500)

    def _page(self, fault: Fault, default: int) -> Reply:
        code = fault.status or default
        text = fault.body if isinstance(fault.body, str) else proxy_page(code)
        return Reply(code, text, content_type=HTML, headers=self._headers(fault), proxied=True)

    def _error(self, fault: Fault, default: int) -> Reply:
        code = fault.status or default
        body = fault.body
        if body is None:
            body = error_body(code, *_CODES.get(code, ("error", "Something went wrong.")))
        content_type = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
        sent = body if isinstance(body, str) else dict(body)
        return Reply(code, sent, content_type=content_type, headers=self._headers(fault))

    def _headers(self, fault: Fault) -> dict[str, str]:
        headers = dict(fault.headers or {})
        after = fault.retry_after
        if isinstance(after, str):
            headers["Retry-After"] = after
        elif after is not None and fault.retry_after_as == "date":
            headers["Retry-After"] = http_date(self.world.clock.time() + after)
        elif after is not None:
            headers["Retry-After"] = f"{after:g}"
        return headers

    async def _pass_time(self, seconds: float) -> None:
        clock = self.world.clock
        if seconds <= 0:
            return
        if isinstance(clock, VirtualClock):
            clock.advance(seconds)
        else:
            await asyncio.sleep(seconds)


def _record(call: Call, connection: int, at: float) -> RequestRecord:
    try:
        text = call.body or call.form.fields.get("data")
        body = json.loads(text) if text else None
    except ValueError:
        body = None
    files = tuple(one.name for one in call.form.files)
    headers = dict(call.headers)
    return RequestRecord(call.method, call.path, call.query(), body, headers, connection, at, files=files)
