"""A knowledge base by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_dify.exceptions import DifyAccessError, DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.base.rendering import rendered
from tests.unit.conftest import TaskInstance
from tests.unit.selection.listing import operate

#: An id whose first part could be a number, and one that is all digits.
DIGITS = "12345678901234567890123456789012"


def tasks(kb: Dataset, folder: Path) -> dict[str, Any]:
    """One task of each kind, of a knowledge base by its name."""
    page, old = kb.add_document("page", text="About penguins."), kb.add_document("old", text="About walruses.")
    named: dict[str, Any] = {"task_id": "t", "dataset_name": kb.name}
    (folder / "new.md").write_text("About seals.")
    return {
        "status": DifyDocumentStatusOperator(document_ids=[page.id], action="archive", **named),
        "delete": DifyDocumentDeleteOperator(document_ids=[old.id], **named),
        "list": DifyListDocumentsOperator(**named),
        "metadata": DifyDocumentMetadataOperator(document_ids=[page.id], values={"team": "a"}, **named),
        "ingest": DifyDocumentIngestOperator(source=str(folder), **named),
        "sync": DifySyncOperator(source=str(folder), **named),
        "check": DifyRetrievalCheckOperator(queries="penguins", expect=page.id, **named),
        "release": DifyReleaseOperator(
            document_ids=[page.id], replaces=[old.id], channel="c", release="r", **named
        ),
    }  # fmt: skip


KINDS = ("status", "delete", "list", "metadata", "ingest", "sync", "check", "release")


class TestName:
    """A knowledge base by its name."""

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_more_request(self, dify: FakeDify, kb: Dataset, tmp_path: Path, kind: str) -> None:
        for number in range(3):
            dify.add_dataset(f"{kb.name} {number}")
        task = tasks(kb, tmp_path)[kind]
        task.execute({"ti": TaskInstance()})
        lists = [request for request in dify.requests if request.path.endswith("/datasets")]
        assert [request.method for request in lists] == ["GET"]
        assert all(kb.id in request.path for request in dify.requests if request not in lists)

    def test_of_a_sensor(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", text="About penguins.")
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_name=kb.name, document_ids=[page.id])
        assert sensor.poke({"ti": TaskInstance()}).xcom_value == [page.id]  # type: ignore[typeddict-item]

    @pytest.mark.parametrize("name", ["\u00fcbersicht", "u\u0308bersicht", " \u00fcbersicht "])
    def test_in_any_form(self, dify: FakeDify, hook: DifyHook, name: str) -> None:
        found = dify.add_dataset("\u00fcbersicht")
        assert hook.get_dataset(dataset_name=name).id == found.id

    def test_behind_the_first_page(self, dify: FakeDify, hook: DifyHook) -> None:
        first = dify.add_dataset("first")
        for number in range(150):
            dify.add_dataset(f"kb{number}")
        assert hook.get_dataset(dataset_name="first").id == first.id

    def test_a_number(self, dify: FakeDify) -> None:
        kb = dify.add_dataset("2024")
        kb.add_document("page")
        with DAG("native", schedule=None, render_template_as_native_obj=True):
            operator = DifyListDocumentsOperator(task_id="t", dataset_name="2024")
        assert len(rendered(operator)) == 1

    def test_none_has_it(self, dify: FakeDify, kb: Dataset) -> None:
        dify.add_dataset("prices")
        run = operate(DifyListDocumentsOperator, dataset_name="handbok")
        assert type(run.error) is DifyInputError
        assert str(run.error) == (
            "dataset_name: the key can access no knowledge base with the name 'handbok'. Did you mean 'handbook'? "
            "There are 'prices', 'handbook'."
        )

    def test_several_have_it(self, dify: FakeDify, kb: Dataset) -> None:
        other = dify.add_dataset(kb.name)
        run = operate(DifyListDocumentsOperator, dataset_name=kb.name)
        assert type(run.error) is DifyInputError
        assert f"dataset_name '{kb.name}' is the name of 2 knowledge bases. Use one of their ids" in str(run.error)
        assert kb.id in str(run.error)
        assert other.id in str(run.error)

    def test_a_key_that_may_not_list(self, dify: FakeDify, kb: Dataset) -> None:
        dify.faults.add(
            Fault("status", status=403, body={"code": "forbidden", "message": "no", "status": 403}, times=None)
        )
        run = operate(DifyListDocumentsOperator, dataset_name=kb.name)
        assert type(run.error) is DifyAccessError
        assert "Use dataset_id instead" in str(run.error)

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({}, "dataset_name: dataset_id is None. It is missing, or an upstream task returned nothing."),
            ({"dataset_name": ""}, "dataset_name must be the name of a knowledge base, not ''. A template rendered to"),
            ({"dataset_name": True}, "dataset_name must be the name of a knowledge base, not True."),
            ({"dataset_name": "\ud800"}, "dataset_name must be the name of a knowledge base, not"),
            ({"dataset_name": "a", "dataset_id": DIGITS}, "Give dataset_id or dataset_name, not both: "),
            # Other errors come first.
            ({"dataset_name": "handbook", "action": "hide"}, "action must be one of enable"),
            ({"dataset_name": "handbook", "timeout": -1}, "timeout must be a number above 0, not -1."),
        ],
    )
    def test_before_anything_is_sent(self, dify: FakeDify, kb: Dataset, given: dict[str, Any], says: str) -> None:
        run = operate(DifyDocumentStatusOperator, **{"document_ids": [DIGITS], "action": "archive", **given})
        assert type(run.error) is DifyInputError
        assert says in str(run.error)
        assert dify.requests == []

    def test_ids_that_can_be_read_only_once(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page")
        run = operate(DifyDocumentStatusOperator, dataset_name=kb.name, document_ids=iter([page.id]), action="archive")
        assert run.error is None
        assert page.archived

    def test_the_same_when_deferred(self, dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
        """After a wait, the task does not look up the name again: somebody may have changed it."""
        (tmp_path / "new.md").write_text("About seals.")
        sync = DifySyncOperator(task_id="t", dataset_name=kb.name, source=str(tmp_path), deferrable=True)
        task = TaskInstance()
        with pytest.raises(TaskDeferred):
            sync.execute({"ti": task})  # type: ignore[typeddict-item]
        dify.clock.sleep(60)
        dify.world.datasets[kb.id].name = "another name"
        event: dict[str, Any] = {"report": {}, "names": {}, "error": None, "started": dify.clock.time() - 60}
        report = sync.execute_complete({"ti": task}, event)  # type: ignore[typeddict-item]
        assert report["dataset_id"] == kb.id
        assert report["counts"]["created"] == 1

    def test_a_deferred_sensor(self, dify: FakeDify, kb: Dataset) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_name=kb.name, document_ids=[page.id], deferrable=True)
        with pytest.raises(TaskDeferred):
            sensor.poke({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        asked = len(dify.requests)
        report = {"dataset_id": kb.id, "document_ids": [page.id], "segments": 1}
        event = {"report": report, "names": {}, "error": None, "started": 0.0}
        task = TaskInstance()
        sensor = DifyDocumentIndexingSensor(task_id="t2", dataset_name=kb.name, document_ids=[page.id], deferrable=True)
        assert sensor.execute_complete({"ti": task}, event) == [page.id]  # type: ignore[typeddict-item]
        assert any(kb.id in str(link) for link in task.xcom.values())
        assert len(dify.requests) == asked
