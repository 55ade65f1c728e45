"""The four actions: flags at once, search later, and all refusals."""

from __future__ import annotations

import pytest

from airflow_provider_dify.testing import Dataset, FakeDify
from tests.testing.conftest import Client

UNKNOWN = "6f1a2647-c91c-4f17-b55c-86784b69f3b9"

#: (enabled, archived) before; then per action (enabled, archived, in search) after.
TABLE = {
    (True, False): {
        "enable": (True, False, True),
        "disable": (False, False, False),
        "archive": (True, True, False),
        "un_archive": (True, False, True),
    },
    (False, False): {
        "enable": (True, False, True),
        "disable": (False, False, False),
        "archive": (False, True, False),
        "un_archive": (False, False, False),
    },
    (True, True): {
        "enable": (True, True, False),
        "disable": (False, True, False),
        "archive": (True, True, False),
        "un_archive": (True, False, True),
    },
    (False, True): {
        "enable": (True, True, True),
        "disable": (False, True, False),
        "archive": (False, True, False),
        "un_archive": (False, False, False),
    },
}
CASES = [(before, action, after) for before, actions in TABLE.items() for action, after in actions.items()]


@pytest.mark.parametrize(("before", "action", "after"), CASES)
def test_what_each_action_does(
    client: Client, sim: FakeDify, kb: Dataset, before: tuple[bool, bool], action: str, after: tuple[bool, ...]
) -> None:
    document = kb.add_document("one", enabled=before[0], archived=before[1])
    assert client.change(action, document).json() == {"result": "success"}
    sim.settle()
    assert (document.enabled, document.archived, document.in_search) == after
    assert not document.locked


def test_search_follows_when_the_worker_is_through(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one", text="zebra")
    client.change("archive", document)
    assert (document.archived, document.in_search, document.locked) == (True, True, True)
    assert sim.search(kb, "zebra") == ["one"]
    sim.clock.advance(sim.worker.seconds_per_job)
    assert (document.archived, document.in_search, document.locked) == (True, False, False)
    assert sim.search(kb, "zebra") == []


@pytest.mark.parametrize("action", ["archive", "un_archive"])
def test_a_disabled_document_is_no_matter_for_the_worker(
    client: Client, sim: FakeDify, kb: Dataset, action: str
) -> None:
    document = kb.add_document("one", enabled=False, archived=action == "un_archive")
    assert client.change(action, document).ok
    assert document.archived == (action == "archive")
    assert not document.locked
    assert sim.worker.pending == 0


def test_one_busy_document_refuses_the_whole_batch(client: Client, kb: Dataset) -> None:
    first, busy, last = kb.add_documents(3)
    busy.lock()
    answer = client.change("disable", first, busy, last)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "invalid_action",
        "message": "Document:document-1 is being indexed, please try again later",
        "status": 400,
    }
    assert first.enabled
    assert last.enabled


def test_the_lock_is_looked_at_before_the_state(client: Client, kb: Dataset) -> None:
    document = kb.add_document("there already", enabled=False)
    document.lock()
    assert client.change("disable", document).status_code == 400


def test_documents_that_are_not_there_are_skipped_in_silence(client: Client, sim: FakeDify, kb: Dataset) -> None:
    foreign = sim.add_dataset("other").add_document("foreign")
    path = f"/datasets/{kb.id}/documents/status/disable"
    answer = client.call("PATCH", path, json={"document_ids": [foreign.id, UNKNOWN, "", None]})
    assert answer.json() == {"result": "success"}
    assert foreign.enabled


@pytest.mark.parametrize("wrong", ["not-a-uuid", " {id} ", 5, ["{id}"], {"id": 1}, True])
def test_an_id_that_is_no_uuid_is_a_500_and_changes_nothing(client: Client, kb: Dataset, wrong: object) -> None:
    document = kb.add_document("one")
    wrong = wrong.replace("{id}", document.id) if isinstance(wrong, str) else wrong
    path = f"/datasets/{kb.id}/documents/status/disable"
    answer = client.call("PATCH", path, json={"document_ids": [document.id, wrong]})
    assert (answer.status_code, answer.json()["code"]) == (500, "unknown")
    assert document.enabled


@pytest.mark.parametrize("spell", [str.upper, "{{{}}}".format, lambda text: text.replace("-", "")])
def test_other_spellings_of_a_document_id_are_taken(client: Client, kb: Dataset, spell: object) -> None:
    document = kb.add_document("one")
    assert callable(spell)
    path = f"/datasets/{kb.id}/documents/status/disable"
    assert client.call("PATCH", path, json={"document_ids": [spell(document.id)]}).ok
    assert not document.enabled


def test_no_ids_are_a_success_before_the_action_is_looked_at(client: Client, kb: Dataset) -> None:
    path = f"/datasets/{kb.id}/documents/status/nonsense"
    assert client.call("PATCH", path, json={"document_ids": []}).json() == {"result": "success"}
    assert client.call("PATCH", path, json={"document_ids": [UNKNOWN]}).status_code == 400


@pytest.mark.parametrize("status", ["waiting", "parsing", "cleaning", "splitting", "indexing", "error"])
def test_what_is_not_completed_keeps_a_lock(client: Client, sim: FakeDify, kb: Dataset, status: str) -> None:
    document = kb.add_document("one", indexing_status=status)
    refused = client.change("disable", document)
    assert refused.json()["message"] == "Document: one is not completed."
    assert client.change("archive", document).ok
    sim.settle()
    assert document.locked
    assert client.change("un_archive", document).status_code == 400
    sim.clock.advance(600)
    assert client.change("un_archive", document).ok


def test_a_document_archived_during_indexing_becomes_searchable(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("one", indexing_status="indexing")
    client.change("archive", document)
    document.finish_indexing(after=5)
    assert document.indexing_status == "indexing"
    sim.clock.advance(5)
    assert document.indexing_status == "completed"
    assert document.archived
    assert document.in_search


def test_an_embedding_model_that_is_gone_refuses_every_action(client: Client, kb: Dataset) -> None:
    document = kb.add_document("one")
    kb.embedding_available = False
    assert client.change("disable", document).json()["code"] == "invalid_param"
