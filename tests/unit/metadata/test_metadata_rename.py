"""Metadata fields get other names."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError, DifyNotFoundError, DifyRequestError, DifyServerError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.metadata.fields import MetadataField
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import UNKNOWN
from tests.unit.metadata.describing import add_field

RENAME = r"/metadata/[0-9a-f-]{36}$"
#: What Dify answers if it did nothing: because the field is unknown, or because of another change.
REFUSAL = {"code": "invalid_param", "message": "1 validation error for DatasetMetadataResponse", "status": 400}
EMPTY = {"id": None, "type": None, "name": None}


def field_of(kb: Dataset, name: str) -> str:
    field = kb.fields.named(name)
    assert field is not None
    return field.id


def methods(dify: FakeDify) -> list[str]:
    return [request.method for request in dify.requests]


@pytest.mark.parametrize("version", ["1.16.0", "1.14.1", "1.12.1"])
def test_documents_keep_their_values(dify: FakeDify, kb: Dataset, hook: DifyHook, version: str) -> None:
    dify.world.version = version
    page, bare = kb.add_document("page", metadata={"author": "me", "pages": 7}), kb.add_document("bare")
    field_id = field_of(kb, "author")
    field = hook.rename_metadata_field(kb.id, field_id.upper(), "writer")
    assert field == MetadataField(field_id, "writer", "string", 1)
    assert field in hook.list_metadata_fields(kb.id)
    assert (page.metadata, bare.metadata) == ({"writer": "me", "pages": 7}, {})


@pytest.mark.parametrize("name", ["n" * 255, " padded ", "作者"])
def test_odd_names(kb: Dataset, hook: DifyHook, name: str) -> None:
    add_field(kb, "author", "string")
    assert hook.rename_metadata_field(kb.id, field_of(kb, "author"), name).name == name


def test_the_name_that_it_has(dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
    kb.add_document("page", metadata={"author": "me"})
    field = hook.rename_metadata_field(kb.id, field_of(kb, "author"), "author")
    assert (field.name, field.count) == ("author", 1)
    assert methods(dify) == ["GET"]


def test_the_name_of_another_field(kb: Dataset, hook: DifyHook) -> None:
    page = kb.add_document("page", metadata={"author": "me", "pages": 7})
    with pytest.raises(DifyRequestError, match=r"Metadata name already exists\.") as caught:
        hook.rename_metadata_field(kb.id, field_of(kb, "author"), "pages")
    assert caught.value.status == 400
    assert page.metadata == {"author": "me", "pages": 7}


@pytest.mark.parametrize("version", ["1.16.0", "1.14.1", "1.12.1"])
def test_an_unknown_field(dify: FakeDify, kb: Dataset, hook: DifyHook, version: str) -> None:
    dify.world.version = version
    other = dify.add_dataset("other")
    other.add_document("page", metadata={"author": "me"})
    for field_id in (UNKNOWN, field_of(other, "author")):
        with pytest.raises(DifyNotFoundError, match=f"has no metadata field with the id {field_id}"):
            hook.rename_metadata_field(kb.id, field_id, "writer")
    assert methods(dify) == ["GET", "GET"]


def test_an_unknown_dataset(hook: DifyHook) -> None:
    with pytest.raises(DifyNotFoundError, match="Dataset not found"):
        hook.rename_metadata_field(UNKNOWN, UNKNOWN, "writer")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": ""}, "name contains something that is not the name of a metadata field: ''"),
        ({"name": " "}, "not the name of a metadata field: ' '"),
        ({"name": None}, "not the name of a metadata field: None"),
        ({"name": "n" * 256}, "the name of a metadata field with 256 characters"),
        ({"name": "uploader"}, "name names 'uploader', a built-in field"),
        ({"field_id": "author"}, "field_id is not a UUID: 'author'"),
        ({"dataset_id": "kb"}, "dataset_id is not a UUID: 'kb'"),
    ],
)
def test_nothing_is_sent(dify: FakeDify, hook: DifyHook, given: dict[str, Any], says: str) -> None:
    with pytest.raises(DifyInputError) as caught:
        hook.rename_metadata_field(**{"dataset_id": UNKNOWN, "field_id": UNKNOWN, "name": "writer", **given})
    assert says in str(caught.value)
    assert dify.requests == []


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status", "status_after", "page", "page_after"])
def test_failures_are_retried(dify: FakeDify, kb: Dataset, hook: DifyHook, kind: Any) -> None:
    page = kb.add_document("page", metadata={"author": "me"})
    dify.faults.add(Fault(kind, method="PATCH", path=RENAME))
    assert hook.rename_metadata_field(kb.id, field_of(kb, "author"), "writer").name == "writer"
    assert page.metadata == {"writer": "me"}


def test_a_dify_that_stays_down(dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
    add_field(kb, "author", "string")
    dify.faults.add(Fault("status", method="PATCH", path=RENAME, times=None))
    with pytest.raises(DifyServerError):
        hook.rename_metadata_field(kb.id, field_of(kb, "author"), "writer")


@pytest.mark.parametrize(("status", "body"), [(400, REFUSAL), (200, EMPTY)], ids=["1.16.0", "older"])
def test_somebody_else_changes_the_fields(
    dify: FakeDify, kb: Dataset, hook: DifyHook, status: int, body: dict[str, Any]
) -> None:
    add_field(kb, "author", "string")
    dify.faults.add(Fault("status", method="PATCH", path=RENAME, status=status, body=body))
    with pytest.raises(DifyRequestError, match="Dify did not rename metadata field 'author' to 'writer'") as caught:
        hook.rename_metadata_field(kb.id, field_of(kb, "author"), "writer")
    assert not caught.value.final
    assert hook.rename_metadata_field(kb.id, field_of(kb, "author"), "writer").name == "writer"


def test_a_field_that_somebody_deletes_meanwhile(dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
    add_field(kb, "author", "string")
    field_id = field_of(kb, "author")
    dify.faults.add(Fault("latency", method="PATCH", path=RENAME, seconds=10))

    def delete(at: float) -> None:
        kb.fields.pop(field_id)

    kb.world.schedule(5, delete)
    with pytest.raises(DifyNotFoundError, match="has no metadata field"):
        hook.rename_metadata_field(kb.id, field_id, "writer")
