"""Texts that look like numbers, with templates that are rendered as native objects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset
from tests.unit.base.rendering import rendered

#: An id whose first part could be a number, and one that is all digits.
DIGITS = "12345678901234567890123456789012"


@pytest.fixture
def native() -> Iterator[DAG]:
    """A DAG that renders templates as native objects."""
    with DAG("native", schedule=None, render_template_as_native_obj=True) as dag:
        yield dag


class TestNativeRendering:
    """Texts that look like numbers become numbers, and are treated as the texts that they were."""

    def test_names_and_texts_of_documents(self, native: DAG, kb: Dataset) -> None:
        source = [{"name": "2025", "text": "42"}, {"name": "1.5", "text": "About penguins."}]
        operator = DifyDocumentIngestOperator(
            task_id="t", dataset_id=kb.id, source=source, metadata={"team": "{{ team }}"}, tolerate=("not_searchable",)
        )
        rendered(operator, {"team": "docs"})
        assert {document.name for document in kb.documents} == {"2025", "1.5"}

    @pytest.mark.parametrize("filters", [{"name": "2024"}, {"keyword": "2024"}, {"name": ["2024", "x"]}])
    def test_filters(self, native: DAG, kb: Dataset, filters: Any) -> None:
        page = kb.add_document("2024")
        kb.add_document("other")
        assert rendered(DifyListDocumentsOperator(task_id="t", dataset_id=kb.id, filters=filters)) == [page.id]

    def test_dates(self, native: DAG, kb: Dataset) -> None:
        page = kb.add_document("2026-01-31", text="The report of 2026-01-31.")
        kb.add_document("other")
        listing = DifyListDocumentsOperator(task_id="t", dataset_id=kb.id, filters={"name": "{{ day }}"})
        assert rendered(listing, {"day": date(2026, 1, 31)}) == [page.id]
        queries = [{"query": "{{ day }}", "expect": {"name": "{{ day }}"}}]
        check = DifyRetrievalCheckOperator(task_id="c", dataset_id=kb.id, queries=queries)
        assert rendered(check, {"day": date(2026, 1, 31)})["passed"]

    def test_queries(self, native: DAG, kb: Dataset) -> None:
        kb.add_document("2024", text="The report of 2024.")
        queries = [{"query": "2024", "expect": {"name": "2024"}}]
        assert rendered(DifyRetrievalCheckOperator(task_id="t", dataset_id=kb.id, queries=queries))["passed"]

    def test_names_of_a_sync(self, native: DAG, kb: Dataset, tmp_path: Path) -> None:
        (tmp_path / "a.md").write_text("About penguins.")
        operator = DifySyncOperator(
            task_id="t", dataset_id=kb.id, source=str(tmp_path), sync_source="2024", name_prefix="7"
        )
        assert rendered(operator)["sync_source"] == "2024"
        assert [document.name for document in kb.documents] == ["7a.md"]

    def test_ids(self) -> None:
        assert inputs.canonical_id(int(DIGITS), "dataset_id") == inputs.canonical_id(DIGITS, "dataset_id")
        assert inputs.canonical_ids(int(DIGITS)) == inputs.canonical_ids([DIGITS])
