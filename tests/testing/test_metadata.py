"""Metadata of documents: fields, values, and their effect on search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.testing.conftest import Client


def assign(client: Client, document: Document, *, partial: bool = False, **values: object) -> requests.Response:
    fields = document.dataset.fields
    found = {name: fields.named(name) for name in values}
    entries = [
        {"id": document.id if one is None else one.id, "name": name, "value": values[name]}
        for name, one in found.items()
    ]
    operation = {"document_id": document.id, "metadata_list": entries, "partial_update": partial}
    path = f"/datasets/{document.dataset.id}/documents/metadata"
    return client.call("POST", path, json={"operation_data": [operation]})


def seen(client: Client, document: Document, query: str = "") -> Any:
    return client.get(f"/datasets/{document.dataset.id}/documents/{document.id}{query}").json().get("doc_metadata")


def test_a_document_is_made_with_metadata(client: Client, kb: Dataset) -> None:
    document = kb.add_document("one", metadata={"source": "wiki", "version": 7})
    assert document.metadata == {"source": "wiki", "version": 7}
    fields = client.get(f"/datasets/{kb.id}/metadata").json()["doc_metadata"]
    assert [(one["name"], one["type"], one["count"]) for one in fields] == [
        ("source", "string", 1),
        ("version", "number", 1),
    ]


def test_assigning_replaces_unless_it_is_partial(client: Client, kb: Dataset) -> None:
    document = kb.add_document("one", metadata={"source": "wiki", "version": 7})
    assert assign(client, document, partial=True, source="web").ok
    assert document.metadata == {"source": "web", "version": 7}
    assert assign(client, document, source="mail").ok
    assert document.metadata == {"source": "mail"}
    assert assign(client, document, ghost="g").ok
    assert document.metadata == {}, "an unknown field is ignored, and the others are gone"


def test_values_are_texts_in_the_list(client: Client, kb: Dataset) -> None:
    document = kb.add_document("one", metadata={"version": 7})
    listed = client.get(f"/datasets/{kb.id}/documents").json()["data"][0]["doc_metadata"]
    own = ["document_name", "uploader", "upload_date", "last_update_date", "source"]
    assert [one["name"] for one in listed] == ["version", *own]
    assert (listed[0]["value"], seen(client, document)[0]["value"]) == ("7", 7)
    assert seen(client, document, "?metadata=only") == seen(client, document)
    assert seen(client, document, "?metadata=without") is None
    assert seen(client, kb.add_document("two")) is None


def test_a_field_that_goes_takes_its_values_along(client: Client, kb: Dataset) -> None:
    document, field = kb.add_document("one", metadata={"version": 7, "source": "x"}), kb.fields.named("version")
    assert field is not None
    path = f"/datasets/{kb.id}/metadata/{field.id}"
    assert client.call("PATCH", path, json={"name": "edition"}).ok
    assert document.metadata == {"edition": 7, "source": "x"}
    assert client.call("DELETE", path).status_code == 204
    assert document.metadata == {"source": "x"}


@pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
def test_an_old_dify_has_no_error_for_an_unknown_field(start: Callable[..., FakeDify], version: str) -> None:
    dify = start(version=version)
    client, kb = Client(dify), dify.add_dataset("kb")
    answer = client.call("PATCH", f"/datasets/{kb.id}/metadata/{kb.id}", json={"name": "x"})
    assert (answer.status_code, answer.json()) == (200, {"id": None, "type": None, "name": None})
    client.session.close()


def test_deleted_documents_do_not_count(client: Client, kb: Dataset) -> None:
    document = kb.add_document("one", metadata={"version": 7})
    assert client.call("DELETE", f"/datasets/{kb.id}/documents/{document.id}").ok
    assert client.get(f"/datasets/{kb.id}/metadata").json()["doc_metadata"][0]["count"] == 0


@pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
def test_a_lock_lasts_its_time(start: Callable[..., FakeDify], version: str) -> None:
    dify = start(version=version, lock_race="never")
    client, document = Client(dify), dify.add_dataset("kb").add_document("one", metadata={"version": 7})
    document.lock_metadata(30)
    answer = assign(client, document, version=8)
    assert (answer.ok, document.metadata) == (version == "1.12.1", {"version": 7}), "1.12.1 keeps silent about it"
    dify.clock.advance(31)
    assert assign(client, document, version=8).ok
    assert document.metadata == {"version": 8}
    client.session.close()


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([("source", "is", "wiki")], ["one"]),
        ([("source", "is not", "wiki")], ["two"]),
        ([("source", "contains", "i")], ["one", "two"]),
        ([("version", ">", 7)], ["two"]),
        ([("version", ">", "text")], []),
        ([("source", "empty", None)], ["three"]),
        ([("source", "is", "wiki"), ("version", "=", 8)], []),
    ],
)
def test_search_by_metadata(
    client: Client, kb: Dataset, conditions: list[tuple[str, str, object]], found: list[str]
) -> None:
    kb.add_document("one", metadata={"source": "wiki", "version": 7})
    kb.add_document("two", metadata={"source": "mail, i think", "version": 8})
    kb.add_document("three")
    named = [{"name": name, "comparison_operator": how, "value": value} for name, how, value in conditions]
    model = {"search_method": "keyword_search", "reranking_enable": False, "top_k": 9, "score_threshold_enabled": False}
    model["metadata_filtering_conditions"] = {"logical_operator": "and", "conditions": named}
    body = {"query": "fox", "retrieval_model": model}
    records = client.call("POST", f"/datasets/{kb.id}/retrieve", json=body).json()["records"]
    assert sorted(one["segment"]["document"]["name"] for one in records) == sorted(found)


def test_built_in_fields_go_into_the_values(client: Client, sim: FakeDify, kb: Dataset) -> None:
    kb.add_document("one")
    assert client.call("POST", f"/datasets/{kb.id}/metadata/built-in/enable").ok
    names = [one["name"] for one in client.get(f"/datasets/{kb.id}").json()["doc_metadata"]]
    assert names == ["document_name", "uploader", "upload_date", "last_update_date", "source"]
    assert client.call("POST", f"/datasets/{kb.id}/metadata/built-in/disable").ok
    assert client.get(f"/datasets/{kb.id}").json()["doc_metadata"] == []
