"""What the tests of knowledge bases share: a task that sets one up."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.bases.report import KnowledgeBaseReport
from airflow_provider_dify.operators.bases import DifyKnowledgeBaseOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import TaskInstance


@dataclass
class Run:
    """One run of a task: what it returned, raised, and left in XCom."""

    returned: str | None
    report: dict[str, Any]
    error: DifyError | None

    @property
    def outcome(self) -> str:
        return str(self.report["outcome"])

    @property
    def settings(self) -> dict[str, list[str]]:
        """The settings by their outcome, without empty lists."""
        return {name: self.report[name] for name in self.report["counts"] if self.report[name]}


def run(name: object = "handbook", **kwargs: Any) -> Run:
    """Run a task; errors of the provider are in the result."""
    operator = DifyKnowledgeBaseOperator(task_id="kb", dataset_name=name, **kwargs)  # type: ignore[arg-type]
    task = TaskInstance()
    returned, error = None, None
    try:
        returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyError as raised:
        error = raised
    report = task.xcom.get("report", {})
    assert not report or KnowledgeBaseReport.from_json(json.loads(json.dumps(report))).to_json() == report
    return Run(returned, report, error)


def sent(dify: FakeDify) -> list[str]:
    """What was sent to change something."""
    return [f"{one.method} {one.path.removeprefix('/v1')}" for one in dify.requests if one.method != "GET"]


def only(dify: FakeDify) -> Dataset:
    """The only knowledge base that there is."""
    (found,) = dify.world.datasets.values()
    return found
