"""What the tests of metadata share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.metadata.fields import FieldType, create_field
from airflow_provider_dify.testing import Dataset, Document

SEEN = datetime(2026, 1, 31, 12, 30, 0, 750_000, tzinfo=timezone(timedelta(hours=1)))
SEEN_AT = 1769859000


def ids(documents: Iterable[Document]) -> list[str]:
    return [document.id for document in documents]


def add_field(kb: Dataset, name: str, kind: str) -> None:
    with DifyHook() as hook:
        hook.run(create_field(kb.id, name, FieldType(kind)))


def hold(page: Document, seconds: float) -> None:
    """Keep Dify's lock on the metadata of a document; a refusal removes it."""
    world = page.dataset.world
    until = world.clock.monotonic() + seconds

    def lock(at: float) -> None:
        left = until - world.clock.monotonic()
        if left > 0:
            page.lock_metadata(left)
            world.schedule(min(left, 0.2), lock)

    lock(0.0)
