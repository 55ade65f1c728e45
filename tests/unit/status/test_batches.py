"""Batches, although one busy document refuses a whole one, and what that costs."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import Change, patches


def test_one_busy_document_among_250(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(250)
    pages[137].lock(600)
    free_at: list[int] = []
    dify.clock.on_advance(lambda: free_at.append(sum(page.archived for page in pages)))  # type: ignore[attr-defined]
    run = change("archive", pages)

    assert run.green
    assert run.report["counts"]["changed"] == 250
    assert free_at[0] == 249  # before any time passed
    assert 600 <= sum(dify.clock.slept) <= 640
    assert dify.connections == 1

    sent = patches(dify)
    alone = [ids for ids in sent if set(ids) == {pages[137].id}]
    looks = len(dify.clock.slept)
    # Three batches, the rest of the refused one, and the busy document once for each check.
    assert len(sent) == 4 + len(alone)
    assert len(alone) <= looks
    assert [len(set(ids)) for ids in sent if ids not in alone] == [100, 100, 99, 50]
    refused = [request for request in dify.requests if request.status == 400]
    assert len(refused) == len(alone)  # the last one alone was taken, the first refusal was in its batch
    every = Counter(
        i
        for request in dify.requests
        if request.status == 200 and request.json
        for i in set(request.json["document_ids"])
    )
    assert set(every.values()) == {1}  # nothing was applied twice


def test_the_name_settles_which_one_is_busy(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(100)
    for n in (3, 50, 97):
        pages[n].lock(5)
    assert change("archive", pages).green
    first = [request for request in dify.requests if request.method == "PATCH"][:4]
    assert [(len(set(r.json["document_ids"])), r.status) for r in first] == [
        (100, 400),
        (99, 400),
        (98, 400),
        (97, 200),
    ]


def test_namesakes_are_told_apart_by_halving(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = [kb.add_document("same name" if n % 10 == 0 else f"page {n}") for n in range(80)]
    pages[40].lock(5)
    assert change("archive", pages).green
    sent = [request for request in dify.requests if request.method == "PATCH"]
    # All, the 72 others, then the 8 with the same name: 8, 4, 4, 2, 2, 1, 1 and the busy one again later.
    sizes = [(len(set(r.json["document_ids"])), r.status) for r in sent]
    assert sizes[:3] == [(80, 400), (72, 200), (8, 400)]
    assert len(sizes) <= 3 + 6 + len(dify.clock.slept)


def test_a_renamed_document_is_found_by_halving(dify: FakeDify, kb: Dataset, change: Change) -> None:
    pages = kb.add_documents(64)
    pages[20].lock(5)
    # Read under one name and refused under another: it was renamed in between.
    refusal = {"code": "invalid_action", "message": "Document:renamed is being indexed, please try again later"}
    dify.faults.add(Fault("status", method="PATCH", status=400, body=json.dumps(refusal)))
    assert change("archive", pages).green
    sizes = [len(set(ids)) for ids in patches(dify)]
    assert 32 in sizes  # the half of 64
    assert dify.connections == 1


def test_all_busy_is_not_asked_one_by_one(dify: FakeDify, kb: Dataset, change: Change) -> None:
    dify.worker.stop()
    pages = kb.add_documents(300)
    for page in pages:
        page.lock(300)
    run = change("archive", pages, timeout=30)
    assert run.report["counts"]["busy"] == 300
    assert len(patches(dify)) <= 3 * 20 * (len(dify.clock.slept) + 1)


def test_batch_size(dify: FakeDify, kb: Dataset, change: Change) -> None:
    assert change("archive", kb.add_documents(25), batch_size=10).green
    assert [len(set(ids)) for ids in patches(dify)] == [10, 10, 5]


@pytest.mark.parametrize(
    ("action", "technique", "twice"),
    [
        ("archive", "economy", True),
        ("disable", "high_quality", True),
        ("enable", "economy", True),
        ("un_archive", "economy", True),
        ("enable", "high_quality", False),
        ("un_archive", "high_quality", False),
    ],
)
def test_the_first_id_is_named_twice_where_that_does_no_harm(
    dify: FakeDify, change: Change, action: str, technique: str, twice: bool
) -> None:
    kb = dify.add_dataset("kb", indexing_technique=technique)
    kb.duplicate_insert_fails = True
    pages = [
        kb.add_document(f"page {n}", enabled=action != "enable", archived=action == "un_archive") for n in range(3)
    ]
    assert change(action, pages).green
    ids = [page.id for page in pages]
    assert patches(dify) == [[*ids, ids[0]] if twice else ids]


@pytest.mark.large
def test_archive_and_back_through_a_proxy_that_opens_new_connections(
    change: Change, dify: FakeDify, kb: Dataset
) -> None:
    dify.new_connection_per_request = True
    pages = kb.add_documents(15)
    for page in pages:
        assert change("archive", [page]).green
        assert change("un_archive", [page]).green
    assert not any(request.status == 400 for request in dify.requests)
    assert sum(page.locked for page in pages) == 0


def test_without_naming_the_first_id_twice_locks_would_be_left(dify: FakeDify) -> None:
    """The same calls as above without the trick, so that the test above proves something."""
    import requests

    dify.new_connection_per_request = True
    kb = dify.add_dataset("bare")
    pages = kb.add_documents(40)
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {dify.api_key}"
    for page in pages:
        session.patch(f"{dify.base_url}/datasets/{kb.id}/documents/status/archive", json={"document_ids": [page.id]})
        dify.clock.advance(1)
    assert sum(page.locked for page in pages) > 20
