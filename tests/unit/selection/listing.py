"""Runs the operators that take filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify.exceptions import DifyError
from tests.unit.conftest import TaskInstance

NOW = 1_767_225_600.0  # 2026-01-01, where the simulator's clock begins
HOUR = 3600.0


@dataclass
class Run:
    """The result of a task."""

    report: dict[str, Any]
    returned: Any
    error: DifyError | None


def operate(operator: type[BaseOperator], **kwargs: Any) -> Run:
    """Run an operator as Airflow does."""
    task, returned, error = TaskInstance(), None, None
    try:
        returned = operator(task_id="task", **kwargs).execute({"ti": task})  # type: ignore[typeddict-item]
    except DifyError as raised:
        error = raised
    return Run(task.xcom.get("report", {}), returned, error)
