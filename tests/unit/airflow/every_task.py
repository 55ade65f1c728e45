"""One task of every kind, each on one document, to test what all of them have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_provider_dify.operators.apps import (
    DifyAnswerCheckOperator,
    DifyChatMessageOperator,
    DifyWorkflowRunOperator,
)
from airflow_provider_dify.operators.bases import DifyKnowledgeBaseOperator
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator, DifyReindexOperator
from airflow_provider_dify.operators.export import DifyExportOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import Document

#: A task for a document; further arguments go to the task.
Make = Callable[..., Any]


def status(page: Document, **kwargs: Any) -> Any:
    return DifyDocumentStatusOperator(
        task_id="change", dataset_id=page.dataset.id, document_ids=page.id, action="archive", **kwargs
    )


def metadata(page: Document, **kwargs: Any) -> Any:
    return DifyDocumentMetadataOperator(
        task_id="change", dataset_id=page.dataset.id, document_ids=[page.id], values={"team": "support"}, **kwargs
    )


def delete(page: Document, **kwargs: Any) -> Any:
    return DifyDocumentDeleteOperator(task_id="change", dataset_id=page.dataset.id, document_ids=[page.id], **kwargs)


def reindex(page: Document, **kwargs: Any) -> Any:
    """Its indexing has failed before. Only a Dify newer than 1.17.1 can do it."""
    page.set(indexing_status="error", in_search=False)
    return DifyReindexOperator(task_id="change", dataset_id=page.dataset.id, document_ids=[page.id], **kwargs)


def ingest(page: Document, **kwargs: Any) -> Any:
    """Together with the document comes another one, from this file."""
    source = {"name": "tasks.md", "path": str(Path(__file__))}
    return DifyDocumentIngestOperator(
        task_id="change",
        dataset_id=page.dataset.id,
        indexing="wait",
        indexing_technique="economy",
        **{"source": source, **kwargs},
    )


def sync(page: Document, **kwargs: Any) -> Any:
    """Together with the document comes another one, from this project's README."""
    return DifySyncOperator(
        task_id="change",
        dataset_id=page.dataset.id,
        source=str(Path(__file__).parents[3]),
        include="README.md",
        indexing_technique="economy",
        **kwargs,
    )


def export(page: Document, **kwargs: Any) -> Any:
    target = tempfile.mkdtemp(prefix="export-")
    return DifyExportOperator(task_id="change", dataset_id=page.dataset.id, target=target, **kwargs)


def listing(page: Document, **kwargs: Any) -> Any:
    return DifyListDocumentsOperator(task_id="change", dataset_id=page.dataset.id, **kwargs)


def check(page: Document, **kwargs: Any) -> Any:
    return DifyRetrievalCheckOperator(
        task_id="change",
        dataset_id=page.dataset.id,
        queries=["anything"],
        expect=[page.id],
        on_failure="report",
        **kwargs,
    )


def sensor(page: Document, **kwargs: Any) -> Any:
    return DifyDocumentIndexingSensor(task_id="change", dataset_id=page.dataset.id, document_ids=[page.id], **kwargs)


def workflow(_: Document, **kwargs: Any) -> Any:
    return DifyWorkflowRunOperator(
        task_id="change", dify_conn_id="dify_default", inputs={"text": "x"}, **{"timeout": 5, **kwargs}
    )


def chat(_: Document, **kwargs: Any) -> Any:
    return DifyChatMessageOperator(task_id="change", dify_conn_id="dify_default", query="x", **{"timeout": 5, **kwargs})


def answers(_: Document, **kwargs: Any) -> Any:
    return DifyAnswerCheckOperator(
        task_id="change", dify_conn_id="dify_default", questions=["x"], **{"timeout": 5, **kwargs}
    )


def knowledge_base(page: Document, **kwargs: Any) -> Any:
    return DifyKnowledgeBaseOperator(task_id="change", dataset_name=page.dataset.name, tags=["a"], **kwargs)


CHANGING: tuple[Make, ...] = (status, metadata, delete, reindex, ingest, sync)
READING: tuple[Make, ...] = (listing, check, sensor, export)
EVERY = CHANGING + READING
#: It finds its knowledge base by its name, and changes no documents.
BASES: tuple[Make, ...] = (knowledge_base,)
#: These are about an app, not the document.
APPS: tuple[Make, ...] = (workflow, chat, answers)
