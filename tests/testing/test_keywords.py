"""Economy knowledge bases: keywords, how parallel jobs lose them, and the places that removed ones use up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.testing import Dataset, Document, FakeDify
from airflow_provider_dify.testing.text.keywords import keywords
from tests.testing.conftest import Client

Start = Callable[..., FakeDify]


def retrieve(client: Client, kb: Dataset, query: str, top_k: int = 1000, method: str = "keyword_search") -> list[str]:
    model = {"search_method": method, "reranking_enable": False, "top_k": top_k, "score_threshold_enabled": False}
    answer = client.call("POST", f"/datasets/{kb.id}/retrieve", json={"query": query, "retrieval_model": model})
    assert answer.ok, answer.text
    return [one["segment"]["document"]["name"] for one in answer.json()["records"]]


def create(client: Client, kb: Dataset, name: str, **more: Any) -> Document:
    body = {"name": name, "text": f"zebra {name}", "indexing_technique": kb.indexing_technique, **more}
    answer = client.call("POST", f"/datasets/{kb.id}/document/create-by-text", json=body)
    return client.dify.document(answer.json()["document"]["id"])


def test_jobs_run_side_by_side(client: Client, sim: FakeDify, kb: Dataset) -> None:
    documents = kb.add_documents(10)
    sim.worker.seconds_per_job = 1.0
    client.change("disable", *documents)
    sim.clock.advance(1.0)
    assert sum(one.in_search for one in documents) == 6
    sim.settle()
    assert sim.clock.monotonic() == pytest.approx(3.0)


def test_a_broken_server_loses_every_keyword(client: Client, sim: FakeDify, kb: Dataset) -> None:
    sim.worker.lost_keywords = "always"
    document = create(client, kb, "new")
    sim.settle()
    assert (document.display_status, document.in_search) == ("available", False)
    assert [(one.enabled, one.in_index, one.in_search) for one in document.chunks] == [(True, False, False)]
    assert retrieve(client, kb, "zebra") == sim.search(kb, "zebra") == []
    for action in ("disable", "enable"):
        client.change(action, document)
        sim.settle()
    assert not document.in_search
    sim.worker.lost_keywords = "never"
    for action in ("archive", "un_archive"):
        client.change(action, document)
        sim.settle()
    assert retrieve(client, kb, "zebra") == ["new"]


def test_only_jobs_that_overlap_lose(start: Start) -> None:
    dify = start(lock_race="never", lost_keywords=1.0)
    kb, client = dify.add_dataset("kb"), Client(dify)
    documents = [kb.add_document(f"page {n}", enabled=False) for n in range(8)]
    client.change("enable", documents[0])
    dify.settle()
    client.change("enable", *documents[1:])
    dify.settle()
    assert [one.in_search for one in documents] == [True] + [False] * 7
    assert all(chunk.enabled for one in documents for chunk in one.chunks)


def test_an_id_named_twice_makes_two_jobs_that_overlap(start: Start) -> None:
    dify = start(lock_race="never", lost_keywords=1.0)
    document = dify.add_dataset("kb").add_document("one", enabled=False)
    Client(dify).change("enable", document, document)
    dify.settle()
    assert not document.in_search


@pytest.mark.parametrize(
    ("options", "technique"),
    [
        ({"version": "1.14.1"}, "economy"),
        ({"version": "1.15.0"}, "economy"),
        ({"jobs": 1}, "economy"),
        ({}, "high_quality"),
    ],
)
def test_nobody_else_loses(start: Start, options: dict[str, Any], technique: str) -> None:
    dify = start(lock_race="never", lost_keywords=1.0, **options)
    kb = dify.add_dataset("kb", indexing_technique=technique)
    documents = [kb.add_document(f"page {n}", enabled=False) for n in range(8)]
    Client(dify).change("enable", *documents)
    dify.settle()
    assert all(one.in_search for one in documents)


@pytest.mark.large
def test_a_share_is_lost_and_the_same_one_for_the_same_seed(start: Start) -> None:
    def lost(seed: int) -> list[bool]:
        dify = start(lock_race="never", lost_keywords=0.2, seed=seed)
        kb, client = dify.add_dataset("kb"), Client(dify)
        documents = [create(client, kb, f"page{n}") for n in range(100)]
        dify.settle()
        return [not one.in_search for one in documents]

    assert 5 < sum(lost(1)) < 40
    assert lost(1) == lost(1) != lost(2)


def test_what_was_removed_can_use_up_places(start: Start) -> None:
    dify = start(lock_race="never", lost_keywords=1.0)
    kb, client = dify.add_dataset("kb"), Client(dify)
    documents = [kb.add_document(f"page {n}", text="zebra") for n in range(40)]
    client.change("archive", *documents[:30])
    dify.settle()
    assert [chunk.in_index for one in documents[:30] for chunk in one.chunks] == [True] * 30
    live = {one.name for one in documents[30:]}
    assert set(retrieve(client, kb, "zebra")) == live
    assert set(retrieve(client, kb, "zebra", top_k=10)) < live


@pytest.mark.parametrize("share", [0, -0.1, 1.1, "often"])
def test_a_wrong_share(share: Any) -> None:
    with pytest.raises(ValueError, match="lost_keywords is"):
        FakeDify(lost_keywords=share)
    with pytest.raises(ValueError, match="jobs is 0"):
        FakeDify(jobs=0)


def test_a_killed_worker_loses_what_it_was_at(client: Client, sim: FakeDify, kb: Dataset) -> None:
    documents = kb.add_documents(6)
    client.change("disable", *documents)
    assert sim.worker.kill() == 4
    sim.worker.start()
    sim.settle()
    assert [(one.in_search, one.locked) for one in documents] == [(True, True)] * 4 + [(False, False)] * 2


def test_keywords() -> None:
    assert keywords("Common parking words. The word of this page is zebra018x.") == (
        ("Common", "parking", "words", "word", "page", "zebra018x")
    )
    assert keywords("a b c") == ()
    assert keywords("some words, very rare words, very very")[0] == "very"
    assert len(keywords(" ".join(f"word{n}" for n in range(100)))) == 10
    assert keywords("停车场") == ("停车", "车场")


def test_segments_show_their_keywords(client: Client, sim: FakeDify, kb: Dataset) -> None:
    vectors = sim.add_dataset("vectors", indexing_technique="high_quality")
    documents = [one.add_document("a", text="the zebra") for one in (kb, vectors)]
    paths = [f"/datasets/{one.dataset.id}/documents/{one.id}/segments" for one in documents]
    shown = [client.get(path).json()["data"][0]["keywords"] for path in paths]
    assert shown == [["zebra"], None]


def test_case_matters_to_the_api(client: Client, sim: FakeDify, kb: Dataset) -> None:
    kb.add_document("a", text="Visitors park")
    assert (retrieve(client, kb, "visitors"), sim.search(kb, "visitors")) == ([], ["a"])


def test_a_chunk_disabled_by_hand_comes_back_with_its_document(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one", text="zebra penguin", segments=2)
    document.disable_chunk(0)
    first = document.chunks[0]
    assert (first.text, first.enabled, first.disabled_by_hand) == ("zebra", False, True)
    assert (retrieve(client, kb, "zebra"), retrieve(client, kb, "penguin")) == ([], ["one"])
    path = f"/datasets/{kb.id}/documents/{document.id}/segments/{document.chunks[1].id}"
    assert not client.call("POST", path, json={"segment": {"enabled": False}}).json()["data"]["enabled"]
    assert not document.in_search
    assert client.call("POST", path, json={"segment": {"content": "x"}}).status_code == 400
    for action in ("archive", "un_archive"):
        client.change(action, document)
        sim.settle()
    assert [(one.in_search, one.disabled_by_hand) for one in document.chunks] == [(True, False)] * 2
    assert client.get(path).json()["data"]["content"] == "penguin"
    assert client.call("DELETE", path).status_code == 204
    assert client.get(path).status_code == 404
