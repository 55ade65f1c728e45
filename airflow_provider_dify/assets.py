"""Knowledge bases as assets of Airflow: ``dify://<host>/datasets/<id>``.

Airflow loads this module with the first asset of a DAG file, so it imports nothing of weight.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_dify.knowledge.text import hosts

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as LineageDataset
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "dify"


def knowledge_base(host: str, dataset_id: str, *, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset that stands for a knowledge base; on Airflow 2 it is a Dataset.

    :param host: Host of the Dify, with its port where it has an unusual one, or the base URL of its API.
    :param dataset_id: UUID of the knowledge base.
    :param extra: What the asset shall say of itself.
    :return: ``Asset("dify://<host>/datasets/<id>")``, the same for every way to write host and id.
    :raises ValueError: There is no host, or one with a blank or a template in it, or the id is no UUID.
    """
    from airflow.providers.common.compat.sdk import Asset

    return Asset(uri=uri_of(host, dataset_id), extra=None if extra is None else dict(extra))


def uri_of(host: str, dataset_id: str) -> str:
    """Return the URI of the asset that stands for a knowledge base; see :func:`knowledge_base`."""
    return normalized(urlsplit(f"{SCHEME}://{host_of(host)}/datasets/{dataset_id}")).geturl()


def host_of(host: str) -> str:
    """Return the host of a base URL as the assets name it: lower case, with its port where that is an unusual one."""
    host = hosts.bracketed(host.strip())
    url = urlsplit(host if "://" in host else f"https://{host}")
    usual_port = hosts.USUAL_PORTS.get(url.scheme, hosts.USUAL_PORTS["https"])
    return url.netloc.rpartition("@")[2].lower().removesuffix(f":{usual_port}")


def normalized(uri: SplitResult) -> SplitResult:
    """Return the URI of a knowledge base in its one form; Airflow calls it for each asset whose URI begins so.

    :raises ValueError: It names no knowledge base.
    """
    host = uri.netloc.rpartition("@")[2].lower()
    kind, _, dataset_id = uri.path.strip("/").partition("/")
    canonical = _canonical(dataset_id)
    # A blank, or a template, which no asset is rendered from.
    if not host or re.search(r"[\s{}]", host) or kind != "datasets" or not canonical or uri.query:
        raise ValueError(
            "The URI of a Dify knowledge base looks like "
            f"dify://dify.example.com/datasets/5cd7dc6a-e446-4696-ad00-30036e58194e, not like {uri.geturl()}."
        )
    return uri._replace(netloc=host, path=f"/datasets/{canonical}")


def _canonical(dataset_id: str) -> str | None:
    try:
        return str(uuid.UUID(dataset_id))
    except ValueError:
        return None


def lineage_dataset(asset: Asset, lineage_context: object = None) -> LineageDataset:  # noqa: ARG001 - Airflow gives it
    """Return what OpenLineage calls the knowledge base of an asset."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.lstrip("/"))
