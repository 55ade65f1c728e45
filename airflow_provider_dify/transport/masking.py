"""Keeping secrets out of what the libraries below this package log.

At level DEBUG httpcore shows the headers of every answer, and the password of a SOCKS proxy; urllib3 shows at level
WARNING those headers that it cannot read. A server or a proxy may show in them what it was sent. Airflow masks what
its own log handlers write, and no others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from airflow_provider_dify.transport.settings import Settings

_LOGGERS = (
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
    "urllib3.connection",
    "urllib3.connectionpool",
)
#: Set while a request is on its way: what others send with these libraries is none of our business.
_SETTINGS: ContextVar[Settings | None] = ContextVar("settings", default=None)


@contextmanager
def masked_logs(settings: Settings) -> Iterator[None]:
    """Mask the secrets of some settings in what is logged meanwhile, by this task or thread, about connections."""
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


for _name in _LOGGERS:
    logging.getLogger(_name).addFilter(_mask)
