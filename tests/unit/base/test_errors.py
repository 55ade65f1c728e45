"""Each response and each failure becomes the right error, which says what to do."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

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
    DifyKnowledgeBaseError,
    DifyKnowledgeBaseFailed,
    DifyNotFoundError,
    DifyPlanLimitError,
    DifyRateLimitError,
    DifyRequestError,
    DifyServerError,
    DifyTransportError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.errors import busy_name
from airflow_provider_dify.knowledge.flow import Flow, Request, Response
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.knowledge.status.report import Outcome, StatusReport
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.base.driving import (
    ID,
    RATE_LIMIT,
    dify_error,
    drive,
    error_of,
    name_of,
    read,
    reply,
)


class TestClasses:
    """The class of each answer."""

    @pytest.mark.parametrize(
        ("answer", "kind", "advice"),
        [
            (dify_error(401, "unauthorized", "Access token is invalid"), DifyAuthenticationError, "'dataset-'"),
            (reply(401, {"message": "no"}), DifyAuthenticationError, "Put a Knowledge API key"),
            (dify_error(403, "forbidden", "Dataset api access is not enabled."), DifyAccessError, "Enable"),
            (dify_error(403, "forbidden", "No permission."), DifyAccessError, "not limited to other knowledge bases"),
            (dify_error(403, "forbidden", RATE_LIMIT), DifyPlanLimitError, " Dify workspace"),
            (dify_error(404, "not_found", "Dataset not found."), DifyNotFoundError, "Check the ids"),
            (dify_error(404, "not_found", "Document not found."), DifyNotFoundError, "Check the ids"),
            (reply(404, "<title>404 Not Found</title>"), DifyEndpointError, "usually ends in /v1"),
            (reply(404, ""), DifyEndpointError, "an empty body"),
            (reply(400, "Bad Request"), DifyEndpointError, "'Bad Request' instead of Dify's JSON"),
            (reply(403, "<title>Forbidden</title>"), DifyEndpointError, "the page 'Forbidden'"),
            (reply(200, "<title>Log in</title>"), DifyEndpointError, "the page 'Log in'"),
            (reply(200, ""), DifyEndpointError, "an empty body"),
            (reply(200, '{"data": ['), DifyServerError, "200 and JSON that is cut off or broken, '{\"data\": ['"),
            (reply(404, '{"code": "not_f'), DifyServerError, "broke off the answer"),
            (reply(200, "{{ page }}"), DifyServerError, "broken"),
            (reply(200, '["data"'), DifyEndpointError, "Check the host"),
            (reply(200, [1]), DifyEndpointError, "'[1]' instead of Dify's JSON"),
            (reply(200, None), DifyEndpointError, "'null' instead of Dify's JSON"),
            (reply(200, {"hello": "world"}), DifyEndpointError, "does not have the form of Dify's API"),
            (Response(200, {}, b"\xff{}"), DifyEndpointError, "Check the host"),
            (reply(301, "", location="https://b/"), DifyEndpointError, "to the target: https://b/."),
            (reply(302, {"message": "log in"}, location="https://b/"), DifyEndpointError, "target: https://b/."),
            (reply(308, ""), DifyEndpointError, "Redirects are not followed"),
            (dify_error(400, "provider_not_initialize", "x"), DifyKnowledgeBaseFailed, "Model Provider"),
            (dify_error(400, "dataset_not_initialized", "x"), DifyKnowledgeBaseError, "still setting up"),
            (dify_error(400, "invalid_param", "Data source or Process rule is required"), DifyRequestError, "accept"),
            (dify_error(400, "invalid_action", "Document:a is being indexed, please try again later"),
             DifyDocumentBusyError, "at most 600 s"),
            (dify_error(400, "invalid_action", "Document: a is not completed."), DifyDocumentBusyError, "600 s"),
            (dify_error(400, "invalid_action", "Invalid action."), DifyRequestError, "does not accept the request"),
            (dify_error(400, "invalid_param", "Document:a is being indexed"), DifyRequestError, "does not accept"),
            (dify_error(400, "invalid_param", "1 validation error"), DifyRequestError, "does not accept the request"),
            (dify_error(415, "unsupported_media_type", "no"), DifyRequestError, "does not accept the request"),
            (reply(413, "<title>413 Too Large</title>"), DifyRequestError, "of its size"),
            (dify_error(429, "too_many_requests", "no"), DifyRateLimitError, "Try again later"),
            (reply(429, "<title>Slow down</title>"), DifyRateLimitError, "Try again later"),
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
            "Too many requests. Try again later, or run fewer tasks at a time. (Dify 1.14.1, trace id abc123)"
        )

    def test_what_it_carries_where_dify_said_little(self) -> None:
        error = error_of(reply(418, {}))
        assert (error.code, error.detail, error.server_version) == (None, "", None)
        assert (error.trace_id, error.retry_after) == (None, None)
        assert "418 without a code, no message" in str(error)
        assert not str(error).endswith(")")

    def test_a_text_under_another_name(self) -> None:
        error = error_of(reply(400, {"error": "1 validation error for SegmentCreatePayload"}))
        assert error.detail == "1 validation error for SegmentCreatePayload"
        assert '400 without a code, "1 validation error for SegmentCreatePayload"' in str(error)

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
        """The rows of the table that the built-in Dify supports."""
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
            assert raised.value.server_version == "1.16.0"

    def test_the_traceback_is_short(self, dify: FakeDify, kb: Dataset) -> None:
        """The steps of a flow would bury the error's text in the task log."""
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
            ("86401", 86400.0),
            ("9" * 400, 86400.0),
            ("Wed, 01 Jan 2076 00:00:00 GMT", 86400.0),
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
            ("Thu, 01 Jan 2026 00:01:30 GMT", 30.0),  # its clock is ahead of ours
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
    """One tree, and the part of it that Airflow should not retry."""

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
        ours = [kind for kind in kinds if kind.__module__ == exceptions.__name__ and kind is not exceptions.AnyReport]
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
        assert "80,000 of 100,000 documents" in str(raised.value)
        assert raised.value.report is report

    def test_names_each_outcome_some_ids_and_what_to_do(self) -> None:
        report = self.report({"changed": 1, "busy": 5, "lagging": 1})
        with pytest.raises(DifyDocumentStatusError) as raised:
            report.raise_for_outcomes()
        text = str(raised.value)
        assert text.startswith(f"archive: 6 of 7 documents of knowledge base {ID} are not in the requested state.")
        assert f"5 busy ({', '.join(report.busy[:3])} and 2 more): Dify holds a lock" in text
        assert f"1 lagging ({report.lagging[0]}): search does not reflect it" in text
        assert report.busy[3] not in text
        assert report.changed[0] not in text

    def test_ends_with_a_cause_that_is_news(self) -> None:
        report = self.report({"missing": 1, "reverted": 2, "unchanged": 1})
        errors = {report.unchanged[0]: "Fine.", report.missing[0]: "It is gone.", report.reverted[1]: "No model."}
        report = replace(report, errors=errors)
        with pytest.raises(DifyDocumentStatusError) as raised:
            report.raise_for_outcomes()
        assert str(raised.value).endswith(f". {report.reverted[1]}: No model.")
        assert "It is gone." not in str(raised.value)
        with pytest.raises(DifyDocumentStatusError) as raised:
            report.raise_for_outcomes(["reverted"])
        assert str(raised.value).endswith(f". {report.missing[0]}: It is gone.")

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
