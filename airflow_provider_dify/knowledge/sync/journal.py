"""What a run leaves in the knowledge base while it is under way, so that the next one can go on where it broke off.

A document can be marked as made by a sync only after Dify has made it. One whose creator was killed in between looks
like one that somebody made by hand. So before a run changes anything, it notes in the knowledge base which position
its last document has: Dify gives each new document a higher one. The note is a metadata field without values, whose
name says it all; it goes when the run has proven what it did.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_dify.knowledge.documents import Dataset
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.metadata.fields import FieldType, create_missing, delete_field

_PREFIX = "sync_unfinished"
_RESTORES = " restores"


@dataclass(frozen=True)
class Journal:
    """The notes that runs of one sync have left.

    :param field_ids: The metadata fields that they are.
    :param position: Documents above it were created since the first of them; ``None`` where there is none.
    :param restores: Whether one of them was to bring documents back into search.
    """

    field_ids: tuple[str, ...] = ()
    position: int | None = None
    restores: bool = False

    @classmethod
    def read(cls, dataset: Dataset, sync_source: str) -> Journal:
        """Find the notes of a sync."""
        pattern = re.compile(rf"{_prefix(sync_source)} (\d+)({_RESTORES})?")
        found = [(one, match) for one, name in dataset.fields if (match := pattern.fullmatch(name))]
        return cls(
            tuple(one for one, _ in found),
            min((int(match[1]) for _, match in found), default=None),
            any(match[2] for _, match in found),
        )

    @property
    def unfinished(self) -> bool:
        """Whether a run of the sync broke off."""
        return bool(self.field_ids)


def begin(dataset: Dataset, sync_source: str, position: int, *, restores: bool) -> Flow[str]:
    """Leave a note that a run begins to change something; return the id of its field.

    :param position: The highest that a document of the knowledge base has.
    :param restores: Whether documents are to be brought back into search.
    """
    name = f"{_prefix(sync_source)} {position}{_RESTORES if restores else ''}"
    there = {name: field_id for field_id, name in dataset.fields}
    if name in there:
        return there[name]
    return (yield from create_missing(dataset.id, {name: FieldType.STRING}, {}))[name].id


def end(dataset_id: str, field_ids: Sequence[str]) -> Flow[None]:
    """Take notes away."""
    for field_id in field_ids:
        yield from delete_field(dataset_id, field_id)


def _prefix(sync_source: str) -> str:
    # A sync can be called by a long path, and the name of a field is limited.
    return f"{_PREFIX} {hashlib.sha256(sync_source.encode()).hexdigest()[:16]}"
