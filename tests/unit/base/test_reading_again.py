"""Everything that a report calls good was read again at the end."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from airflow_provider_dify.exceptions import DifyIndexingError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.unit.conftest import Change, Ingest, text

OFF: dict[str, Any] = {"enabled": False, "in_search": False}
ARCHIVED: dict[str, Any] = {"archived": True, "in_search": False}
#: Action, a document that is in the requested state, one that is not, and what somebody does to the first one
#: meanwhile.
MEANWHILE: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("archive", ARCHIVED, {}, {"archived": False, "in_search": True}),
    ("un_archive", {}, ARCHIVED, ARCHIVED),
    ("enable", {}, OFF, OFF),
    ("disable", OFF, {}, {"enabled": True, "in_search": True}),
]


@pytest.mark.parametrize(("action", "there", "other", "meddling"), MEANWHILE, ids=[one[0] for one in MEANWHILE])
def test_what_is_unchanged_still_is_at_the_end(
    kb: Dataset, change: Change, action: str, there: dict[str, Any], other: dict[str, Any], meddling: dict[str, Any]
) -> None:
    first, busy = kb.add_document("first", **there), kb.add_document("busy", **other)
    busy.lock(120)
    kb.world.schedule(60, lambda _: first.set(**meddling))
    run = change(action, [first, busy])
    assert run.not_empty == {"changed": ["busy"], "reverted": ["first"]}
    assert "no longer" in run.report["errors"][first.id]


@pytest.mark.parametrize(("action", "before"), [("disable", {}), ("enable", OFF), ("un_archive", ARCHIVED)])
def test_a_worker_undoes_late_what_an_earlier_try_sent(
    dify: FakeDify, kb: Dataset, change: Change, action: str, before: dict[str, Any]
) -> None:
    page = kb.add_document("page", **before)
    dify.worker.seconds_per_job = 20
    dify.worker.fail_adding = dify.worker.fail_removing = "The index is gone."
    # The earlier try, which is killed right after.
    url = f"{dify.base_url}/datasets/{kb.id}/documents/status/{action}"
    headers = {"Authorization": f"Bearer {dify.api_key}"}
    httpx.patch(url, json={"document_ids": [page.id]}, headers=headers).raise_for_status()
    run = change(action, [page])
    assert run.not_empty == {"reverted": ["page"]}
    assert not run.green


def test_chunks_disabled_by_hand_do_not_prove_that_a_document_has_left_search(
    dify: FakeDify, kb: Dataset, change: Change
) -> None:
    page = kb.add_document("page", text="walrus " * 600, segments=120)
    for index in range(110):
        page.disable_chunk(index)
    dify.worker.stop()
    run = change("archive", [page], timeout=60)
    assert run.not_empty == {"lagging": ["page"]}
    assert page.in_search


def test_chunks_disabled_by_hand_are_not_taken_for_a_document_that_lags(kb: Dataset, change: Change) -> None:
    page = kb.add_document("page", text="walrus " * 600, segments=120)
    for index in range(110):
        page.disable_chunk(index)
    assert change("enable", [page]).not_empty == {"unchanged": ["page"]}


def test_keep_chunks_and_roll_back(dify: FakeDify, kb: Dataset, change: Change) -> None:
    page = kb.add_document("page", text="walrus seal otter", segments=3)
    page.disable_chunk(1)
    report = change("archive", [page], keep_chunks=True).report
    assert report["disabled_chunks"] == {page.id: [page.chunks[1].id]}
    with DifyHook("dify_default") as hook:
        hook.roll_back(report)
    assert page.in_search
    assert [chunk.enabled for chunk in page.chunks] == [True, False, True]


def test_without_keep_chunks_no_chunk_is_read_before(kb: Dataset, change: Change) -> None:
    page = kb.add_document("page", text="walrus seal otter", segments=3)
    page.disable_chunk(1)
    assert "disabled_chunks" not in change("archive", [page]).report


@pytest.mark.parametrize("action", ["enable", "un_archive"])
def test_a_document_without_text_is_not_searchable(kb: Dataset, change: Change, action: str) -> None:
    state = OFF if action == "enable" else ARCHIVED
    empty, page = kb.add_document("empty", text="", **state), kb.add_document("page", **state)
    run = change(action, [empty, page])
    assert run.not_empty == {"changed": ["page"], "not_searchable": ["empty"]}
    assert type(run.error).__name__ == "DifyDocumentStatusFailed"
    assert change("archive", [empty]).green  # it is out of search, as requested


def test_a_sensor_fails_for_a_document_without_text(dify: FakeDify, kb: Dataset) -> None:
    empty = kb.add_document("empty", text="")
    with DifyHook("dify_default") as hook, pytest.raises(DifyIndexingError, match="found no text"):
        hook.wait_until_indexed(kb.id, document_ids=[empty.id])


def test_an_ingestion_without_text(kb: Dataset, ingest: Ingest) -> None:
    result = ingest([text("empty", "\u200b"), text("page", "walrus")])
    assert result.outcomes == {"empty": "not_searchable", "page": "created"}


def test_somebody_archives_a_document_while_others_are_indexed(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    def archive_first(_: float) -> None:
        first: Document = kb.documents[0]
        first.set(archived=True, in_search=False)

    dify.worker.jobs = 1
    dify.worker.seconds_per_document = 30
    dify.world.schedule(45, archive_first)
    result = ingest([text("first", "walrus"), text("second", "seal"), text("third", "otter")])
    assert result.outcomes == {"first": "failed", "second": "created", "third": "created"}
