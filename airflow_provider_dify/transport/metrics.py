"""Metrics about requests and jobs, sent to wherever Airflow sends its own: StatsD, OpenTelemetry, or nowhere.

A name consists of fixed words and HTTP statuses. It never contains an id, a name, a host or a key.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar, runtime_checkable

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.knowledge.conversation import Conversation
from airflow_provider_dify.knowledge.flow import Flow, Measure

T = TypeVar("T")
log = logging.getLogger(__name__)
_PREFIX = "dify."


@runtime_checkable
class Measured(Protocol):
    """A report that has metrics."""

    def measures(self) -> list[Measure]:
        """Return what to send when the job has ended."""


def load() -> Any:
    """Return what Airflow sends its own metrics with. The first call imports it."""
    from airflow.providers.common.compat.sdk import Stats

    return Stats


def send(measure: Measure) -> None:
    """Send one metric. A failure has no other effect."""
    name = _PREFIX + measure.name
    try:
        stats = load()
        if measure.seconds is None:
            stats.incr(name, measure.count)
        else:
            stats.timing(name, timedelta(seconds=measure.seconds))
    except Exception:
        log.debug("The metric %s could not be sent.", name, exc_info=True)


def send_outcomes(report: object) -> None:
    """Send the metrics of a report. Call it once, when the job has ended."""
    if isinstance(report, Measured):
        for measure in report.measures():
            send(measure)


def measured(conversation: Conversation[Any], flow: Flow[T]) -> Flow[T]:
    """Run the flow of a conversation, and send the metrics of its report at the end, however it ends."""
    try:
        return (yield from flow)
    finally:
        send_outcomes(conversation.report())


def answered(status: int) -> None:
    """Count a request that got a response."""
    send(Measure(f"requests.{status}"))


@contextmanager
def unanswered() -> Iterator[None]:
    """Count a request without a complete response."""
    try:
        yield
    except DifyInputError:  # it was not sent
        raise
    except DifyError:
        send(Measure("requests.failed"))
        raise
