"""Documents that are created from files, and replaced by others."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from airflow_provider_dify.testing import Dataset, FakeDify
from tests.testing.conftest import Client

MEGABYTE = 1024 * 1024


def send(
    client: Client, kb: Dataset, name: str = "a.txt", content: bytes = b"a penguin", path: str = "", **data: Any
) -> requests.Response:
    """Create a document, or update the one whose path is given."""
    options = {"process_rule": {"mode": "automatic"}, **data}
    method, target = ("PATCH", path) if path else ("POST", f"/datasets/{kb.id}/document/create-by-file")
    files = {"file": (name, content, "text/plain")}
    return client.call(method, target, files=files, data={"data": json.dumps(options)})


def made(client: Client, kb: Dataset, **kwargs: Any) -> str:
    answer = send(client, kb, **kwargs)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["document"]["id"])


def test_a_file_becomes_a_document(client: Client, sim: FakeDify, kb: Dataset) -> None:
    content = b"Pinguine schwimmen. \xe9"
    document = sim.document(made(client, kb, name="Pinguine.md", content=content))
    assert (document.indexing_status, document.in_search) == ("parsing", False)
    sim.settle()
    assert (document.name, document.content, document.display_status) == ("Pinguine.md", content, "available")
    assert document.text.endswith("schwimmen. \N{LATIN SMALL LETTER E WITH ACUTE}")
    assert sim.search(kb, "pinguine") == ["Pinguine.md"]
    seen = client.get(f"/datasets/{kb.id}/documents").json()["data"][0]
    file = seen["data_source_detail_dict"]["upload_file"]
    assert (file["name"], file["extension"], file["size"]) == ("Pinguine.md", "md", len(content))
    assert seen["data_source_info"] == {"upload_file_id": file["id"]}


def test_the_record_of_a_request_tells_what_came(client: Client, sim: FakeDify, kb: Dataset) -> None:
    made(client, kb, name="b.txt", doc_language="German")
    assert sim.requests[-1].files == ("b.txt",)
    assert sim.requests[-1].json["doc_language"] == "German"


@pytest.mark.parametrize("archived", [False, True])
def test_an_enabled_namesake_is_replaced(client: Client, sim: FakeDify, kb: Dataset, archived: bool) -> None:
    document = kb.add_document("a.txt", text="a zebra", archived=archived, metadata={"stage": "live"})
    batch = document.batch
    assert made(client, kb) == document.id
    sim.settle()
    assert document.batch != batch
    assert (document.archived, document.in_search, document.metadata) == (archived, True, {"stage": "live"})
    assert sim.search(kb, "zebra penguin") == ["a.txt"]


@pytest.mark.parametrize("how", ["disabled", "duplicate"])
def test_a_second_one_of_the_same_name(client: Client, kb: Dataset, how: str) -> None:
    document = kb.add_document("a.txt", enabled=how != "disabled")
    data: dict[str, Any] = {"duplicate": False} if how == "duplicate" else {}
    assert made(client, kb, **data) != document.id
    assert [one.name for one in kb.documents] == ["a.txt", "a.txt"]


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.exe", b"MZ", (400, "invalid_param", "")),
        ("noext", b"x", (400, "invalid_param", "")),
        ("a.txt", b"x" * (15 * MEGABYTE + 1), (400, "invalid_param", "")),
        ("a/b.txt", b"x", (400, "invalid_param", "Filename contains invalid characters")),
        ("", b"x", (400, "filename_not_exists_error", "The specified filename does not exist.")),
    ],
)
def test_what_is_refused(client: Client, kb: Dataset, name: str, content: bytes, error: tuple[int, str, str]) -> None:
    body = send(client, kb, name, content).json()
    assert (body["status"], body["code"], body["message"]) == error
    assert kb.documents == []


def test_the_largest_file(client: Client, sim: FakeDify, kb: Dataset) -> None:
    content = b"word " * (3 * MEGABYTE)
    assert sim.document(made(client, kb, content=content)).content == content


@pytest.mark.perf
def test_how_long_the_largest_file_takes(client: Client, sim: FakeDify, kb: Dataset) -> None:
    started = time.monotonic()
    made(client, kb, content=b"word " * (3 * MEGABYTE))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("path", ["", "/update-by-file", "/update_by_file"])
def test_an_update_keeps_id_and_batch(client: Client, sim: FakeDify, kb: Dataset, path: str) -> None:
    document = kb.add_document("old.txt", text="a zebra")
    batch, files = document.batch, {"file": ("new.txt", b"a penguin")}
    target = f"/datasets/{kb.id}/documents/{document.id}{path}"
    answer = client.call("POST" if path else "PATCH", target, files=files)
    assert (answer.status_code, answer.json()["batch"]) == (200, batch)
    assert (document.indexing_status, document.in_search) == ("parsing", False)
    sim.settle()
    assert (document.name, document.text, document.batch) == ("new.txt", "a penguin", batch)
    assert document.in_search


@pytest.mark.parametrize(
    ("name", "content", "status"), [("a.exe", b"MZ", 415), ("a.txt", b"x" * (15 * MEGABYTE + 1), 413)]
)
def test_an_update_is_refused_in_other_words(
    client: Client, kb: Dataset, name: str, content: bytes, status: int
) -> None:
    document = kb.add_document("old.txt")
    answer = send(client, kb, name, content, f"/datasets/{kb.id}/documents/{document.id}")
    assert (answer.status_code, document.display_status) == (status, "available")


@pytest.mark.parametrize("state", [{"enabled": False}, {"archived": True}, {"indexing_status": "waiting"}])
def test_an_update_of_what_is_not_available(client: Client, kb: Dataset, state: dict[str, Any]) -> None:
    document = kb.add_document("old.txt", **state)
    answer = send(client, kb, path=f"/datasets/{kb.id}/documents/{document.id}")
    assert (answer.status_code, answer.json()["message"]) == (400, "Document is not available")


def test_a_rule_that_the_worker_cannot_follow(client: Client, sim: FakeDify, kb: Dataset) -> None:
    rule = {"mode": "custom", "rules": {"segmentation": {"separator": "\n", "max_tokens": 10}}}
    document = sim.document(made(client, kb, process_rule=rule))
    sim.settle()
    assert (document.indexing_status, document.in_search) == ("error", False)
    assert document.error == "Custom segment length should be between 50 and 4000."


def test_an_update_heals_a_file_that_could_not_be_read(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = sim.document(made(client, kb, name="a.pdf", content=b"no pdf"))
    sim.settle()
    assert str(document.error).startswith("Failed to load document")
    assert made(client, kb, name="a.pdf", content=b"%PDF penguin") == document.id
    sim.settle()
    assert document.error is None
    assert sim.search(kb, "penguin") == ["a.pdf"]
