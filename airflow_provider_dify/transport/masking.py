"""Keeps secrets out of the logs of HTTP libraries.

At level DEBUG, httpcore and httpcore2 log the headers of every response and the password of a SOCKS proxy; at level
WARNING, urllib3 logs response headers that it cannot parse. Those headers may repeat what a server or proxy received.
Airflow only masks what its own log handlers write.

A filter on a logger does not see records of child loggers, so each logger of these libraries gets the filter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from airflow_provider_dify.transport.settings import Settings

#: The libraries whose loggers are masked. Airflow 3.4 and newer bring httpx2 instead of httpx.
_LIBRARIES = ("requests", "urllib3", "httpx", "httpcore", "httpx2", "httpcore2", "hpack")
#: Loggers that a library may create during a request.
_LATE = tuple(
    f"{library}.{part}"
    for library in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
#: Set during a request. What others send with these libraries is not masked.
_SETTINGS: ContextVar[Settings | None] = ContextVar("settings", default=None)


@contextmanager
def masked_logs(settings: Settings) -> Iterator[None]:
    """Mask the secrets of some settings in log records about connections, in this task or thread."""
    _watch()
    token = _SETTINGS.set(settings)
    try:
        yield
    finally:
        _SETTINGS.reset(token)


def _mask(record: logging.LogRecord) -> bool:
    settings = _SETTINGS.get()
    if settings is not None:
        record.msg, record.args = settings.masked(record.getMessage()), ()
        # A traceback ends with the text of its error, which is in the message, too.
        record.exc_info = record.exc_text = None
    return True


def _watch() -> None:
    """Add the filter to all existing loggers."""
    loggers = logging.Logger.manager.loggerDict
    if len(loggers) != _watched[0]:
        _watched[0] = len(loggers)
        for name in (*_LATE, *loggers):
            if name.partition(".")[0] in _LIBRARIES:
                logging.getLogger(name).addFilter(_mask)  # has no effect if it was added before


#: How many loggers there were when the filter was added.
_watched = [0]
