"""Runs flows in an event loop, over connections of httpx or httpx2 that all flows to one Dify share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_dify.exceptions import DifyInputError, DifyTransportError
from airflow_provider_dify.knowledge.errors import is_stream
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Pause, Request, Response, Together, resumed
from airflow_provider_dify.transport import common, metrics
from airflow_provider_dify.transport.clock import Clock
from airflow_provider_dify.transport.common import Log
from airflow_provider_dify.transport.limits import ACCEPTED, Body, TooLarge, Undecodable
from airflow_provider_dify.transport.lines import Line, cancel_gently, join, leave
from airflow_provider_dify.transport.masking import masked_logs
from airflow_provider_dify.transport.opening import MOST_CONNECTIONS, has_proxy, library
from airflow_provider_dify.transport.settings import Settings

if TYPE_CHECKING:
    import httpx
    from typing_extensions import Self

T = TypeVar("T")


class AsyncClient:
    """Talks to one Dify without blocking the event loop. Use it as a context manager.

    It is cheap enough to have one for each flow: all clients in an event loop share a few connections to a Dify, and
    their requests take turns. The connections are opened by the first request, and closed with the last client.

    :param settings: How to reach Dify.
    :param log: Where the flows' notes are logged.
    :param clock: Sleeps the flows' pauses.
    :param stopped: Whether nothing more may be sent: then a running flow fails at its next step.
    """

    def __init__(self, settings: Settings, log: Log, clock: Clock, stopped: Callable[[], bool] = lambda: False) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._stopped = stopped
        self._line: Line
        #: Version of the server, from its last response that contained it.
        self.server_version: str | None = None

    async def __aenter__(self) -> Self:
        self._line = join(self._settings)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await leave(self._line)

    async def run(self, flow: Flow[T], deadline: Deadline | None = None) -> T:
        """Run a flow until it ends, and return what it returns.

        :param deadline: How long its requests may wait for a connection. They wait at least as long as for a response.
        """
        answer: Response | None = None
        error: BaseException | None = None
        while True:
            try:
                step = resumed(flow, answer, error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
            answer = error = None  # do not keep it during the wait
            try:
                common.require_alive(self._stopped())
                if isinstance(step, Request):
                    answer = await self._send(step, deadline)
                elif isinstance(step, Together):
                    await self.run_together(step)
                else:
                    common.say(step, self._log)
                if isinstance(step, Pause):
                    # Inline instead of in a method: the garbage collector walks each waiting frame.
                    await self._clock.asleep(step.seconds)
            except BaseException as raised:  # noqa: BLE001 - a flow is also told if the trigger is cancelled
                error = raised

    async def run_together(self, step: Together) -> None:
        """Run flows in parallel; if one of them fails, cancel the others."""
        # Each has one request at a time. If there were more flows than connections, some would wait for their turn.
        turns = asyncio.Semaphore(min(step.most, MOST_CONNECTIONS))

        async def run(flow: Flow[None]) -> None:
            await turns.acquire()
            await self.run(flow)
            turns.release()  # not after a failure: then none begins any more

        tasks = [asyncio.create_task(run(flow)) for flow in step.flows]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, request: Request, deadline: Deadline | None) -> Response:
        if request.upload is not None or request.into is not None:
            raise TypeError("A worker sends and receives files: that would hold up the event loop.")
        transport = await self._transport_for(request)
        # The timeout of the response starts when the request has a connection.
        async with self._turn(request, deadline):
            with metrics.unanswered():
                answer, body = await self._exchange(transport, request)
        metrics.answered(answer.status_code)
        response = common.response_from(self._settings, answer.status_code, answer.headers, body, self._clock.time())
        self.server_version = response.headers.get("x-version", self.server_version)
        return response

    @asynccontextmanager
    async def _turn(self, request: Request, deadline: Deadline | None) -> AsyncIterator[None]:
        """Wait for one of the connections, for a reasonable time.

        :raises DifyTransportError: None became free in time.
        """
        import anyio  # the transport has loaded it long ago

        patience = max(self._settings.timeout, deadline.remaining) if deadline else inf
        taken = False
        # In this task: a separate one could get its turn at the very moment it is cancelled.
        with anyio.move_on_after(patience):
            await self._line.turns.acquire()
            taken = True
        if not taken:
            raise common.no_turn(self._settings, request, patience)
        try:
            yield
        finally:
            self._line.turns.release()

    async def _transport_for(self, request: Request) -> httpx.AsyncBaseTransport:
        try:
            return await self._line.transport()
        except (OSError, ValueError, ImportError) as error:
            raise common.not_sendable(self._settings, request, error) from None

    async def _exchange(self, transport: httpx.AsyncBaseTransport, request: Request) -> tuple[httpx.Response, bytes]:
        http = library()
        try:
            return await cancel_gently(partial(self._ask, transport, request))
        except TooLarge as error:
            raise common.too_large(self._settings, request, error) from None
        except Undecodable as error:
            raise common.not_answered(self._settings, request, error, reached=True) from None
        except (http.HTTPError, http.InvalidURL, OSError, ValueError) as error:
            raise self._failure(request, error) from None  # its text may contain secrets

    async def _ask(self, transport: httpx.AsyncBaseTransport, request: Request) -> tuple[httpx.Response, bytes]:
        """Send a request and read its response, in a task of its own."""
        import anyio

        http = library()
        timeout = self._settings.timeout
        outgoing, events = _outgoing(self._settings, request), _Events(request.enough)
        # Each timeout of httpx covers one read only: a server could send a byte now and then forever.
        with masked_logs(self._settings), anyio.move_on_after(self._settings.connect_timeout + timeout) as scope:

            async def note(event: str, _: object) -> None:
                if event.endswith("receive_response_headers.started"):
                    scope.deadline = anyio.current_time() + timeout

            outgoing.extensions["trace"] = note
            return await _exchange(transport, outgoing, events)
        if events.answer is not None:
            return events.answer, events.body
        raise http.ReadTimeout(f"not a whole answer in {timeout:g} s")

    def _failure(self, request: Request, error: Exception) -> DifyTransportError | DifyInputError:
        http = library()
        # Only the request itself causes these: a URL or a header that httpx cannot use.
        unusable = (http.InvalidURL, http.UnsupportedProtocol, http.LocalProtocolError)
        # TLS that breaks off during a response raises an OSError.
        if isinstance(error, unusable) or not isinstance(error, (http.HTTPError, OSError)):
            return common.not_sendable(self._settings, request, error)
        reached = _may_have_reached(error)
        by_proxy = not reached and has_proxy(self._settings)
        return common.not_answered(self._settings, request, error, reached=reached, by_proxy=by_proxy)


class _Events:
    """What has arrived of a stream of events; nothing for other responses.

    :param enough: Whether the rest is not needed; ``None``: no stream was requested.
    """

    def __init__(self, enough: Callable[[bytes], bool] | None) -> None:
        self._enough = enough
        self.answer: httpx.Response | None = None
        self.body = b""

    def begin(self, answer: httpx.Response) -> None:
        """Take the headers of a response."""
        if self._enough is not None and is_stream(answer.status_code, answer.headers):
            self.answer = answer

    def are_enough(self, body: Body, piece: bytes) -> bool:
        """Take what has arrived so far, and return whether the rest is not needed."""
        if self._enough is None or self.answer is None or b"\n" not in piece:  # an event ends with an empty line
            return False
        self.body = body.so_far
        return self._enough(self.body)


async def _exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, events: _Events
) -> tuple[httpx.Response, bytes]:
    """Send a request, and read the whole response, or as much of a stream of events as is needed.

    An httpx.AsyncClient is not used: it would log each request at level INFO, let a .netrc replace the key, and keep
    cookies, which would be sent with other keys.
    """
    http = library()
    answer = await transport.handle_async_request(request)
    try:
        events.begin(answer)
        body = Body(answer.headers.get("content-encoding", ""), answer.status_code)
        async for piece in answer.aiter_raw():
            body.add(piece)
            if events.are_enough(body, piece):
                break
    except (http.HTTPError, OSError):
        if events.answer is None:
            raise
    finally:
        await answer.aclose()
    return answer, body.content() if events.answer is None else events.body


def _outgoing(settings: Settings, request: Request) -> httpx.Request:
    http = library()
    headers = http.Headers({"Accept": "*/*", "Accept-Encoding": ACCEPTED, "Connection": "keep-alive"})
    for name, value in (common.headers_for(settings) | common.headers_of(request)).items():
        headers[name] = value  # one by one, so that another spelling of a name replaces it
    headers["Authorization"] = common.authorization(settings)
    timeout = http.Timeout(settings.timeout, connect=settings.connect_timeout)
    outgoing: httpx.Request = http.Request(
        request.method,
        settings.base_url + request.path,
        params=dict(request.query) or None,
        headers=headers,
        json=request.json,
        extensions={"timeout": timeout.as_dict()},
    )
    return outgoing


def _may_have_reached(error: Exception) -> bool:
    """Whether Dify may have received the failed request: only if there was a connection."""
    http = library()
    # A TLS failure while connecting is a ConnectError, too.
    return not isinstance(error, (http.ConnectError, http.ConnectTimeout, http.PoolTimeout, http.ProxyError))
