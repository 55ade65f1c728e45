"""Runs flows in a worker, over one keep-alive connection of requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

from airflow_provider_dify.exceptions import DifyInputError, DifyTransportError
from airflow_provider_dify.knowledge.errors import is_file, is_stream
from airflow_provider_dify.knowledge.flow import Flow, Pause, Request, Response, Step, Together, resumed
from airflow_provider_dify.transport import common, metrics
from airflow_provider_dify.transport.clock import Clock
from airflow_provider_dify.transport.common import Log
from airflow_provider_dify.transport.forms import Form
from airflow_provider_dify.transport.limits import TooLarge, Undecodable
from airflow_provider_dify.transport.masking import masked_logs
from airflow_provider_dify.transport.settings import Settings

if TYPE_CHECKING:
    import requests

T = TypeVar("T")


class Client:
    """Talks to one Dify, one request at a time.

    :param settings: How to reach Dify.
    :param log: Where the flows' notes are logged.
    :param clock: Sleeps the flows' pauses.
    """

    def __init__(self, settings: Settings, log: Log, clock: Clock) -> None:
        self._settings = settings
        self._log = log
        self._clock = clock
        self._session: requests.Session | None = None
        #: When the last response was complete, in seconds of the monotonic clock of this machine.
        self._used_at = 0.0
        self._stopped = False
        #: Version of the server, from its last response that contained it.
        self.server_version: str | None = None

    def run(self, flow: Flow[T]) -> T:
        """Run a flow until it ends, and return what it returns."""
        answer: Response | None = None
        error: BaseException | None = None
        while True:
            try:
                step = resumed(flow, answer, error)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
            answer = error = None  # do not keep it during the wait
            try:
                answer = self._do(step)
            except BaseException as raised:  # noqa: BLE001 - a flow is also told if the task is interrupted
                error = raised

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def stop(self) -> None:
        """Stop sending: a running flow fails at its next step. A signal handler may call this."""
        self._stopped = True

    def _do(self, step: Step) -> Response | None:
        common.require_alive(self._stopped)
        if isinstance(step, Request):
            answer = self._send(step)
            if step.method == "GET":  # what was read may already be a result of the stop
                common.require_alive(self._stopped)
            return answer
        if isinstance(step, Together):
            self._run_together(step)
            return None
        common.say(step, self._log)
        if isinstance(step, Pause):
            self._clock.sleep(step.seconds)
        return None

    def _run_together(self, step: Together) -> None:
        """Run flows in an event loop of their own, over further connections."""
        import asyncio

        from airflow_provider_dify.transport.asynchronous import AsyncClient

        async def run() -> None:
            async with AsyncClient(self._settings, self._log, self._clock, lambda: self._stopped) as client:
                await client.run_together(step)

        asyncio.run(run())

    def _send(self, request: Request) -> Response:
        with metrics.unanswered(), masked_logs(self._settings):
            if request.upload is None:
                return self._exchange(request)
            with Form(request.upload) as form:
                return self._exchange(request, form)

    def _exchange(self, request: Request, form: Form | None = None) -> Response:
        settings = self._settings
        try:
            answer = self._open_session().request(
                request.method,
                settings.base_url + request.path,
                params=urlencode(request.query),
                json=request.json,
                data=form,
                headers={**common.headers_of(request), **(form.headers if form else {})},
                stream=True,
                timeout=(settings.connect_timeout, settings.timeout),
                # Passed with each request, because the environment takes precedence over the session.
                verify=settings.verify,
                proxies=common.proxies_of(settings),
                # A redirected PATCH may become a GET, and another host must not get the key.
                allow_redirects=False,
            )
            body = self._read(answer, request)
        except TooLarge as error:
            raise common.too_large(settings, request, error) from None
        except (OSError, ValueError, Undecodable) as error:
            # errors of requests are OSErrors; a missing CA bundle is a plain one
            raise self._failure(request, error) from None  # its text may contain secrets
        self._used_at = time.monotonic()
        metrics.answered(answer.status_code)
        response = common.response_from(settings, answer.status_code, answer.headers, body, self._clock.time())
        self.server_version = response.headers.get("x-version", self.server_version)
        return response

    def _open_session(self) -> requests.Session:
        if time.monotonic() - self._used_at > common.KEEP_ALIVE:
            self.close()  # Dify closes the connection about now, and a request would be lost
        if self._session is None:
            from airflow_provider_dify.transport.session import open_session

            self._session = open_session(self._settings)
            # Sent as "auth", because a .netrc of the worker would replace a plain header.
            self._session.auth = self._authorize
        return self._session

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = common.authorization(self._settings)
        return request

    @staticmethod
    def _read(answer: requests.Response, request: Request) -> bytes:
        from airflow_provider_dify.transport.session import body_of, events_of, save_body

        if request.into is not None and is_file(answer.status_code, answer.headers):
            save_body(answer, request.into)
            return b""
        if request.enough is not None and is_stream(answer.status_code, answer.headers):
            return events_of(answer, request.enough)
        return body_of(answer)

    def _failure(
        self, request: Request, error: OSError | ValueError | Undecodable
    ) -> DifyTransportError | DifyInputError:
        import requests

        if isinstance(error, Undecodable) or _is_about_answer(error):
            return common.not_answered(self._settings, request, error, reached=True)
        # A URL or header that requests cannot use, or a missing CA bundle of the environment.
        if isinstance(error, ValueError) or not isinstance(error, requests.RequestException):
            return common.not_sendable(self._settings, request, error)
        by_proxy = isinstance(error, requests.exceptions.ProxyError)
        return common.not_answered(self._settings, request, error, reached=_may_have_reached(error), by_proxy=by_proxy)


def _is_about_answer(error: Exception) -> bool:
    """Whether the unusable header is one of the response, not of the request."""
    from requests.exceptions import InvalidHeader
    from urllib3.exceptions import InvalidHeader as InvalidInAnswer

    return isinstance(error, InvalidHeader) and bool(error.args) and isinstance(error.args[0], InvalidInAnswer)


def _may_have_reached(error: requests.RequestException) -> bool:
    """Whether Dify may have received the failed request: only if there was a connection."""
    from requests.exceptions import ConnectTimeout, ProxyError, SSLError
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, (ConnectTimeout, ProxyError, SSLError)):
        return False
    cause = error.args[0] if error.args else None
    return not isinstance(getattr(cause, "reason", cause), NewConnectionError)
