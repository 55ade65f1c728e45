"""What a running sync stores in the knowledge base, so that the next run can continue after a kill.

A document can be marked as created by a sync only after Dify has created it. If the run is killed in between, the
document looks as if somebody had created it by hand. So before a run changes anything, it stores the position of the
last document: Dify gives each new document a higher one. The note is a metadata field without values, and its name has
all the information. It is removed when the run has proven its result.
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
    :param position: Documents above it were created after the first note; ``None`` if there are no notes.
    :param restores: Whether one of the runs was about to bring documents back into search.
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
        """Whether a run of the sync was killed."""
        return bool(self.field_ids)


def begin(dataset: Dataset, sync_source: str, position: int, *, restores: bool) -> Flow[str]:
    """Store a note that a run begins to change something; return the id of its field.

    :param position: The highest position of a document in the knowledge base.
    :param restores: Whether documents will be brought back into search.
    """
    name = f"{_prefix(sync_source)} {position}{_RESTORES if restores else ''}"
    there = {name: field_id for field_id, name in dataset.fields}
    if name in there:
        return there[name]
    return (yield from create_missing(dataset.id, {name: FieldType.STRING}, {}))[name].id


def end(dataset_id: str, field_ids: Sequence[str]) -> Flow[None]:
    """Remove notes."""
    for field_id in field_ids:
        yield from delete_field(dataset_id, field_id)


def _prefix(sync_source: str) -> str:
    # The name of a sync may be a long path, and the length of a field name is limited.
    return f"{_PREFIX} {hashlib.sha256(sync_source.encode()).hexdigest()[:16]}"
