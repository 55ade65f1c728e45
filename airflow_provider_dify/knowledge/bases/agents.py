"""Telling the id of a knowledge base for agents from one that is nowhere.

Dify 1.18 has a second kind of knowledge base, under ``/knowledge-fs``. To the API of the classic kind its ids are
unknown: "Dataset not found" would send people to look for a typing error.
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
    """Run a flow; where Dify does not find its knowledge base, ask whether it is one for agents, and say so.

    Only a Dify that has them is asked, and only once the flow has failed.
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
    """Return the id of the knowledge base that was not found, of a Dify that may have it as another kind."""
    found = _DATASET.match(error.message)
    version = re.match(r"(\d+)\.(\d+)", error.server_version or "")
    if not found or not version or tuple(map(int, version.groups())) < _FIRST_VERSION:
        return None
    return found[1] if "dataset" in error.detail.lower() else None


def _is_for_agents(dataset_id: str) -> Flow[bool]:
    """Ask the other API for one document. It knows a knowledge base if it gives it, or refuses it in its own way."""
    path = f"/knowledge-fs/spaces/{dataset_id}/documents"
    try:
        yield Request("GET", path, query=(("limit", 1),), repeatable=False)
    except DifyError as error:
        return error.code == "knowledge_fs_access_denied"
    return True
