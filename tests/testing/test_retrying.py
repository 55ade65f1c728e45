"""Failed documents are indexed again on request, from 1.17.0 on, as read in Dify's source."""

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
    return start(version="1.17.0")


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


@pytest.mark.parametrize("ids", [None, [], "x", ["x"], [UNKNOWN] * 101], ids=["none", "empty", "text", "odd", "many"])
def test_a_body_that_is_wrong(client: Client, kb: Dataset, ids: Any) -> None:
    status, message = retry(client, kb, ids)
    assert status == 400
    assert "DocumentRetryPayload" in message


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
