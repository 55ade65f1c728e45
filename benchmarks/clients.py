"""The compared ways to archive documents."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.server import Target

BATCH = 100
#: Not in any knowledge base.
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
CONNECTION_ID = "dify_benchmark"


def bare_calls(target: Target) -> None:
    """Send what any client must send, over one keep-alive connection; check only the HTTP status."""
    import requests

    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {target.api_key}"
        for batch in _batches(target.document_ids):
            session.patch(_url(target), json={"document_ids": batch}, timeout=60).raise_for_status()


def call_per_document(target: Target) -> None:
    """Send one call per document, each over a new connection."""
    import requests

    headers = {"Authorization": f"Bearer {target.api_key}"}
    for document_id in target.document_ids:
        body = {"document_ids": [document_id]}
        requests.patch(_url(target), json=body, headers=headers, timeout=60).raise_for_status()


def published_client(target: Target) -> None:
    """Archive with ``dify-dataset-sdk`` as in its README. It sends a list unchanged, so the caller splits it."""
    from dify_dataset_sdk import DifyDatasetClient  # type: ignore[import-not-found,unused-ignore]

    with DifyDatasetClient(api_key=target.api_key, base_url=target.base_url.removesuffix("/v1")) as client:
        for batch in _batches(target.document_ids):
            client.documents.batch_update_status(target.dataset_id, "archive", batch)


def published_client_on_unknown_id(target: Target) -> str:
    """Return what ``dify-dataset-sdk`` says about a document that does not exist."""
    from dify_dataset_sdk import DifyDatasetClient  # type: ignore[import-not-found,unused-ignore]

    with DifyDatasetClient(api_key=target.api_key, base_url=target.base_url.removesuffix("/v1")) as client:
        answer = client.documents.batch_update_status(target.dataset_id, "archive", [UNKNOWN_ID])
    return str(answer.get("result"))


def provider(target: Target, *, wait_for_completion: bool) -> None:
    """Archive with this provider, starting from the Airflow connection; it raises if a document is not archived."""
    from airflow_provider_dify.hooks.dify import DifyHook
    from airflow_provider_dify.knowledge.status.options import StatusOptions

    os.environ.update(connection(target))
    with DifyHook(CONNECTION_ID) as hook:
        options = StatusOptions(wait_for_completion=wait_for_completion)
        hook.change_document_status(target.dataset_id, target.document_ids, "archive", options)


def connection(target: Target) -> dict[str, str]:
    """Return the environment in which Airflow finds the connection to a Dify."""
    return {f"AIRFLOW_CONN_{CONNECTION_ID.upper()}": target.connection}


def provider_flags(target: Target) -> None:
    """Archive with this provider, and prove that the flags are set."""
    provider(target, wait_for_completion=False)


def provider_search(target: Target) -> None:
    """Archive with this provider, and prove that search reflects it."""
    provider(target, wait_for_completion=True)


def _batches(document_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(document_ids), BATCH):
        yield document_ids[start : start + BATCH]


def _url(target: Target) -> str:
    return f"{target.base_url}/datasets/{target.dataset_id}/documents/status/archive"
