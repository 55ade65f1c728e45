"""All endpoints. Each module lists its own: a path may be in several."""

from __future__ import annotations

from airflow_provider_dify.testing.api import (
    creating,
    metadata,
    reading,
    searching,
    segments,
    status,
    writing,
)
from airflow_provider_dify.testing.api.bases import datasets, models, pipelines, tags
from airflow_provider_dify.testing.api.call import Route, merged

_MODULES = (reading, creating, writing, status, searching, segments, metadata, datasets, tags, models, pipelines)
ROUTES: list[Route] = merged(route for module in _MODULES for route in module.ROUTES)
