"""What OpenLineage learns of a task. Only OpenLineage loads this module, so nobody else pays for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attr
from airflow.providers.common.compat.openlineage.facet import Dataset, RunFacet
from airflow.providers.openlineage.extractors import OperatorLineage

from airflow_provider_dify.assets import SCHEME

if TYPE_CHECKING:
    from airflow_provider_dify.operators.base import Touched

#: An event names so many files at most; the counts of its facet are those of all.
_MAX_FILES = 1000


@attr.define
class DifyRunFacet(RunFacet):
    """What a task did to the documents of a knowledge base, and how many ended how."""

    action: str
    dataset_id: str
    counts: dict[str, int]


def lineage_of(touched: Touched | None) -> OperatorLineage[Any, Any]:
    """Return what a task read and wrote, as far as it came.

    :param touched: What the task knows of it; ``None`` where it ended before it knew anything.
    :return: Files as inputs; the knowledge base, which is ``datasets/<id>`` in ``dify://<host>``, as output or, where
        the task only reads it, as input; and what was done in the run facet ``dify``.
    """
    if touched is None:
        return OperatorLineage()
    knowledge_base = [Dataset(namespace=f"{SCHEME}://{touched.host}", name=f"datasets/{touched.dataset_id}")]
    files = [_file(place) for place in touched.files[:_MAX_FILES]]
    facets = {}
    if touched.counts:
        facets["dify"] = DifyRunFacet(touched.action, touched.dataset_id, dict(touched.counts))
    if touched.writes:
        return OperatorLineage(inputs=files, outputs=knowledge_base, run_facets=facets)
    return OperatorLineage(inputs=knowledge_base, run_facets=facets)


def _file(place: str) -> Dataset:
    """Name a file as OpenLineage does: by its bucket or host, and by its path there."""
    try:
        url = urlsplit(place)
    except ValueError:  # brackets in a path may look like a broken host
        return Dataset(namespace="file", name=place)
    if url.scheme in ("", "file") or not url.netloc:
        return Dataset(namespace="file", name=str(Path(url.path if url.scheme == "file" else place).absolute()))
    return Dataset(namespace=f"{url.scheme}://{url.netloc.rpartition('@')[2]}", name=url.path.lstrip("/"))
