"""Waiting for indexing as a conversation, against replies that are written here: no server, and no time passes."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise
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
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Pause, Request, Response
from airflow_provider_dify.knowledge.indexing import IndexingReport, IndexingWait
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.testing import Dataset, FakeDify, Fault

KB = "cb9ba4b4-c26d-45cb-b768-80d93c52ba71"
BATCH = "20261123115848274364"
NOW = 1_795_435_000
A, B, C = (f"0000000{n}-0000-4000-8000-000000000000" for n in (1, 2, 3))


def state(document_id: str, status: str, *, segments: tuple[int, int] = (0, 0), **times: int | None) -> dict[str, Any]:
    """A document as Dify shows it in the state of a batch."""
    steps = ("processing_started_at", "parsing_completed_at", "cleaning_completed_at", "splitting_completed_at",
             "completed_at", "paused_at", "stopped_at")  # fmt: skip
    return {
        "id": document_id,
        "indexing_status": status,
        **dict.fromkeys(steps),
        **times,
        "error": None,
        "completed_segments": segments[0],
        "total_segments": segments[1],
    }


def document(
    document_id: str, status: str, *, display: str = "indexing", single: bool = True, **more: Any
) -> dict[str, Any]:
    """A document as Dify shows it by itself, or in a list."""
    shown = {
        "id": document_id,
        "name": f"page {document_id[7]}",
        "indexing_status": status,
        "display_status": display,
        "enabled": True,
        "archived": False,
        "error": None,
        "created_at": NOW,
    }
    own = {"segment_count": 0, "updated_at": None, "completed_at": None} if single else {}
    return {**shown, **own, **more}


class Script:
    """Answers a flow, and counts the time that it lets pass.

    :param answer: Gives the answer to a path at a moment, in seconds since the start: JSON, or a text for a 404.
    """

    def __init__(self, answer: Callable[[str, float], Any], *, ahead: float = 0.0, start: float = 0.0) -> None:
        self.answer = answer
        self.now = start
        self.ahead = ahead
        self.paths: list[str] = []
        self.notes: list[tuple[float, str]] = []
        self.pauses: list[float] = []

    def deadline(self, seconds: float = 1e6) -> Deadline:
        return Deadline(seconds, lambda: self.now, 0.0)

    def run(self, flow: Flow[Any]) -> Any:
        flow = retrying(flow, Retries(max_retries=0))
        answer: Response | None = None
        while True:
            try:
                step = flow.send(answer)
            except StopIteration as stop:
                return stop.value
            answer = self._do(step)

    def _do(self, step: object) -> Response | None:
        if isinstance(step, Request):
            self.paths.append(step.path.removeprefix(f"/datasets/{KB}"))
            return self._response(self.answer(self.paths[-1], self.now))
        if isinstance(step, Note):
            assert step.level == logging.INFO
            self.notes.append((self.now, step.text))
        if isinstance(step, Pause):
            self.pauses.append(step.seconds)
            self.now += step.seconds
        return None

    def _response(self, answer: Any) -> Response:
        status = 404 if isinstance(answer, str) else 200
        payload = {"code": "not_found", "message": answer, "status": 404} if status == 404 else answer
        # A server whose clock is ahead of ours shows it.
        date = {"date": formatdate(NOW + self.now + self.ahead, usegmt=True)} if self.ahead else {}
        return Response(status, date, json.dumps(payload).encode(), at=NOW + self.now)


def batch_of(*states: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(states)}


def always(answer: Any) -> Script:
    return Script(lambda path, now: answer)


def wait_for(script: Script, *, timeout: float = 1e6, poll_interval: float = 60.0, **kwargs: Any) -> IndexingReport:
    wait = IndexingWait(KB, **({"batch": BATCH} | kwargs if "document_ids" not in kwargs else kwargs))
    report = script.run(wait.flow(script.deadline(timeout), poll_interval=poll_interval))
    assert isinstance(report, IndexingReport)
    return report


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
        assert f"batch {BATCH} of Dify dataset {KB} had not completed after 100 s" in str(caught.value)
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

        with pytest.raises(DifyIndexingError, match=f"1 of its documents are not .*: {B}. They were deleted") as caught:
            wait_for(Script(answer))
        assert caught.value.documents == {B: "not in this knowledge base"}

    @pytest.mark.parametrize("answer", ["Documents not found.", batch_of()])
    def test_a_batch_that_was_never_seen(self, answer: Any) -> None:
        with pytest.raises(DifyIndexingError, match=f"no document of batch {BATCH} in dataset {KB}.*document_ids"):
            wait_for(always(answer))

    def test_a_knowledge_base_that_is_gone(self) -> None:
        script = Script(lambda path, now: "Dataset not found." if now else batch_of(state(A, "indexing")))
        with pytest.raises(DifyNotFoundError, match="Dataset not found"):
            wait_for(script)


class TestDocuments:
    """Documents that are asked for by their ids."""

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

        with pytest.raises(DifyIndexingError, match=f"1 of its documents .* {B} 'page 2'. They were deleted"):
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


class TestStanding:
    """Nothing moves any more."""

    def test_it_ends_after_the_stall_timeout(self) -> None:
        script = always(batch_of(state(A, "completed", segments=(1, 1)), state(B, "indexing", segments=(0, 7))))
        with pytest.raises(DifyIndexingStalled) as caught:
            wait_for(script, stall_timeout=600, poll_interval=30)
        assert 600 < script.now <= 630
        assert "no document has moved a step or a segment for more than 600 s" in str(caught.value)
        assert f"1 of 2 documents completed (1 indexing), 1 of 8 segments; not completed: {B} (indexing)" in str(
            caught.value
        )
        assert caught.value.documents == {B: "indexing"}
        assert isinstance(caught.value, DifyIndexingError)

    def test_it_does_not_where_that_is_switched_off(self) -> None:
        script = always(batch_of(state(A, "indexing")))
        with pytest.raises(DifyIndexingTimeout):
            wait_for(script, stall_timeout=None, timeout=100_000)

    @pytest.mark.parametrize(
        "moves",
        [
            lambda n: state(A, ["waiting", "parsing", "cleaning", "splitting", "indexing"][n % 5]),
            lambda n: state(A, "splitting", segments=(0, n)),
            lambda n: state(A, "indexing", segments=(n, 100)),
        ],
        ids=["steps", "segments found", "segments indexed"],
    )
    def test_each_movement_counts(self, moves: Callable[[int], dict[str, Any]]) -> None:
        def answer(path: str, now: float) -> Any:
            last = 5 * 500  # it moves every 500 s until then
            return batch_of(moves(int(min(now, last) // 500)), state(B, "waiting"))

        script = Script(answer)
        with pytest.raises(DifyIndexingStalled):
            wait_for(script, stall_timeout=600, poll_interval=20)
        assert 2500 + 600 < script.now <= 2500 + 600 + 40

    def test_segments_are_seen_where_the_list_does_not_count_them(self) -> None:
        ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(20)]

        def answer(path: str, now: float) -> Any:
            if path == "/documents":
                kinds = dict.fromkeys(ids, "completed" if now > 3000 else "waiting")
                kinds[ids[0]] = "completed" if now > 3000 else "splitting"
                return {"data": [document(i, kind, single=False) for i, kind in kinds.items()], "total": 20}
            assert path == f"/documents/{ids[0]}"
            return document(ids[0], "splitting", segment_count=int(now), updated_at=NOW)

        script = Script(answer)
        assert len(wait_for(script, document_ids=ids, stall_timeout=600).document_ids) == 20

    @pytest.mark.parametrize("ahead", [0.0, 7200.0, -7200.0], ids=["same clock", "ahead", "behind"])
    @pytest.mark.parametrize(("age", "stands"), [(1700, False), (1900, True)])
    def test_without_a_memory_the_times_of_the_steps_tell(self, ahead: float, age: int, stands: bool) -> None:
        # As a sensor that is rescheduled: each look is the first one of a new process.
        def answer(path: str, now: float) -> Any:
            last = int(NOW + now + ahead) - age
            return batch_of(state(A, "indexing", splitting_completed_at=last, processing_started_at=last - 9999),
                            state(B, "waiting"))  # fmt: skip

        script = Script(answer, ahead=ahead, start=5000.0)
        wait = IndexingWait(KB, batch=BATCH, stall_timeout=1800)
        look = wait.look(script.deadline())
        if stands:
            with pytest.raises(DifyIndexingStalled):
                script.run(look)
        else:
            assert script.run(look) is None

    def test_it_counts_from_the_beginning_of_the_wait_at_the_earliest(self) -> None:
        old = batch_of(state(A, "indexing", splitting_completed_at=NOW - 100_000))
        script = always(old)
        script.now = 1700.0
        wait = IndexingWait(KB, batch=BATCH, stall_timeout=1800)
        assert script.run(wait.look(script.deadline())) is None
        script.now = 1801.0
        with pytest.raises(DifyIndexingStalled):
            script.run(IndexingWait(KB, batch=BATCH, stall_timeout=1800).look(script.deadline()))

    @pytest.mark.parametrize(("age", "stands"), [(100, False), (2000, True)])
    @pytest.mark.parametrize("field", ["updated_at", "completed_at"])
    def test_the_times_of_listed_documents_are_asked_for(self, field: str, age: int, stands: bool) -> None:
        ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(20)]

        def answer(path: str, now: float) -> Any:
            status = ["completed", *["waiting"] * 19]
            if path == "/documents":
                return {"data": [document(i, s, single=False) for i, s in zip(ids, status, strict=True)], "total": 20}
            first = path.endswith(ids[0])
            times: dict[str, Any] = {field: int(NOW + now) - age if first else NOW}
            return document(path.removeprefix("/documents/"), status[not first], **times)

        script = Script(answer, start=5000.0)
        look = IndexingWait(KB, document_ids=ids, stall_timeout=1800).look(script.deadline())
        if stands:
            with pytest.raises(DifyIndexingStalled):
                script.run(look)
            assert len(script.paths) == 1 + 20
        else:
            assert script.run(look) is None
            assert script.paths == ["/documents", f"/documents/{ids[0]}"]  # the one with most to tell comes first


class TestGoingOnElsewhere:
    """A wait that goes on in another process."""

    @pytest.mark.parametrize(("later", "stands_at"), [("indexing", 1000 + 600), ("completed", 2100 + 600)])
    def test_it_knows_what_has_moved_since(self, later: str, stands_at: float) -> None:
        def answer(path: str, now: float) -> Any:
            first = "waiting" if now < 1000 else "indexing" if now < 1500 else later
            return batch_of(state(A, first, segments=(0, 1)), state(B, "waiting"))

        script = Script(answer)
        before = IndexingWait(KB, batch=BATCH, stall_timeout=600)
        for moment in (500.0, 1000.0):
            script.now = moment
            assert script.run(before.look(script.deadline())) is None
        for restarted in range(3):  # as often as the triggerer is
            kept = json.loads(json.dumps(before.so_far()))
            after = IndexingWait(KB, batch=BATCH, stall_timeout=600, so_far=kept)
            script.now = 2100.0 if later == "completed" else 1590.0 + restarted
            assert script.run(after.look(script.deadline())) is None
        script.now = stands_at
        assert script.run(after.look(script.deadline())) is None
        script.now = stands_at + 1
        with pytest.raises(DifyIndexingStalled):
            script.run(after.look(script.deadline()))

    def test_it_knows_the_documents_of_a_batch_that_is_gone_meanwhile(self) -> None:
        script = always(batch_of(state(C, "indexing"), state(A, "completed")))
        before = IndexingWait(KB, batch=BATCH)
        script.run(before.look(script.deadline()))
        script.answer = lambda path, now: (
            "Documents not found."
            if path.endswith("indexing-status")
            else document(path.removeprefix("/documents/"), "completed")
        )
        report = wait_for(script, so_far=json.loads(json.dumps(before.so_far())))
        assert report.document_ids == (C, A)

    def test_documents_that_were_indexed_are_not_asked_for_again(self) -> None:
        script = Script(lambda path, now: document(path.removeprefix("/documents/"), "completed" if A in path else "x"))
        before = IndexingWait(KB, document_ids=[B, A])
        script.run(before.look(script.deadline()))
        script.paths.clear()
        script.answer = lambda path, now: document(B, "completed")
        assert wait_for(script, document_ids=[B, A], so_far=before.so_far()).document_ids == (B, A)
        assert script.paths == [f"/documents/{B}"]


class TestTheLog:
    """What the person who runs the DAG reads."""

    def test_progress_when_it_changes_or_every_minute(self) -> None:
        def answer(path: str, now: float) -> Any:
            done = now > 100
            return batch_of(
                state(A, "completed" if done else "splitting", segments=(5 if done else 0, 5)),
                state(B, "completed" if now > 400 else "waiting", segments=(3 if now > 400 else 0, 3)),
            )

        script = Script(answer)
        wait_for(script, poll_interval=10)
        texts = [text for _, text in script.notes]
        assert texts[0] == "0 of 2 documents completed (1 splitting, 1 waiting), 0 of 8 segments. 0 s so far."
        changed = [
            n for n, text in enumerate(texts) if text.startswith("1 of 2 documents completed (1 waiting), 5 of 8")
        ]
        assert len(texts) - len(changed) == 2
        moments = [moment for moment, _ in script.notes]
        gaps = [round(later - earlier) for earlier, later in pairwise(moments)]
        assert all(60 <= gap <= 70 for n, gap in enumerate(gaps) if n + 1 != changed[0])
        assert len(script.paths) > 3 * len(texts)

    def test_without_segments_where_they_are_not_known(self) -> None:
        ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(20)]
        listed = {"data": [document(i, "waiting", single=False) for i in ids], "total": 20}
        script = Script(lambda path, now: listed)
        with pytest.raises(DifyIndexingTimeout):
            wait_for(script, document_ids=ids, timeout=10)
        assert script.notes[0][1] == "0 of 20 documents completed (20 waiting). 0 s so far."


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
        ({"document_ids": ""}, "document_ids holds no id"),
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
