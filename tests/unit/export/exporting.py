"""What the tests of an export have in common."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.operators.export import DifyExportOperator
from airflow_provider_dify.testing import Dataset, RequestRecord
from tests.unit.conftest import TaskInstance


class Result:
    """The result of a run."""

    def __init__(self, kb: Dataset, report: dict[str, Any] | None, error: DifyError | None) -> None:
        self.report = report or {}
        self.error = error
        self._names = {document.id: document.name for document in kb.documents}

    @property
    def outcomes(self) -> dict[str, list[str]]:
        """The names of what ended how."""
        counts = self.report["counts"]
        return {one: [self._names.get(i, i) for i in self.report[one]] for one, number in counts.items() if number}

    def error_of(self, name: str) -> str:
        return next(str(text) for i, text in self.report["errors"].items() if self._names[i] == name)


def run_export(kb: Dataset, target: Any, **kwargs: Any) -> Result:
    """Run a DifyExportOperator; errors of the provider are in the result."""
    operator = DifyExportOperator(task_id="export", **{"dataset_id": kb.id, "target": target, **kwargs})
    task = TaskInstance()
    try:
        returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyError as error:
        return Result(kb, task.xcom.get("report"), error)
    assert returned == task.xcom["report"]
    return Result(kb, returned, None)


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of an export."""
    data: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    return data


def entries_of(folder: Path) -> dict[str, dict[str, Any]]:
    """The documents of a manifest, by the ids that they had."""
    return {entry["id"]: entry for entry in manifest_of(folder)["documents"]}


def contents_of(folder: Path) -> dict[str, bytes]:
    """The contents that a manifest names, by the ids of the documents."""
    there = {i: entry["content"] for i, entry in entries_of(folder).items() if entry["content"]}
    return {i: (folder / content["path"]).read_bytes() for i, content in there.items()}


def files_in(folder: Path) -> set[str]:
    """All files of an export but its manifest."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return found - {"manifest.json"}


def downloaded(requests: Sequence[RequestRecord]) -> list[str]:
    """Ids of the documents that archives were asked for and came, in order."""
    zips = (one for one in requests if one.path.endswith("/download-zip") and one.status == 200)
    return [i for one in zips for i in one.json["document_ids"]]
