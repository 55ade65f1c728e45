"""Airflow stores a DAG as JSON: it does not know the types of this package."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from airflow_provider_dify.operators.apps import (
    DifyAnswerCheckOperator,
    DifyChatMessageOperator,
    DifyWorkflowRunOperator,
)
from airflow_provider_dify.operators.deleting import DifyDocumentDeleteOperator
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator, DifyReindexOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.operators.release import DifyReleaseOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.rollback import DifyRollbackOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor

TASKS: list[type[Any]] = [
    DifyAnswerCheckOperator, DifyChatMessageOperator, DifyWorkflowRunOperator,
    DifyDocumentDeleteOperator, DifyDocumentIngestOperator, DifyDocumentIndexingSensor, DifyDocumentMetadataOperator,
    DifyDocumentStatusOperator, DifyListDocumentsOperator, DifyReindexOperator, DifyReleaseOperator,
    DifyRetrievalCheckOperator, DifyRollbackOperator, DifySyncOperator,
]  # fmt: skip


def plain(value: object) -> bool:
    """Whether the type of a value is exactly one of JSON's types: subclasses are not stored."""
    if isinstance(value, (tuple, list)):
        return all(map(plain, value))
    return type(value) in (str, int, float, bool, type(None))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__)
def test_every_default_is_plain(task: type[Any]) -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(task.__init__).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    assert len(defaults) > 1
    assert {name: value for name, value in defaults.items() if not plain(value)} == {}
