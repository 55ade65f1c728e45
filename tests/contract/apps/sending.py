"""A request that is sent in a thread, so that its response may take time."""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

from tests.contract.compare import Answer

TIMEOUT = 300.0


class Sending(threading.Thread):
    """One request, over a separate connection.

    :param leave_after: How many events the client reads before it disconnects; ``None``: all. A ping only counts if
        there are no other events.
    """

    def __init__(
        self, base_url: str, method: str, path: str, headers: dict[str, str], body: bytes | None,
        *, leave_after: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True)
        self._connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=TIMEOUT)
        self._request = (method, path, body, headers)
        self._leave_after = leave_after
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.text = ""
        #: Events read so far; pings are not counted.
        self.events = 0
        #: Why the response ended early.
        self.error = ""
        self.over = False

    def run(self) -> None:
        method, path, body, headers = self._request
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            self.headers = {name.lower(): value for name, value in response.getheaders()}
            self.status = response.status
            if "event-stream" in self.headers.get("content-type", ""):
                self._read_events(response)
            else:
                self.text = response.read().decode()
        except (http.client.HTTPException, OSError, ValueError, AttributeError) as error:
            self.error = type(error).__name__
        finally:
            self._connection.close()
            self.over = True

    def _read_events(self, response: http.client.HTTPResponse) -> None:
        while piece := response.read1().decode():
            self.text += piece
            self.events = self.text.count("\ndata: ") + self.text.startswith("data: ")
            if self._leave_after is not None and self.events >= self._leave_after:
                response.close()
                return

    def leave(self) -> None:
        """Disconnect."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    @property
    def answer(self) -> Answer:
        return Answer(self.status, self.headers, self.text)
