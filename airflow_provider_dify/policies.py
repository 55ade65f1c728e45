"""A retry policy that does with a failed task what its error says about trying again (Airflow 3.3 or later)."""

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

#: Nobody waits longer because of an answer's ``Retry-After``.
_LONGEST_DELAY = timedelta(days=1)


class DifyRetryPolicy(RetryPolicy):
    """Decides by the error how a task that talks to Dify is retried; give it to a task as ``retry_policy``.

    * What trying again cannot mend fails at once. (Most of that does so in every version of Airflow without a policy,
      because its errors are an ``AirflowFailException``.)
    * Where Dify said when to come back (``Retry-After``), the task is retried then, at most a day later, whatever its
      ``retry_delay`` is.
    * Everything else, and what is no :class:`~airflow_provider_dify.exceptions.DifyError`, is retried as the task says.

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
        try_number: int,  # noqa: ARG002 - Airflow gives it by name
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,  # noqa: ARG002
    ) -> RetryDecision:
        """Decide what follows a failure.

        :param exception: What the task failed with.
        :param try_number: Number of the try, from 1.
        :param max_tries: How many there may be.
        :param context: Context of the task.
        :return: The decision; its ``reason`` is shown with the task.
        """
        # Who kills a task may be a worker that is stopped: it says nothing about whether the next try ends well.
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
        """Make it again from what :meth:`serialize` returned."""
        return cls()
