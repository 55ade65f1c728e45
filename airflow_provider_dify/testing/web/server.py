"""The simulator's socket: uvicorn's HTTP/1.1 in a thread, and a list of connections that can be cut.

Only imported when a server starts: Starlette and uvicorn come with the extra ``testing``.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass

from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from airflow_provider_dify.testing.api.call import Call
from airflow_provider_dify.testing.api.replies import Reply, Stream
from airflow_provider_dify.testing.model.clock import VirtualClock
from airflow_provider_dify.testing.pages.views import find_page
from airflow_provider_dify.testing.text.uploads import Form, Upload
from airflow_provider_dify.testing.web.front import Front, Silence
from airflow_provider_dify.testing.web.peers import is_foreign
from airflow_provider_dify.testing.web.waiting import Gone

#: Seconds of silence after which Dify's server closes a connection. These are real: the client's socket uses real time.
KEEP_ALIVE = 2
EVENTS = "text/event-stream; charset=utf-8"
#: Nothing on a page is executed, or loaded from elsewhere.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
#: Maximum size in bytes of a form field that is not a file; Dify has no limit.
LARGEST_FIELD = 100 * 1024 * 1024
#: Maximum number of connections of one API process of Dify; further ones wait until one is free.
MOST_CONNECTIONS = 10


@dataclass
class Connection:
    """One TCP connection.

    :param number: From 1, in the order of arrival.
    :param requests: Number of requests that came over it.
    :param foreign: Whether its client is in another process; ``None``: not checked yet.
    """

    number: int
    transport: asyncio.Transport
    requests: int = 0
    foreign: bool | None = None


class Connections:
    """The current connections."""

    def __init__(self, accepted: int) -> None:
        self.accepted = accepted
        self.open: dict[tuple[str, int], Connection] = {}
        self._waiting: deque[asyncio.Transport] = deque()

    def opened(self, transport: asyncio.Transport) -> None:
        """Record a new connection; it has to wait if there are too many."""
        self.accepted += 1
        if len(self.open) >= MOST_CONNECTIONS:
            self._waiting.append(transport)
            # A little later: Python 3.10 and 3.11 start reading after this, whether paused or not.
            asyncio.get_running_loop().call_soon(self._hold, transport)
        self.open[transport.get_extra_info("peername")[:2]] = Connection(self.accepted, transport)

    def _hold(self, transport: asyncio.Transport) -> None:
        if transport in self._waiting:
            transport.pause_reading()

    def closed(self, transport: asyncio.Transport) -> None:
        """Record the end of a connection; the next one in the queue gets its turn."""
        for peer, connection in list(self.open.items()):
            if connection.transport is transport:
                del self.open[peer]
        if transport in self._waiting:
            self._waiting.remove(transport)
        elif self._waiting:
            self._waiting.popleft().resume_reading()


class _Protocol(H11Protocol):
    """Uvicorn's protocol, with a record of its connections."""

    peers: Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        # asyncio leaves this out for a socket that was created elsewhere, and each response would wait 40 ms for an
        # ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().connection_made(transport)
        self.peers.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.peers.closed(self.transport)
        super().connection_lost(exc)


