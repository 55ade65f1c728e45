"""Which requests a wait for indexing sends, and how it ends."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyIndexingError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
    DifyInputError,
    DifyNotFoundError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.indexing.report import IndexingReport
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.indexing.polling import BATCH, KB, NOW, A, B, C, Script, always, batch_of, document, state, wait_for


class TestABatch:
    """All documents of a batch."""

    def test_that_is_indexed_is_one_request(self) -> None:
        script = always(batch_of(state(B, "completed", segments=(4, 4)), state(A, "completed", segments=(2, 2))))
        assert wait_for(script) == IndexingReport(KB, (B, A), 6)
        assert script.paths == [f"/documents/{BATCH}/indexing-status"]
        assert (script.pauses, script.notes) == ([], [])

    def test_only_the_status_counts(self) -> None:
        times = {"completed_at": NOW, "splitting_completed_at": NOW}

        def answer(path: str, now: float) -> Any:
            return batch_of(state(A, "waiting" if now < 100 else "completed", segments=(1, 1), **times))

        script = Script(answer)
        wait_for(script)
        assert script.now >= 100

    def test_every_document_counts(self) -> None:
        script = Script(lambda path, now: batch_of(state(A, "completed"), state(B, "completed" if now else "indexing")))
        assert wait_for(script).document_ids == (A, B)
        assert len(script.pauses) == 1

    def test_it_looks_often_at_first_and_never_beyond_the_deadline(self) -> None:
        script = always(batch_of(state(A, "indexing")))
        with pytest.raises(DifyIndexingTimeout):
            wait_for(script, timeout=200, poll_interval=20)
        assert script.pauses[:8] == [0.5, 1, 2, 4, 8, 16, 20, 20]
        assert sum(script.pauses) == 200

    def test_a_timeout_says_what_is_left(self) -> None:
        ids = [f"0000000{n}-0000-4000-8000-00000000000a" for n in range(6)]
        states = [state(i, "indexing" if n else "completed", segments=(0 if n else 3, 3)) for n, i in enumerate(ids)]
        with pytest.raises(DifyIndexingTimeout) as caught:
            wait_for(always(batch_of(*states)), timeout=100)
        assert f"batch {BATCH} of knowledge base {KB} had not completed after 100 s" in str(caught.value)
        assert "1 of 6 documents completed (5 indexing), 3 of 18 segments" in str(caught.value)
        assert f"{ids[1]} (indexing), {ids[2]} (indexing), {ids[3]} (indexing) and 2 more" in str(caught.value)
        assert caught.value.documents == dict.fromkeys(ids[1:], "indexing")
        assert caught.value.retryable

    @pytest.mark.parametrize(
        ("in_batch", "by_itself", "expected"),
        [
            ("error", {"status": "error", "error": "Could not detect\n encoding " * 50}, '(error, "Could not detect '),
            ("paused", {"status": "indexing", "display": "paused"}, "(paused)"),
            ("paused", {"status": "waiting", "display": "queuing"}, "(paused)"),
        ],
    )
    def test_what_does_not_go_on_is_named(self, in_batch: str, by_itself: dict[str, Any], expected: str) -> None:
        def answer(path: str, now: float) -> Any:
            if path.endswith("indexing-status"):
                return batch_of(state(A, "completed"), state(B, in_batch if now > 50 else "splitting"))
            assert path == f"/documents/{B}"
            return document(B, **by_itself)

        script = Script(answer)
        with pytest.raises(DifyIndexingError) as caught:
            wait_for(script)
        assert type(caught.value) is DifyIndexingError
        assert f"{B} 'page 2' {expected}" in str(caught.value)
        assert set(caught.value.documents) == {B}
        assert len(str(caught.value)) < 800
        assert script.now < 80

    @pytest.mark.parametrize(
        ("in_batch", "by_itself"), [("error", "parsing"), ("paused", "completed"), ("error", "completed")]
    )
    def test_what_goes_on_by_the_time_it_is_asked_is_no_failure(self, in_batch: str, by_itself: str) -> None:
        def answer(path: str, now: float) -> Any:
            if path.endswith("indexing-status"):
                return batch_of(state(A, "completed" if now > 50 else in_batch))
            return document(A, by_itself)

        script = Script(answer)
        assert wait_for(script).document_ids == (A,)
        assert (script.now > 50) is (by_itself != "completed")

    def test_a_batch_that_is_gone_is_followed_by_the_ids_that_were_seen(self) -> None:
        def answer(path: str, now: float) -> Any:
            if path.endswith("indexing-status"):
                return "Documents not found." if now > 30 else batch_of(state(B, "indexing"), state(A, "completed"))
            return document(path.removeprefix("/documents/"), "completed" if now > 90 else "waiting", segment_count=2)

        script = Script(answer)
        assert wait_for(script) == IndexingReport(KB, (B, A), 4)
        assert 90 < script.now < 200

    def test_a_document_that_left_the_batch_is_asked_for(self) -> None:
        def answer(path: str, now: float) -> Any:
            if path.endswith("indexing-status"):
                left = [] if now > 30 else [state(B, "waiting")]
                return batch_of(state(A, "completed"), *left)
            return document(B, "completed" if now > 200 else "indexing")

        script = Script(answer)
        assert wait_for(script).document_ids == (A, B)
        assert script.now > 200

    def test_a_document_that_left_the_batch_and_the_knowledge_base_is_named(self) -> None:
        def answer(path: str, now: float) -> Any:
            if path.endswith("indexing-status"):
                return batch_of(state(A, "indexing"), *([] if now > 30 else [state(B, "completed")]))
            return "Document not found."

        with pytest.raises(DifyIndexingError, match=f"1 document is not .*or given by a wrong id: {B}") as caught:
            wait_for(Script(answer))
        assert caught.value.documents == {B: "not in this knowledge base"}

    @pytest.mark.parametrize("answer", ["Documents not found.", batch_of()])
    def test_a_batch_that_was_never_seen(self, answer: Any) -> None:
        with pytest.raises(
            DifyIndexingError, match=f"no document of batch {BATCH} in knowledge base {KB}.*document_ids"
        ):
            wait_for(always(answer))

    def test_a_knowledge_base_that_is_gone(self) -> None:
        script = Script(lambda path, now: "Dataset not found." if now else batch_of(state(A, "indexing")))
        with pytest.raises(DifyNotFoundError, match="Dataset not found"):
            wait_for(script)


class TestDocuments:
    """Documents that are requested by id."""

    def test_they_are_returned_as_they_were_asked_for(self) -> None:
        script = Script(lambda path, now: document(path.removeprefix("/documents/"), "completed", segment_count=3))
        asked = [C, A.upper(), A, B.replace("-", "")]
        assert wait_for(script, document_ids=asked) == IndexingReport(KB, (C, A, B), 9)

    def test_what_is_indexed_is_not_asked_for_again(self) -> None:
        def answer(path: str, now: float) -> Any:
            slow = path.endswith(B) and now < 100
            return document(path.removeprefix("/documents/"), "indexing" if slow else "completed")

        script = Script(answer)
        assert wait_for(script, document_ids=[A, B]).document_ids == (A, B)
        assert script.paths.count(f"/documents/{A}") == 1
        assert script.paths.count(f"/documents/{B}") > 2

    def test_one_that_is_not_there_is_named(self) -> None:
        def answer(path: str, now: float) -> Any:
            gone = path.endswith(B) and now > 30
            return "Document not found." if gone else document(path.removeprefix("/documents/"), "indexing")

        with pytest.raises(DifyIndexingError, match=f"1 document is not .*or given by a wrong id: {B} 'page 2'"):
            wait_for(Script(answer), document_ids=[A, B])

    def test_one_that_fails_is_named_without_another_request(self) -> None:
        failed = document(A, "error", display="error", error="File is not a zip file")
        script = always(failed)
        with pytest.raises(DifyIndexingError, match=rf"{A} 'page 1' \(error, \"File is not a zip file\"\)"):
            wait_for(script, document_ids=A)
        assert script.paths == [f"/documents/{A}"]

    def test_many_are_read_as_a_list(self) -> None:
        ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(60)]
        listed = {"data": [document(i, "completed", single=False) for i in ids], "total": 60}
        script = always(listed)
        assert wait_for(script, document_ids=ids) == IndexingReport(KB, tuple(ids), None)
        assert script.paths == ["/documents"]


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({}, "exactly one of batch and document_ids"),
        ({"batch": BATCH, "document_ids": [A]}, "exactly one of batch and document_ids"),
        ({"batch": "None"}, "batch is not the name of a batch: 'None'"),
        ({"batch": ""}, "batch is not"),
        ({"batch": "../../datasets"}, "batch is not"),
        ({"batch": True}, "batch is not"),
        ({"batch": A}, "use document_ids"),
        ({"document_ids": ""}, "document_ids contains no id"),
        ({"document_ids": ["x"]}, r"document_ids\[0\] is not a UUID"),
        ({"batch": BATCH, "stall_timeout": 0}, "stall_timeout must be a number above 0"),
        ({"batch": BATCH, "dataset_id": "x"}, "dataset_id is not a UUID"),
    ],
)
def test_what_makes_no_sense(kwargs: dict[str, Any], text: str) -> None:
    with pytest.raises(DifyInputError, match=text):
        IndexingWait(**{"dataset_id": KB, **kwargs})


def test_a_batch_that_was_rendered_as_a_number() -> None:
    assert IndexingWait(KB, batch=int(BATCH)).batch == BATCH
    assert IndexingWait(KB, batch=f" {BATCH}\n").batch == BATCH


@pytest.mark.parametrize("kind", [DifyIndexingError, DifyIndexingStalled, DifyIndexingTimeout])
def test_errors_travel_between_processes(kind: type[DifyIndexingError | DifyIndexingTimeout]) -> None:
    copy = DifyError.from_json(json.loads(json.dumps(kind("text", {A: "paused"}).to_json())))
    assert type(copy) is kind
    assert (str(copy), vars(copy)["documents"]) == ("text", {A: "paused"})


class TestTheHook:
    """The hook's method, against the built-in Dify."""

    def test_waits_for_a_batch(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", indexing_status="indexing", segments=4)
        page.finish_indexing(after=100)
        dify.faults.add(Fault("status", status=503, after=1))
        report = DifyHook().wait_until_indexed(kb.id, page.batch)
        assert report == IndexingReport(kb.id, (page.id,), 4)
        assert 100 <= sum(dify.clock.slept) <= 115

    def test_waits_for_documents(self, dify: FakeDify, kb: Dataset) -> None:
        pages = kb.add_documents(3)
        report = DifyHook().wait_until_indexed(kb.id, document_ids=[page.id for page in pages])
        assert report.document_ids == tuple(page.id for page in pages)
        assert dify.clock.slept == []

    def test_gives_up(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        with pytest.raises(DifyIndexingTimeout):
            DifyHook().wait_until_indexed(kb.id, page.batch, timeout=300)
        assert sum(dify.clock.slept) == pytest.approx(300)
        with pytest.raises(DifyIndexingStalled):
            DifyHook().wait_until_indexed(kb.id, page.batch, timeout=900, stall_timeout=300)
        with pytest.raises(DifyInputError, match=re.escape("timeout must be a number above 0")):
            DifyHook().wait_until_indexed(kb.id, page.batch, timeout=0)

    def test_a_document_that_dify_itself_indexes(self, dify: FakeDify, kb: Dataset) -> None:
        dify.worker.seconds_per_segment = 1.0
        hook = DifyHook()
        body = {"name": "guide", "text": "lorem ipsum " * 5000, "indexing_technique": "economy",
                "process_rule": {"mode": "automatic"}}  # fmt: skip
        created = create(dify, kb, body)
        report = hook.wait_until_indexed(kb.id, created["batch"])
        assert report.document_ids == (created["document"]["id"],)
        assert dify.document(report.document_ids[0]).in_search


def create(dify: FakeDify, kb: Dataset, body: dict[str, Any]) -> Any:
    import requests

    url = f"{dify.base_url}/datasets/{kb.id}/document/create-by-text"
    answer = requests.post(url, json=body, headers={"Authorization": f"Bearer {dify.api_key}"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()
