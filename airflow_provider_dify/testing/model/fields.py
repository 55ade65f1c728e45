"""Metadata as in Dify's database: fields of a knowledge base, and their values in its documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

#: Fields that Dify fills by itself if they are enabled.
BUILT_IN = {
    "document_name": "string",
    "uploader": "string",
    "upload_date": "time",
    "last_update_date": "time",
    "source": "string",
}


class Described(Protocol):
    """A document, as far as metadata is concerned.

    :param metadata: Values by name, including those of fields that do not exist.
    """

    id: str
    name: str
    created_at: float
    updated_at: float
    metadata: dict[str, Any] | None


@dataclass(eq=False)
class MetadataField:
    """A metadata field.

    :param type: ``string``, ``number`` or ``time``.
    :param documents: Ids of the documents that have a value for it.
    """

    id: str
    name: str
    type: str
    documents: set[str] = field(default_factory=set)


class Fields:
    """The fields of one knowledge base.

    A document's values are stored by name, together with the fields that it was given: values without a matching field
    are not shown.
    """

    def __init__(self) -> None:
        self._fields: dict[str, MetadataField] = {}
        #: Whether Dify's own fields are enabled.
        self.built_in = False

    def all(self) -> list[MetadataField]:
        """All fields, in the order of creation."""
        return list(self._fields.values())

    def get(self, field_id: str) -> MetadataField | None:
        """The field with that id."""
        return self._fields.get(field_id)

    def named(self, name: str) -> MetadataField | None:
        """The field with that name."""
        return next((one for one in self._fields.values() if one.name == name), None)

    def add(self, field_id: str, name: str, kind: str) -> MetadataField:
        """Create a field."""
        self._fields[field_id] = made = MetadataField(field_id, name, kind)
        return made

    def pop(self, field_id: str) -> MetadataField | None:
        """Delete a field; this does not change the values of documents."""
        return self._fields.pop(field_id, None)

    def of(self, row: Described) -> list[MetadataField]:
        """The fields for which a document has a value."""
        return [one for one in self._fields.values() if row.id in one.documents]

    def forget(self, row: Described) -> None:
        """Remove all fields from a document."""
        for one in self._fields.values():
            one.documents.discard(row.id)

    def assign(self, row: Described, values: dict[str, Any], ids: list[str], *, partial: bool = False) -> None:
        """Give a document values by name, and the fields with these ids; without ``partial`` it loses all others."""
        if not partial:
            self.forget(row)
        row.metadata = {**((row.metadata if partial else None) or {}), **values}
        if self.built_in:
            row.metadata |= built_in_values(row)
        for field_id in ids:
            if field_id in self._fields:
                self._fields[field_id].documents.add(row.id)

    def shown(self, row: Described) -> dict[str, Any]:
        """The values of a document as shown by Dify, by name."""
        return {one.name: (row.metadata or {}).get(one.name) for one in self.of(row)}

    def details(self, row: Described) -> list[dict[str, Any]] | None:
        """The values of a document with their fields. If there are any, Dify's own are included, enabled or not."""
        if not row.metadata:
            return None
        given = [(one.id, one.name, one.type, row.metadata.get(one.name)) for one in self.of(row)]
        own = built_in_values(row)
        times = {name: str(own[name]) for name in ("upload_date", "last_update_date")}
        given += [("built-in", name, kind, times.get(name, own[name])) for name, kind in BUILT_IN.items()]
        return [{"id": one, "name": name, "type": kind, "value": value} for one, name, kind, value in given]


def built_in_values(row: Described) -> dict[str, Any]:
    """The values that Dify fills in by itself."""
    return {
        "document_name": row.name,
        "uploader": "admin",
        "upload_date": float(row.created_at),
        "last_update_date": float(row.updated_at),
        "source": "file_upload",
    }
