"""What the operators have in common. It loads next to nothing, as every parse of a DAG file loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_dify.get_provider_info import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow_provider_dify.hooks.dify import DifyHook

__all__ = ["DEFAULT_CONN_ID", "REPORT_KEY", "open_hook"]

#: XCom key of a task's report; it is there also when the task failed.
REPORT_KEY = "report"


def open_hook(dify_conn_id: str) -> DifyHook:
    """Return a hook, which is loaded only now: a parse of a DAG file needs none."""
    from airflow_provider_dify.hooks.dify import DifyHook

    return DifyHook(dify_conn_id)
