"""What OpenLineage learns about tasks, and what it costs without OpenLineage."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.assets import Activity
from airflow_provider_dify.exceptions import DifyDocumentStatusError
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.unit.airflow import every_task
from tests.unit.airflow.every_task import BASES, CHANGING, EVERY, READING, Make, listing, sensor, status
from tests.unit.conftest import TaskInstance


@pytest.fixture
def page(kb: Dataset) -> Document:
    """A document that a search can find."""
    return kb.add_document("page")


def run(task: Any) -> Any:
    task.execute({"ti": TaskInstance()})
    return task


@pytest.mark.parametrize("make", EVERY + BASES)
def test_every_task_runs_without_openlineage(page: Document, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("openlineage", "airflow_provider_dify.lineage"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "openlineage", None)  # now its import fails
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage", None)
    run(make(page, outlets=[]))
    assert "airflow_provider_dify.lineage" not in sys.modules


class TestExtraction:
    """As OpenLineage's own extractor does when a task has ended."""

    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("airflow.providers.openlineage")

    @staticmethod
    def extract(task: Any, *, failed: bool = False) -> Any:
        from airflow.providers.openlineage.extractors.base import DefaultExtractor
        from airflow.providers.openlineage.extractors.manager import ExtractorManager

        manager: Any = ExtractorManager  # it has no types
        assert manager().get_extractor_class(task) is DefaultExtractor
        extractor = DefaultExtractor(task)
        lineage = extractor.extract_on_failure(None) if failed else extractor.extract_on_complete(None)
        assert lineage is not None
        return lineage

    @staticmethod
    def names(datasets: list[Any]) -> list[tuple[str, str]]:
        return [(dataset.namespace, dataset.name) for dataset in datasets]

    @staticmethod
    def of_kb(dify: FakeDify, kb: Dataset) -> tuple[str, str]:
        return dify.base_url.replace("http://", "dify://").removesuffix("/v1"), f"datasets/{kb.id}"

    @pytest.mark.parametrize("make", CHANGING + BASES)
    def test_a_change_writes_the_knowledge_base(self, dify: FakeDify, page: Document, make: Make) -> None:
        lineage = self.extract(run(make(page)))
        assert self.names(lineage.outputs) == [self.of_kb(dify, page.dataset)]
        this = Path(every_task.__file__)
        files = {"ingest": [("file", str(this))], "sync": [("file", str(this.parents[3]))]}
        assert self.names(lineage.inputs) == files.get(make.__name__, [])
        facet = lineage.run_facets["dify"]
        assert facet.action == {"status": "archive"}.get(make.__name__, make.__name__)
        assert facet.dataset_id == page.dataset.id
        assert sum(facet.counts.values()) == 1

    @pytest.mark.parametrize("make", READING)
    def test_a_look_reads_it(self, dify: FakeDify, page: Document, make: Make) -> None:
        lineage = self.extract(run(make(page)))
        assert (self.names(lineage.inputs), lineage.outputs) == ([self.of_kb(dify, page.dataset)], [])
        assert lineage.run_facets.keys() == ({"dify"} if make.__name__ == "check" else set())

    def test_a_failed_task_tells_what_it_did(self, dify: FakeDify, page: Document) -> None:
        page.lock(3600)
        task = status(page, timeout=60)
        with pytest.raises(DifyDocumentStatusError):
            run(task)
        lineage = self.extract(task, failed=True)
        assert self.names(lineage.outputs) == [self.of_kb(dify, page.dataset)]
        assert lineage.run_facets["dify"].counts["busy"] == 1

    def test_one_that_did_nothing_tells_nothing(self, page: Document) -> None:
        lineage = self.extract(listing(page), failed=True)
        assert (lineage.inputs, lineage.outputs, lineage.run_facets) == ([], [], {})

    @pytest.mark.parametrize("make", [status, sensor])
    def test_it_is_the_same_after_a_wait_in_the_triggerer(self, dify: FakeDify, page: Document, make: Make) -> None:
        if make is status:
            page.lock(100)
        else:
            page.set(indexing_status="indexing")
            page.finish_indexing(after=100)
        with pytest.raises(TaskDeferred) as deferred:
            run(make(page, deferrable=True))

        async def first() -> Any:
            (payload,) = [event.payload async for event in deferred.value.trigger.run()]
            return payload

        again: Any = make(page, deferrable=True)
        event = asyncio.run(first())
        again.execute_complete({"ti": TaskInstance()}, event, **(deferred.value.kwargs or {}))
        lineage = self.extract(again)
        assert self.names(lineage.outputs or lineage.inputs) == [self.of_kb(dify, page.dataset)]

    def test_texts_and_what_was_not_taken_are_no_inputs(self, kb: Dataset, tmp_path: Path) -> None:
        (tmp_path / "empty.md").touch()
        (tmp_path / "good.md").write_text("About penguins.")
        task = DifyDocumentIngestOperator(
            task_id="ingest",
            dataset_id=kb.id,
            source=[str(tmp_path), {"name": "text.md", "text": "About seals."}],
            indexing="none",
            indexing_technique="economy",
            tolerate=["invalid"],
        )
        assert self.names(self.extract(run(task)).inputs) == [("file", str(tmp_path / "good.md"))]

    @pytest.mark.parametrize(
        ("place", "named"),
        [
            ("/data/a.md", ("file", "/data/a.md")),
            ("file:///data/a.md", ("file", "/data/a.md")),
            ("s3://bucket/folder/a.md", ("s3://bucket", "folder/a.md")),
            ("s3://aws_conn@bucket/a.md", ("s3://bucket", "a.md")),
            ("gs://bucket/a.md", ("gs://bucket", "a.md")),
        ],
    )
    def test_files_are_named_as_openlineage_names_them(self, place: str, named: tuple[str, str]) -> None:
        from airflow_provider_dify.lineage import lineage_of

        activity = Activity("h", "kb", writes=True, files=[place])
        assert self.names(lineage_of(activity).inputs) == [named]
