"""What the tests of a sync share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.flow import Flow, Request, Response, resumed
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, RequestRecord
from tests.unit.conftest import TaskInstance

#: The files of the fixture ``folder``.
PAGES = {f"page{number}.md": f"Page {number} about penguins." for number in range(3)}


class Result:
    """The result of a run."""

    def __init__(self, report: dict[str, Any] | None, error: DifyError | None) -> None:
        self.report = report or {}
        self.error = error

    @property
    def outcomes(self) -> dict[str, list[str]]:
        """Names by outcome."""
        return {outcome: self.names(outcome) for outcome, number in self.report["counts"].items() if number}

    def names(self, outcome: str) -> list[str]:
        return [entry["name"] for entry in self.report[outcome]]

    def error_of(self, name: str) -> str:
        entries = (entry for outcome in self.report["counts"] for entry in self.report[outcome])
        return next(entry.get("error") or "" for entry in entries if entry["name"] == name)


def fields(kb: Dataset) -> set[str]:
    """The names of its metadata fields."""
    return {field.name for field in kb.fields.all()}


SyncRun = Callable[..., Result]


def run_sync(kb: Dataset, source: Any, **kwargs: Any) -> Result:
    """Run a DifySyncOperator; errors of the provider are in the result."""
    kwargs = {
        "dataset_id": kb.id,
        "indexing_technique": "economy",
        "max_share": None,
        "deferrable": False,
        **kwargs,
    }
    operator = DifySyncOperator(task_id="sync", source=source, **kwargs)
    task = TaskInstance()
    try:
        returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyError as error:
        return Result(task.xcom.get("report"), error)
    assert returned == task.xcom["report"]
    return Result(returned, None)


def write(folder: Path, files: dict[str, str]) -> Path:
    """Let a folder contain these files, and no others."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            path.unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def in_search(kb: Dataset) -> dict[str, str]:
    """The texts of the documents that search finds, by name; each name once."""
    found = [document for document in kb.documents if document.in_search]
    assert len({document.name for document in found}) == len(found)
    return {document.name: document.text for document in found}


def kinds(requests: Sequence[RequestRecord], kb: Dataset) -> dict[str, int]:
    """How many requests there were of each kind."""
    return dict(Counter(_kind(request, kb) for request in requests))


def _kind(request: RequestRecord, kb: Dataset) -> str:
    parts = request.path.rpartition(kb.id)[2].split("/")
    return " ".join([request.method, "/".join("*" if len(part) == 36 else part for part in parts)])


def changing(requests: Sequence[RequestRecord]) -> list[RequestRecord]:
    """Those that change something."""
    return [request for request in requests if request.changes]


def abandoned(flow: Flow[Any], after: int) -> Flow[bool]:
    """Continue a flow for this many requests, then never again, as if the process was killed; return whether it had
    ended.
    """
    answer: Response | None = None
    error: BaseException | None = None
    while True:
        try:
            step = resumed(flow, answer, error)
        except StopIteration:
            return True
        if isinstance(step, Request):
            if not after:
                return False
            after -= 1
        answer = error = None
        try:
            answer = yield step
        except BaseException as raised:  # noqa: BLE001 - it is for the flow
            error = raised
