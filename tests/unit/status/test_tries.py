"""What is retried, how often, and after how long."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyError,
    DifyKilledError,
    DifyNotFoundError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api, documents
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Response
from airflow_provider_dify.knowledge.progress import seconds_of
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock
from tests.unit.base.driving import (
    DATASET,
    ID,
    RATE_LIMIT,
    Reply,
    dify_error,
    drive,
    error_of,
    name_of,
    read,
    reply,
)

GOOD = reply(200, DATASET)
FAILS = dify_error(503)
LOST = DifyTransportError("GET was not answered.", reached=True)


class TestTries:
    """How often, and after how long."""

    @pytest.mark.parametrize("failure", [FAILS, dify_error(429), dify_error(403, message=RATE_LIMIT), LOST], ids=str)
    @pytest.mark.parametrize("failures", [0, 1, 4])
    def test_until_it_works(self, failure: Reply, failures: int) -> None:
        driven = read([*[failure] * failures, GOOD])
        assert driven.error is None
        assert isinstance(driven.result, documents.Dataset)
        assert driven.result.name == "handbook"
        assert len(driven.requests) == failures + 1
        assert len(set(driven.requests)) == 1

    @pytest.mark.parametrize("max_retries", [0, 1, 4])
    def test_at_most_so_often(self, max_retries: int) -> None:
        driven = read([FAILS], max_retries=max_retries)
        assert isinstance(driven.error, DifyServerError)
        assert len(driven.requests) == max_retries + 1
        assert len(driven.pauses) == max_retries

    @pytest.mark.parametrize(
        "failure",
        [*map(dify_error, (400, 401, 403, 404, 415)), reply(404, "<html>"), reply(200, "<html>"), reply(302, "")],
        ids=name_of,
    )
    def test_not_where_it_cannot_help(self, failure: Response) -> None:
        driven = read([failure, GOOD], deadline=900)
        assert driven.error is not None
        assert len(driven.requests) == 1
        assert driven.pauses == []

    @pytest.mark.parametrize("failure", [FAILS, LOST, dify_error(429, retry_after="1")], ids=["503", "lost", "429"])
    def test_never_a_change(self, failure: Reply) -> None:
        """The flow decides whether a change is sent again, after a read."""
        flow = api.change_status(ID, Action.ARCHIVE, [ID])
        driven = drive(retrying(flow, Retries()), [failure, reply(200, {"result": "success"})])
        assert driven.error is not None
        assert driven.error.retryable
        assert len(driven.requests) == 1
        assert driven.pauses == []

    def test_the_waits_double_up_to_a_limit(self) -> None:
        fastest = read([FAILS], jitter=0.0, max_retries=9).waits
        slowest = read([FAILS], jitter=1.0, max_retries=9).waits
        assert slowest == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        assert fastest == [wait / 2 for wait in slowest]

    def test_the_waits_are_spread(self) -> None:
        waits = [drive(retrying(api.get_dataset(ID), Retries()), [FAILS, GOOD]).waits[0] for _ in range(50)]
        assert all(0.25 <= wait <= 0.5 for wait in waits)
        assert len(set(waits)) > 10

    def test_each_request_of_a_flow_starts_anew(self) -> None:
        def two() -> Flow[None]:
            yield from api.get_dataset(ID)
            yield from api.get_dataset(ID)

        retries = Retries(jitter=lambda: 1.0, max_retries=2)
        driven = drive(retrying(two(), retries), [FAILS, FAILS, GOOD, FAILS, FAILS, GOOD])
        assert driven.error is None
        assert driven.waits == [0.5, 1, 0.5, 1]

    def test_it_is_said_why_and_which_try_it_is(self) -> None:
        first, second, third, fourth = read([FAILS, FAILS, dify_error(500), dify_error(500), GOOD]).pauses
        assert "503 odd" in first.reason
        assert "500 odd" in third.reason
        assert first.reason.startswith(f"Retry 1 of 4 in {seconds_of(first.seconds)}: GET /")
        assert third.reason.startswith(f"Retry 3 of 4 in {seconds_of(third.seconds)}: GET /")
        assert [first.level, second.level, third.level, fourth.level] == [logging.WARNING] * 4

    def test_the_same_failure_is_told_once(self) -> None:
        _, second, _, fourth = read([FAILS, FAILS, dify_error(500), dify_error(500), GOOD]).pauses
        assert second.reason == f"Retry 2 of 4 in {seconds_of(second.seconds)}: the same."
        assert fourth.reason == f"Retry 4 of 4 in {seconds_of(fourth.seconds)}: the same."

    @pytest.mark.parametrize("jitter", [0.0, 1.0])
    def test_what_dify_asks_for_is_waited_for(self, jitter: float) -> None:
        assert read([dify_error(429, retry_after="17"), GOOD], jitter=jitter).waits == [17]
        assert read([dify_error(503, retry_after="17"), GOOD], jitter=jitter, deadline=900).waits == [17]

    def test_not_beyond_our_patience_where_there_is_no_deadline(self) -> None:
        assert read([dify_error(429, retry_after="60"), GOOD]).waits == [60]
        driven = read([dify_error(429, retry_after="61"), GOOD])
        assert isinstance(driven.error, DifyRateLimitError)
        assert driven.error.retry_after == 61
        assert driven.pauses == []

    def test_not_beyond_the_deadline(self) -> None:
        assert read([dify_error(429, retry_after="899"), GOOD], deadline=900).waits == [899]
        driven = read([dify_error(429, retry_after="901"), GOOD], deadline=900)
        assert isinstance(driven.error, DifyRateLimitError)
        assert driven.error.retry_after == 901
        assert driven.pauses == []
        assert len(driven.requests) == 1

    def test_our_own_waits_end_at_the_deadline_too(self) -> None:
        driven = read([FAILS], jitter=1.0, deadline=5, max_retries=100)
        assert driven.waits == [0.5, 1, 2]  # 4 s more would be too late
        assert isinstance(driven.error, DifyServerError)

    def test_nothing_is_tried_again_after_the_deadline(self) -> None:
        clock = VirtualClock()
        deadline = Deadline(5, clock.monotonic)
        clock.sleep(6)
        driven = drive(retrying(api.get_dataset(ID), Retries(), deadline), [FAILS, GOOD])
        assert isinstance(driven.error, DifyServerError)
        assert driven.pauses == []


class TestPlanLimit:
    """The limit of the plan resets with time, so it is waited for."""

    LIMIT = dify_error(403, "forbidden", RATE_LIMIT)

    def test_within_the_deadline(self) -> None:
        driven = read([*[self.LIMIT] * 30, GOOD], jitter=1.0, deadline=900)
        assert driven.error is None
        assert len(driven.requests) == 31
        assert sum(driven.waits) <= 900

    def test_until_the_deadline(self) -> None:
        driven = read([self.LIMIT], jitter=1.0, deadline=900)
        assert isinstance(driven.error, DifyPlanLimitError)
        assert 870 <= sum(driven.waits) <= 900

    def test_only_the_usual_tries_without_a_deadline(self) -> None:
        driven = read([self.LIMIT])
        assert isinstance(driven.error, DifyPlanLimitError)
        assert len(driven.requests) == 5

    def test_other_failures_do_not_profit_from_it(self) -> None:
        driven = read([FAILS], deadline=900)
        assert len(driven.requests) == 5

    def test_through_a_socket(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page")
        dify.faults.add(Fault("plan_limit", times=12))
        report = DifyHook().change_document_status(kb.id, [page.id], "archive")
        assert report.changed == (page.id,)
        assert sum(dify.clock.slept) < 900

    def test_is_told_from_missing_rights_by_the_words(self) -> None:
        for text in ("Dataset api access is not enabled.", "The archived document is not editable.", ""):
            assert type(error_of(dify_error(403, "forbidden", text))) is DifyAccessError


def test_a_flow_may_catch_what_is_raised_in_it() -> None:
    def careful(then: Callable[[DifyError], object]) -> Flow[object]:
        try:
            yield from api.get_dataset(ID)
        except DifyNotFoundError as error:
            return then(error)
        return None

    driven = drive(retrying(careful(lambda error: error.status), Retries()), [dify_error(404)])
    assert driven.result == 404
    assert driven.error is None


@pytest.mark.parametrize("fault", ["fails", "killed"])
def test_the_last_read_hides_the_cause_only_if_the_task_is_killed(fault: str) -> None:
    cause = DifyTransportError("PATCH was not answered.", reached=True)
    second = DifyKilledError("The task was killed.") if fault == "killed" else LOST

    def read() -> Flow[None]:
        yield from api.get_dataset(ID)

    flow = Retries(max_retries=0).recover(1, cause, Deadline(900, VirtualClock().monotonic), read)
    driven = drive(flow, [second])
    assert driven.error is (second if fault == "killed" else cause)
    assert len(driven.requests) == 1
