"""A retry policy that retries a failed task as its error suggests (Airflow 3.3 or later)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.exceptions import DifyError, DifyKilledError

if TYPE_CHECKING:
    from airflow.sdk import RetryDecision, RetryPolicy
    from airflow.sdk.definitions.context import Context
else:
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:  # Airflow before 3.3
        RetryDecision, RetryPolicy = None, object

#: Maximum delay because of a ``Retry-After`` header.
_LONGEST_DELAY = timedelta(days=1)


class DifyRetryPolicy(RetryPolicy):
    """Decides by the error whether and when a task is retried; set it as the task's ``retry_policy``.

    * Errors that a retry cannot fix fail at once. (Most of them do so in every version of Airflow without a policy,
      because they are an ``AirflowFailException``.)
    * If Dify said when to come back (``Retry-After``), the task is retried then, at most a day later, whatever its
      ``retry_delay`` is.
    * All other errors, including those that are not a :class:`~airflow_provider_dify.exceptions.DifyError`, are retried
      with the task's own settings.

    It never makes more retries than the task has.

    .. seealso:: https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/tasks.html
    """

    def __init__(self) -> None:
        if RetryDecision is None:
            raise RuntimeError(
                "DifyRetryPolicy needs Airflow 3.3 or later. Without it, errors that a retry cannot fix stop the task "
                "at once as well, and the others are retried by the task's own retries and retry_delay."
            )

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow passes it by name
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decide what to do about a failure.

        :param exception: The exception that the task failed with.
        :param try_number: Number of the try, from 1.
        :param max_tries: Maximum number of tries.
        :param context: Context of the task.
        :return: The decision; its ``reason`` is shown with the task.
        """
        # A task may be killed because its worker stops, which says nothing about the next try.
        if not isinstance(exception, DifyError) or isinstance(exception, DifyKilledError):
            return RetryDecision.default()
        if not exception.retryable:
            return RetryDecision.fail(exception.message)
        if exception.retry_after is None:
            return RetryDecision.default()
        seconds = min(exception.retry_after, _LONGEST_DELAY.total_seconds())
        return RetryDecision.retry(timedelta(seconds=seconds), f"Dify asked for {seconds:g} s. {exception.message}")

    def serialize(self) -> dict[str, Any]:
        """Return it as plain JSON: it has no parameters."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> DifyRetryPolicy:  # noqa: ARG003 - nothing is in it
        """Create it from what :meth:`serialize` returned."""
        return cls()
