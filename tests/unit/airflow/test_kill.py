"""What is known about a killed task: the report names what was sent, and a retry takes it from there."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyKilledError
from airflow_provider_dify.operators.apps import DifyChatMessageOperator, DifyWorkflowRunOperator
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator, DifyReindexOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from tests.unit.apps.running import Store, run_try
from tests.unit.conftest import TaskInstance


def killed_during(dify: FakeDify, method: str, task: Any, *, after: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run a task that is killed while its first request of a method is under way.

    :param after: How many requests of the method come before.
    :return: Its report at that moment, and its last one.
    """
    instance = TaskInstance()
    reports: list[dict[str, Any]] = []

    def kill(at: float) -> None:
        task.on_kill()
        reports.append(instance.xcom["report"])

    dify.faults.add(Fault("latency", method=method, seconds=1, after=after))
    dify.world.schedule(0.5, kill)
    with pytest.raises(DifyKilledError):
        task.execute({"ti": instance})
    return reports[0], instance.xcom["report"]


def test_only_what_was_sent_may_be_changed(dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
    ids = [page.id for page in kb.add_documents(5)]
    task = DifyDocumentStatusOperator(
        task_id="change", dataset_id=kb.id, document_ids=ids, action="disable", batch_size=2
    )
    at_kill, report = killed_during(dify, "PATCH", task)
    assert [at_kill["changed"], at_kill["not_attempted"]] == [ids[:2], ids[2:]]
    assert [report["changed"], report["not_attempted"]] == [ids[:2], ids[2:]]
    assert at_kill["errors"].keys() == report["errors"].keys() == set(ids[:2])
    assert "under way" in at_kill["errors"][ids[0]]
    assert "Dify accepted the change" in report["errors"][ids[0]]
    results = [message for message in said.messages if message.startswith(("Killed", "Result of"))]
    assert results == [
        "Killed. What was changed so far stays as it is.",
        "Result of disable so far: 2 changed, 3 not_attempted.",
        "Result of disable: 2 changed, 3 not_attempted.",
    ]


def test_a_result_that_is_final_at_once_is_logged_once(
    dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture
) -> None:
    """Nothing is under way while a task waits."""
    page = kb.add_document("page")
    page.lock(60)
    task = DifyDocumentStatusOperator(task_id="change", dataset_id=kb.id, document_ids=[page.id], action="disable")
    dify.world.schedule(30, lambda at: task.on_kill())
    with pytest.raises(DifyKilledError):
        task.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert [m for m in said.messages if m.startswith("Result of")] == ["Result of disable so far: 1 not_attempted."]


def test_metadata(dify: FakeDify, kb: Dataset) -> None:
    ids = [page.id for page in kb.add_documents(150)]
    kb.add_field("tag", "string")
    task = DifyDocumentMetadataOperator(task_id="set", dataset_id=kb.id, document_ids=ids, values={"tag": "new"})
    at_kill, report = killed_during(dify, "POST", task)
    for one in (at_kill, report):
        assert [one["failed"], one["not_attempted"]] == [ids[:50], ids[50:]]  # not read back


def test_deletion(dify: FakeDify, kb: Dataset) -> None:
    ids = [page.id for page in kb.add_documents(3)]
    task = DifyDocumentDeleteOperator(task_id="delete", dataset_id=kb.id, document_ids=ids)
    at_kill, report = killed_during(dify, "DELETE", task)
    assert at_kill["errors"].keys() == {ids[0]}
    assert [report["deleted"], report["errors"]] == [ids[:1], {}]


def test_indexing_again(dify_factory: DifyFactory) -> None:
    dify = dify_factory(version="1.18.0")
    kb = dify.add_dataset("handbook")
    failed = {"indexing_status": "error", "error": "No model.", "in_search": False}
    ids = [kb.add_document(f"page {n}", **failed).id for n in range(3)]  # type: ignore[arg-type]
    task = DifyReindexOperator(task_id="index", dataset_id=kb.id, document_ids=ids, batch_size=1, max_share=None)
    at_kill, report = killed_during(dify, "POST", task, after=1)  # the first only asks whether Dify can do it
    assert at_kill["errors"] == {ids[0]: "The answer to its request was lost: Dify may be indexing it."}
    assert report["not_attempted"] == ids[1:]
    assert report["errors"] == {}


def test_ingestion(dify: FakeDify, kb: Dataset) -> None:
    texts = [{"name": f"page {n}.md", "text": "About penguins."} for n in range(3)]
    task = DifyDocumentIngestOperator(task_id="ingest", dataset_id=kb.id, source=texts)
    _, report = killed_during(dify, "POST", task)
    assert [document.name for document in kb.documents] == ["page 0.md"]
    assert report["counts"]["created"] == 1
    assert report["counts"]["not_attempted"] == 2


class KillsAtStart(Store):
    """Kills a task when it stores that it is about to start something, and nothing was sent yet."""

    task: Any = None

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        if value.get("sent") and self.task is not None:
            self.task.on_kill()
            self.task = None


@pytest.fixture
def app(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = dify.add_workflow("shout", run=lambda inputs: {"text": "HELLO"})
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=made))
    return made


def test_a_run_that_was_not_started_is_not_remembered(app: Any) -> None:
    store = KillsAtStart()
    store.task = DifyWorkflowRunOperator(task_id="run", inputs={})
    assert isinstance(run_try(store.task, 1, store).error, DifyKilledError)
    assert store == {"dify_run": {}}
    assert app.runs == []
    assert run_try(DifyWorkflowRunOperator(task_id="run", inputs={}), 2, store).returned["outcome"] == "succeeded"
    assert len(app.runs) == 1


class EndsTheTask(Store):
    """Kills a task when it stores the id of its run, and ends it with an error, as Airflow 2 does."""

    task: Any = None

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        if value.get("run_id"):
            self.task.on_kill()
            raise KeyboardInterrupt


def test_a_run_is_stopped_if_airflow_ends_the_task_with_an_error(app: Any) -> None:
    app.seconds = 100_000
    store = EndsTheTask()
    store.task = DifyWorkflowRunOperator(task_id="run", inputs={}, timeout=200_000)
    with pytest.raises(KeyboardInterrupt):
        run_try(store.task, 1, store)
    assert [run.status for run in app.runs] == ["stopped"]


def test_a_run_whose_start_was_under_way_is_remembered(dify: FakeDify, app: Any) -> None:
    store = Store()
    task = DifyWorkflowRunOperator(task_id="run", inputs={})
    dify.faults.add(Fault("latency", method="POST", seconds=1))
    sent: list[bool] = []

    def kill(at: float) -> None:
        sent.append(store["dify_run"]["sent"])
        task.on_kill()

    dify.world.schedule(0.5, kill)
    assert isinstance(run_try(task, 1, store).error, DifyKilledError)
    assert sent == [True]
    assert store["dify_run"]["run_id"] == app.runs[0].id
    assert run_try(DifyWorkflowRunOperator(task_id="run", inputs={}), 2, store).returned["outcome"] == "succeeded"
    assert len(app.runs) == 1


def test_a_question_that_was_not_asked_is_not_remembered(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    made = dify.add_chat_app("guide", answer=lambda question: "Hi")
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=made))
    store = KillsAtStart()
    store.task = DifyChatMessageOperator(task_id="ask", query="hello")
    assert isinstance(run_try(store.task, 1, store).error, DifyKilledError)
    assert store == {"dify_run": {}}
    assert made.messages == []
    assert run_try(DifyChatMessageOperator(task_id="ask", query="hello"), 2, store).returned["outcome"] == "succeeded"
    assert len(made.messages) == 1
