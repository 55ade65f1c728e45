"""Task groups for DAGs that should show single steps in the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.providers.common.compat.sdk import TaskGroup

from airflow_provider_dify import DEFAULT_CONN_ID, REPORT_KEY
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
    """Replace old documents with new ones like :class:`DifyReleaseOperator`, with its steps in the graph.

    The tasks are ``enable`` (the new documents are indexed, and search returns them), ``check`` (the queries, if there
    are any), ``retire`` (the old ones leave search), and ``undo``, which runs if one of the first two failed and
    restores the state before. If ``retire`` fails, it undoes everything by itself.

    Call it within a DAG. Everything except ``group_id`` and booleans may be a template or the output of a task.

    :param dataset_id: UUID of the knowledge base.
    :param dataset_name: Name of the knowledge base, instead of its id. Exactly one must have it.
    :param document_ids: The new documents, as for the operator.
    :param replaces: What they replace, as for the operator.
    :param queries: What search has to return before old documents leave, as for ``DifyRetrievalCheckOperator``.
    :param retire: What happens to the old documents: ``archive``, ``disable`` or ``delete``.
    :param max_documents: Fail, and change nothing, if more documents than this would be replaced.
    :param max_share: Fail, and change nothing, if more than this share of all documents would be replaced.
    :param tolerate: ``("missing",)``: old documents that do not exist do not fail the task.
    :param timeout: Seconds for each task, and the same again to undo its changes.
    :param deferrable: Whether to wait in the triggerer instead of on the worker.
    :param dify_conn_id: Id of the Airflow Connection.
    :param group_id: Name of the group.
    :return: The last task, ``retire``. Put the next tasks behind it; its output is the manifest.
    """
    with TaskGroup(group_id=group_id) as group:
        shared: dict[str, Any] = {
            "dataset_id": dataset_id,
            "dataset_name": dataset_name,
            "document_ids": document_ids,
            "replaces": replaces,
            "retire": retire,
            # The same for both tasks, so that the second one knows the state before the first.
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
