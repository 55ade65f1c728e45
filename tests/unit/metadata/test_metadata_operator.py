"""The metadata of documents as a task: what it returns, leaves behind and logs."""

from __future__ import annotations

import pytest

from airflow_provider_dify.exceptions import DifyError, DifyMetadataFailed
from airflow_provider_dify.knowledge.metadata.report import MetadataReport
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import UNKNOWN, TaskInstance
from tests.unit.connection.test_provider_info import python
from tests.unit.metadata.describing import hold, ids


class TestOperator:
    def test_it_returns_the_report_and_leaves_it_in_xcom(self, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        page = kb.add_document("page", metadata={"old": "x"})
        task = TaskInstance()
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=f'["{page.id}"]', values='{"stage": "live"}', clear="old"
        )
        returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert returned == task.xcom["report"]
        assert returned["changed"] == [page.id]
        assert MetadataReport.from_json(returned).to_json() == returned
        assert page.metadata == {"stage": "live"}
        lines = [record.getMessage() for record in said.records if record.name == "task"]
        assert lines[0].endswith(f"(connection 'dify_default'), knowledge base 'handbook' ({kb.id}).")
        assert lines[1:5] == [
            "Changing the metadata of 1 document in batches of 50: set 'stage' and clear 'old'.",
            "Metadata of 1 document: 1 to change (set 'stage' and clear 'old'). Fields to create: 'stage' (string).",
            "Result of the change of metadata: 1 changed.",
            "::group::Documents by outcome",
        ]
        assert lines[5].splitlines()[-1].split() == ["changed", "page", page.id]
        assert lines[6:] == ["::endgroup::"]

    def test_the_report_is_there_also_where_it_fails(self, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        task = TaskInstance()
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=[UNKNOWN], values={"a": 1}
        )
        with pytest.raises(DifyMetadataFailed):
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert task.xcom["report"]["missing"] == [UNKNOWN]
        assert said.messages[-2].splitlines()[-1] == f"missing  {UNKNOWN}  It is not in this knowledge base."

    def test_what_is_tolerated_is_told_without_advice(self, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=[UNKNOWN], values={"a": 1}, tolerate="missing"
        )
        operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        row = f"missing (tolerated)  {UNKNOWN}  It is not in this knowledge base."
        assert said.messages[-2].splitlines()[-1] == row
        assert not any("check the ids" in message for message in said.messages)

    @pytest.mark.parametrize(("name", "hint"), [("naem", " Did you mean 'name'?"), ("other", "")])
    def test_a_field_that_does_not_exist_cannot_be_cleared(
        self, kb: Dataset, said: pytest.LogCaptureFixture, name: str, hint: str
    ) -> None:
        kb.add_field("name", "string")
        pages = kb.add_documents(2)
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=ids(pages), clear=["name", name]
        )
        assert operator.execute({"ti": TaskInstance()})["unchanged"] == ids(pages)  # type: ignore[typeddict-item]
        warnings = [record.getMessage() for record in said.records if record.levelname == "WARNING"]
        assert warnings == [f"There is no metadata field '{name}' to clear.{hint}"]

    def test_a_kill_leaves_behind_what_was_done(self, dify: FakeDify, kb: Dataset) -> None:
        pages = kb.add_documents(10)
        hold(pages[9], 3600)
        task = TaskInstance()
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=ids(pages), values={"a": 1}
        )
        kb.world.schedule(20, lambda at: operator.on_kill())
        with pytest.raises(DifyError, match="killed"):
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert task.xcom["report"]["changed"] == ids(pages[:9])
        assert task.xcom["report"]["failed"] == [pages[9].id]

    def test_it_is_templated(self) -> None:
        assert set(DifyDocumentMetadataOperator.template_fields) == {
            "dify_conn_id", "dataset_id", "dataset_name", "document_ids", "values", "clear", "tolerate", "timeout"
        }  # fmt: skip


@pytest.mark.program
def test_what_a_dag_file_loads() -> None:
    loaded = python(
        "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_dify.operators.metadata, airflow_provider_dify.operators.retrieval\n"
        "result = sorted(set(sys.modules) - before)"
    )
    assert "airflow_provider_dify.operators.retrieval" in loaded
    assert {name.split(".")[0] for name in loaded} & {"requests", "httpx", "urllib3"} == set()
