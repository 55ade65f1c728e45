"""Responses in the form of a real Dify: errors, pages, and their encoding."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]

HTML = "text/html; charset=utf-8"
_PAGE = "<!doctype html>\n<html lang=en>\n<title>{title}</title>\n<h1>{heading}</h1>\n<p>{text}\n"
_NOT_FOUND = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and "
    "try again.</p>"
)


@dataclass(frozen=True)
class Reply:
    """One response, and what it costs the server.

    :param body: A mapping or list becomes JSON; a text is sent unchanged.
    :param cost: Name of a field of :class:`~airflow_provider_dify.testing.web.costs.Costs`.
    :param size: Number of ids or rows, on which the cost depends.
    :param refused_jobs: Number of jobs that a broker which is down refused, each after a while.
    :param proxied: It comes from something in front of Dify, and so lacks Dify's own headers.
    :param cut: Only the first half of the body is sent.
    """

    status: int
    body: Json | list[Any] | str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cost: str = "other"
    size: int = 0
    refused_jobs: int = 0
    proxied: bool = False
    cut: bool = False

    def encoded(self) -> bytes:
        """The encoded body: compact JSON with a line break at its end, as in Dify."""
        if isinstance(self.body, str):
            whole = self.body.encode()
        else:
            whole = json.dumps(self.body, separators=(",", ":")).encode() + b"\n"
        return whole[: len(whole) // 2] if self.cut else whole


class Later(ABC):
    """A response that takes time, because it depends on a run of an app."""

    #: Whether its process died, so that there will be no response.
    lost = False

    @abstractmethod
    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake``, from any thread, after each change. :return: a function that ends that."""

    @abstractmethod
    def due(self, *, moving: bool) -> float | None:
        """When the next change is due, by the monotonic clock; ``None``: never by itself.

        :param moving: Whether the caller would move the clock to that moment.
        """

    @abstractmethod
    def postpone(self, seconds: float) -> None:
        """Keep the run in the queue for this many seconds."""

    @abstractmethod
    def orphan_after(self, seconds: float) -> None:
        """Let the worker or process of the run die in this many seconds."""


class LaterReply(Later):
    """A single response that comes later."""

    @abstractmethod
    def take(self) -> Reply | None:
        """The response; ``None``: not yet."""


class Stream(Later):
    """Events that are sent as they come (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

    headers: Mapping[str, str] = {}
    #: Whether it has ended, and how.
    ended = False
    ending: Literal["clean", "cut", "mute"] = "clean"

    @abstractmethod
    def take(self) -> list[str]:
        """The blocks since the last call."""

    @abstractmethod
    def end_after(self, events: int, ending: Literal["clean", "cut", "mute"]) -> None:
        """End it after this many events; pings do not count."""

    @abstractmethod
    def left(self) -> None:
        """The client disconnected before the end."""


#: The result of a request.
Outcome = Reply | LaterReply | Stream


class ApiError(Exception):
    """An error response of Dify.

    :param status: HTTP status.
    :param code: Dify's code.
    :param message: Dify's text.
    """

    def __init__(self, status: int, code: str, message: str, *, cost: str = "other", size: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.cost = cost
        self.size = size

    def reply(self) -> Reply:
        """The response."""
        headers = {"WWW-Authenticate": 'Bearer realm="api"'} if self.status == 401 else {}
        body = error_body(self.status, self.code, self.message)
        return Reply(self.status, body, headers=headers, cost=self.cost, size=self.size)


class InvalidParamError(ApiError):
    """400 ``invalid_param``."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "invalid_param", message)


class NotFoundError(ApiError):
    """404 as JSON: the requested thing does not exist."""

    def __init__(self, message: str) -> None:
        super().__init__(404, "not_found", message)


class InternalError(ApiError):
    """500: a case that Dify does not handle."""

    def __init__(self, *, cost: str = "other", size: int = 0) -> None:
        super().__init__(500, "unknown", "Internal Server Error", cost=cost, size=size)


def error_body(status: int, code: str, message: str) -> Json:
    """The body of every error."""
    return {"code": code, "message": message, "status": status}


def bad_request() -> ApiError:
    """400: the body is not JSON."""
    text = "The browser (or proxy) sent a request that this server could not understand."
    return ApiError(400, "bad_request", text)


def page_not_found() -> Reply:
    """404 as a page: there is no such route."""
    body = _PAGE.format(title="404 Not Found", heading="Not Found", text=_NOT_FOUND)
    return Reply(404, body, content_type=HTML)


def redirect(url: str) -> Reply:
    """308 to the same path without double slashes."""
    text = (
        f'You should be redirected automatically to the target URL: <a href="{url}">{url}</a>. If not, click the link.'
    )
    body = _PAGE.format(title="Redirecting...", heading="Redirecting...", text=text)
    return Reply(308, body, content_type=HTML, headers={"Location": url})


def proxy_page(status: int) -> str:
    """A page as nginx sends it."""
    reasons = {
        200: "Welcome",
        404: "Not Found",
        413: "Request Entity Too Large",
        502: "Bad Gateway",
        503: "Down",
        504: "Gateway Time-out",
    }
    title = f"{status} {reasons.get(status, 'Error')}"
    return (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n"
        "<hr><center>nginx/1.22.1</center>\n</body>\n</html>\n"
    )


@dataclass(frozen=True)
class Complaint:
    """One error of pydantic about a request: where, what, and the value."""

    where: str
    text: str
    kind: str
    value: object

    def written(self, pydantic: str) -> str:
        """The text, with a link to that version of pydantic."""
        value = repr(self.value)
        if len(value) > 50:
            value = f"{value[:25]}...{value[-24:]}"
        seen = f"[type={self.kind}, input_value={value}, input_type={type(self.value).__name__}]"
        link = f"https://errors.pydantic.dev/{pydantic}/v/{self.kind}"
        where = f"{self.where}\n" if self.where else ""
        return f"{where}  {self.text} {seen}\n    For further information visit {link}"


def invalid(version: str, model: str, *complaints: Complaint) -> InvalidParamError:
    """400 with the message of pydantic, which Dify of that ``version`` passes on."""
    pydantic = "2.11" if version.startswith("1.12.") else "2.12"
    many = "error" if len(complaints) == 1 else "errors"
    texts = "\n".join(complaint.written(pydantic) for complaint in complaints)
    return InvalidParamError(f"{len(complaints)} validation {many} for {model}\n{texts}")


def missing(where: str, body: object) -> Complaint:
    """A required field is missing."""
    return Complaint(where, "Field required", "missing", body)


def http_date(at: float) -> str:
    """Seconds since 1970 as a date in HTTP."""
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at))
