"""Failed documents are indexed again on request, in releases after 1.17.1, as read in Dify's source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.testing import Dataset, FakeDify
from tests.testing.conftest import Client

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def retry(client: Client, kb: Dataset, ids: Any) -> tuple[int, str]:
    answer = client.call("POST", f"/datasets/{kb.id}/documents/retry", json={"document_ids": ids})
    return answer.status_code, answer.json()["message"] if answer.status_code >= 400 else answer.text


@pytest.fixture
def sim(start: Callable[..., FakeDify]) -> FakeDify:
    return start(version="1.18.0")


def test_they_keep_their_ids_and_batches(client: Client, sim: FakeDify, kb: Dataset) -> None:
    pages = [kb.add_document(name, text=f"About {name}.", indexing_status="error") for name in ("a", "b")]
    before = [(page.id, page.batch) for page in pages]
    assert retry(client, kb, [pages[0].id, pages[1].id, pages[0].id.upper()]) == (204, "")
    assert sim.worker.pending == 2
    sim.settle()
    assert [(page.id, page.batch) for page in pages] == before
    assert all(page.in_search and page.error is None for page in pages)


def test_one_refuses_all(client: Client, sim: FakeDify, kb: Dataset) -> None:
    page = kb.add_document("page", indexing_status="error")
    old = kb.add_document("old", indexing_status="error", archived=True)
    good, paused = kb.add_document("good"), kb.add_document("paused", indexing_status="error", paused=True)
    assert retry(client, kb, [page.id, UNKNOWN])[0] == 404
    assert retry(client, kb, [page.id, old.id])[0] == 403
    assert retry(client, kb, [page.id, good.id])[0] == 400
    assert retry(client, kb, [page.id, paused.id])[0] == 400
    assert (page.indexing_status, sim.worker.pending) == ("error", 0)


def test_what_it_says_of_one_that_is_not_failed(client: Client, kb: Dataset) -> None:
    path, ids = f"/datasets/{kb.id}/documents/retry", [kb.add_document("good").id]
    text = "Only failed documents that are not paused can be retried."
    expected = {"code": "document_indexing", "message": text, "status": 400}
    assert client.call("POST", path, json={"document_ids": ids}).json() == expected


def test_a_second_try_has_a_lock_of_its_own(client: Client, sim: FakeDify, kb: Dataset) -> None:
    """Its job removes it. A job that was killed leaves it for ten minutes, and it refuses all of a request."""
    busy = "Document is being retried, please try again later"
    pages = [kb.add_document(name, text="Some text.", indexing_status="error") for name in ("a", "b")]
    ids = [page.id for page in pages]
    assert retry(client, kb, ids) == (204, "")
    sim.worker.kill()
    for page in pages:
        page.set(indexing_status="error")
    assert retry(client, kb, ids) == (400, busy)
    pages[0].lock_retry(0)
    assert retry(client, kb, ids) == (400, busy)
    assert pages[0].indexing_status == "error"
    assert not pages[0].locked
    sim.worker.start()
    assert retry(client, kb, ids[:1]) == (204, "")
    sim.settle()
    pages[0].set(indexing_status="error")
    assert retry(client, kb, ids[:1]) == (204, "")


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (None, "document_ids\n  Input should be a valid list [type=list_type, input_value=None"),
        ("x", "document_ids\n  Input should be a valid list [type=list_type, input_value='x'"),
        ([], "List should have at least 1 item after validation, not 0 [type=too_short, input_value=[]"),
        ([UNKNOWN] * 101, "List should have at most 100 items after validation, not 101 [type=too_long"),
        ([UNKNOWN, "x"], "document_ids.1\n  Input should be a valid UUID"),
    ],
    ids=["null", "text", "empty", "many", "odd"],
)
def test_a_body_that_is_wrong(client: Client, kb: Dataset, ids: Any, said: str) -> None:
    status, message = retry(client, kb, ids)
    assert status == 400
    assert message.startswith("1 validation error for DocumentRetryPayload\n")
    assert said in message


def test_no_ids(client: Client, kb: Dataset) -> None:
    answer = client.call("POST", f"/datasets/{kb.id}/documents/retry", json={})
    assert "Field required [type=missing" in answer.json()["message"]


def test_the_broker_is_down(client: Client, sim: FakeDify, kb: Dataset) -> None:
    page = kb.add_document("page", indexing_status="error")
    sim.broker.alive = False
    assert retry(client, kb, [page.id])[0] == 500
    assert page.indexing_status == "waiting"


def test_an_older_version_has_no_such_endpoint(start: Callable[..., FakeDify]) -> None:
    dify = start()
    kb = dify.add_dataset("handbook")
    answer = Client(dify).call("POST", f"/datasets/{kb.id}/documents/retry", json={"document_ids": [UNKNOWN]})
    assert answer.status_code == 404
    assert "text/html" in answer.headers["content-type"]
