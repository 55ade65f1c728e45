"""A worker that is down, slow or failing, and a broker that loses jobs."""

from __future__ import annotations

import pytest

from airflow_provider_dify.testing import Dataset, FakeDify
from tests.testing.conftest import Client


def test_jobs_wait_for_a_worker_that_is_down(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    sim.worker.stop()
    assert client.change("archive", document).ok
    sim.clock.advance(300)
    sim.settle()
    assert not sim.worker.alive
    assert (document.in_search, sim.worker.pending) == (True, 1)
    assert client.change("un_archive", document).status_code == 400
    sim.worker.start()
    sim.clock.advance(sim.worker.seconds_per_job)
    assert (document.in_search, sim.worker.pending) == (False, 0)


def test_a_lock_can_run_out_before_its_job_does(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    sim.worker.stop()
    client.change("archive", document)
    sim.clock.advance(601)
    assert client.change("un_archive", document).ok
    sim.worker.start()
    sim.settle()
    assert document.in_search
    assert not document.locked


def test_the_worker_takes_one_job_after_the_other(client: Client, sim: FakeDify, kb: Dataset) -> None:
    documents = kb.add_documents(10)
    sim.worker.jobs = 1
    sim.worker.seconds_per_job = 1.0
    client.change("disable", *documents)
    sim.clock.advance(4.5)
    assert [document.in_search for document in documents] == [False] * 4 + [True] * 6
    sim.settle()
    assert sim.clock.monotonic() == pytest.approx(10.0)


def test_failing_to_add_marks_the_document(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one", enabled=False)
    sim.worker.fail_adding = "no such model"
    client.change("enable", document)
    sim.settle()
    assert (document.enabled, document.indexing_status, document.error) == (False, "error", "no such model")
    assert not document.in_search
    assert not document.locked


@pytest.mark.parametrize("action", ["disable", "archive"])
def test_failing_to_remove_turns_the_flag_back(client: Client, sim: FakeDify, kb: Dataset, action: str) -> None:
    document = kb.add_document("one")
    sim.worker.fail_removing = "index is locked"
    client.change(action, document)
    sim.settle()
    assert document.enabled
    assert document.archived == (action == "archive")
    assert document.in_search


def test_single_documents_can_fail(client: Client, sim: FakeDify, kb: Dataset) -> None:
    good, bad = kb.add_documents(2)
    sim.worker.failing = {bad.id}
    client.change("disable", good, bad)
    sim.settle()
    assert (good.enabled, bad.enabled) == (False, True)


def test_a_vector_store_may_refuse_the_second_insert(client: Client, sim: FakeDify) -> None:
    vectors = sim.add_dataset("vectors", indexing_technique="high_quality")
    vectors.duplicate_insert_fails = True
    document = vectors.add_document("one", enabled=False)
    client.change("enable", document, document)
    sim.settle()
    assert (document.enabled, document.indexing_status) == (False, "error")
    fine = vectors.add_document("two", enabled=False)
    client.change("enable", fine)
    sim.settle()
    assert fine.in_search


def test_a_broker_that_is_down_loses_the_job_for_good(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    sim.broker.stop()
    answer = client.change("disable", document)
    assert (answer.status_code, answer.json()["code"]) == (500, "unknown")
    assert not document.enabled
    assert document.locked
    sim.broker.start()
    sim.clock.advance(601)
    assert client.change("disable", document).ok
    sim.settle()
    assert document.in_search, "nothing to do, so nothing was queued"
    client.change("enable", document)
    sim.settle()
    client.change("disable", document)
    sim.settle()
    assert not document.in_search, "the way out: the opposite and back"


def test_a_full_broker_cannot_even_set_the_lock(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    sim.broker.full = True
    assert client.change("disable", document).status_code == 500
    assert not document.enabled
    assert not document.locked
    assert client.change("disable", document).ok
    sim.settle()
    assert document.in_search


def test_jobs_can_be_lost_in_the_queue(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one")
    assert client.change("archive", document).ok
    assert sim.broker.lose_jobs() == 1
    sim.settle()
    assert document.in_search
    assert document.locked


def test_creating_runs_through_the_stages(client: Client, sim: FakeDify, kb: Dataset) -> None:
    body = {
        "name": "new",
        "text": "zebra " * 200,
        "indexing_technique": "economy",
        "process_rule": {"mode": "automatic"},
    }
    answer = client.call("POST", f"/datasets/{kb.id}/document/create-by-text", json=body).json()
    document = sim.document(answer["document"]["id"])
    path = f"/datasets/{kb.id}/documents/{answer['batch']}/indexing-status"
    seen = []
    while document.indexing_status != "completed":
        seen.append(client.get(path).json()["data"][0]["indexing_status"])
        sim.clock.advance(0.01)
    assert list(dict.fromkeys(seen)) == ["parsing", "splitting", "indexing"]
    final = client.get(path).json()["data"][0]
    assert final["completed_segments"] == final["total_segments"] == document.segments == 3
    assert sim.search(kb, "zebra") == ["new"]


def test_an_enabled_namesake_is_replaced_in_place(client: Client, sim: FakeDify, kb: Dataset) -> None:
    archived, disabled = kb.add_document("same", archived=True), kb.add_document("other", enabled=False)
    body = {"text": "zebra", "indexing_technique": "economy", "process_rule": {"mode": "automatic"}}
    path = f"/datasets/{kb.id}/document/create-by-text"
    replaced = client.call("POST", path, json=body | {"name": "same"}).json()["document"]["id"]
    added = client.call("POST", path, json=body | {"name": "other"}).json()["document"]["id"]
    sim.settle()
    assert replaced == archived.id
    assert added != disabled.id
    assert archived.archived
    assert archived.in_search


def test_a_paused_indexing_does_not_go_on(client: Client, sim: FakeDify, kb: Dataset) -> None:
    body = {"name": "new", "text": "zebra", "indexing_technique": "economy", "process_rule": {"mode": "automatic"}}
    answer = client.call("POST", f"/datasets/{kb.id}/document/create-by-text", json=body).json()
    document = sim.document(answer["document"]["id"])
    document.set(paused=True)
    sim.settle()
    assert document.display_status == "paused"
