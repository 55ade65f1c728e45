"""A new version replaces an old one, or everything stays as it was."""

from __future__ import annotations

import json
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset

from airflow_provider_dify.exceptions import (
    DifyIndexingError,
    DifyInputError,
    DifyKilledError,
    DifyReleaseFailed,
    DifyReleaseIncomplete,
    DifyReleaseUndone,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.release.journal import JOURNAL_FIELD, RELEASE_FIELD
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.testing import MEASURED, Dataset, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.unit.conftest import TaskInstance, patches
from tests.unit.killing import killed_at_the_fault
from tests.unit.release.release_scene import LIVE, Scene, World, run_in_steps

EVERY = list(product([True, False], [True, False]))
NEVER = [{"query": "rules", "expect": {"name": "nothing"}}]


@pytest.fixture
def scene(dify: FakeDify) -> Scene:
    return Scene(dify, World(new=[(False, False)] * 2, old=[LIVE, LIVE, (False, False), (True, True)]))


class Store:
    """Airflow's store for the state of a task, as far as it is used."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


class TestRelease:
    @pytest.mark.parametrize("live", [True, False])
    def test_the_log_warns_that_an_undo_leaves_new_documents_in_search(
        self, dify: FakeDify, said: pytest.LogCaptureFixture, live: bool
    ) -> None:
        scene = Scene(dify, World(new=[LIVE if live else (False, False), (False, False)], old=[LIVE]))
        assert isinstance(scene.release(queries=NEVER), DifyReleaseUndone)
        warned = [text for text in said.messages if "its whole report as document_ids" in text]
        assert [text.partition(". ")[0] for text in warned] == (
            ["In search already, and still there after an undo: 1 new document"] if live else []
        )
        assert scene.flags() == scene.before

    def test_the_manifest_says_what_was_done_and_what_was_before(self, scene: Scene) -> None:
        assert scene.release() is None
        report = scene.report
        assert (report["state"], report["step"], report["retire"]) == ("released", "retire", "archive")
        assert report["enabled"] == [d.id for d in scene.new]
        assert report["retired"] == [d.id for d in scene.old[:3]]
        assert report["counts"] == {
            "new": 2, "old": 4, "enabled": 2, "retired": 3, "deleted": 0, "missing": 0, "not_undone": 0,
        }  # fmt: skip
        assert {i: (f["enabled"], f["archived"]) for i, f in report["previous"].items()} == scene.before
        assert json.loads(json.dumps(report)) == report
        assert scene.wholly_new

    def test_what_was_before_is_written_into_the_documents_before_anything_is_changed(self, scene: Scene) -> None:
        scene.release()
        journal = next(n for n, r in enumerate(scene.dify.requests) if r.path.endswith("/documents/metadata"))
        first = next(n for n, r in enumerate(scene.dify.requests) if r.method == "PATCH")
        assert journal < first
        assert scene.new[0].metadata[RELEASE_FIELD].endswith("| run 1")
        assert scene.old[3].metadata == {JOURNAL_FIELD: f"{scene.report['release']} | old | was enabled, archived"}

    def test_other_metadata_stay(self, scene: Scene) -> None:
        scene.old[0].set_metadata(origin="handbook", year=2026)
        scene.release()
        assert {"origin": "handbook", "year": 2026}.items() <= scene.old[0].metadata.items()

    def test_new_ones_are_awaited_and_found_before_an_old_one_leaves(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[], old=[LIVE]))
        slow = scene.kb.add_document("slow", text="rules", indexing_status="indexing")
        slow.finish_indexing(after=100)
        scene.new.append(slow)
        assert scene.release() is None
        assert sum(dify.clock.slept) >= 100
        assert scene.found() == {"slow"}

    def test_one_that_cannot_be_indexed_changes_nothing(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[(False, False)], old=[LIVE]))
        scene.new.append(scene.kb.add_document("bad", indexing_status="error", error="no model"))
        error = scene.release()
        assert type(error) is DifyIndexingError
        assert scene.report["state"] == "not_begun"
        assert patches(dify) == []

    @pytest.mark.parametrize("retire", ["disable", "delete"])
    def test_other_ways_to_retire(self, dify: FakeDify, retire: str) -> None:
        scene = Scene(dify, World(new=[(False, False)], old=EVERY, broken=[("error", True)], retire=retire))
        assert scene.release() is None
        assert scene.wholly_new
        gone = [d.id for d in scene.old] if retire == "delete" else []
        assert scene.report["deleted"] == gone
        if retire == "disable":  # archived documents, and those that cannot be changed, stay as they were
            changed = {
                d.id: (False, False) for d in scene.old if scene.before[d.id] == LIVE and d.indexing_status != "error"
            }
            assert scene.flags() == {**scene.before, **changed, scene.new[0].id: LIVE}

    def test_queries_are_asked_before_old_ones_leave(self, scene: Scene) -> None:
        error = scene.release(queries=NEVER)
        assert type(error) is DifyReleaseUndone
        assert scene.report["step"] == "search"
        assert scene.wholly_old
        assert not any("archive" in request.path for request in scene.dify.requests)
        assert scene.release(queries=[{"query": "rules", "expect": {"name": "new*"}}]) is None
        assert scene.wholly_new

    def test_a_dry_run_changes_nothing(self, scene: Scene) -> None:
        assert scene.release(dry_run=True) is None
        assert scene.report["dry_run"] is True
        assert scene.report["state"] == "not_begun"
        assert {request.method for request in scene.dify.requests} == {"GET"}

    def test_in_two_steps(self, scene: Scene) -> None:
        assert scene.release(until="enable") is None
        assert scene.report["state"] == "enabled"
        assert scene.found() == {"old 0", "old 1", "new 0", "new 1"}
        assert scene.release(queries=NEVER)
        assert scene.wholly_old  # the second step undid what the first one did
        assert scene.release(until="enable") is None
        assert scene.release() is None
        assert scene.report["enabled"] == [d.id for d in scene.new]
        assert scene.wholly_new

    def test_again_it_changes_nothing_and_returns_the_same(self, scene: Scene) -> None:
        scene.release()
        first, sent = scene.report, len(patches(scene.dify))
        assert scene.release() is None
        assert scene.report == first
        assert len(patches(scene.dify)) == sent


@pytest.mark.parametrize(
    ("version", "technique", "retire"),
    [("1.12.1", "economy", "archive"), ("1.12.1", "economy", "delete"), ("1.14.1", "high_quality", "disable")],
)
def test_other_kinds_of_dify(monkeypatch: pytest.MonkeyPatch, version: str, technique: str, retire: str) -> None:
    with FakeDify(clock=VirtualClock(), version=version) as dify, using(dify.clock):
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
        scene = Scene(dify, World(new=EVERY, old=EVERY, retire=retire), technique=technique)
        scene.kb.duplicate_insert_fails = True
        assert scene.release() is None
        assert scene.wholly_new
        if retire != "delete":
            with DifyHook() as hook:
                hook.roll_back(scene.report)
            assert scene.wholly_old


class TestUndo:
    def test_the_log_warns_of_a_release_that_is_undone(self, scene: Scene, said: pytest.LogCaptureFixture) -> None:
        scene.release(queries=NEVER)
        warned = [record.getMessage() for record in said.records if record.levelname == "WARNING"]
        assert any(message.startswith("Undoing the release, because its step") for message in warned)
        assert any(message.startswith("Result of the release: undone") for message in warned)

    def test_what_was_undone_is_forgotten(self, scene: Scene) -> None:
        scene.release(queries=NEVER)
        assert not any(JOURNAL_FIELD in d.metadata for d in scene.kb.documents)
        scene.old[0].set(archived=True, in_search=False)  # by hand, before the next try
        assert scene.release() is None
        assert scene.report["previous"][scene.old[0].id] == {"enabled": True, "archived": True}

    def test_what_cannot_be_undone_is_named(self, scene: Scene, said: pytest.LogCaptureFixture) -> None:
        # The worker fails with the second old one, and then does not take the first one back either.
        scene.dify.worker.fail_adding = "vector store is full"
        for document in scene.new:
            document.set(enabled=True, in_search=True)
        scene.before = scene.flags()
        scene.dify.worker.failing.add(scene.old[1].id)
        error = scene.release()
        assert type(error) is DifyReleaseIncomplete
        assert error.report is not None
        assert error.report.to_json() == scene.report
        assert scene.report["state"] == "partly_undone"
        assert set(scene.report["not_undone"]) & {scene.old[0].id, scene.old[1].id}
        levels = {record.levelname for record in said.records if record.getMessage().startswith("Not everything could")}
        assert levels == {"ERROR"}
        assert scene.report["errors"][scene.report["not_undone"][0]]
        # The new version stays in search rather than nothing being found.
        assert {"new 0", "new 1"} <= scene.found()

    def test_an_error_that_no_retry_can_mend_stays_one(self, scene: Scene) -> None:
        scene.dify.faults.add(Fault("status", path="status/archive", status=403, times=None))
        error = scene.release()
        assert type(error) is DifyReleaseFailed
        assert not error.retryable
        assert scene.wholly_old

    def test_deleting_goes_forward_only(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[(False, False)], old=[LIVE] * 3, retire="delete"))
        dify.faults.add(Fault("status", method="DELETE", after=1, times=None))
        error = scene.release()
        assert type(error) is DifyReleaseIncomplete
        assert "2 of 3 old documents are not deleted" in str(error)
        assert (scene.report["state"], len(scene.report["deleted"])) == ("partly_deleted", 1)
        assert scene.new_alone
        dify.faults.clear()
        dify.faults.add(Fault("status", path="retrieve", times=None))
        assert type(scene.release(queries=NEVER, tolerate=("missing",))) is DifyReleaseIncomplete
        assert scene.new_alone
        dify.faults.clear()
        assert scene.release() is None
        assert scene.wholly_new

    def test_killed_it_sends_nothing_more_and_leaves_the_manifest(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        operator = scene.operator()
        sent: list[int] = []

        def sleep(seconds: float) -> None:
            operator.on_kill()
            sent.append(len(scene.dify.requests))

        monkeypatch.setattr(scene.dify.clock, "sleep", sleep)
        with pytest.raises(DifyKilledError):
            operator.execute({"ti": scene.task})  # type: ignore[typeddict-item]
        assert sent == [len(scene.dify.requests)]
        assert scene.report["state"] == "releasing"
        assert scene.report["enabled"] == [d.id for d in scene.new]
        monkeypatch.undo()


class TestReplaces:
    def test_filters_select_no_new_document(self, scene: Scene) -> None:
        assert scene.release(replaces={"name": "*"}) is None
        assert scene.wholly_new
        assert set(scene.report["old"]) == {d.id for d in scene.old}

    def test_what_comes_while_it_waits_is_not_meant(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[], old=[LIVE]))
        slow = scene.kb.add_document("slow", text="rules", indexing_status="indexing")
        slow.finish_indexing(after=100)
        scene.new.append(slow)

        def add(at: float) -> None:
            scene.kb.add_document("somebody's", text="rules")

        dify.world.schedule(50, add)
        assert scene.release(replaces={"status": "available"}) is None
        assert scene.found() == {"slow", "somebody's"}

    def test_a_retry_finds_what_was_retired_before_though_it_fits_the_filters_no_more(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[(False, False)], old=[LIVE] * 3))
        filters = {"replaces": {"status": "available"}}
        requests = 0
        while not scene.old[0].archived:
            requests += 4
            scene.kill_after(requests, **filters)
        assert type(scene.release(queries=NEVER, **filters)) is DifyReleaseUndone
        assert scene.wholly_old

    def test_the_report_of_an_ingestion(self, scene: Scene) -> None:
        report = {"document_ids": [d.id for d in scene.new], "old_document_ids": [d.id for d in scene.old]}
        assert scene.release(document_ids=report, replaces=None) is None
        assert scene.wholly_new
        assert scene.release(document_ids=json.dumps(report), replaces=report) is None

    def test_going_back_takes_out_what_an_ingestion_has_made_for_it(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[LIVE, LIVE, LIVE, (True, True)], old=[LIVE]))
        fresh, waiting, unchanged, archived = (document.id for document in scene.new)
        old = [scene.old[0].id]
        report = {
            "document_ids": [fresh, waiting, unchanged, archived],
            "old_document_ids": old,
            "documents": [
                {"document_id": fresh, "outcome": "created", "old_document_ids": []},
                {"document_id": waiting, "outcome": "skipped", "old_document_ids": old},
                {"document_id": unchanged, "outcome": "skipped", "old_document_ids": []},
                {"document_id": archived, "outcome": "skipped", "old_document_ids": old},
            ],
        }
        assert type(scene.release(document_ids=report, replaces=None, queries=NEVER)) is DifyReleaseUndone
        off = {fresh: (False, False), waiting: (False, False)}
        assert scene.flags() == {**scene.before, **off}
        assert scene.found() == {"old 0", "new 2"}
        assert scene.release(document_ids=report, replaces=None) is None
        assert scene.wholly_new

    def test_nothing(self, scene: Scene) -> None:
        assert scene.release(replaces=[]) is None
        assert scene.report["old"] == []
        assert scene.found() == {"old 0", "old 1", "new 0", "new 1"}

    def test_the_previous_release_of_the_channel(self, dify: FakeDify, kb: Dataset) -> None:
        other = kb.add_document("faq", text="rules")
        versions = [[kb.add_document(f"v{n} {page}", text="rules", enabled=False) for page in "ab"] for n in range(4)]
        with DifyHook() as hook:
            hook.release_documents(kb.id, [other.id], [], channel="faq", release="1")

            def release(n: int) -> dict[str, Any]:
                ids = [d.id for d in versions[n]]
                name = {"channel": "handbook", "release": f"run {n}"}
                return hook.release_documents(kb.id, ids, "previous_release", **name).to_json()  # type: ignore[arg-type]

            assert release(0)["old"] == []
            assert set(release(1)["old"]) == {d.id for d in versions[0]}
            hook.roll_back(release(2))
            assert set(release(3)["old"]) == {d.id for d in versions[1]}  # the rolled back one does not count
        assert set(dify.search(kb, "rules")) == {"faq", "v3 a", "v3 b"}

    def test_a_mapped_task_needs_a_channel_for_it(self, scene: Scene) -> None:
        scene.task.map_index = 1
        with pytest.raises(DifyInputError, match="channel is required"):
            scene.operator(replaces="previous_release").execute({"ti": scene.task})  # type: ignore[typeddict-item]


class TestWhereTheManifestIsKept:
    def test_in_the_store_of_the_task_and_in_the_asset_event(self, dify: FakeDify) -> None:
        scene = Scene(dify, World(new=[(False, False)], old=[LIVE] * 2, retire="delete"))
        store = Store()
        dify.faults.add(Fault("status", method="DELETE", after=1, times=None))
        context: Any = {"ti": scene.task, "task_state_store": store}
        with pytest.raises(DifyReleaseIncomplete):
            scene.operator().execute(context)
        dify.faults.clear()
        (kept,) = store.values.values()
        assert kept == scene.report

        vars(scene.task).update(dag_id="dag", task_id="release", run_id="run 1", map_index=-1, try_number=2)
        asset = Asset("handbook")
        event = SimpleNamespace(extra={"mine": 1})
        context["outlet_events"] = type("Events", (), {"__getitem__": lambda self, key: event})()
        operator = scene.operator()
        operator.outlets = [asset]
        report = operator.execute(context)
        # Only that store knows what the documents were that the first try has deleted.
        assert len(Fields(report).object("previous").values) == 3
        assert report["deleted"] == [d.id for d in scene.old]
        assert event.extra["mine"] == 1
        assert event.extra["action"] == "release"
        assert event.extra["manifest"] == report

    def test_in_xcom_from_the_first_change_on(self, scene: Scene) -> None:
        pushed: list[str] = []

        class Watching(TaskInstance):
            def xcom_push(self, key: str, value: Any) -> None:
                if key == "report":
                    pushed.append(f"{value['state']} after {len(patches(scene.dify))}")

        scene.operator().execute({"ti": Watching()})  # type: ignore[typeddict-item]
        assert pushed == ["releasing after 0", "released after 2"]


SCRIPT = """
import json, sys
from airflow_provider_dify.operators.release import DifyReleaseOperator
class Task:
    def xcom_push(self, key, value): pass
DifyReleaseOperator(task_id="release", release="run 1", dataset_id=sys.argv[1], document_ids=sys.argv[2],
                    replaces=sys.argv[3]).execute({"ti": Task()})
"""


@pytest.mark.program
def test_killed_for_real_between_a_change_and_its_answer(scene: Scene) -> None:
    scene.dify.faults.add(Fault("hang_after", path="status/archive"))
    ids = [json.dumps([d.id for d in side]) for side in (scene.new, scene.old)]
    killed_at_the_fault(scene.dify, SCRIPT, scene.kb.id, *ids, meanwhile=lambda: scene.dify.clock.advance(0.025))
    assert scene.old[0].archived
    assert type(scene.release(queries=NEVER)) is DifyReleaseUndone
    assert scene.wholly_old
    assert scene.release() is None
    assert scene.wholly_new


@pytest.mark.large
def test_how_long_both_versions_are_found(dify: FakeDify) -> None:
    """Measured with the costs of calls and jobs on a real Dify; the documentation has these numbers."""
    scene = Scene(dify, World(new=[(False, False)] * 100, old=[LIVE] * 100))
    dify.costs = MEASURED
    dify.worker.jobs = 1
    seen: list[tuple[float, bool, bool]] = []

    def look() -> None:
        found = {name.split()[0] for name in scene.found()}
        seen.append((dify.clock.monotonic(), "old" in found, "new" in found))

    with DifyHook() as hook:
        deadline = hook.deadline(1800)
        release: Any = scene.operator()._of({"ti": scene.task})  # type: ignore[typeddict-item]
        run_in_steps(dify, retrying(release.flow(deadline, hook.retries), hook.retries, deadline), hook, each=look)
    assert scene.wholly_new
    both = [at for at, old, new in seen if old and new]
    assert all(old or new for _, old, new in seen)
    assert 10 < max(both) - min(both) < 15
