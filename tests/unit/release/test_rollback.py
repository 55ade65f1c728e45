"""Documents get exactly their previous flags."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyInputError,
    DifyRollbackError,
    DifyRollbackFailed,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.examples import examples
from tests.unit.conftest import Change, TaskInstance, patches
from tests.unit.release.release_scene import LIVE, Scene, World, fake

EVERY = list(product([True, False], [True, False]))
ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"


def roll_back(manifest: Any, **more: Any) -> tuple[dict[str, Any], DifyError | None]:
    """Run the operator; return its report and its error."""
    task = TaskInstance()
    try:
        returned = DifyRollbackOperator(task_id="back", manifest=manifest, **more).execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyError as error:
        return task.xcom["report"], error
    assert returned == task.xcom["report"]
    return returned, None


def remove(document: Document) -> None:
    row = document.dataset.get(document.id)
    assert row
    document.dataset.remove(row)


@pytest.fixture
def scene(dify: FakeDify) -> Scene:
    """A completed release, of documents in every state."""
    made = Scene(dify, World(new=EVERY, old=EVERY, broken=[("error", True), ("paused", False)]))
    assert made.release() is None
    return made


class TestRelease:
    def test_every_document_has_its_flags_again(self, scene: Scene) -> None:
        report, error = roll_back(scene.report)
        assert error is None
        assert scene.wholly_old
        assert report["counts"] == {"restored": 5, "unchanged": 5, "missing": 0, "failed": 0, "not_attempted": 0}

    def test_a_manifest_may_be_a_text(self, scene: Scene) -> None:
        assert roll_back(json.dumps(scene.report))[1] is None
        assert scene.wholly_old

    def test_a_rollback_can_be_rolled_back(self, scene: Scene) -> None:
        report, _ = roll_back(scene.report)
        assert roll_back(report)[1] is None
        assert scene.wholly_new
        assert roll_back(scene.report)[1] is None
        assert scene.wholly_old

    def test_old_ones_are_found_before_new_ones_leave(self, scene: Scene) -> None:
        before = len(scene.dify.requests)
        roll_back(scene.report)
        actions = [r.path.rsplit("/", 1)[1] for r in scene.dify.requests[before:] if r.method == "PATCH"]
        assert actions == ["un_archive", "disable", "un_archive", "archive"]

    def test_while_old_ones_cannot_come_back_new_ones_stay(self, scene: Scene) -> None:
        scene.dify.worker.stop()
        report, error = roll_back(scene.report, timeout=60)
        assert type(error) is DifyRollbackError
        assert "search does not reflect it" in str(error)
        assert report["failed"]
        assert report["not_attempted"]
        assert {document.name for document in scene.new} <= scene.found()
        scene.dify.worker.start()
        assert roll_back(scene.report)[1] is None
        assert scene.wholly_old

    def test_what_was_deleted_is_named_and_nothing_is_changed(self, scene: Scene) -> None:
        remove(scene.old[1])
        sent = len(patches(scene.dify))
        report, error = roll_back(scene.report)
        assert type(error) is DifyRollbackFailed
        assert f"1 missing ({scene.old[1].id}): deleted since" in str(error)
        assert report["missing"] == [scene.old[1].id]
        assert len(patches(scene.dify)) == sent

    def test_what_was_deleted_can_be_tolerated(self, scene: Scene, said: pytest.LogCaptureFixture) -> None:
        gone = scene.old[1]
        remove(gone)
        said.clear()
        report, error = roll_back(scene.report, tolerate="missing")
        assert "missing (tolerated)" in said.text
        assert not [record for record in said.records if record.levelname == "WARNING"]
        assert error is None
        assert report["missing"] == [gone.id]
        assert scene.flags() == {i: flags for i, flags in scene.before.items() if i != gone.id}

    def test_what_was_not_in_search_is_no_loss(self, scene: Scene) -> None:
        remove(scene.new[0])
        assert scene.before.pop(scene.new[0].id) == (True, True)
        assert roll_back(scene.report)[1] is None
        assert scene.flags() == scene.before

    def test_what_was_kept_in_the_metadata_is_taken_out_again(self, scene: Scene) -> None:
        roll_back(scene.report)
        assert not any("airflow_release_journal" in document.metadata for document in scene.kb.documents)

    def test_dify_fails(self, scene: Scene) -> None:
        scene.dify.faults.add(Fault("status", method="PATCH", status=500, times=None))
        report, error = roll_back(scene.report)
        assert error is not None
        assert error.report is not None
        assert error.report.to_json() == report
        scene.dify.faults.clear()
        assert roll_back(scene.report)[1] is None
        assert scene.wholly_old


class TestChangeOfStatus:
    @pytest.mark.parametrize("action", ["enable", "disable", "archive", "un_archive"])
    def test_what_it_changed_is_as_before(self, change: Change, kb: Dataset, action: str) -> None:
        documents = [
            kb.add_document(f"page {n}", enabled=enabled, archived=archived)
            for n, (enabled, archived) in enumerate(EVERY)
            if not (action == "enable" and archived)
        ]
        before = [(d.enabled, d.archived, d.in_search) for d in documents]
        run = change(action, documents)
        assert run.green
        assert [(d.enabled, d.archived, d.in_search) for d in documents] != before
        report, error = roll_back(run.report)
        assert error is None
        assert [(d.enabled, d.archived, d.in_search) for d in documents] == before
        assert report["restored"] == run.report["changed"]
        assert report["source"] == action

    def test_nothing_was_changed(self, change: Change, kb: Dataset) -> None:
        run = change("enable", [kb.add_document("page")])
        report, error = roll_back(run.report)
        assert error is None
        assert not any(report["counts"].values())


FLAGS = st.tuples(st.booleans(), st.booleans())


@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=st.lists(st.tuples(FLAGS, FLAGS), min_size=1, max_size=5))
def test_from_any_flags_to_any_flags(pairs: list[tuple[tuple[bool, bool], tuple[bool, bool]]]) -> None:
    with fake() as dify:
        kb = dify.add_dataset("kb")
        documents = [
            kb.add_document(f"page {n}", text="rules", enabled=now[0], archived=now[1])
            for n, (now, _) in enumerate(pairs)
        ]
        previous = {
            d.id: {"enabled": then[0], "archived": then[1]} for d, (_, then) in zip(documents, pairs, strict=True)
        }
        with DifyHook() as hook:
            hook.roll_back({"dataset_id": kb.id, "previous": previous})
        dify.settle()
        assert [(d.enabled, d.archived) for d in documents] == [then for _, then in pairs]
        assert [d.in_search for d in documents] == [then == LIVE for _, then in pairs]


WRONG: dict[str, tuple[Any, ...]] = {
    "nothing": (None, "manifest must be what a DifyReleaseOperator", "returned, or left in XCom", "not None."),
    "an empty text": ("", "not ''."),
    "a list": ([ID], "manifest must be what"),
    "no knowledge base": ({"previous": {}}, "manifest must be what"),
    "a name of a knowledge base": ({"dataset_id": "kb", "previous": {}}, "manifest['dataset_id'] is not a UUID: 'kb'."),
    "no flags": ({"dataset_id": ID}, "manifest contains neither the previous flags nor a list of changed"),
    "flags that are none": ({"dataset_id": ID, "previous": [ID]}, "manifest['previous'] must map ids of documents"),
    "one flag": ({"dataset_id": ID, "previous": {ID: {"enabled": True}}}, "must be the flags of a document, such as"),
    "flags as texts": (
        {"dataset_id": ID, "previous": {ID: {"enabled": "true", "archived": "false"}}},
        "must be the flags of a document",
    ),
    "an id that is none": (
        {"dataset_id": ID, "previous": {"page": {"enabled": True, "archived": True}}},
        "An id of manifest['previous'] is not a UUID: 'page'.",
    ),
    "an unknown action": (
        {"dataset_id": ID, "action": "delete", "changed": [ID]},
        "manifest['action'] must be one of enable, disable, archive, un_archive, not 'delete'.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_anything_is_sent(dify: FakeDify, name: str) -> None:
    manifest, *says = WRONG[name]
    with pytest.raises(DifyInputError) as raised:
        DifyRollbackOperator(task_id="back", manifest=manifest).execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert all(part in str(raised.value) for part in says), str(raised.value)
    assert dify.requests == []


def test_its_error_is_one_of_its_tree() -> None:
    assert issubclass(DifyRollbackFailed, DifyRollbackError)
    assert not DifyRollbackFailed.retryable
    assert DifyRollbackError.retryable
