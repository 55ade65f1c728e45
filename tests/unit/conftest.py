"""Connects to the built-in Dify, and runs the operators as Airflow does."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.tasks.base import KnowledgeBaseTask
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault, SystemClock
from airflow_provider_dify.testing.web import server
from airflow_provider_dify.transport import common, lines, opening
from airflow_provider_dify.transport.clock import SystemClock as RealTime
from airflow_provider_dify.transport.clock import using
from airflow_provider_dify.transport.settings import Settings

#: Airflow 3.1 does not know a connection of the environment whose extras are JSON, but no object.
READS_ODD_EXTRAS = tuple(map(int, version("apache-airflow").split(".")[:2])) != (3, 1)
CONN_ID = "dify_test"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"
#: No document has this id.
UNKNOWN = "00000000-0000-4000-8000-000000000000"
CLOUD = "https://api.dify.ai/v1"
OUTCOMES = (
    "changed", "unchanged", "missing", "refused", "not_ready", "busy", "reverted", "lagging", "not_searchable",
    "not_attempted",
)  # fmt: skip


class TaskInstance:
    """The part of a task instance that an operator uses."""

    dag_id, task_id, run_id, map_index, try_number = "dag", "change", "run", -1, 1

    def __init__(self) -> None:
        self.xcom: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        return json.loads(json.dumps(self.xcom[key])) if map_indexes == self.map_index else None


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
        """The names of the documents in a list of the report, if they have one."""
        if outcome not in OUTCOMES:
            raise AttributeError(outcome)
        return [self.names.get(i, i) for i in self.report[outcome]]

    @property
    def not_empty(self) -> dict[str, list[str]]:
        return {outcome: getattr(self, outcome) for outcome in OUTCOMES if self.report[outcome]}


Change = Callable[..., Run]


@pytest.fixture
def never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep idle connections: on a busy machine, one of them may have nothing to do for two seconds."""
    monkeypatch.setattr(common, "KEEP_ALIVE", 300)
    monkeypatch.setattr(server, "KEEP_ALIVE", 300)


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
    """The ids in each status change, in order."""
    return [request.json["document_ids"] for request in dify.requests if request.method == "PATCH"]


class Ingested:
    """The result of an ingestion."""

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


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[httpx.AsyncBaseTransport]:
    """The httpx transports that were created."""
    made: list[httpx.AsyncBaseTransport] = []

    def open_and_note(settings: Settings) -> httpx.AsyncBaseTransport:
        made.append(opening.open_transport(settings))
        return made[-1]

    monkeypatch.setattr(lines, "open_transport", open_and_note)
    return made


@pytest.fixture
def slow() -> Iterator[FakeDify]:
    """A Dify in real time that takes 50 ms for each response."""
    with using(RealTime()), FakeDify(clock=SystemClock()) as running:
        running.faults.add(Fault("latency", seconds=0.05, times=None))
        yield running


Connect = Callable[..., DifyHook]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Create a hook for a connection that comes through Airflow: in JSON form from fields, or from a URI."""

    def made(uri: str | None = None, **fields: Any) -> DifyHook:
        value = uri or json.dumps({"conn_type": "dify", "password": KEY, **fields})
        monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", value)
        return DifyHook(CONN_ID)

    return made


@pytest.fixture
def reach(dify: FakeDify, connect: Connect) -> Connect:
    """The same for the built-in Dify, unless a field differs."""
    return lambda **fields: connect(**{"host": dify.base_url, "password": dify.api_key, **fields})


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep proxies and certificates of the developer's environment out of the tests."""
    names = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle", "netrc")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def hook(dify: FakeDify) -> Iterator[DifyHook]:
    with DifyHook() as hook:
        yield hook


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The task's log, however this Airflow logs."""
    for kind in (KnowledgeBaseTask, FlowHook):
        monkeypatch.setattr(kind, "log", logging.getLogger("task"), raising=False)
    caplog.set_level(logging.INFO, logger="task")
    return caplog
