"""Between Airflow and Dify: a gateway that blocks a method, and a Dify of another kind."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyEndpointError,
    DifyError,
    DifyInputError,
    DifyNotFoundError,
    DifyRequestError,
)
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.bases.agents import telling_agents
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import Flow, Request, Response
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.base.driving import DATASET, ID, dify_error, drive, reply
from tests.unit.conftest import Change, Connect

PAGE = "<html><title>403 Forbidden</title></html>"


def look_and(method: str) -> Flow[None]:
    """Read, and then send something else."""
    yield Request("GET", f"/datasets/{ID}")
    yield Request(method, f"/datasets/{ID}/documents")


class TestBlockedMethods:
    """GET works, but another method does not reach Dify."""

    @pytest.mark.parametrize(
        "answer",
        [
            reply(403, PAGE),
            reply(405, "<title>405 Not Allowed</title>"),
            reply(405, ""),
            reply(405, {"message": "Method Not Allowed"}),
            reply(405, {"code": "method_not_allowed", "message": "no"}),
            reply(403, {"message": "Forbidden"}),
            reply(403, [1]),
            reply(501, "<title>Unsupported method</title>"),
            reply(200, "<title>Portal of the company</title>"),
            reply(406, "Not acceptable"),
        ],
        ids=lambda answer: f"{answer.status} {answer.body[:30]!r}",
    )
    @pytest.mark.parametrize("method", ["PATCH", "DELETE", "POST"])
    def test_are_named(self, answer: Response, method: str) -> None:
        driven = drive(retrying(look_and(method), Retries()), [reply(200, DATASET), answer])
        assert isinstance(driven.error, DifyEndpointError)
        assert str(driven.error).startswith(
            f"Something in front of Dify blocks {method}, although GET works: a gateway, a proxy, or a firewall. Make "
            f"it let {method} through to Dify's API. {method} /datasets/{ID}/documents was answered with"
        )
        assert driven.error.status == answer.status
        assert driven.error.final
        assert len(driven.requests) == 2

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (dify_error(403, "forbidden", "Dataset api access is not enabled."), DifyAccessError),
            (reply(405, {"code": "method_not_allowed", "message": "no"}, x_version="1.4.0"), DifyRequestError),
            (reply(404, "<title>404 Not Found</title>"), DifyEndpointError),
            (reply(301, "", location="https://b/"), DifyEndpointError),
            (reply(413, "<title>Too large</title>"), DifyRequestError),
            (reply(400, "<title>Bad request</title>"), DifyEndpointError),
            (reply(200, '{"result": '), DifyRequestError),
            (reply(502, PAGE), DifyRequestError),
        ],
        ids=lambda value: str(value.status) if isinstance(value, Response) else "",
    )
    def test_other_refusals_stay_what_they_are(self, answer: Response, kind: type[DifyError]) -> None:
        driven = drive(retrying(look_and("PATCH"), Retries(max_retries=0)), [reply(200, DATASET), answer])
        assert isinstance(driven.error, kind)
        assert "blocks" not in str(driven.error)

    def test_nobody_says_that_get_works_who_has_not_tried(self) -> None:
        flow = retrying(api.change_status(ID, Action.ARCHIVE, [ID]), Retries())
        driven = drive(flow, [reply(403, PAGE)])
        assert isinstance(driven.error, DifyEndpointError)
        assert "GET works" not in str(driven.error)

    @pytest.mark.parametrize("status", [403, 405])
    def test_in_a_task(self, dify: FakeDify, kb: Dataset, change: Change, status: int) -> None:
        pages = kb.add_documents(3)
        dify.faults.add(Fault("page", method="PATCH", status=status, times=None))
        run = change("archive", pages)
        assert isinstance(run.error, DifyEndpointError)
        assert "Something in front of Dify blocks PATCH, although GET works" in str(run.error)
        assert len(run.not_attempted) == 3


class TestKnowledgeBasesForAgents:
    """Dify's second kind of knowledge base has another API."""

    NOT_FOUND = dify_error(404, "not_found", "Dataset not found.", x_version="1.18.2")

    @pytest.mark.parametrize(
        "answer", [reply(200, {"data": []}), dify_error(403, "knowledge_fs_access_denied", "not allowed")]
    )
    def test_its_id_is_told_from_one_that_is_nowhere(self, answer: Response) -> None:
        flow = retrying(telling_agents(api.get_dataset(ID)), Retries())
        driven = drive(flow, [self.NOT_FOUND, answer])
        assert isinstance(driven.error, DifyNotFoundError)
        assert str(driven.error).startswith("It is a knowledge base for agents ('/knowledge-fs')")
        assert ID in str(driven.error)
        assert driven.error.final
        assert [request.path for request in driven.requests] == [
            f"/datasets/{ID}",
            f"/knowledge-fs/spaces/{ID}/documents",
        ]

    @pytest.mark.parametrize(
        "answer",
        [
            dify_error(404, "not_found", "no"),
            dify_error(401, "knowledge_fs_invalid_credential", "no"),
            dify_error(404, "knowledge_fs_resource_not_found", "no"),
            reply(404, "<title>404</title>"),
            reply(502, ""),
        ],
        ids=lambda answer: str(answer.status),
    )
    def test_one_that_is_nowhere_stays_not_found(self, answer: Response) -> None:
        driven = drive(retrying(telling_agents(api.get_dataset(ID)), Retries()), [self.NOT_FOUND, answer])
        assert isinstance(driven.error, DifyNotFoundError)
        assert "agents" not in str(driven.error)
        assert len(driven.requests) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            dify_error(404, "not_found", "Dataset not found.", x_version="1.16.0"),
            dify_error(404, "not_found", "Dataset not found."),
            dify_error(404, "not_found", "Document not found.", x_version="1.18.2"),
        ],
    )
    def test_nothing_is_asked_where_it_cannot_be(self, answer: Response) -> None:
        driven = drive(retrying(telling_agents(api.get_dataset(ID)), Retries()), [answer])
        assert isinstance(driven.error, DifyNotFoundError)
        assert len(driven.requests) == 1

    def test_its_own_errors_say_so_too(self) -> None:
        answer = dify_error(403, "knowledge_fs_access_denied", "Agent Knowledge Base operation is not allowed.")
        error = drive(retrying(api.get_dataset(ID), Retries()), [answer]).error
        assert "which has another API that this provider does not support." in str(error)

    @pytest.mark.parametrize("host", ["https://dify.example.com/v1/knowledge-fs", "https://d/knowledge-fs/v1/"])
    def test_its_address_is_no_host(self, connect: Connect, host: str) -> None:
        with pytest.raises(DifyInputError, match="API for agents"):
            _ = connect(host=host).settings

    def test_its_address_is_no_id(self, dify: FakeDify, reach: Connect) -> None:
        with pytest.raises(DifyInputError, match="dataset_id belongs to a knowledge base for agents"):
            reach().get_dataset(f"https://dify.example.com/knowledge-fs/{ID}")
        assert dify.requests == []


class TestAnswersAboutSomethingElse:
    """A cache that mixes up responses must not decide about a document."""

    @pytest.mark.parametrize("flow", [api.get_dataset(ID), api.get_document(ID, ID), api.document_indexing(ID, ID)])
    def test_are_refused(self, flow: Flow[Any]) -> None:
        body = {**DATASET, "id": ID.replace("5", "6")}
        error = drive(retrying(flow, Retries()), [reply(200, body)]).error
        assert isinstance(error, DifyEndpointError)
        assert "another id" in str(error)
