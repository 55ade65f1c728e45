"""Release documents into a Dify knowledge base, and keep the release only if the *app* that uses it answers right.

The new documents replace the old ones. Then the app is asked golden questions. If its answers are wrong, the release is
rolled back, which brings the old documents back, and the DAG run fails.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_dify.operators.apps import DifyAnswerCheckOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator

with DAG(
    dag_id="dify_release_gated_by_answers",
    description="Release documents into a Dify knowledge base if the app answers right with them",
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
    tags=["dify"],
    params={
        "dataset_id": Param("", type="string", title="UUID of the knowledge base"),
        "new_document_ids": Param([], type="array", title="UUIDs of the new documents"),
        "old_document_ids": Param([], type="array", title="UUIDs of the documents that they replace"),
        "questions": Param([], type="array", title="What to ask the app, and what its answers have to be"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    render_template_as_native_obj=True,
) as dag:
    release = DifyReleaseOperator(
        task_id="release",
        dataset_id="{{ params.dataset_id }}",
        document_ids="{{ params.new_document_ids }}",
        replaces="{{ params.old_document_ids }}",
    )

    # [START howto_operator_dify_answer_check]
    check_answers = DifyAnswerCheckOperator(
        task_id="check_answers",
        dify_conn_id="helpdesk",  # the app; the knowledge base has the connection dify_default
        questions="{{ params.questions }}",
        retries=0,
    )
    # [END howto_operator_dify_answer_check]

    roll_back = DifyRollbackOperator(
        task_id="roll_back",
        manifest="{{ ti.xcom_pull('release', key='report') }}",
        trigger_rule="one_failed",
    )

    @task
    def announce(report: Any) -> str:
        """Say how it went. As a last task, it also makes a run fail that was rolled back."""
        return f"{report['counts']['passed']} golden questions were answered as expected"

    release >> check_answers >> [roll_back, announce(check_answers.output)]
    release >> roll_back
