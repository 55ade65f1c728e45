"""Operators that run Dify apps and check their answers."""

from airflow_provider_dify.operators.apps.workflow import DifyWorkflowRunOperator

__all__ = ["DifyWorkflowRunOperator"]
