"""The lock, how it is left behind, and how it expires."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_dify.testing import FakeDify
from tests.testing.conftest import Client

Start = Callable[..., FakeDify]


def test_a_stale_lock_lasts_600_seconds(start: Start) -> None:
    dify = start(lock_race="always")
    client, document = Client(dify), dify.add_dataset("kb").add_document("one")
    client.change("disable", document)
    assert not document.in_search, "the worker was through before the answer"
    dify.clock.advance(599.9)
    assert client.change("enable", document).status_code == 400
    dify.clock.advance(0.2)
    assert client.change("enable", document).ok


def test_only_the_first_document_of_a_batch_is_hit(start: Start) -> None:
    dify = start(lock_race="always")
    documents = dify.add_dataset("kb").add_documents(3)
    Client(dify).change("disable", *documents)
    dify.settle()
    assert [document.locked for document in documents] == [True, False, False]


def test_a_batch_waits_for_its_skipped_documents_with_the_race(start: Start) -> None:
    dify = start(lock_race="always")
    kb = dify.add_dataset("kb")
    there, other = kb.add_document("there", enabled=False), kb.add_document("other")
    Client(dify).change("disable", there, other)
    dify.settle()
    assert (there.locked, other.locked) == (False, True)


def test_naming_the_first_id_twice_takes_the_lock_away(start: Start) -> None:
    dify = start(lock_race="always")
    first, second = dify.add_dataset("kb").add_documents(2)
    Client(dify).change("disable", first, second, first)
    assert dify.worker.pending == 2
    dify.settle()
    assert not first.locked
    assert not second.locked


@pytest.mark.large
@pytest.mark.parametrize(
    ("version", "size", "keep", "low", "high"),
    [
        ("1.14.1", 1, False, 0.66, 0.86),
        ("1.14.1", 10, False, 0.39, 0.61),
        ("1.14.1", 1, True, 0.0, 0.06),
        ("1.12.1", 1, False, 0.34, 0.56),
    ],
)
def test_stale_locks_are_as_frequent_as_measured(
    start: Start, version: str, size: int, keep: bool, low: float, high: float
) -> None:
    dify, runs, stale = start(version=version, seed=7), 150, 0
    documents = dify.add_dataset("kb").add_documents(size)
    client = Client(dify)
    client.get("/datasets")
    dify.new_connection_per_request = not keep
    for run in range(runs):
        assert client.change(("disable", "enable")[run % 2], *documents).ok
        dify.settle()
        stale += documents[0].locked
        documents[0].unlock()
    assert low <= stale / runs <= high
    assert dify.connections == 1


def test_the_first_request_on_a_connection_is_the_one_that_races(start: Start) -> None:
    dify, stale = start(seed=3), 0
    document = dify.add_dataset("kb").add_document("one")
    client = Client(dify)
    for run in range(20):
        client.change_on_new_connection(("disable", "enable")[run % 2], document)
        stale += document.locked and not dify.worker.pending
        dify.settle()
        document.unlock()
    assert dify.connections == 20
    assert stale > 10


def test_the_same_seed_gives_the_same_luck(start: Start) -> None:
    def luck(seed: int) -> list[bool]:
        dify = start(seed=seed)
        documents = dify.add_dataset("kb").add_documents(12)
        client = Client(dify)
        for document in documents:
            client.change_on_new_connection("disable", document)
            dify.settle()
        return [document.locked for document in documents]

    assert luck(1) == luck(1)
    assert luck(1) != luck(2)


@pytest.mark.parametrize(("documents", "segments"), [(1100, 1), (5, 60)])
def test_long_jobs_seldom_leave_a_lock(start: Start, documents: int, segments: int) -> None:
    dify = start(seed=5)
    kb = dify.add_dataset("kb")
    added = [kb.add_document(str(index), segments=segments) for index in range(documents)]
    dify.new_connection_per_request = True
    client, stale = Client(dify), 0
    for run in range(60):
        client.change(("disable", "enable")[run % 2], added[0])
        dify.settle()
        stale += added[0].locked
        added[0].unlock()
    assert stale <= 6
