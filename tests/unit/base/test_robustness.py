"""Regressions of rare failures."""

from __future__ import annotations

import copy
import pickle

import pytest

from airflow_provider_dify.exceptions import (
    DifyDocumentStatusError,
    DifyEndpointError,
    DifyError,
    DifyInputError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyRequestError,
    DifyTransportError,
)
from airflow_provider_dify.knowledge.errors import error_in
from airflow_provider_dify.knowledge.flow import Request, Response
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.report import StatusReport
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import Change

REPORT = StatusReport("dataset", "archive", busy=("a",))


@pytest.mark.parametrize(
    "error",
    [
        DifyTransportError("no answer", reached=True),
        DifyRateLimitError("too fast", status=429, code="x", retry_after=3.0, detail="slow down", server_version="1"),
        DifyDocumentStatusError("one busy", REPORT),
        DifyInputError("wrong"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_can_be_copied_and_sent(error: DifyError) -> None:
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_a_plan_limit_without_time_to_wait_is_no_busy_loop(dify: FakeDify, kb: Dataset, change: Change) -> None:
    dify.faults.add(Fault("plan_limit", method="GET", retry_after=0, times=None))
    assert not change("archive", [kb.add_document("page")], timeout=900).green
    assert 20 < len(dify.requests) < 80


def test_delays_do_not_grow_out_of_a_float() -> None:
    assert Retries(jitter=lambda: 1.0).delay(5000, DifyError("x")) == 30.0


def test_a_full_plan_is_not_waited_for() -> None:
    body = b'{"code": "forbidden", "message": "The capacity of the vector space has reached the limit"}'
    error = error_in(Request("POST", "/x"), Response(403, {}, body))
    assert isinstance(error, DifyRequestError)
    assert not isinstance(error, DifyPlanLimitError)
    assert not error.retryable
    assert "upgrade" in str(error)


def test_a_404_of_something_else_is_not_a_missing_document() -> None:
    error = error_in(Request("GET", "/x"), Response(404, {}, b'{"message": "no Route matched with that document"}'))
    assert isinstance(error, DifyEndpointError)


@pytest.mark.parametrize("parameter", ["repair", "wait_for_completion"])
def test_texts_are_no_truth_values(parameter: str) -> None:
    from airflow_provider_dify.knowledge.status.options import StatusOptions

    with pytest.raises(DifyInputError, match=parameter):
        StatusOptions(**{parameter: "perhaps"})  # type: ignore[arg-type]


@pytest.mark.parametrize("fields", [{"port": 8443}, {"schema": "http"}])
def test_a_connection_without_a_host_does_not_lead_to_the_cloud_by_accident(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    import json

    from airflow_provider_dify.hooks.dify import DifyHook

    connection = {"conn_type": "dify", "password": "dataset-0123456789", **fields}
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps(connection))
    with pytest.raises(DifyInputError, match="no host"):
        _ = DifyHook().settings
