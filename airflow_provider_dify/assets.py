"""Knowledge bases and apps as Airflow assets: ``dify://<host>/datasets/<id>`` and ``dify://<host>/apps/<id>``.

Airflow loads this module with the first asset of a DAG file, so it imports nothing heavy.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_dify.knowledge.text import hosts

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset as LineageDataset
    from airflow.providers.common.compat.sdk import Asset

SCHEME = "dify"
_KINDS = ("datasets", "apps")


def knowledge_base(
    host: str, dataset_id: str, *, name: str | None = None, extra: Mapping[str, Any] | None = None
) -> Asset:
    """Return the asset for a knowledge base; on Airflow 2 it is a Dataset.

    :param host: Host of the Dify, with its port if it is unusual, or the base URL of its API.
    :param dataset_id: UUID of the knowledge base.
    :param name: Its name in Airflow 3, such as the name of the knowledge base; by default, the URI. Use the same name
        everywhere: another name makes another asset. Events of an alias belong to the asset without a name.
    :param extra: More information about the asset.
    :return: ``Asset("dify://<host>/datasets/<id>")`` in the group ``dify``, however host and id are written.
    :raises ValueError: There is no host, the host contains a blank or a template, or the id is not a UUID.
    """
    return _asset(uri_of(host, dataset_id), name, extra)


def app(host: str, app_id: str, *, name: str | None = None, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset for an app; on Airflow 2 it is a Dataset.

    :param host: Host of the Dify, with its port if it is unusual, or the base URL of its API.
    :param app_id: UUID of the app, from the URL of its page in Dify.
    :param name: Its name in Airflow 3; see :func:`knowledge_base`.
    :param extra: More information about the asset.
    :return: ``Asset("dify://<host>/apps/<id>")`` in the group ``dify``, the same for every way to write host and id.
    :raises ValueError: There is no host, or the id is not a UUID.
    """
    return _asset(normalized(urlsplit(f"{SCHEME}://{host_of(host)}/apps/{app_id}")).geturl(), name, extra)


def _asset(uri: str, name: str | None, extra: Mapping[str, Any] | None) -> Asset:
    from airflow.providers.common.compat.sdk import Asset

    more: dict[str, Any] = {}
    if hasattr(Asset, "asset_type"):  # Airflow 2 has neither groups nor names
        more = {"group": SCHEME, **({"name": name} if name else {})}
    return Asset(uri=uri, extra=None if extra is None else dict(extra), **more)


def uri_of(host: str, dataset_id: str) -> str:
    """Return the URI of the asset for a knowledge base; see :func:`knowledge_base`."""
    return normalized(urlsplit(f"{SCHEME}://{host_of(host)}/datasets/{dataset_id}")).geturl()


def host_of(host: str) -> str:
    """Return the host of a base URL as in assets: lower case, with its port if it is unusual."""
    host = hosts.bracketed(host.strip())
    url = urlsplit(host if "://" in host else f"https://{host}")
    usual_port = hosts.USUAL_PORTS.get(url.scheme, hosts.USUAL_PORTS["https"])
    return url.netloc.rpartition("@")[2].lower().removesuffix(f":{usual_port}")


def normalized(uri: SplitResult) -> SplitResult:
    """Return the canonical URI of a knowledge base or an app; Airflow calls this for each such asset.

    :raises ValueError: It is neither.
    """
    host = uri.netloc.rpartition("@")[2].lower()
    kind, _, item_id = uri.path.strip("/").partition("/")
    canonical = _canonical(item_id)
    # A blank or a template: assets are not rendered.
    if not host or re.search(r"[\s{}]", host) or kind not in _KINDS or not canonical or uri.query:
        raise ValueError(
            "The URI of a Dify knowledge base looks like "
            f"dify://dify.example.com/datasets/5cd7dc6a-e446-4696-ad00-30036e58194e, not like {uri.geturl()}."
        )
    return uri._replace(netloc=host, path=f"/{kind}/{canonical}")


def _canonical(item_id: str) -> str | None:
    try:
        return str(uuid.UUID(item_id))
    except ValueError:
        return None


def lineage_dataset(asset: Asset, lineage_context: object = None) -> LineageDataset:  # noqa: ARG001 - Airflow passes it
    """Return OpenLineage's name for the knowledge base or app of an asset."""
    from airflow.providers.common.compat.openlineage.facet import Dataset

    uri = urlsplit(asset.uri)
    return Dataset(namespace=f"{SCHEME}://{uri.netloc}", name=uri.path.lstrip("/"))


@dataclass(frozen=True)
class Activity:
    """What a task read or wrote, as far as it knows; for OpenLineage.

    :param host: Host of the Dify, as in assets.
    :param dataset_id: The knowledge base; empty if it is about an app.
    :param writes: Whether the task changes it.
    :param action: What was done to its documents.
    :param counts: Number of documents by outcome.
    :param files: Paths or URLs of the files that were read.
    :param app_id: The app, if it is about one.
    :param run: What is known about the run of the app.
    """

    host: str
    dataset_id: str
    writes: bool
    action: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    files: Sequence[str] = ()
    app_id: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
