"""Runs the operators as Airflow does, against the built-in Dify."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify

#: Airflow 3.1 does not know a connection of the environment whose extras are JSON, but no object.
READS_ODD_EXTRAS = tuple(map(int, version("apache-airflow").split(".")[:2])) != (3, 1)
OUTCOMES = (
    "changed", "unchanged", "missing", "refused", "not_ready", "busy", "reverted", "lagging", "not_attempted",
)  # fmt: skip


class TaskInstance:
    """The part of a task instance that an operator uses."""

    dag_id, task_id, run_id, map_index, try_number = "dag", "change", "run", -1, 1

    def __init__(self) -> None:
        self.xcom: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value


@dataclass
class Run:
    """One run of a task: what it returned, raised, and left in XCom."""

    report: dict[str, Any]
    error: DifyError | None
    returned: dict[str, Any] | None
    names: dict[str, str] = field(repr=False)

    @property
    def green(self) -> bool:
        return self.error is None

    def __getattr__(self, outcome: str) -> list[str]:
        """The names of the documents in a list of the report, where they have one."""
        if outcome not in OUTCOMES:
            raise AttributeError(outcome)
        return [self.names.get(i, i) for i in self.report[outcome]]

    @property
    def not_empty(self) -> dict[str, list[str]]:
        return {outcome: getattr(self, outcome) for outcome in OUTCOMES if self.report[outcome]}


Change = Callable[..., Run]


@pytest.fixture
def change(dify: FakeDify) -> Change:
    """Run a DifyDocumentStatusOperator; errors of the provider are in the result."""

    def run(action: str, documents: Iterable[Document | str], *, kb: Dataset | None = None, **kwargs: Any) -> Run:
        asked = list(documents)
        known = [document for document in asked if isinstance(document, Document)]
        operator = DifyDocumentStatusOperator(
            task_id="change",
            dataset_id=(kb or known[0].dataset).id,
            document_ids=[item if isinstance(item, str) else item.id for item in asked],
            action=action,
            **kwargs,
        )
        task = TaskInstance()
        error, returned = None, None
        try:
            returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
        except DifyError as raised:
            error = raised
        assert returned is None or returned == task.xcom["report"]
        return Run(task.xcom["report"], error, returned, {document.id: document.name for document in known})

    return run


@pytest.fixture
def kb(dify: FakeDify) -> Dataset:
    """A knowledge base."""
    return dify.add_dataset("handbook")


def patches(dify: FakeDify) -> list[list[str]]:
    """The ids that each change of status named, in order."""
    return [request.json["document_ids"] for request in dify.requests if request.method == "PATCH"]


class Ingested:
    """What came of an ingestion."""

    def __init__(self, report: dict[str, Any] | None, error: DifyError | None) -> None:
        self.report = report or {}
        self.error = error

    @property
    def outcomes(self) -> dict[str, str]:
        return {entry["name"]: entry["outcome"] for entry in self.report["documents"]}

    def entry(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(entry for entry in self.report["documents"] if entry["name"] == name)
        return found


Ingest = Callable[..., Ingested]


@pytest.fixture
def ingest(dify: FakeDify, kb: Dataset) -> Ingest:
    """Run a DifyDocumentIngestOperator; errors of the provider are in the result."""

    def run(source: Any, **kwargs: Any) -> Ingested:
        kwargs = {"dataset_id": kb.id, "indexing_technique": "economy", "indexing": "wait", **kwargs}
        operator = DifyDocumentIngestOperator(task_id="ingest", source=source, **kwargs)
        task = TaskInstance()
        try:
            returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
        except DifyError as error:
            return Ingested(task.xcom.get("report"), error)
        assert returned == task.xcom["report"]
        return Ingested(returned, None)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files."""
    for number in range(3):
        (tmp_path / f"page{number}.md").write_text(f"Page {number} about penguins.")
    return tmp_path


def text(name: str, content: str = "About penguins.") -> dict[str, str]:
    return {"name": name, "text": content}


def names(kb: Dataset) -> dict[str, int]:
    return Counter(document.name for document in kb.documents)
