"""Faults on demand: what can go wrong between a client and Dify, for the next requests that match."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Kind = Literal[
    "latency",
    "hang",
    "hang_after",
    "reset_before",
    "reset_after",
    "status",
    "status_after",
    "page",
    "page_after",
    "plan_limit",
    "echo_key",
    "redirect",
    "truncated",
    "too_many_requests",
    "drop_stream",
    "end_stream",
    "mute_stream",
    "queued",
    "orphan",
    "restart",
]


@dataclass
class Fault:
    """One thing that goes wrong, a number of times.

    :param kind: What happens.

        ``latency``: the request is carried out ``seconds`` later.
        ``hang``: never a response; the client has to give up. Not carried out.
        ``hang_after``: the request is carried out, and the client waits for the answer until it gives up.
        ``reset_before``: the connection is reset, the request is not carried out.
        ``reset_after``: the request is carried out, then the connection is reset before the answer.
        ``status``: an error answer instead (``status``, 500 unless given); not carried out.
        ``status_after``: the request is carried out, then the error is answered.
        ``page``: an HTML page with ``status`` (502 unless given, 200 is possible) as proxies send it; not carried out.
        ``page_after``: the request is carried out, then a proxy sends such a page (504 unless given).
        ``plan_limit``: Dify Cloud's 403 for a limit of the plan, that of requests unless ``body`` is another text; not
        carried out.
        ``echo_key``: an error answer whose text holds the request's ``Authorization``; not carried out.
        ``redirect``: ``status`` (302 unless given) to the URL in ``body``; not carried out.
        ``truncated``: carried out, and the JSON of the 200 stops halfway.

        For apps:

        ``too_many_requests``: Dify's 400 for more requests at the same time than the app may have; not carried out.
        ``drop_stream``: the stream breaks off after ``events`` events; the run goes on.
        ``end_stream``: the same, but in an orderly way, without a last event.
        ``mute_stream``: the same, but it stays open, silent.
        ``queued``: the run waits in the queue of the worker for ``answer_after`` seconds, without a row in the log.
        ``orphan``: ``answer_after`` seconds later the worker or process of the run dies, and it stays ``running``.
        ``restart``: ``answer_after`` seconds later the API process is killed, and another one takes over: connections
        are closed, blocking runs stay ``running``, streamed runs go on.
    :param method: Only requests of this HTTP method.
    :param path: Only requests in whose path this regular expression is found.
    :param times: How many requests it hits; ``None``: every one.
    :param after: How many matching requests it lets pass first.
    :param retry_after: Seconds for the ``Retry-After`` header, or its text as it is.
    :param retry_after_as: ``date`` writes the header as an HTTP date by the simulator's clock.
    :param seconds: How long it takes before anything happens, on the clock. Goes with every kind.
    :param answer_after: Seconds between carrying out the request and what happens then, on the clock: with
        ``page_after`` and 60 it is the answer of a proxy that has lost its patience. A run of an app is carried out as
        soon as it was accepted; it goes on whatever happens then.
    :param events: How many events of a stream go out first; pings do not count.
    :param status: HTTP status, where the kind has one.
    :param body: Body instead of the usual one: a mapping becomes JSON, a text stays.
    :param headers: More headers for the answer.
    """

    kind: Kind
    method: str | None = field(default=None, kw_only=True)
    path: str | None = field(default=None, kw_only=True)
    times: int | None = field(default=1, kw_only=True)
    after: int = field(default=0, kw_only=True)
    retry_after: float | str | None = field(default=None, kw_only=True)
    retry_after_as: Literal["seconds", "date"] = field(default="seconds", kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)
    answer_after: float = field(default=0.0, kw_only=True)
    status: int | None = field(default=None, kw_only=True)
    body: Mapping[str, Any] | str | None = field(default=None, kw_only=True)
    headers: Mapping[str, str] | None = field(default=None, kw_only=True)
    events: int = field(default=0, kw_only=True)
    #: How many requests it has hit.
    hits: int = field(default=0, init=False)
    _seen: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault {self.kind!r}; it is one of {', '.join(get_args(Kind))}")

    def matches(self, method: str, path: str) -> bool:
        """Whether the fault applies to such a request."""
        if self.method is not None and self.method.upper() != method:
            return False
        return self.path is None or re.search(self.path, path) is not None

    def take(self) -> bool:
        """Count one matching request; return whether it is hit."""
        self._seen += 1
        if self._seen <= self.after or self.spent:
            return False
        self.hits += 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it has hit as often as it should."""
        return self.times is not None and self.hits >= self.times


class Faults:
    """The faults that wait for their requests, in the order they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault) -> None:
        """Add faults for the next requests that match."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Remove the faults that have not happened yet."""
        with self._lock:
            self._faults.clear()

    @property
    def pending(self) -> list[Fault]:
        """The faults that have not hit as often as they should."""
        return [fault for fault in self._faults if not fault.spent]

    def take(self, method: str, path: str) -> tuple[float, Fault | None]:
        """What happens to a request: seconds of delay, and at most one fault that is more than a delay."""
        delay, hit = 0.0, None
        with self._lock:
            for fault in self._faults:
                if not fault.matches(method, path) or (fault.kind != "latency" and hit is not None):
                    continue
                if fault.take():
                    delay += fault.seconds
                    hit = hit if fault.kind == "latency" else fault
        return delay, hit
