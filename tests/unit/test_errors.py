"""Which error an answer of Dify is, and what is tried again, how often, and after how long."""

from __future__ import annotations

import json
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_dify import exceptions
from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAuthenticationError,
    DifyDocumentBusyError,
    DifyDocumentStatusError,
    DifyDocumentStatusFailed,
    DifyEndpointError,
    DifyError,
    DifyInputError,
    DifyNotFoundError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api, documents
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.errors import busy_name
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Pause, Request, Response
from airflow_provider_dify.knowledge.report import Outcome, StatusReport
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock

T = TypeVar("T")
Reply = Response | DifyError

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
DATASET: dict[str, Any] = {"id": ID, "name": "handbook"}
RATE_LIMIT = "Sorry, you have reached the knowledge base request rate limit of your subscription."
#: The clock of the tests starts at 2026-01-01 00:00:00.
AT = 1_767_225_600.0


def reply(status: int, body: object = None, **headers: str) -> Response:
    """An answer: a mapping is JSON, a text is what it is."""
    sent = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, named, sent.encode(), at=AT)


def dify_error(status: int, code: str = "odd", message: str = "Oh no.", **headers: str) -> Response:
    return reply(status, {"code": code, "message": message, "status": status}, **headers)


def name_of(value: object) -> str | None:
    """How a test is called after an answer."""
    return f"{value.status} {value.body[:60].decode(errors='replace')}" if isinstance(value, Response) else None


@dataclass
class Driven:
    """How a flow went: what it sent, how long it waited, and how it ended."""

    result: object = None
    error: DifyError | None = None
    requests: list[Request] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)

    @property
    def waits(self) -> list[float]:
        return [pause.seconds for pause in self.pauses]


def drive(flow: Flow[T], replies: list[Reply], clock: VirtualClock | None = None) -> Driven:
    """Run a flow against replies, each for one request; the last one is for all that follow."""
    driven = Driven()
    left = list(replies)
    try:
        step = next(flow)
        while True:
            if isinstance(step, Pause):
                driven.pauses.append(step)
                if clock:
                    clock.sleep(step.seconds)
                step = next(flow)
                continue
            assert isinstance(step, Request)
            driven.requests.append(step)
            answer = left.pop(0) if len(left) > 1 else left[0]
            step = flow.throw(answer) if isinstance(answer, DifyError) else flow.send(answer)
    except StopIteration as stop:
        driven.result = stop.value
    except DifyError as error:
        driven.error = error
    return driven


def read(replies: list[Reply], *, jitter: float = 0.0, deadline: float | None = None, **settings: Any) -> Driven:
    """Read a knowledge base, with retries."""
    clock = VirtualClock()
    retries = Retries(jitter=lambda: jitter, **settings)
    limit = None if deadline is None else Deadline(deadline, clock.monotonic)
    return drive(retrying(api.get_dataset(ID), retries, limit), replies, clock)


def error_of(answer: Response) -> DifyRequestError:
    """The error that an answer is, without a second try."""
    error = read([answer], max_retries=0).error
    assert isinstance(error, DifyRequestError)
    return error


