"""Files on the wire: unchanged, complete, and never held in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from airflow_provider_dify.exceptions import DifySourceError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.flow import JSON, Flow, Request, Response, Upload
from airflow_provider_dify.sources import FileSource
from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.transport.forms import Form


def send(kb: Dataset, upload: Upload) -> Flow[int]:
    response = yield Request("POST", f"/datasets/{kb.id}/document/create-by-file", upload=upload, repeatable=False)
    assert isinstance(response, Response)
    return response.status


def options() -> dict[str, JSON]:
    return {"indexing_technique": "economy", "process_rule": {"mode": "automatic"}}


@pytest.mark.parametrize("name", ["plain.md", "grüße 你好.md", "semi;colon=.md", "a\u2028b.md"])
@pytest.mark.parametrize("content", [b"text", bytes(range(256)) * 3000, b"\r\n--\r\n\r", b"x" * 8192])
def test_they_arrive_as_they_are(dify: FakeDify, kb: Dataset, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "file.md"
    path.write_bytes(content)
    source = FileSource(path, name)
    with DifyHook() as hook:
        assert hook.run(send(kb, Upload(name, source, options()))) == 200
    (document,) = kb.documents
    assert document.name == name
    assert document.content == content
    assert source.digest() == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("change", [b"", b"shorter", b"longer than it was" * 1000])
def test_a_file_that_changes_its_length_meanwhile_is_not_sent(
    dify: FakeDify, kb: Dataset, tmp_path: Path, change: bytes
) -> None:
    path = tmp_path / "file.md"
    path.write_bytes(b"something of some length")
    source = FileSource(path)
    path.write_bytes(change)
    with DifyHook() as hook, pytest.raises(DifySourceError, match="changed its size"):
        hook.run(send(kb, Upload("file.md", source, options())))
    assert kb.documents == []
    with DifyHook() as hook:
        assert hook.run(send(kb, Upload("file.md", FileSource(tmp_path / "file.md"), options()))) == 200


def test_a_file_that_is_gone_is_told_with_its_place(tmp_path: Path, kb: Dataset) -> None:
    path = tmp_path / "file.md"
    path.write_bytes(b"here")
    source = FileSource(path)
    path.unlink()
    with DifyHook() as hook, pytest.raises(DifySourceError, match=str(path)):
        hook.run(send(kb, Upload("file.md", source, options())))


def test_it_is_read_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"x" * 1_000_000)
    with Form(Upload("file.bin", FileSource(path), {})) as form:
        pieces = []
        while piece := form.read(8192):
            pieces.append(len(piece))
    assert sum(pieces) == len(form)
    assert max(pieces) == 8192
