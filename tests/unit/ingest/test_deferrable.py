"""Where an ingestion waits."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, TaskDeferred

from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.testing import Dataset
from tests.unit.conftest import TaskInstance


class TestDeferrable:
    """An ingestion accepts ``deferrable``, like every other operator."""

    @pytest.mark.parametrize(
        ("given", "where"),
        [
            ({}, "wait"),
            ({"deferrable": True}, "defer"),
            ({"deferrable": False}, "wait"),
            ({"indexing": "defer"}, "defer"),
            ({"indexing": "none", "deferrable": True}, "none"),
            ({"indexing": "wait", "deferrable": True}, "wait"),
        ],
    )
    def test_where_it_waits(self, kb: Dataset, given: dict[str, Any], where: str) -> None:
        assert DifyDocumentIngestOperator(task_id="t", dataset_id=kb.id, source="x", **given).indexing == where

    def test_it_defers(self, kb: Dataset) -> None:
        operator = DifyDocumentIngestOperator(
            task_id="t", dataset_id=kb.id, source={"name": "a", "text": "About seals."}, deferrable=True
        )
        with pytest.raises(TaskDeferred):
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]

    def test_by_the_default_arguments_of_the_dag(self, kb: Dataset) -> None:
        with DAG("d", schedule=None, default_args={"deferrable": True}):
            operator = DifyDocumentIngestOperator(task_id="t", dataset_id=kb.id, source="x")
        assert operator.indexing == "defer"
