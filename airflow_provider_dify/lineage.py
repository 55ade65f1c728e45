"""What OpenLineage learns about a task. Only OpenLineage loads this module."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attr
from airflow.providers.common.compat.openlineage.facet import Dataset, RunFacet
from airflow.providers.openlineage.extractors import OperatorLineage

from airflow_provider_dify.assets import SCHEME

if TYPE_CHECKING:
    from airflow_provider_dify.assets import Activity

#: Maximum number of files in an event. The counts in its facet cover all files.
_MAX_FILES = 1000


@attr.define
class DifyRunFacet(RunFacet):
    """What a task did to the documents of a knowledge base, with counts by outcome."""

    action: str
    dataset_id: str
    counts: dict[str, int]


@attr.define
class DifyAppRunFacet(RunFacet):
    """How an app run ended, and what it used."""

    app_id: str
    run_id: str
    outcome: str
    total_tokens: int
    total_steps: int
    elapsed_time: float


def lineage_of(activity: Activity | None) -> OperatorLineage[Any, Any]:
    """Return what a task read and wrote, as far as it got.

    :param activity: What the task knows about it; ``None`` if it ended before that.
    :return: Files as inputs; the knowledge base, which is ``datasets/<id>`` in ``dify://<host>``, as output or, if the
        task only reads it, as input; and what was done in the run facet ``dify``.
    """
    if activity is None:
        return OperatorLineage()
    if activity.app_id:
        return _lineage_of_app(activity)
    knowledge_base = [Dataset(namespace=f"{SCHEME}://{activity.host}", name=f"datasets/{activity.dataset_id}")]
    files = [_file(place) for place in activity.files[:_MAX_FILES]]
    facets = {}
    if activity.counts:
        facets["dify"] = DifyRunFacet(activity.action, activity.dataset_id, dict(activity.counts))
    if activity.writes:
        return OperatorLineage(inputs=files, outputs=knowledge_base, run_facets=facets)
    return OperatorLineage(inputs=knowledge_base, run_facets=facets)


def _lineage_of_app(activity: Activity) -> OperatorLineage[Any, Any]:
    app = Dataset(namespace=f"{SCHEME}://{activity.host}", name=f"apps/{activity.app_id}")
    files = [_file(place) for place in activity.files[:_MAX_FILES]]
    facets = {"dify": DifyAppRunFacet(app_id=activity.app_id, **activity.run)} if activity.run else {}
    return OperatorLineage(inputs=[app, *files], run_facets=facets)


def _file(place: str) -> Dataset:
    """Name a file as OpenLineage does: by its bucket or host, and its path there."""
    try:
        url = urlsplit(place)
    except ValueError:  # brackets in a path may look like an invalid host
        return Dataset(namespace="file", name=place)
    if url.scheme in ("", "file") or not url.netloc:
        return Dataset(namespace="file", name=str(Path(url.path if url.scheme == "file" else place).absolute()))
    return Dataset(namespace=f"{url.scheme}://{url.netloc.rpartition('@')[2]}", name=url.path.lstrip("/"))