class TestClasses:
    """The class of each answer."""

    @pytest.mark.parametrize(
        ("answer", "kind", "advice"),
        [
            (dify_error(401, "unauthorized", "Access token is invalid"), DifyAuthenticationError, "'dataset-'"),
            (reply(401, {"message": "no"}), DifyAuthenticationError, "Put a Knowledge API key"),
            (dify_error(403, "forbidden", "Dataset api access is not enabled."), DifyAccessError, "Switch on"),
            (dify_error(403, "forbidden", "No permission."), DifyAccessError, "not bound to another one"),
            (dify_error(403, "forbidden", RATE_LIMIT), DifyPlanLimitError, "plan of the Dify workspace"),
            (dify_error(404, "not_found", "Dataset not found."), DifyNotFoundError, "Check the ids"),
            (dify_error(404, "not_found", "Document not found."), DifyNotFoundError, "Check the ids"),
            (reply(404, "<title>404 Not Found</title>"), DifyEndpointError, "usually ends in /v1"),
            (reply(404, ""), DifyEndpointError, "an empty body"),
            (reply(400, "Bad Request"), DifyEndpointError, "'Bad Request' instead of Dify's JSON"),
            (reply(403, "<title>Forbidden</title>"), DifyEndpointError, "the page 'Forbidden'"),
            (reply(200, "<title>Log in</title>"), DifyEndpointError, "the page 'Log in'"),
            (reply(200, ""), DifyEndpointError, "an empty body"),
            (reply(200, '{"data": ['), DifyServerError, "200 and JSON that is cut off or garbled, '{\"data\": ['"),
            (reply(404, '{"code": "not_f'), DifyServerError, "broke off its answer"),
            (reply(200, "{{ page }}"), DifyServerError, "garbled"),
            (reply(200, '["data"'), DifyEndpointError, "Check the host"),
            (reply(200, [1]), DifyEndpointError, "'[1]' instead of Dify's JSON"),
            (reply(200, None), DifyEndpointError, "'null' instead of Dify's JSON"),
            (reply(200, {"hello": "world"}), DifyEndpointError, "does not have the form of Dify's API"),
            (Response(200, {}, b"\xff{}"), DifyEndpointError, "Check the host"),
            (reply(301, "", location="https://b/"), DifyEndpointError, "to where it points: https://b/."),
            (reply(302, {"message": "log in"}, location="https://b/"), DifyEndpointError, "it points: https://b/."),
            (reply(308, ""), DifyEndpointError, "Redirects are not followed"),
            (dify_error(400, "invalid_action", "Document:a is being indexed, please try again later"),
             DifyDocumentBusyError, "at most 600 s"),
            (dify_error(400, "invalid_action", "Document: a is not completed."), DifyDocumentBusyError, "600 s"),
            (dify_error(400, "invalid_action", "Invalid action."), DifyRequestError, "does not accept the request"),
            (dify_error(400, "invalid_param", "Document:a is being indexed"), DifyRequestError, "does not accept"),
            (dify_error(400, "invalid_param", "1 validation error"), DifyRequestError, "does not accept the request"),
            (dify_error(415, "unsupported_media_type", "no"), DifyRequestError, "does not accept the request"),
            (reply(413, "<title>413 Too Large</title>"), DifyRequestError, "too large"),
            (dify_error(429, "too_many_requests", "no"), DifyRateLimitError, "try again later"),
            (reply(429, "<title>Slow down</title>"), DifyRateLimitError, "try again later"),
            (dify_error(500, "unknown", "Internal Server Error"), DifyServerError, "the log of its API server"),
            (reply(500, "Internal Server Error"), DifyServerError, "not available"),
            (reply(502, "<title>502 Bad Gateway</title>"), DifyServerError, "the page '502 Bad Gateway'"),
            (reply(503, ""), DifyServerError, "an empty body"),
            (dify_error(504, "gateway_timeout", "no"), DifyServerError, "Dify failed"),
        ],
        ids=name_of,
    )  # fmt: skip
    def test_of_each_answer(self, answer: Response, kind: type[DifyRequestError], advice: str) -> None:
        error = error_of(answer)
        assert type(error) is kind
        assert advice in str(error)
        assert error.status == answer.status
        assert str(error) == error.message

    @pytest.mark.parametrize("body", [{"id": ID, "name": "handbook"}, {"id": ID, "name": "x", "more": [1]}], ids=str)
    def test_a_good_answer_is_none(self, body: dict[str, Any]) -> None:
        assert read([reply(200, body)]).error is None

    def test_an_answer_without_a_body_is_good_where_it_says_so(self) -> None:
        def nothing() -> Flow[int]:
            response = yield Request("DELETE", "/datasets")
            assert response
            return response.status

        assert drive(retrying(nothing(), Retries()), [Response(204, {}, b"")]).result == 204

    def test_what_it_carries(self) -> None:
        headers = {"x_version": "1.14.1", "x_trace_id": "abc123", "retry_after": "7"}
        error = error_of(dify_error(429, "too_many_requests", "Too many requests.", **headers))
        assert (error.status, error.code, error.detail) == (429, "too_many_requests", "Too many requests.")
        assert (error.server_version, error.trace_id, error.retry_after) == ("1.14.1", "abc123", 7.0)
        assert str(error) == (
            f'GET /datasets/{ID} was answered with 429 too_many_requests, "Too many requests.". '
            "Too many requests: try again later, or with fewer tasks at a time. (Dify 1.14.1, trace id abc123)"
        )

    def test_what_it_carries_where_dify_said_little(self) -> None:
        error = error_of(reply(418, {}))
        assert (error.code, error.detail, error.server_version) == (None, "", None)
        assert (error.trace_id, error.retry_after) == (None, None)
        assert "418 without a code, no message" in str(error)
        assert not str(error).endswith(")")

    @pytest.mark.parametrize("odd", [{"code": 5, "message": ["a"]}, {"code": None, "message": None}, {"message": {}}])
    def test_odd_types_in_an_error_are_texts(self, odd: dict[str, Any]) -> None:
        error = error_of(reply(500, odd))
        assert isinstance(error, DifyServerError)
        assert error.code is None or isinstance(error.code, str)
        assert isinstance(error.detail, str)

    def test_a_long_text_is_cut_and_kept_in_one_line(self) -> None:
        error = error_of(dify_error(500, "unknown", "a\nb\t" + "long " * 10_000))
        assert '"a b long' in str(error)
        assert "…" in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 700
        assert len(error_of(reply(502, f"<title>{'long ' * 10_000}</title>")).message) < 700
        assert len(error_of(reply(301, "", location="https://b/" + "x" * 10_000)).message) < 700

    def test_the_advice_can_be_added_to(self) -> None:
        error = error_of(dify_error(401))
        before = str(error)
        error.add("Look there.")
        assert str(error) == error.message == f"{before} Look there."
        assert error.args == (str(error),)

    @pytest.mark.parametrize(
        ("detail", "name"),
        [
            ("Document:page 1 is being indexed, please try again later", "page 1"),
            ("Document: page 1 is being indexed, please try again later", "page 1"),
            ("Document:page 1 is not completed.", "page 1"),
            ("Document:it is being indexed is being indexed, please try again later", "it is being indexed"),
            ("Document:two\nlines is being indexed", "two\nlines"),
            ("Document: is being indexed", ""),
        ],
    )
    def test_who_is_busy(self, detail: str, name: str) -> None:
        error = error_of(dify_error(400, "invalid_action", detail))
        assert isinstance(error, DifyDocumentBusyError)
        assert busy_name(error) == name

    def test_the_same_through_a_socket(self, dify: FakeDify, kb: Dataset) -> None:
        """The rows of the table that the built-in Dify knows by itself."""
        page = kb.add_document("page")
        page.lock(600)
        closed = dify.add_dataset("closed")
        dify.enable_api(closed, False)
        hook = DifyHook()
        for flow, kind in (
            (api.get_dataset(ID), DifyNotFoundError),
            (api.get_document(kb.id, ID), DifyNotFoundError),
            (api.get_dataset(closed.id), DifyAccessError),
            (api.change_status(kb.id, Action.ARCHIVE, [page.id]), DifyDocumentBusyError),
            (api.get_dataset("x/y"), DifyEndpointError),
        ):
            with pytest.raises(DifyRequestError) as raised:
                hook.run(flow)
            assert type(raised.value) is kind
            assert raised.value.server_version == "1.14.1"

    def test_the_traceback_is_short(self, dify: FakeDify, kb: Dataset) -> None:
        """The steps of a flow would bury in the log of the task what the error says."""
        with pytest.raises(DifyNotFoundError) as raised:
            DifyHook().change_document_status(ID, [ID], "archive")
        lines = traceback.format_exception(DifyNotFoundError, raised.value, raised.value.__traceback__)
        shown = [line for line in lines if line.startswith("  File")]
        assert 1 <= len(shown) <= 3, shown
        assert not any("/knowledge/" in line or "/transport/" in line for line in shown)
        assert not any("another exception" in line or "direct cause" in line for line in lines)


