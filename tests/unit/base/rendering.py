"""Running an operator as Airflow does: its templates are rendered first."""

from __future__ import annotations

from typing import Any

from tests.unit.conftest import TaskInstance


def rendered(operator: Any, context: dict[str, Any] | None = None) -> Any:
    """Run an operator as Airflow does: its templates are rendered first."""
    operator.render_template_fields(context or {})
    return operator.execute({"ti": TaskInstance()})
