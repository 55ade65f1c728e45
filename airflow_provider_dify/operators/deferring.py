"""What operators that wait in the triggerer have in common. It loads next to nothing before they do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn, Protocol

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.status.handover import Handover
from airflow_provider_dify.transport import clock as clocks

#: Seconds that a trigger may take beyond the timeout of its task, and for each document that it has to read.
_GRACE, _GRACE_EACH = 120.0, 0.1
#: Seconds that Airflow waits for a trigger at most: it adds them to the time of day, which has an end.
LONGEST_DEFERRAL = 10 * 365 * 86_400.0


class Defers(Protocol):
    """The part of an operator that lets the triggerer wait."""

    dify_conn_id: str

    @property
    def log(self) -> Any:
        """Its logger."""

    def defer(self, *, trigger: Any, method_name: str, kwargs: dict[str, Any], timeout: timedelta) -> NoReturn:
        """Let the triggerer wait."""


class AwaitsIndexing(Defers, Protocol):
    """The part of an operator that says how indexing is awaited."""

    timeout: float
    poll_interval: float
    stall_timeout: float | None


def seconds_left(started: float, timeout: float) -> float:
    """Return how long a task may still wait that began at a time since the epoch."""
    return max(0.0, started + timeout - clocks.clock.time())


def patience(left: float, documents: int) -> timedelta:
    """Return the timeout for a trigger: it ends by itself, with a report; this is for one that does not."""
    return timedelta(seconds=min(left + _GRACE + _GRACE_EACH * documents, LONGEST_DEFERRAL))


def defer_until_indexed(
    operator: AwaitsIndexing, dataset_id: str, active: list[str], started: float, kwargs: dict[str, Any]
) -> NoReturn:
    """Let the triggerer wait until documents are indexed, and go on in ``execute_complete``.

    :param active: The documents.
    :param started: When the task began, in seconds since the epoch.
    :param kwargs: What ``execute_complete`` is given.
    """
    from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
    from airflow_provider_dify.triggers.indexing import DifyDocumentIndexingTrigger

    left = seconds_left(started, operator.timeout)
    operator.log.info("%d documents are being indexed; the triggerer waits for them, up to %.0f s.", len(active), left)
    operator.defer(
        trigger=DifyDocumentIndexingTrigger(
            dify_conn_id=operator.dify_conn_id,
            wait=IndexingWait(dataset_id, document_ids=active, stall_timeout=operator.stall_timeout).to_json(),
            started=started,
            timeout=operator.timeout,
            poll_interval=operator.poll_interval,
        ),
        method_name="execute_complete",
        kwargs=kwargs,
        timeout=patience(left, len(active)),
    )


def defer_for_status(
    operator: Defers,
    dataset_id: str,
    action: str,
    handover: Handover,
    *,
    started: float,
    timeout: float,
    options: dict[str, Any],
    kwargs: dict[str, Any],
) -> NoReturn:
    """Let the triggerer go on with a change of status, and go on in ``execute_complete``.

    :param action: The change.
    :param handover: What is left of it.
    :param started: When the task began, in seconds since the epoch.
    :param timeout: Seconds from then until which it may last.
    :param options: See :class:`~airflow_provider_dify.triggers.documents.DifyDocumentStatusTrigger`.
    :param kwargs: What ``execute_complete`` is given.
    """
    from airflow_provider_dify.triggers.documents import DifyDocumentStatusTrigger

    left, number = seconds_left(started, timeout), len(handover.document_ids)
    operator.log.info("%d documents are left; the triggerer waits for them, up to %.0f s.", number, left)
    operator.defer(
        trigger=DifyDocumentStatusTrigger(
            dify_conn_id=operator.dify_conn_id,
            dataset_id=dataset_id,
            action=action,
            handover=handover.to_json(),
            started=started,
            timeout=timeout,
            options=options,
        ),
        method_name="execute_complete",
        kwargs=kwargs,
        timeout=patience(left, number),
    )


def error_of_indexing(event: Mapping[str, Any] | None) -> DifyError | None:
    """Return the error that the trigger of :func:`defer_until_indexed` fired; ``None`` where all is indexed."""
    status = event.get("status") if event else None
    if event and status == "error":
        return DifyError.from_json(event["error"])
    if status != "success":
        raise unknown(event)
    return None


def unknown(event: object) -> DifyError:
    """Return the error that nobody knows what a trigger fired."""
    return DifyError(f"The trigger fired {event!r}, which this operator does not know. Clear the task to retry.")
