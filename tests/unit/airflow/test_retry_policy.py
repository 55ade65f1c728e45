"""What the retry policy decides for each error, and its error if Airflow has no retry policies."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyDocumentBusyError,
    DifyError,
    DifyKilledError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.policies import DifyRetryPolicy

try:
    from airflow.sdk import RetryAction
except ImportError:
    RetryAction = None  # type: ignore[assignment,misc]

with_policies = pytest.mark.skipif(RetryAction is None, reason="Airflow has none")
without_policies = pytest.mark.skipif(RetryAction is not None, reason="Airflow has them")


def decide(error: BaseException) -> tuple[str, timedelta | None, str]:
    decision = DifyRetryPolicy().evaluate(error, 1, 3)
    return decision.action.value, decision.retry_delay, decision.reason or ""


@with_policies
@pytest.mark.parametrize(
    "error",
    [
        DifyRequestError("400 invalid_param", status=400),
        DifyRequestError("400 with a date", status=400, retry_after=5.0),
        DifyAuthenticationError("401", status=401),
        DifyError("the root"),
    ],
)
def test_fails_at_once_where_no_retry_helps(error: DifyError) -> None:
    assert decide(error) == ("fail", None, error.message)


@with_policies
@pytest.mark.parametrize("kind", [DifyRateLimitError, DifyServerError, DifyPlanLimitError, DifyDocumentBusyError])
def test_comes_back_when_dify_says(kind: type[DifyRequestError]) -> None:
    action, delay, reason = decide(kind("Too many requests.", status=429, retry_after=3.0))
    assert (action, delay) == ("retry", timedelta(seconds=3))
    assert reason == "Dify asked for 3 s. Too many requests."


@with_policies
def test_waits_a_day_at_most() -> None:
    assert decide(DifyRateLimitError("x", status=429, retry_after=1e30))[1] == timedelta(days=1)


@with_policies
@pytest.mark.parametrize(
    "error",
    [
        DifyServerError("500", status=500),
        DifyTransportError("refused", reached=False),
        DifyKilledError("The task was killed."),
        ValueError("not of this package"),
        KeyboardInterrupt(),
    ],
)
def test_leaves_the_rest_to_the_task(error: BaseException) -> None:
    assert decide(error) == ("default", None, "")


@with_policies
def test_a_task_takes_it() -> None:
    policy = DifyRetryPolicy()
    task = DifyDocumentStatusOperator(
        task_id="change", dataset_id="x", document_ids="y", action="enable", retries=2, retry_policy=policy
    )
    assert task.retry_policy is policy
    again = DifyRetryPolicy.deserialize(policy.serialize())
    assert again.evaluate(ValueError(), 1, 1).action is RetryAction.DEFAULT


@without_policies
def test_says_what_it_needs() -> None:
    with pytest.raises(RuntimeError, match=r"needs Airflow 3\.3"):
        DifyRetryPolicy()