class TestRetryAfter:
    """Both forms of the header, and what is neither."""

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("7", 7.0),
            (" 120 ", 120.0),
            ("86400", 86400.0),
            ("Thu, 01 Jan 2026 00:02:00 GMT", 120.0),
            ("Thu, 01 Jan 2026 01:02:00 +0100", 120.0),
            ("Thursday, 01-Jan-26 00:02:00 GMT", 120.0),
            ("Thu Jan  1 00:02:00 2026", 120.0),
            ("Wed, 31 Dec 2025 23:00:00 GMT", 0.0),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("Thu, 32 Jan 2026 00:00:00 GMT", None),
            ("Thu, 01 Jan 2026 00:02:00 +99999999999999999999", None),
        ],
    )
    def test_by_our_clock(self, value: str, seconds: float | None) -> None:
        assert error_of(dify_error(429, retry_after=value)).retry_after == seconds
        assert error_of(reply(503, "<html>", retry_after=value)).retry_after == seconds

    @pytest.mark.parametrize(
        ("date", "seconds"),
        [
            ("Thu, 01 Jan 2026 00:01:30 GMT", 30.0),  # its clock goes before ours
            ("Wed, 31 Dec 2025 23:59:00 GMT", 180.0),
            ("yesterday", 120.0),
            ("Thu, 01 Jan 2026 00:02:00 +99999999999999999999", 120.0),
        ],
    )
    def test_by_the_clock_of_the_server_where_it_shows_it(self, date: str, seconds: float) -> None:
        answer = dify_error(429, retry_after="Thu, 01 Jan 2026 00:02:00 GMT", date=date)
        assert error_of(answer).retry_after == seconds

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_through_a_socket(self, dify: FakeDify, kb: Dataset, form: Any) -> None:
        dify.faults.add(Fault("status", status=429, retry_after=20, retry_after_as=form))
        DifyHook().get_dataset(kb.id)
        assert dify.clock.slept == [pytest.approx(20, abs=1)]