class Client:
    """The client of one request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone: Gone | None = None

    def gone(self) -> Gone:
        """Done when the client has disconnected."""
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._wait())
        return self._gone

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Server:
    """Serves a Dify.

    :param port: 0: a free one.
    :param accepted: How many connections the server that it replaces has accepted.
    :raises OSError: if it cannot listen there.
    """

    def __init__(self, front: Front, host: str = "127.0.0.1", port: int = 0, accepted: int = 0) -> None:
        self._front = front
        self.connections: Connections = Connections(accepted)
        self._socket = socket.create_server((host, port))
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True, name="fake-dify")

    def start(self) -> None:
        """Serve, in a separate thread."""
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._front.turn = asyncio.Lock()
        config = Config(
            self._app, interface="asgi3", log_config=None, lifespan="off", ws="none", proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE, access_log=False, server_header=False, date_header=False,
        )  # fmt: skip
        config.load()
        state = ServerState()

        def protocol() -> _Protocol:
            made = _Protocol(config, state, {})
            made.peers = self.connections
            made.access_log = False  # uvicorn writes one wherever its logger has a handler
            return made

        server = await self._loop.create_server(protocol, sock=self._socket)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        self._abort_all()
        # Let the transports close their connections.
        await asyncio.sleep(0)

    def _is_foreign(self, connection: Connection) -> bool:
        """Whether a request comes from another process. It only matters for a virtual clock."""
        if not isinstance(self._front.world.clock, VirtualClock):
            return False
        if connection.foreign is None:
            _, port = connection.transport.get_extra_info("peername")
            connection.foreign = is_foreign(port, self.port)
        return connection.foreign

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method == "GET" and (page := _page(self._front, scope)):
            await page(scope, receive, send)
            return
        form = await _form(request) if _is_form(request) else Form()
        body = b"" if _is_form(request) else await request.body()
        connection = self.connections.open[(scope["client"][0], scope["client"][1])]
        connection.requests += 1
        front = self._front
        call = Call(
            world=front.world,
            method=request.method,
            path=scope["path"],
            query_string=scope["query_string"].decode("latin-1"),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            form=form,
            base=f"http://{request.headers.get('host', '')}",
            new_connection=connection.requests == 1 or front.new_connection_per_request,
        )
        client = Client(receive)
        foreign = self._is_foreign(connection)
        outcome = await front.handle(call, connection.number, client.gone, foreign=foreign)
        if isinstance(outcome, Reply):
            await _response(outcome, front.version)(scope, receive, send)
            return
        if isinstance(outcome, Stream):
            await self._stream(outcome, client, send)
        mute = isinstance(outcome, Stream) and outcome.ending == "mute" and outcome.ended
        if isinstance(outcome, Stream) and outcome.ending == "cut":
            connection.transport.abort()
        elif isinstance(outcome, Silence) and outcome.reset:
            _reset(connection.transport)
        if mute or isinstance(outcome, Silence):
            await client.gone()

    async def _stream(self, stream: Stream, client: Client, send: Send) -> None:
        """Send a stream, and its end if it is a clean one."""
        own = {"Content-Type": EVENTS, **stream.headers, "X-Version": self._front.version, "X-Env": "PRODUCTION"}
        headers = [(name.lower().encode(), value.encode()) for name, value in own.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def write(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await write("")
        await self._front.waiting.through(stream, write, client.gone())
        if stream.ended and stream.ending == "clean":
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def cut_connections(self) -> None:
        """Cut every connection, and keep listening."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for connection in list(self.connections.open.values()):
            connection.transport.abort()


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _form(request: Request) -> Form:
    """Read a form piece by piece; files are stored on disk meanwhile. An invalid form is empty."""
    fields: dict[str, str] = {}
    files: list[Upload] = []
    try:
        async with request.form(max_part_size=LARGEST_FIELD) as parts:
            for name, value in parts.multi_items():
                if isinstance(value, str):
                    fields.setdefault(name, value)
                else:
                    content = await value.read()
                    # A form cannot write a quotation mark into a name; Dify's framework restores it.
                    file_name = (value.filename or "").replace("%22", '"')
                    files.append(Upload(name, file_name, content, value.content_type or ""))
    except MultiPartException:
        return Form()
    return Form(fields, tuple(files))


def _page(front: Front, scope: Scope) -> Response | None:
    """A page that shows the data; ``None``: the request is for the API."""
    with front.world.guard:
        found = find_page(front.world, front.apps.all, scope["path"], scope["query_string"].decode("latin-1"))
    if found is None:
        return None
    return Response(found[1], status_code=found[0], media_type="text/html", headers=PAGE_HEADERS)


def _response(reply: Reply, version: str) -> Response:
    own = {} if reply.proxied else {"X-Version": version, "X-Env": "PRODUCTION"}
    headers = {"Content-Type": reply.content_type, **reply.headers, **own}
    return Response(reply.encoded(), status_code=reply.status, headers=headers)


def _reset(transport: asyncio.Transport) -> None:
    """Cut a connection so that the client sees a reset, not a clean end."""
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
