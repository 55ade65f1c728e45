"""Creation that fails, given times, added segments, and large knowledge bases."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.testing.model.rows import Row
from airflow_provider_dify.testing.web.faults import Kind
from tests.testing.conftest import Client
from tests.waiting import until


def create(client: Client, kb: Dataset, name: str, text: str = "a text", timeout: float = 60) -> requests.Response:
    body = {"name": name, "text": text, "indexing_technique": "economy", "process_rule": {"mode": "automatic"}}
    url = f"{client.dify.base_url}/datasets/{kb.id}/document/create-by-text"
    return client.session.post(url, json=body, timeout=timeout)


def test_of_a_long_name_the_beginning_is_kept(client: Client, kb: Dataset) -> None:
    assert create(client, kb, "n" * 300).json()["document"]["name"] == "n" * 200  # as recorded
    assert kb.documents[0].name == "n" * 200


@pytest.mark.parametrize(("kind", "applied"), [("reset_before", 0), ("reset_after", 1), ("hang", 0), ("hang_after", 1)])
def test_a_creation_whose_answer_never_comes(
    client: Client, sim: FakeDify, kb: Dataset, kind: Kind, applied: int
) -> None:
    sim.faults.add(Fault(kind, path="create-by-text"))
    with pytest.raises((requests.ConnectionError, requests.ReadTimeout)):
        create(client, kb, "one", timeout=0.2 if "hang" in kind else 30.0)
    until(lambda: len(kb.documents) == applied)  # of a server that is slow at that moment, nothing is heard in time
    assert len(kb.documents) == applied
    assert create(client, kb, "two").ok


def test_a_proxy_that_does_not_wait_for_a_creation(client: Client, sim: FakeDify, kb: Dataset) -> None:
    sim.faults.add(Fault("page_after", path="create-by-text", answer_after=60))
    before = sim.clock.time()
    answer = create(client, kb, "one")
    assert (answer.status_code, "X-Version" in answer.headers) == (504, False)
    assert sim.clock.time() - before == 60
    (document,) = kb.documents
    assert document.indexing_status == "completed", "indexed while the client was waiting"
    assert client.get(f"/datasets/{kb.id}/documents").json()["data"][0]["created_at"] == before


def test_the_limits_of_a_plan(client: Client, sim: FakeDify, kb: Dataset) -> None:
    text = "The number of documents has reached the limit of your subscription."
    sim.faults.add(Fault("plan_limit", method="POST", body=text))
    answer = create(client, kb, "one")
    assert (answer.status_code, answer.json()["message"], kb.documents) == (403, text, [])


def test_times_and_hits_are_as_they_were_set(client: Client, sim: FakeDify, kb: Dataset) -> None:
    now = sim.clock.time()
    kb.add_document("new")
    old = kb.add_document("old", created_at=now - 5000, updated_at=now - 3000, hit_count=3)
    rows = client.get(f"/datasets/{kb.id}/documents").json()["data"]
    assert [(one["name"], one["created_at"], one["hit_count"]) for one in rows] == [
        ("new", now, 0),
        ("old", now - 5000, 3),
    ]
    assert "updated_at" not in rows[0]
    single = client.get(f"/datasets/{kb.id}/documents/{old.id}").json()
    assert (single["updated_at"], single["completed_at"]) == (now - 3000, now - 5000)
    sim.search(kb, "fox")
    assert old.hit_count == 3, "a search through the API does not count"
    old.set(hit_count=4)
    assert client.get(f"/datasets/{kb.id}/documents/{old.id}").json()["hit_count"] == 4


def test_the_order_of_the_list_stands_whatever_comes_and_goes(client: Client, kb: Dataset) -> None:
    made = [kb.add_document(f"d{at}", created_at=at) for at in (5, 1, 3, 3, 9, 2)]
    assert client.call("DELETE", f"/datasets/{kb.id}/documents/{made[3].id}").status_code == 204
    rows = client.get(f"/datasets/{kb.id}/documents").json()["data"]
    assert [one["name"] for one in rows] == ["d9", "d5", "d3", "d2", "d1"]
    assert {one["id"] for one in rows} == {one.id for one in kb.documents}


def test_added_segments_are_found_at_once(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one", archived=True)
    path = f"/datasets/{kb.id}/documents/{document.id}/segments"
    answer = client.call("POST", path, json={"segments": [{"content": "a walrus", "keywords": ["walrus"]}]})
    assert [(one["position"], one["enabled"]) for one in answer.json()["data"]] == [(2, True)]
    assert [one["enabled"] for one in client.get(path).json()["data"]] == [False, True]
    assert (sim.search(kb, "walrus"), sim.search(kb, "fox")) == (["one"], [])


def create_and_list(client: Client, kb: Dataset, count: int) -> None:
    before = len(kb)
    for index in range(count):
        assert create(client, kb, f"new-{index}").ok
        if index % 10 == 0:
            assert client.get(f"/datasets/{kb.id}/documents?limit=100&page={index // 10 + 1}").ok
    client.dify.settle()
    assert len(kb) == before + count


def test_creations_do_not_read_every_document(client: Client, sim: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0

    def counted(row: Row, name: str) -> Any:
        nonlocal reads
        reads += 1
        return object.__getattribute__(row, name)

    counts = []
    for size in (300, 3000):
        kb = sim.add_dataset(f"of {size}")
        kb.add_documents(size)
        reads = 0
        with monkeypatch.context() as patch:
            patch.setattr(Row, "__getattribute__", counted)
            create_and_list(client, kb, 30)
        counts.append(reads)
    small, large = counts
    assert large < 1.2 * small


@pytest.mark.perf
def test_a_thousand_creations_in_a_large_knowledge_base(client: Client, kb: Dataset) -> None:
    kb.add_documents(20_000)
    started = time.monotonic()
    create_and_list(client, kb, 1000)
    assert time.monotonic() - started < 10
