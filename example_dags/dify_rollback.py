"""Undo a release of a Dify knowledge base by hand, with the manifest that its task left in XCom.

The report of a DifyDocumentStatusOperator works, too.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_dify.operators.rollback import DifyRollbackOperator

with DAG(
    dag_id="dify_rollback",
    description="Undo a release or a status change of a Dify knowledge base",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    tags=["dify"],
    params={"manifest": Param({}, type="object", title="Manifest of the release (XCom 'report' of its task)")},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    DifyRollbackOperator(task_id="rollback", manifest="{{ params.manifest }}")
