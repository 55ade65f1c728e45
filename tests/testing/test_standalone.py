"""A stand-alone Dify: what the command prints, accepts and refuses."""

from __future__ import annotations

import json
import shlex
import socket
import uuid

import pytest
import requests

from tests.testing.standing import refused, standalone

pytestmark = pytest.mark.program


def test_it_says_how_to_reach_it_and_stops_in_order() -> None:
    with standalone() as dify:
        name, _ = dify.export
        assert name == "AIRFLOW_CONN_DIFY_DEFAULT"
        assert dify.greeting[0] == f"The built-in Dify 1.16.0 listens on {dify.root}/v1. Its pages: {dify.root}/"
        listed = dify.get("/datasets")["data"]
        assert {one["name"]: one["id"] for one in listed} == {
            one: dify.id_of(one) for one in ("Handbook", "Products", "Empty")
        }
        documents = dify.get(f"/datasets/{dify.id_of('Products')}/documents")["data"]
        assert [one["id"] for one in documents if one["name"] == "Rain jacket"] == [dify.id_of("Rain jacket")]
        lines = dify.greeting
        assert [line.partition("=")[0] for line in lines if line.startswith("export ")] == [
            f"export AIRFLOW_CONN_DIFY_{name}" for name in ("DEFAULT", "APP", "CHAT")
        ]
        code, output, errors = dify.interrupt()
        assert (code, output) == (0, "Stopped.\n")
        assert "GET /v1/datasets 200" in errors.splitlines()


def test_ids_and_key_are_the_same_at_every_start() -> None:
    with standalone() as one, standalone("--quiet") as other:
        assert [one.id_of(name) for name in ("Handbook", "scan.pdf")] == [
            other.id_of(name) for name in ("Handbook", "scan.pdf")
        ]
        assert one.connection["password"] == other.connection["password"]


def test_options() -> None:
    with standalone("--version", "1.12.1", "--seed", "none", "--key", "dataset-mine", "--quiet", "--measured") as dify:
        assert dify.connection["password"] == "dataset-mine"
        assert dify.get("/datasets")["data"] == []
        assert "1.12.1" in dify.page("/").text
        assert dify.interrupt() == (0, "Stopped.\n", "")


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = refused("--port", str(port))
    assert code == 1
    assert errors == f"Port {port} is in use. Choose another one with --port, or a free one with --port 0.\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "80110"], "'80110' is not a port"),
        (["--jobs", "0"], "jobs is 0, and should be 1 or more"),
        (["--lost-keywords", "2"], "lost_keywords is 2.0"),
        (["--lost-keywords", "often"], "'often' is neither never"),
        (["--key", "two words"], "visible ASCII characters"),
        (["--host", "0.0.0.0"], "can be reached from other machines: choose a key with --key"),
    ],
)
def test_wrong_options(options: list[str], said: str) -> None:
    code, errors = refused(*options)
    assert code == 2
    assert said in errors.splitlines()[-1]


def test_pages() -> None:
    with standalone("--quiet") as dify:
        kb, document = dify.id_of("Handbook"), dify.id_of("sick leave.md")
        assert f"/datasets/{kb}/documents" in dify.page("/").text
        listed = dify.page(f"/datasets/{kb}/documents").text
        assert f"/datasets/{kb}/documents/{document}" in listed
        assert "there is no text in it" in listed
        assert "A doctor&#x27;s note is needed" in dify.page(f"/datasets/{kb}/documents/{document}").text
        found = dify.page(f"/datasets/{kb}/documents?query=bicycles&top_k=3").text
        assert "1 chunk found" in found
        assert "Parking spaces are for bicycles first." in found
        assert dify.page(f"/datasets/{uuid.uuid4()}/documents").status_code == 404
        assert dify.page(f"/datasets/{kb}/documents/{uuid.uuid4()}").status_code == 404


def test_apps() -> None:
    with standalone("--quiet") as dify:
        line = next(line for line in dify.greeting if "AIRFLOW_CONN_DIFY_APP" in line)
        app = json.loads(shlex.split(line)[1].partition("=")[2])
        body = {"inputs": {"text": "one two three", "seconds": 0}, "user": "ann"}
        headers = {"Authorization": f"Bearer {app['password']}"}
        answer = requests.post(f"{app['host']}/workflows/run", json=body, headers=headers, timeout=60).json()
        assert answer["data"]["outputs"] == {"words": 3, "longest": "three"}
        here = f"/app/{dify.id_of('Word count')}"
        assert f"{here}/logs" in dify.page("/").text
        assert answer["workflow_run_id"] in dify.page(f"{here}/logs").text
