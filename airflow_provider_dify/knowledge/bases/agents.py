"""Recognizes the id of a knowledge base for agents.

Dify 1.18 has a second kind of knowledge base, under ``/knowledge-fs``. The API of the classic kind does not know its
ids: "Dataset not found" would make people look for a typo.
"""

from __future__ import annotations

import re
from typing import TypeVar

from airflow_provider_dify.exceptions import DifyError, DifyNotFoundError
from airflow_provider_dify.knowledge.errors import FOR_AGENTS
from airflow_provider_dify.knowledge.flow import Flow, Request

T = TypeVar("T")

_DATASET = re.compile(r"[A-Z]+ /datasets/([0-9a-f-]{36})[/ ]")
_FIRST_VERSION = (1, 18)


def telling_agents(flow: Flow[T]) -> Flow[T]:
    """Run a flow. If Dify does not find its knowledge base, check whether it is one for agents, and say so.

    This only sends requests to a Dify that has them, and only after the flow has failed.
    """
    try:
        return (yield from flow)
    except DifyNotFoundError as error:
        dataset_id = _unknown_dataset(error)
        if dataset_id and (yield from _is_for_agents(dataset_id)):
            error.message = f"{FOR_AGENTS} It has the id {dataset_id}. {error.message}"
            error.args = (error.message,)
        raise


def _unknown_dataset(error: DifyNotFoundError) -> str | None:
    """Return the id of the missing knowledge base, if this Dify may have it as another kind."""
    found = _DATASET.match(error.message)
    version = re.match(r"(\d+)\.(\d+)", error.server_version or "")
    if not found or not version or tuple(map(int, version.groups())) < _FIRST_VERSION:
        return None
    return found[1] if "dataset" in error.detail.lower() else None


def _is_for_agents(dataset_id: str) -> Flow[bool]:
    """Request one document from the other API. It knows the knowledge base if it returns one, or refuses it in its own
    way.
    """
    path = f"/knowledge-fs/spaces/{dataset_id}/documents"
    try:
        yield Request("GET", path, query=(("limit", 1),), repeatable=False)
    except DifyError as error:
        return error.code == "knowledge_fs_access_denied"
    return True
