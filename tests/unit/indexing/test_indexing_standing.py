"""Indexing that makes no progress, a wait that continues elsewhere, and the texts about both."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyIndexingError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
)
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from tests.unit.indexing.polling import (
    BATCH,
    KB,
    NOW,
    A,
    B,
    C,
    Script,
    always,
    batch_of,
    document,
    finish,
    state,
    wait_for,
)


class TestStanding:
    """There is no progress any more."""

    def test_it_ends_after_the_stall_timeout(self) -> None:
        script = always(batch_of(state(A, "completed", segments=(1, 1)), state(B, "indexing", segments=(0, 7))))
        with pytest.raises(DifyIndexingStalled) as caught:
            wait_for(script, stall_timeout=600, poll_interval=30)
        assert 600 < script.now <= 630
        assert "nothing has moved for more than 600 s" in str(caught.value)
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
            last = 5 * 500  # it makes progress every 500 s until then
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
        # As a sensor that is rescheduled: each check is the first one of a new process.
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
    """A wait that continues in another process."""

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
            after = IndexingWait.from_json(json.loads(json.dumps(before.to_json())))
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
        report = finish(IndexingWait.from_json(json.loads(json.dumps(before.to_json()))), script)
        assert report.document_ids == (C, A)

    def test_documents_that_were_indexed_are_not_asked_for_again(self) -> None:
        script = Script(lambda path, now: document(path.removeprefix("/documents/"), "completed" if A in path else "x"))
        before = IndexingWait(KB, document_ids=[B, A])
        script.run(before.look(script.deadline()))
        script.paths.clear()
        script.answer = lambda path, now: document(B, "completed")
        assert finish(IndexingWait.from_json(before.to_json()), script).document_ids == (B, A)
        assert script.paths == [f"/documents/{B}"]

    def test_what_it_has_to_remember_is_small(self) -> None:
        """MySQL keeps at most 64 kB for a trigger, and Airflow makes a third more of it by encrypting it."""
        ids = [str(uuid.uuid4()) for _ in range(1000)]
        script = always(batch_of(*(state(i, "indexing", segments=(0, n % 40)) for n, i in enumerate(ids))))
        before = IndexingWait(KB, batch=BATCH)
        script.run(before.look(script.deadline()))
        kept = json.dumps(before.to_json())
        after = IndexingWait.from_json(json.loads(kept))
        assert (after.document_ids, after.to_json()) == (tuple(ids), json.loads(kept))
        assert len(kept) < 28_000


class TestTheLog:
    """What the person who runs the DAG reads."""

    def test_progress_only_when_it_changes(self) -> None:
        def answer(path: str, now: float) -> Any:
            done = now > 100
            return batch_of(
                state(A, "completed" if done else "splitting", segments=(5 if done else 0, 5)),
                state(B, "completed" if now > 400 else "waiting", segments=(3 if now > 400 else 0, 3)),
            )

        script = Script(answer)
        wait_for(script, poll_interval=10)
        first, second = script.notes
        assert first[1] == "0 of 2 documents completed (1 splitting, 1 waiting), 0 of 8 segments, 0 s"
        assert second[1] == f"1 of 2 documents completed (1 waiting), 5 of 8 segments, {second[0]:.0f} s"
        assert 100 < second[0] < 111
        assert len(script.paths) > 3 * len(script.notes)

    def test_without_segments_where_they_are_not_known(self) -> None:
        ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(20)]
        listed = {"data": [document(i, "waiting", single=False) for i in ids], "total": 20}
        script = Script(lambda path, now: listed)
        with pytest.raises(DifyIndexingTimeout):
            wait_for(script, document_ids=ids, timeout=10)
        assert script.notes[0][1] == "0 of 20 documents completed (20 waiting), 0 s"
