"""Groups of tasks for DAGs that shall show their steps in the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.providers.common.compat.sdk import TaskGroup

from airflow_provider_dify.operators.base import DEFAULT_CONN_ID, REPORT_KEY
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator


def release(
    *,
    dataset_id: Any = None,
    dataset_name: Any = None,
    document_ids: Any,
    replaces: Any = None,
    queries: Any = None,
    retire: str = "archive",
    max_documents: int | None = None,
    max_share: float | None = None,
    tolerate: Iterable[str] = (),
    timeout: float = 1800.0,
    deferrable: bool = False,
    dify_conn_id: str = DEFAULT_CONN_ID,
    group_id: str = "release",
) -> DifyReleaseOperator:
    """Put new documents in the place of old ones as :class:`DifyReleaseOperator` does, with its steps in the graph.

    The tasks are ``enable`` (the new ones are indexed, and search finds them), ``check`` (the queries, where there are
    some), ``retire`` (the old ones leave), and ``undo``, which runs where one of the first two has failed and brings
    back what was before. Where ``retire`` fails, it undoes all of it by itself.

    Call it within a DAG. Everything but ``group_id`` and the switches may be a template or the output of a task.

    :param dataset_id: UUID of the knowledge base.
    :param dataset_name: Instead of its id, the name of the knowledge base, which exactly one must have.
    :param document_ids: The new documents, as for the operator.
    :param replaces: What they replace, as for the operator.
    :param queries: What search has to bring before old documents leave, as for ``DifyRetrievalCheckOperator``.
    :param retire: What becomes of the old ones: ``archive``, ``disable`` or ``delete``.
    :param max_documents: Fail, and change nothing, where more documents than this are to be replaced.
    :param max_share: Fail, and change nothing, where more than this part of all documents is to be replaced.
    :param tolerate: ``("missing",)``: old documents that are not there fail nothing.
    :param timeout: Seconds for each task; there is as much again to undo what it did.
    :param deferrable: Whether to wait in the triggerer instead of on the worker.
    :param dify_conn_id: Id of the Airflow Connection.
    :param group_id: Name of the group.
    :return: The last task, ``retire``: what comes next goes behind it, and its output is the manifest.
    """
    with TaskGroup(group_id=group_id) as group:
        shared: dict[str, Any] = {
            "dataset_id": dataset_id,
            "dataset_name": dataset_name,
            "document_ids": document_ids,
            "replaces": replaces,
            "retire": retire,
            # The same for both tasks: by that the second one knows what was before the first.
            "channel": "{{ dag.dag_id }}." + str(group.group_id),
            "max_documents": max_documents,
            "max_share": max_share,
            "tolerate": tolerate,
            "timeout": timeout,
            "deferrable": deferrable,
            "dify_conn_id": dify_conn_id,
        }
        enable = DifyReleaseOperator(task_id="enable", until="enable", **shared)
        done = DifyReleaseOperator(task_id="retire", **shared)
        undo = DifyRollbackOperator(
            task_id="undo",
            manifest=f"{{{{ ti.xcom_pull(task_ids='{enable.task_id}', key='{REPORT_KEY}') }}}}",
            allow_empty=True,
            timeout=timeout,
            deferrable=deferrable,
            dify_conn_id=dify_conn_id,
            trigger_rule="one_failed",
        )
        enable >> done
        enable >> undo
        if queries is not None:
            check = DifyRetrievalCheckOperator(
                task_id="check",
                dataset_id=dataset_id,
                dataset_name=dataset_name,
                queries=queries,
                timeout=60.0,
                dify_conn_id=dify_conn_id,
            )
            enable >> check >> [done, undo]
    return done
