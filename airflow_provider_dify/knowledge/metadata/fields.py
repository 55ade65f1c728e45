"""The metadata fields of a knowledge base, and which values they accept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeAlias

from airflow_provider_dify.exceptions import DifyInputError, DifyNotFoundError, DifyRequestError
from airflow_provider_dify.knowledge.answers import Fields, Plain
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.flow import Flow, Request
from airflow_provider_dify.knowledge.inputs import as_text, is_finite, is_storable, literal, show
from airflow_provider_dify.knowledge.text.hints import why

#: A value to set; ``None`` removes the current one.
Value: TypeAlias = "str | int | float | datetime | None"

#: Dify fills these itself if they are enabled, and does not allow creating or setting them.
BUILT_IN = frozenset({"document_name", "uploader", "upload_date", "last_update_date", "source"})
_LONGEST_NAME = 255


class FieldType(str, Enum):
    """The type of a field, as named in Dify's API."""

    STRING = "string"
    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class MetadataField:
    """A metadata field of a knowledge base.

    :param id: Its id.
    :param name: Its name.
    :param type: ``string``, ``number`` or ``time``.
    :param count: How many documents have a value.
    """

    id: str
    name: str
    type: str
    count: int = 0

    @classmethod
    def read(cls, item: Fields) -> MetadataField:
        """Read one field of a response."""
        return cls(id=item.id(), name=item.text("name"), type=item.text("type"), count=item.count("count"))


def list_fields(dataset_id: str) -> Flow[tuple[MetadataField, ...]]:
    """Read the metadata fields of a knowledge base, without the built-in ones.

    https://docs.dify.ai/api-reference/metadata/list-metadata-fields
    """
    response = yield Request("GET", f"/datasets/{dataset_id}/metadata")
    return read_answer(response, lambda payload: tuple(map(MetadataField.read, payload.items("doc_metadata"))))


def create_field(dataset_id: str, name: str, kind: FieldType) -> Flow[MetadataField]:
    """Create a metadata field.

    :raises DifyRequestError: A field of that name exists, among other reasons.

    https://docs.dify.ai/api-reference/metadata/create-metadata-field
    """
    response = yield Request("POST", f"/datasets/{dataset_id}/metadata", json={"type": kind.value, "name": name})
    return read_answer(response, MetadataField.read)


def rename_field(dataset_id: str, field_id: str, name: str) -> Flow[MetadataField]:
    """Rename a metadata field; documents keep their values.

    The fields are read before and after, because the answer does not say enough. Dify refuses the name that the field
    already has, so a repeated request seems to fail. While somebody else changes the fields, Dify does nothing and
    answers as if there were no such field: with 400 on 1.16.0, with empty fields and 200 on older versions.

    :raises DifyNotFoundError: The knowledge base does not exist, or has no such field.
    :raises DifyRequestError: Another field has that name, among other reasons.

    https://docs.dify.ai/api-reference/metadata/update-metadata-field
    """
    field = yield from _get_field(dataset_id, field_id)
    if field.name == name:
        return field
    refusal: DifyRequestError | None = None
    try:
        yield Request("PATCH", f"/datasets/{dataset_id}/metadata/{field_id}", json={"name": name})
    except DifyRequestError as error:
        if error.status != 400:
            raise
        refusal = error
    field = yield from _get_field(dataset_id, field_id)
    if field.name == name:
        return field
    if refusal is not None and "DatasetMetadataResponse" not in refusal.detail:
        raise refusal
    raise DifyRequestError(
        f"Dify did not rename metadata field {show(field.name)} to {show(name)}. Somebody else may be changing the "
        f"fields of knowledge base {dataset_id}; try again.",
        status=None,
    )


def _get_field(dataset_id: str, field_id: str) -> Flow[MetadataField]:
    """Read one field from the list."""
    for field in (yield from list_fields(dataset_id)):
        if field.id == field_id:
            return field
    raise DifyNotFoundError(
        f"Knowledge base {dataset_id} has no metadata field with the id {field_id}. Check field_id: "
        "list_metadata_fields shows the ids.",
        status=None,
    )


def delete_field(dataset_id: str, field_id: str) -> Flow[None]:
    """Delete a metadata field and its values in all documents. A missing field is not an error.

    https://docs.dify.ai/api-reference/metadata/delete-metadata-field
    """
    yield Request("DELETE", f"/datasets/{dataset_id}/metadata/{field_id}")


def create_missing(
    dataset_id: str, kinds: Mapping[str, FieldType], fields: Mapping[str, MetadataField]
) -> Flow[dict[str, MetadataField]]:
    """Create the missing fields, and return them.

    :param kinds: The type of each required field, by name.
    :param fields: The existing fields, by name.
    """
    created: dict[str, MetadataField] = {}
    for name, kind in kinds.items():
        if name in fields:
            continue
        try:
            created[name] = yield from create_field(dataset_id, name, kind)
        except DifyRequestError as error:
            # Somebody else was faster, or this run created it and the response was lost.
            if "already exists" not in error.detail.lower():
                raise
            found = {field.name: field for field in (yield from list_fields(dataset_id))}
            if name not in found:
                raise
            check_fit(name, kind, found[name])
            created[name] = found[name]
    return created


