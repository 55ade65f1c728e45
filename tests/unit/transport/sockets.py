"""A server of plain sockets: it sends whatever a test says, even if it is hardly HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

#: Yields what to send for a request, piece by piece.
Script = Callable[[bytes], Iterable[bytes]]


@dataclass
class Wire:
    """Such a server.

    :param script: What it sends. It may be changed at any time.
    """

    script: Script
    url: str = ""
    #: The heads of the requests that came.
    heads: list[bytes] = field(default_factory=list)
    #: Set when the server should stop sending.
    over: threading.Event = field(default_factory=threading.Event)

    def drip(self, pieces: Iterable[bytes], seconds: float = 0.05) -> Iterator[bytes]:
        """Yield pieces one after the other, with a pause before each."""
        for piece in pieces:
            if self.over.wait(seconds):
                return
            yield piece

    def serve(self, listener: socket.socket) -> None:
        while not self.over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65_536)
                if not piece:
                    return
                head += piece
            self.heads.append(head)
            for piece in self.script(head):
                if self.over.is_set():
                    return
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):  # no reset before the answer has been read
                pass


@contextmanager
def wire(script: Script) -> Iterator[Wire]:
    """Run one, and give it."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        server = Wire(script, f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
        thread = threading.Thread(target=server.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def answer(body: bytes, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    """An answer of HTTP, as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body
