"""Lists and their quirks, single documents, segments, search, keys."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.testing import Dataset, FakeDify
from tests.testing.conftest import Client


def listed(client: Client, kb: Dataset, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/datasets/{kb.id}/documents{query}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def names(body: dict[str, Any]) -> list[str]:
    return [document["name"] for document in body["data"]]


@pytest.mark.parametrize(
    ("query", "rows", "about"),
    [
        ("", 20, {"has_more": True, "limit": 20, "page": 1}),
        ("?limit=100", 100, {"has_more": True, "limit": 100, "page": 1}),
        ("?limit=101", 100, {"has_more": False, "limit": 101, "page": 1}),
        ("?limit=200&page=2", 20, {"has_more": False, "limit": 200, "page": 2}),
        ("?limit=30&page=4", 30, {"has_more": True, "limit": 30, "page": 4}),
        ("?limit=30&page=5", 0, {"has_more": False, "limit": 30, "page": 5}),
        ("?limit=0", 20, {"has_more": False, "limit": 0, "page": 1}),
        ("?limit=-1", 20, {"has_more": False, "limit": -1, "page": 1}),
        ("?page=0", 20, {"has_more": True, "limit": 20, "page": 0}),
        ("?page=-1", 20, {"has_more": True, "limit": 20, "page": -1}),
    ],
)
def test_paging(client: Client, kb: Dataset, query: str, rows: int, about: dict[str, Any]) -> None:
    kb.add_documents(120)
    body = listed(client, kb, query)
    assert len(body.pop("data")) == rows
    assert body == about | {"total": 120}


@pytest.mark.parametrize("query", ["?limit=abc", "?limit=", "?limit=1.5", "?page=abc"])
def test_paging_takes_integers_only(client: Client, kb: Dataset, query: str) -> None:
    answer = client.get(f"/datasets/{kb.id}/documents{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_param")


def test_the_newest_come_first(client: Client, sim: FakeDify, kb: Dataset) -> None:
    kb.add_document("a")
    kb.add_document("b")
    sim.clock.advance(10)
    kb.add_document("c")
    assert names(listed(client, kb)) == ["c", "b", "a"]


@pytest.fixture
def states(kb: Dataset) -> Dataset:
    kb.add_document("available")
    kb.add_document("disabled", enabled=False)
    kb.add_document("archived", archived=True)
    kb.add_document("waiting", indexing_status="waiting")
    kb.add_document("splitting", indexing_status="splitting")
    kb.add_document("archived splitting", indexing_status="splitting", archived=True)
    kb.add_document("paused", indexing_status="indexing", paused=True)
    kb.add_document("error", indexing_status="error", error="no")
    return kb


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("available", ["available"]),
        ("Active", ["available"]),
        ("enabled", ["available"]),
        ("disabled", ["disabled"]),
        ("ARCHIVED", ["archived"]),
        ("queuing", ["waiting"]),
        ("indexing", ["archived splitting", "splitting"]),
        ("paused", ["paused"]),
        ("error", ["error"]),
    ],
)
def test_filter_by_state(client: Client, states: Dataset, status: str, found: list[str]) -> None:
    assert names(listed(client, states, f"?status={status}")) == found


@pytest.mark.parametrize("status", ["waiting", "completed", "bogus", "%20archived%20", ""])
def test_an_unknown_state_is_ignored(client: Client, states: Dataset, status: str) -> None:
    assert listed(client, states, f"?status={status}")["total"] == 8


def test_a_filter_sees_what_changed_since(client: Client, sim: FakeDify, states: Dataset) -> None:
    assert names(listed(client, states, "?status=disabled")) == ["disabled"]
    client.change("disable", states.documents[0])
    sim.settle()
    assert names(listed(client, states, "?status=disabled")) == ["disabled", "available"]


@pytest.mark.parametrize(
    ("keyword", "found"),
    [
        ("one", ["one_1"]),
        ("ONE", []),
        ("%25", ["two", "one_1"]),
        ("e_1", ["one_1"]),
        ("(", []),
        ("t\\w", ["two"]),
        ("two\\", []),
    ],
)
def test_filter_by_name(client: Client, kb: Dataset, keyword: str, found: list[str]) -> None:
    kb.add_document("one_1")
    kb.add_document("two")
    assert names(listed(client, kb, f"?keyword={keyword}")) == found


def test_segments_tell_what_search_does(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one", segments=3, text="a b c d e f")
    path = f"/datasets/{kb.id}/documents/{document.id}/segments"
    body = client.get(path + "?limit=2").json()
    assert [segment["enabled"] for segment in body["data"]] == [True, True]
    assert (body["total"], body["has_more"]) == (3, True)
    client.change("disable", document)
    assert client.get(path).json()["data"][0]["enabled"]
    sim.settle()
    assert not any(segment["enabled"] for segment in client.get(path).json()["data"])


def test_segments_of_a_document_in_the_making(client: Client, kb: Dataset) -> None:
    waiting = kb.add_document("waiting", indexing_status="waiting", segments=5)
    indexing = kb.add_document("indexing", indexing_status="indexing", segments=5)
    base = f"/datasets/{kb.id}/documents"
    assert client.get(f"{base}/{waiting.id}/segments").json()["total"] == 0
    half = client.get(f"{base}/{indexing.id}/segments").json()["data"][0]
    assert (half["enabled"], half["status"]) == (True, "indexing")
    assert not indexing.in_search


def test_search_through_the_api_and_beside_it_agree(client: Client, sim: FakeDify, kb: Dataset) -> None:
    kb.add_document("zebra", text="the zebra lives in the savanna")
    kb.add_document("lion", text="the lion lives in the savanna", enabled=False)
    model = {"search_method": "keyword_search", "reranking_enable": False, "top_k": 5, "score_threshold_enabled": False}
    answer = client.call("POST", f"/datasets/{kb.id}/retrieve", json={"query": "savanna", "retrieval_model": model})
    found = [record["segment"]["document"]["name"] for record in answer.json()["records"]]
    assert found == sim.search(kb, "savanna") == ["zebra"]


def test_keys(client: Client, sim: FakeDify, kb: Dataset) -> None:
    other = sim.add_dataset("other")

    def status(authorization: str, path: str) -> int:
        return client.call("GET", path, headers={"Authorization": authorization}).status_code

    mine, foreign = f"/datasets/{kb.id}/documents", f"/datasets/{other.id}/documents"
    assert status(f"bearer {sim.api_key} ", mine) == 200
    for wrong in (f"Bearer {sim.app_key}", "Bearer dataset-unknown", "Bearer", "Basic abc", sim.api_key):
        assert status(wrong, mine) == 401
    bound = sim.add_key(dataset=kb)
    assert status(f"Bearer {bound}", mine) == 200
    assert status(f"Bearer {bound}", foreign) == 403
    assert status(f"Bearer {bound}", "/datasets") == 403
    sim.enable_api(kb, False)
    refused = client.get(mine)
    assert refused.json()["message"] == "Dataset api access is not enabled."


@pytest.mark.parametrize(
    ("method", "path", "status", "page"),
    [
        ("GET", "/datasets/not-a-uuid/documents", 404, True),
        ("GET", "/nothing", 404, True),
        ("PATCH", "/datasets/{kb}/documents/status/archive/", 404, True),
        ("GET", "/datasets/{kb}//documents", 308, True),
        ("PUT", "/datasets/{kb}/documents", 405, False),
        ("GET", "/datasets/6f1a2647-c91c-4f17-b55c-86784b69f3b9/documents", 404, False),
    ],
)
def test_paths_that_lead_nowhere(client: Client, kb: Dataset, method: str, path: str, status: int, page: bool) -> None:
    answer = client.call(method, path.replace("{kb}", kb.id))
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html") == page
    assert answer.headers["X-Version"] == "1.16.0"
    assert answer.headers["X-Env"] == "PRODUCTION"


def test_the_first_of_two_equal_parameters_counts(client: Client, states: Dataset) -> None:
    assert names(listed(client, states, "?status=archived&status=disabled")) == ["archived"]


def test_large_knowledge_bases_are_cheap(client: Client, kb: Dataset) -> None:
    kb.add_documents(20_000)
    seen = set()
    for page in (1, 100, 200):
        seen |= {one["id"] for one in listed(client, kb, f"?limit=100&page={page}&status=available")["data"]}
    assert len(seen) == 300


def test_version_differences(start: Any) -> None:
    old = start(version="1.12.1", lock_race="never")
    client, kb = Client(old), old.add_dataset("kb")
    document = kb.add_document("one")
    gone = client.call("DELETE", f"/datasets/{kb.id}/documents/{document.id}")
    assert (gone.status_code, gone.json(), gone.headers["X-Version"]) == (200, 204, "1.12.1")


def test_deleting(client: Client, kb: Dataset) -> None:
    archived, locked = kb.add_document("archived", archived=True), kb.add_document("locked")
    locked.lock()
    base = f"/datasets/{kb.id}/documents"
    assert client.call("DELETE", f"{base}/{archived.id}").json()["code"] == "archived_document_immutable"
    assert client.call("DELETE", f"{base}/{locked.id}").status_code == 204
    again = client.call("DELETE", f"{base}/{locked.id}")
    assert again.json()["message"] == "Document Not Exists."
    assert len(kb.documents) == 1