def check_name(name: object, parameter: str) -> str:
    """Return the name of a field.

    :raises DifyInputError: A metadata field cannot have that name.
    """
    given, name = name, as_text(name)
    if not isinstance(name, str) or not name.strip() or not is_storable(name):
        raise DifyInputError(
            f"{parameter} contains something that is not the name of a metadata field: {show(given)}.{why(given)}"
        )
    if name in BUILT_IN:
        raise DifyInputError(
            f"{parameter} names '{name}', a built-in field that Dify fills itself. Choose another name."
        )
    if len(name) > _LONGEST_NAME:
        raise DifyInputError(
            f"{parameter} contains the name of a metadata field with {len(name)} characters, {show(name)}. Dify "
            f"accepts at most {_LONGEST_NAME}."
        )
    return name


def check_names(value: object, parameter: str) -> list[str]:
    """Return the names of fields: a list, one name, or a text that contains a list.

    :raises DifyInputError: A metadata field cannot have one of the names.
    """
    found = as_text(literal(value))
    items = [] if found is None else [found] if isinstance(found, str) else found
    if not isinstance(items, Iterable) or isinstance(items, (bytes, Mapping)):
        raise DifyInputError(f"{parameter} must be a list of names of metadata fields, not {show(value)}.")
    return [check_name(item, parameter) for item in items]


def check_values(values: object, parameter: str) -> dict[str, Value]:
    """Return values by field name.

    :raises DifyInputError: There are none, or no field accepts one of them.
    """
    if not isinstance(values, Mapping) or not values:
        raise DifyInputError(
            f"{parameter} must map names of metadata fields to values, not {show(values)}.{why(values)}"
        )
    checked: dict[str, Value] = {}
    for name, value in values.items():
        checked[check_name(name, parameter)] = value
        if value is not None:
            kind_of(value, f"{parameter}[{show(name)}]")
    return checked


def check_own_values(values: object, reserved: Mapping[str, str]) -> dict[str, Value]:
    """Return the values that a user gave for new documents, if any. A template may have rendered them to text.

    :param reserved: Names of fields that this package uses itself, and for what.
    :raises DifyInputError: The values are invalid, or one of them is for such a field.
    """
    if values is None or values in ("", {}):
        return {}
    checked = check_values(literal(values), "metadata")
    for name, what in reserved.items():
        if name in checked:
            raise DifyInputError(f"metadata names {show(name)}, which keeps {what}. Choose another name.")
    return checked


def check_fields(dataset_id: str, kinds: Mapping[str, FieldType]) -> Flow[None]:
    """Check that values fit the existing fields, before documents without values exist.

    :raises DifyInputError: They do not fit.
    """
    if kinds:
        for field in (yield from list_fields(dataset_id)):
            if field.name in kinds:
                check_fit(field.name, kinds[field.name], field)


def kind_of(value: object, parameter: str) -> FieldType:
    """Return the type of field that a value needs.

    :raises DifyInputError: No field accepts it.
    """
    if isinstance(value, str) and is_storable(value):
        return FieldType.STRING
    if isinstance(value, (int, float)) and not isinstance(value, bool) and is_finite(value):
        return FieldType.NUMBER
    if isinstance(value, datetime) and value.tzinfo is not None:
        return FieldType.TIME
    hint = " Give it a time zone." if isinstance(value, datetime) else ""
    hint = " Dify has no boolean fields: use 1 or 0, or text." if isinstance(value, bool) else hint
    raise DifyInputError(
        f"{parameter} must be text, a finite number, or a datetime with a time zone, not {show(value)}.{hint}"
    )


def kinds_of(values: Iterable[Mapping[str, Value]]) -> dict[str, FieldType]:
    """Return the type that each field needs, by name, for the values of several documents.

    :raises DifyInputError: Values of one field have different types.
    """
    kinds: dict[str, FieldType] = {}
    for one in values:
        for name, value in one.items():
            if value is None:
                continue
            kind = kind_of(value, name)
            if kinds.setdefault(name, kind) is not kind:
                raise DifyInputError(
                    f"The values of metadata field {show(name)} have different types: {kinds[name].value} and "
                    f"{kind.value}, {show(value)}."
                )
    return kinds


def check_fit(name: str, kind: FieldType, field: MetadataField) -> None:
    """Check that values fit an existing field.

    :raises DifyInputError: They do not fit. Dify would store them, and no filter would find them.
    """
    # Dify stores a time as seconds since the epoch.
    if field.type == kind.value or (field.type == FieldType.TIME.value and kind is FieldType.NUMBER):
        return
    hint = (
        " A template renders to text, unless the DAG has render_template_as_native_obj=True."
        if kind is FieldType.STRING
        else ""
    )
    raise DifyInputError(
        f"Metadata field {show(name)} has values of type {field.type}, but the given value has type {kind.value}.{hint}"
    )


def plain(value: Value) -> Plain:
    """Return a value as sent to Dify: a time in whole seconds since the epoch."""
    return int(value.timestamp()) if isinstance(value, datetime) else value


def same(kind: str, wanted: Value, present: Plain) -> bool:
    """Whether a document has a value.

    :param kind: The type of its field.
    :param wanted: The value; ``None``: it should have none.
    :param present: What Dify shows. Its lists show all values as text.
    """
    if wanted is None or present is None:
        return wanted is None and present is None
    if kind == FieldType.STRING.value:
        return bool(str(present) == wanted)
    return bool(native(kind, present) == plain(wanted))


def native(kind: str, present: Plain) -> Plain:
    """Return a value in its own type: Dify's lists show numbers and times as text."""
    if kind == FieldType.STRING.value or not isinstance(present, str):
        return present
    for parse in (int, float):
        try:
            number = parse(present)
        except ValueError:
            continue
        return number if is_finite(number) else present
    return present
