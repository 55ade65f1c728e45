"""Running flows in a worker, over one keep-alive connection of requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_provider_dify.exceptions import DifyInputError, DifyTransportError
from airflow_provider_dify.knowledge.flow import Flow, Note, Pause, Request, Response, Step
from airflow_provider_dify.transport import clock as clocks
from airflow_provider_dify.transport.settings import USER_AGENT, Settings

if TYPE_CHECKING:
    import requests

T = TypeVar("T")


class Log(Protocol):
    """What Airflow's loggers of all versions have in common."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Log a message."""

    def log(self, level: int, msg: str, /, *args: Any) -> Any:
        """Log a message at a level."""


class Client:
    """Talks to one Dify, one request at a time.

    :param settings: How to reach it.
    :param log: Where the flows' notes go.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._session: requests.Session | None = None
        #: Version of the server, from its last answer that told it.
        self.server_version: str | None = None

    def run(self, flow: Flow[T]) -> T:
        """Do what a flow asks for until it ends, and return what it returns."""
        resume: Callable[[], Step] = partial(next, flow)
        while True:
            try:
                step = resume()
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
            try:
                answer = self._do(step)
            except BaseException as error:  # noqa: BLE001 - a flow also learns when the task is broken off
                resume = partial(flow.throw, error)
            else:
                resume = partial(flow.send, answer)

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _do(self, step: Step) -> Response | None:
        if isinstance(step, Request):
            return self._send(step)
        if isinstance(step, Pause):
            if step.reason:
                self._log.info("%s Next look in %.1f s.", step.reason, step.seconds)
            clocks.clock.sleep(step.seconds)
        elif isinstance(step, Note):
            self._log.log(step.level, "%s", step.text)
        return None

    def _send(self, request: Request) -> Response:
        settings = self._settings
        try:
            answer = self._open_session().request(
                request.method,
                settings.base_url + request.path,
                params=dict(request.query),
                json=request.json,
                timeout=(settings.connect_timeout, settings.timeout),
                # Given with each request, as the environment would overrule what the session says.
                verify=settings.verify,
                proxies=self._proxies(),
                # A redirected PATCH may come out as a GET, and another host must not get the key.
                allow_redirects=False,
            )
        except (OSError, ValueError) as error:  # requests' own errors are OSErrors; a missing CA bundle is a plain one
            raise self._failure(request, error) from None  # its own text may hold secrets
        self.server_version = answer.headers.get("X-Version", self.server_version)
        return self._response(answer)

    def _open_session(self) -> requests.Session:
        if self._session is None:
            import requests

            self._session = requests.Session()
            self._session.headers.update({**self._settings.headers, "User-Agent": USER_AGENT})
            # As an "auth", since a .netrc of the worker would replace a plain header.
            self._session.auth = self._authorize
        return self._session

    def _proxies(self) -> dict[str, str]:
        proxies = dict(self._settings.proxies)
        if "all" in proxies:  # by itself, it would come after what the environment has for a scheme
            proxies = {"http": proxies["all"], "https": proxies["all"], **proxies}
        return proxies

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._settings.api_key}"
        return request

    def _response(self, answer: requests.Response) -> Response:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        body = answer.content
        if answer.status_code >= 300 or "json" not in answer.headers.get("Content-Type", ""):
            # Some proxies show what they were sent in their pages.
            headers = {name: self._settings.masked(value) for name, value in headers.items()}
            body = self._settings.masked(body.decode(errors="replace")).encode()
        return Response(answer.status_code, headers, body, at=clocks.clock.time())

    def _failure(self, request: Request, error: OSError | ValueError) -> DifyTransportError | DifyInputError:
        import requests

        text = self._settings.masked(f"{type(error).__name__}: {error}")
        where = f"{request.method} {self._settings.base_url}{request.path}"
        # An URL or a header that requests cannot use, or a CA bundle of the environment that is not there.
        if isinstance(error, ValueError) or not isinstance(error, requests.RequestException):
            return DifyInputError(f"{where} cannot be sent ({text}). Check the host and the extras of the connection.")
        reached = _may_have_reached(error)
        advice = (
            "Check that Dify is up, and the timeout of the connection."
            if reached
            else "Check the host of the connection, TLS ('verify') and proxies, and that Dify is up."
        )
        return DifyTransportError(f"{where} was not answered ({text}). {advice}", reached=reached)


def _may_have_reached(error: requests.RequestException) -> bool:
    """Whether a request that failed so may have been carried out: only where a connection was there."""
    from requests.exceptions import ConnectTimeout, ProxyError, SSLError
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, (ConnectTimeout, ProxyError, SSLError)):
        return False
    cause = error.args[0] if error.args else None
    return not isinstance(getattr(cause, "reason", cause), NewConnectionError)
