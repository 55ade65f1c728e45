"""What operators attach to asset events, and how events are used to roll a change back."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AssetAlias, XCom

from airflow_provider_dify import events
from airflow_provider_dify.assets import knowledge_base
from airflow_provider_dify.events import event_extra, rollbacks
from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyInputError
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.unit.airflow.every_task import CHANGING, READING, Make, delete, ingest, metadata, reindex, status, sync
from tests.unit.conftest import TaskInstance

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:
    from airflow.utils.context import OutletEventAccessors  # type: ignore[assignment,unused-ignore]

ACTIONS = {
    status: "archive", metadata: "metadata", delete: "delete", reindex: "reindex", ingest: "ingest", sync: "sync",
}  # fmt: skip
REPORT = {"dag_id": "dag", "task_id": "change", "run_id": "run", "map_index": -1, "key": "report"}


@pytest.fixture
def page(kb: Dataset) -> Document:
    """A document that a search can find."""
    return kb.add_document("page")


@pytest.fixture
def asset(dify: FakeDify, kb: Dataset) -> Any:
    """The asset of the knowledge base."""
    return knowledge_base(dify.base_url, kb.id)


class Run:
    """A run of a task, with what Airflow gives it for its assets."""

    def __init__(self, task: Any, **context: Any) -> None:
        self.accessors: Any = OutletEventAccessors()
        self.instance = TaskInstance()
        self.context = {"ti": self.instance, "outlet_events": self.accessors, **context}
        task.execute(self.context)

    def of(self, asset: Any) -> dict[str, Any]:
        """What the event of an asset contains."""
        extra: dict[str, Any] = self.accessors[asset].extra
        return json.loads(json.dumps(extra))  # type: ignore[no-any-return]

    def of_alias(self, alias: Any) -> list[tuple[str, dict[str, Any]]]:
        """The assets that an alias stands for, and what their events contain."""
        made = self.accessors[alias]
        if hasattr(made, "dataset_alias_events"):  # Airflow 2, which wants it to be hashable
            return [
                (one["dest_dataset_uri"], dict(frozenset(one["extra"].items()))) for one in made.dataset_alias_events
            ]
        return [(one.dest_asset_key.uri, one.extra) for one in made.asset_alias_events]


class TestExtra:
    """What the events say."""

    @pytest.mark.parametrize("make", CHANGING)
    def test_every_task_that_changes_documents_says_so(self, page: Document, asset: Any, make: Make) -> None:
        run = Run(make(page, outlets=[asset]))
        report = run.instance.xcom["report"]
        said = run.of(asset)
        made = report["document_ids"] if make is ingest else [entry["id"] for entry in report.get("created", ())]
        assert said.pop("changed") == (made or [page.id])
        said.pop("old_document_ids", None)
        assert said == {
            "dify_conn_id": "dify_default",
            "dataset_id": page.dataset.id,
            "action": ACTIONS[make],
            "counts": report["counts"],
            "report": REPORT,
            "try_number": 1,
            "in_answer_to": [],
        }

    @pytest.mark.parametrize("make", READING)
    def test_a_task_that_only_reads_says_nothing(self, page: Document, asset: Any, make: Make) -> None:
        assert Run(make(page, outlets=[asset])).of(asset) == {}

    def test_an_ingestion_names_what_it_replaces(self, kb: Dataset, asset: Any) -> None:
        old = kb.add_document("guide.md")
        source = {"name": "guide.md", "text": "A newer guide."}
        said = Run(ingest(old, source=source, if_exists="new_version", outlets=[asset])).of(asset)
        assert said["old_document_ids"] == [old.id]
        assert len(said["changed"]) == 1

    def test_it_names_all_that_is_replaced_or_nothing_of_it(
        self, kb: Dataset, asset: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "MAX_IDS", 1)
        old = [kb.add_document(name) for name in ("guide.md", "rules.md")]
        source = [{"name": document.name, "text": f"A newer {document.name}."} for document in old]
        said = Run(ingest(old[0], source=source, if_exists="new_version", outlets=[asset])).of(asset)
        assert (said["changed"], said["old_document_ids"]) == (None, None)

    def test_unchanged_documents_are_not_in_it(self, kb: Dataset, asset: Any) -> None:
        said = Run(status(kb.add_document("old", archived=True), outlets=[asset])).of(asset)
        assert said["changed"] == []
        assert said["counts"]["unchanged"] == 1

    def test_a_dry_run_says_that_it_is_one(self, page: Document, asset: Any) -> None:
        said = Run(status(page, outlets=[asset], dry_run=True)).of(asset)
        assert (said["dry_run"], said["changed"]) == (True, [])

    def test_it_stays_small(self, kb: Dataset, asset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "MAX_IDS", 2)
        ids = [document.id for document in kb.add_documents(3)]
        task = DifyDocumentStatusOperator(
            task_id="change", dataset_id=kb.id, document_ids=ids, action="archive", outlets=[asset]
        )
        said = Run(task).of(asset)
        assert said["changed"] is None
        assert said["counts"]["changed"] == 3

    def test_what_was_said_before_stays(self, page: Document, asset: Any) -> None:
        task = status(page, outlets=[asset], pre_execute=lambda context: None)
        accessors: Any = OutletEventAccessors()
        accessors[asset].extra["mine"] = 1
        task.execute({"ti": TaskInstance(), "outlet_events": accessors})
        assert accessors[asset].extra["mine"] == 1
        assert accessors[asset].extra["changed"] == [page.id]

    def test_an_operator_can_say_more(self, page: Document, asset: Any) -> None:
        task = status(page, outlets=[asset, AssetAlias("dify")])
        run = Run(task)
        task.attach_to_events(run.context, page.dataset.id, {"manifest": "v2"})
        ((_, of_alias),) = run.of_alias(AssetAlias("dify"))
        for said in (run.of(asset), of_alias):
            assert (said["manifest"], said["action"]) == ("v2", "archive")

    def test_without_outlets_nothing_is_looked_for(self, page: Document) -> None:
        task = status(page)
        task.execute({"ti": TaskInstance()})

    def test_a_failure_to_say_it_is_no_failure(self, page: Document, asset: Any) -> None:
        task = status(page, outlets=[asset])
        task.execute({"ti": TaskInstance(), "outlet_events": {}})
        assert page.archived

    def test_an_outlet_that_is_no_asset_is_left_alone(self, page: Document, asset: Any) -> None:
        run = Run(status(page, outlets=["elsewhere", asset]))
        assert run.of(asset)["changed"] == [page.id]


class TestAlias:
    """The asset of a knowledge base whose id is known only when the task runs."""

    ALIAS = AssetAlias("dify_changes")

    def test_it_becomes_the_asset_of_the_knowledge_base(self, page: Document, asset: Any) -> None:
        ((uri, said),) = Run(status(page, outlets=[self.ALIAS])).of_alias(self.ALIAS)
        assert uri == asset.uri
        assert rollbacks([said])[0]["document_ids"] == [page.id]

    def test_there_is_no_event_where_nothing_was_changed(self, kb: Dataset) -> None:
        task = status(kb.add_document("old", archived=True), outlets=[self.ALIAS])
        assert Run(task).of_alias(self.ALIAS) == []


def event(extra: dict[str, Any], at: float = 0) -> Any:
    return SimpleNamespace(extra=extra, timestamp=at)


def said_of(kb: Dataset, action: str, changed: list[str] | None, task: str = "change", **more: Any) -> dict[str, Any]:
    return {
        "dify_conn_id": "dify_default",
        "dataset_id": kb.id,
        "action": action,
        "changed": changed,
        "report": {**REPORT, "task_id": task},
        **more,
    }


class TestRollback:
    """Rolling changes back from their events alone."""

    def test_of_the_mapping_that_airflow_gives(self, page: Document) -> None:
        """It only accepts assets as keys, while a plain mapping accepts any."""
        context = pytest.importorskip("airflow.sdk.execution_time.context")
        extra = event_extra(
            {"dataset_id": page.dataset.id, "action": "archive", "changed": [page.id], "counts": {"changed": 1}}
        )
        asset = SimpleNamespace(name="handbook", uri=f"dify://dify.example.com/datasets/{page.dataset.id}")
        event = SimpleNamespace(asset=asset, source_aliases=[], timestamp=1.0, extra=extra)
        (back,) = rollbacks(context.TriggeringAssetEventsAccessor.build([event]))
        assert (back["action"], back["document_ids"]) == ("un_archive", [page.id])

    @pytest.mark.parametrize("named", ["triggering_asset_events", "triggering_dataset_events"])
    def test_a_change_is_undone_and_the_undoing_is_not(self, page: Document, asset: Any, named: str) -> None:
        said = Run(status(page, outlets=[asset])).of(asset)
        assert page.archived
        triggering = {asset.uri: [event(said)]}
        (undo,) = rollbacks(triggering)
        assert undo == {
            "dify_conn_id": "dify_default",
            "dataset_id": page.dataset.id,
            "action": "un_archive",
            "document_ids": [page.id],
        }
        # With outlets, as a user may have it.
        task = DifyDocumentStatusOperator(task_id="change", outlets=[asset], **undo)
        back = Run(task, **{named: triggering}).of(asset)
        assert [one.archived for one in page.dataset.documents] == [False]
        assert (back["changed"], back["in_answer_to"]) == ([page.id], ["archive"])
        assert rollbacks({asset.uri: [event(back)]}) == []

    def test_an_answer_of_another_kind_can_be_taken_back(self, kb: Dataset) -> None:
        assert rollbacks([said_of(kb, "enable", ["a"], in_answer_to=["ingest"])])

    def test_the_last_change_comes_first(self, kb: Dataset, asset: Any) -> None:
        first, second = said_of(kb, "disable", ["a"], "one"), said_of(kb, "archive", ["a"], "two")
        undo = rollbacks({asset.uri: [event(second, 2), event(first, 1)]})
        assert [one["action"] for one in undo] == ["un_archive", "enable"]

    def test_one_change_of_several_assets_is_one(self, kb: Dataset, asset: Any) -> None:
        said = said_of(kb, "archive", ["a"])
        assert len(rollbacks({asset.uri: [event(said)], "an alias": [event(said)]})) == 1

    def test_a_task_that_ran_again_made_two_changes(self, kb: Dataset) -> None:
        first, again = (said_of(kb, "archive", [name], try_number=n) for n, name in enumerate("ab", 1))
        assert [one["document_ids"] for one in rollbacks([first, again])] == [["b"], ["a"]]

    @pytest.mark.parametrize("action", ["ingest", "delete", "metadata", None])
    def test_what_has_no_opposite_is_left_out(self, kb: Dataset, action: Any) -> None:
        assert rollbacks([said_of(kb, action, ["a"]), {}]) == []

    def test_what_changed_nothing_is_left_out(self, kb: Dataset) -> None:
        assert rollbacks(said_of(kb, "archive", [])) == []

    def test_no_event_is_nothing_to_do(self) -> None:
        assert rollbacks({}) == rollbacks([]) == []

    def test_of_many_documents_the_report_is_read(self, kb: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        kept: list[Any] = [{"changed": ["a", "b"]}, None, {"changed": ["c"]}]  # the last one is of a later try
        asked: list[dict[str, Any]] = []

        def get_one(**kwargs: Any) -> Any:
            asked.append(kwargs)
            return kept.pop(0)

        monkeypatch.setattr(XCom, "get_one", get_one)
        said = said_of(kb, "archive", None, counts={"changed": 2})
        assert rollbacks(said)[0]["document_ids"] == ["a", "b"]
        assert asked == [REPORT]
        for _ in kept.copy():
            with pytest.raises(DifyInputError, match="no longer in XCom: \\{'dag_id': 'dag'"):
                rollbacks(said)

    def test_a_task_that_failed_halfway_can_be_told_of(self, kb: Dataset) -> None:
        documents = kb.add_documents(2)
        documents[1].lock(3600)
        instance = TaskInstance()
        task = DifyDocumentStatusOperator(
            task_id="change", dataset_id=kb.id, document_ids=[one.id for one in documents], action="archive", timeout=60
        )
        with pytest.raises(DifyDocumentStatusError):
            task.execute({"ti": instance})  # type: ignore[typeddict-item]
        said = event_extra(json.loads(json.dumps(instance.xcom["report"])))
        assert said["counts"]["busy"] == 1
        (undo,) = rollbacks(said)
        DifyDocumentStatusOperator(task_id="undo", **undo).execute({"ti": instance})  # type: ignore[typeddict-item]
        assert [one.archived for one in documents] == [False, False]
