"""An ingestion that waits in the triggerer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyIngestError
from airflow_provider_dify.knowledge.indexing.wait import IndexingWait
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import TaskInstance, text


def fired(dify: FakeDify, error: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the trigger fires."""
    return {"report": {}, "names": {}, "error": error, "started": dify.clock.time() - 60}


class TestDeferred:
    def run(self, dify: FakeDify, kb: Dataset, source: Any, **kwargs: Any) -> tuple[TaskInstance, Any, Any]:
        operator = DifyDocumentIngestOperator(
            task_id="t", dataset_id=kb.id, source=source, indexing="defer", indexing_technique="economy", **kwargs
        )
        task = TaskInstance()
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        return task, operator, deferred.value

    def test_it_comes_back_with_the_same_report(self, dify: FakeDify, kb: Dataset) -> None:
        dify.worker.stop()
        task, operator, deferred = self.run(dify, kb, [text("a"), text("b")])
        arguments = json.loads(json.dumps(deferred.trigger.serialize()[1]))
        awaited = IndexingWait.from_json(arguments["state"])
        assert awaited.document_ids == tuple(document.id for document in kb.documents)
        assert dify.api_key not in str(arguments)
        dify.worker.start()
        dify.settle()
        returned = operator.execute_complete({"ti": task}, fired(dify))
        assert returned["counts"]["created"] == 2
        assert task.xcom["report"] == returned

    def test_where_one_fails_the_others_are_waited_for(self, dify: FakeDify, kb: Dataset) -> None:
        dify.worker.stop()
        task, operator, _ = self.run(dify, kb, [text("a"), text("b")])
        kb.documents[0].set(indexing_status="error")
        event = fired(dify, {"class": "DifyIndexingError", "message": "a failed"})
        with pytest.raises(TaskDeferred) as again:
            operator.execute_complete({"ti": task}, event)
        awaited = IndexingWait.from_json(again.value.trigger.serialize()[1]["state"])
        assert awaited.document_ids == (kb.documents[1].id,)
        kb.documents[1].set(indexing_status="completed", in_search=True)
        with pytest.raises(DifyIngestError):
            operator.execute_complete({"ti": task}, fired(dify))
        assert [entry["outcome"] for entry in task.xcom["report"]["documents"]] == ["failed", "created"]

    def test_another_process_lets_the_triggerer_wait_again(self, dify: FakeDify, kb: Dataset) -> None:
        """Airflow creates a new operator from the DAG file for each part of a task."""
        dify.worker.stop()
        task, operator, _ = self.run(dify, kb, [text("a"), text("b")])
        kb.documents[0].set(indexing_status="error")
        fresh = DifyDocumentIngestOperator(task_id="t", dataset_id=kb.id, source=operator.source, indexing="defer")
        with pytest.raises(TaskDeferred):
            fresh.execute_complete({"ti": task}, fired(dify, {"class": "DifyIndexingError", "message": "a failed"}))  # type: ignore[typeddict-item]

    def test_time_is_up(self, dify: FakeDify, kb: Dataset) -> None:
        dify.worker.stop()
        task, operator, _ = self.run(dify, kb, [text("a")])
        event = fired(dify, {"class": "DifyIndexingTimeout", "message": "too long"})
        with pytest.raises(DifyIngestError):
            operator.execute_complete({"ti": task}, event)
        assert task.xcom["report"]["counts"]["not_indexed"] == 1
