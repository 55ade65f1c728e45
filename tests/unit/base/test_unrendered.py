"""What a template leaves of nothing is neither a path nor a name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.operators.apps import DifyChatMessageOperator, DifyWorkflowRunOperator
from airflow_provider_dify.operators.bases import DifyKnowledgeBaseOperator
from airflow_provider_dify.operators.export import DifyExportOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import TaskInstance

#: What each operator makes of a value that should be a path or a name.
TASKS: dict[str, Callable[[str, str], Any]] = {
    "target": lambda kb, value: DifyExportOperator(task_id="t", dataset_id=kb, target=value),
    "source": lambda kb, value: DifyDocumentIngestOperator(task_id="t", dataset_id=kb, source=value),
    "source of a sync": lambda kb, value: DifySyncOperator(task_id="t", dataset_id=kb, source=value),
    "dataset_name": lambda kb, value: DifyKnowledgeBaseOperator(task_id="t", dataset_name=value),
    "manifest": lambda kb, value: DifyRollbackOperator(task_id="t", manifest=value),
    "query": lambda kb, value: DifyChatMessageOperator(task_id="t", query=value, dify_conn_id="dify_default"),
    "output_path": lambda kb, value: DifyWorkflowRunOperator(
        task_id="t", output_path=value, dify_conn_id="dify_default"
    ),
}
HINTS = {
    "None": "It is missing, or an upstream task returned nothing.",
    "{{ params.folder }}": "A template was not rendered",
}


@pytest.mark.parametrize("value", HINTS)
@pytest.mark.parametrize("name", TASKS)
def test_it_is_refused_before_anything_is_sent(
    dify: FakeDify, kb: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = len(dify.requests)
    with pytest.raises(DifyInputError) as caught:
        TASKS[name](kb.id, value).execute({"ti": TaskInstance()})
    assert str(caught.value).startswith(name.split(maxsplit=1)[0])
    assert HINTS[value] in str(caught.value)
    assert len(dify.requests) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["None", "{{ folder }}"])
def test_a_path_object_may_have_such_a_name(kb: Dataset, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a.md").write_text("About penguins.")
    task = DifyDocumentIngestOperator(task_id="t", dataset_id=kb.id, source=folder, indexing_technique="economy")
    task.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert [document.name for document in kb.documents] == ["a.md"]