class TestTree:
    """One tree, and which of it Airflow shall not spend retries on."""

    FINAL = (
        DifyInputError,
        DifyAuthenticationError,
        DifyAccessError,
        DifyNotFoundError,
        DifyEndpointError,
        DifyDocumentStatusFailed,
    )
    WORTH_A_RETRY = (
        DifyTransportError,
        DifyPlanLimitError,
        DifyDocumentBusyError,
        DifyRateLimitError,
        DifyServerError,
        DifyDocumentStatusError,
    )

    @pytest.mark.parametrize("kind", FINAL)
    def test_final(self, kind: type[DifyError]) -> None:
        assert issubclass(kind, AirflowFailException)
        assert not kind.retryable

    @pytest.mark.parametrize("kind", WORTH_A_RETRY)
    def test_worth_a_retry(self, kind: type[DifyError]) -> None:
        assert not issubclass(kind, AirflowFailException)
        assert kind.retryable

    def test_neither(self) -> None:
        assert not DifyRequestError.retryable
        assert not issubclass(DifyRequestError, AirflowFailException)

    def test_every_class_hangs_on_the_root_and_says_when_it_is_raised(self) -> None:
        kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
        ours = [kind for kind in kinds if kind.__module__ == exceptions.__name__]
        assert set(self.FINAL + self.WORTH_A_RETRY) | {DifyError, DifyRequestError} <= set(ours)
        for kind in ours:
            assert issubclass(kind, DifyError)
            assert issubclass(kind, AirflowException)
            assert kind.__doc__, kind

    def test_nothing_final_is_retryable_and_the_other_way_round(self) -> None:
        def below(kind: type[DifyError]) -> list[type[DifyError]]:
            return [kind, *(one for child in kind.__subclasses__() for one in below(child))]

        assert [kind for kind in below(DifyError) if kind.retryable and issubclass(kind, AirflowFailException)] == []

    def test_an_input_error_is_a_value_error(self) -> None:
        assert issubclass(DifyInputError, ValueError)


