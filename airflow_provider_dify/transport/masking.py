"""Keeping secrets out of what the libraries below this package log.

At level DEBUG httpcore and httpcore2 show the headers of every answer, and the password of a SOCKS proxy; urllib3 shows
at level WARNING those headers that it cannot read. A server or a proxy may show in them what it was sent. Airflow masks
what its own log handlers write, and no others.

A filter of a logger does not see what its children log, so each logger of these libraries gets it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from airflow_provider_dify.transport.settings import Settings

#: The libraries whose loggers are masked. Airflow 3.4 and newer bring httpx2 instead of httpx.
_LIBRARIES = ("requests", "urllib3", "httpx", "httpcore", "httpx2", "httpcore2", "hpack")
#: Loggers that a library may make as late as within a request.
_LATE = tuple(
    f"{library}.{part}"
    for library in ("httpcore", "httpcore2")
    for part in ("connection", "http11", "http2", "proxy", "socks")
)
#: Set while a request is on its way: what others send with these libraries is none of our business.
_SETTINGS: ContextVar[Settings | None] = ContextVar("settings", default=None)


@contextmanager
def masked_logs(settings: Settings) -> Iterator[None]:
    """Mask the secrets of some settings in what is logged meanwhile, by this task or thread, about connections."""
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
        # A traceback ends with the text of its error, which the message has, too.
        record.exc_info = record.exc_text = None
    return True


def _watch() -> None:
    """Give the filter to the loggers that there are by now."""
    loggers = logging.Logger.manager.loggerDict
    if len(loggers) != _watched[0]:
        _watched[0] = len(loggers)
        for name in (*_LATE, *loggers):
            if name.partition(".")[0] in _LIBRARIES:
                logging.getLogger(name).addFilter(_mask)  # once, however often it is added


#: How many loggers there were when the filter was given to them.
_watched = [0]