class TestDocumentStatusError:
    """The error of documents that did not get there."""

    @staticmethod
    def report(outcomes: Mapping[str, int]) -> StatusReport:
        ids = {name: tuple(str(uuid.uuid4()) for _ in range(count)) for name, count in outcomes.items()}
        return StatusReport(dataset_id=ID, action="archive", **ids)  # type: ignore[arg-type]

    def test_stays_short_for_many_ids(self) -> None:
        report = self.report({outcome.value: 10_000 for outcome in Outcome})
        with pytest.raises(DifyDocumentStatusError) as raised:
            report.raise_for_outcomes()
        assert len(str(raised.value)) < 2_000
        assert "70000 of 90000 documents" in str(raised.value)
        assert raised.value.report is report

    def test_names_each_outcome_some_ids_and_what_to_do(self) -> None:
        report = self.report({"changed": 1, "busy": 5, "lagging": 1})
        with pytest.raises(DifyDocumentStatusError) as raised:
            report.raise_for_outcomes()
        text = str(raised.value)
        assert text.startswith(f"archive: 6 of 7 documents of dataset {ID} are not in the state that was asked for.")
        assert f"5 busy ({', '.join(report.busy[:3])} and 2 more): Dify holds their lock" in text
        assert f"1 lagging ({report.lagging[0]}): search has not followed" in text
        assert report.busy[3] not in text
        assert report.changed[0] not in text

    @pytest.mark.parametrize(
        ("outcomes", "tolerate", "kind"),
        [
            ({"changed": 2, "unchanged": 1}, (), None),
            ({"missing": 1, "changed": 1}, ("missing",), None),
            ({"missing": 1}, (), DifyDocumentStatusFailed),
            ({"refused": 1}, (), DifyDocumentStatusFailed),
            ({"missing": 1, "refused": 2, "not_attempted": 3}, (), DifyDocumentStatusFailed),
            ({"missing": 1, "busy": 1}, (), DifyDocumentStatusError),
            ({"missing": 1, "busy": 1}, ("missing",), DifyDocumentStatusError),
            ({"not_attempted": 1}, (), DifyDocumentStatusError),
            ({"not_attempted": 1, "missing": 1}, ("missing",), DifyDocumentStatusError),
            ({"not_ready": 1}, (), DifyDocumentStatusError),
            ({"reverted": 1}, (), DifyDocumentStatusError),
            ({"lagging": 1}, (), DifyDocumentStatusError),
        ],
        ids=str,
    )
    def test_is_final_only_where_no_retry_can_help(
        self, outcomes: dict[str, int], tolerate: tuple[str, ...], kind: type[DifyError] | None
    ) -> None:
        report = self.report(outcomes)
        if kind is None:
            report.raise_for_outcomes([Outcome(name) for name in tolerate])
            return
        with pytest.raises(DifyDocumentStatusError) as raised:
            report.raise_for_outcomes([Outcome(name) for name in tolerate])
        assert type(raised.value) is kind
        assert raised.value.retryable is (kind is DifyDocumentStatusError)


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
        """Whether a change is sent again is for the flow to say, after a look."""
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
        first, second = read([FAILS, FAILS, GOOD]).pauses
        assert "503 odd" in first.reason
        assert first.reason.endswith("Trying again (1 of 4).")
        assert second.reason.endswith("Trying again (2 of 4).")

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
    """The limit of the plan passes with time: it is waited for, as long as there is time."""

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
