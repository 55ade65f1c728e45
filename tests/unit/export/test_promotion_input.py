"""Exports that cannot be recreated: a clear error before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.export.exporting import manifest_of, run_export
from tests.unit.sync.syncing import changing, run_sync

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
BROKEN = "manifest.json is not the manifest of an export"
Change = Callable[[Path, dict[str, Any]], object]


def content(manifest: dict[str, Any]) -> dict[str, Any]:
    """The content of the first document."""
    found: dict[str, Any] = manifest["documents"][0]["content"]
    return found


def path_of(folder: Path, manifest: dict[str, Any]) -> Path:
    """The file of the first document."""
    return folder / str(content(manifest)["path"])


def write(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)


def link(folder: Path, manifest: dict[str, Any]) -> None:
    """Let a link lead to the file of the first document, elsewhere."""
    file = path_of(folder, manifest)
    file.rename(folder.parent / "elsewhere")
    file.symlink_to(folder.parent / "elsewhere")


#: What is done to a good export, directly or in its manifest, and what the error contains.
TABLE: dict[str, tuple[Change, str]] = {
    "no manifest": (lambda folder, _: (folder / "manifest.json").unlink(), "contains an export without manifest.json"),
    "an empty manifest": (lambda folder, _: write(folder, ""), f"{BROKEN} (JSONDecodeError"),
    "no JSON": (lambda folder, _: write(folder, "<html>404</html>"), f"{BROKEN} (JSONDecodeError"),
    "half a manifest": (
        lambda folder, _: write(folder, (folder / "manifest.json").read_text()[:-20]),
        f"{BROKEN} (JSONDecodeError",
    ),
    "a list": (lambda folder, _: write(folder, "[]"), f"{BROKEN} (ValueError: a list instead of an object)"),
    "another JSON": (lambda folder, _: write(folder, '{"a": 1}'), f"{BROKEN} (ValueError: its format is None)"),
    "a newer format": (lambda _, m: m.update(version=2), "has format 2 of an export"),
    "an odd version": (lambda _, m: m.update(version="1"), f"{BROKEN} (ValueError: its version is '1')"),
    "no documents": (
        lambda _, m: m.pop("documents"),
        f"{BROKEN} (ValueError: 'documents' is not a list but a NoneType)",
    ),
    "documents as an object": (lambda _, m: m.update(documents={}), "'documents' is not a list"),
    "an odd flag": (lambda _, m: m["documents"][0].update(archived="no"), "'archived' is not a flag"),
    "an id with a path": (lambda _, m: m["documents"][0].update(id="../a"), "'id' is not an id"),
    "one id twice": (lambda _, m: m["documents"][1].update(id=m["documents"][0]["id"]), "have the same 'id' or 'path'"),
    "one path twice": (
        lambda _, m: m["documents"][1]["content"].update(path=content(m)["path"]),
        "have the same 'id' or 'path'",
    ),
    "a missing rule": (lambda _, m: m.update(process_rules={}), "'process_rules' lacks "),
    "a rule as a text": (
        lambda _, m: m.update(process_rules=dict.fromkeys(m["process_rules"], "x")),
        "is not a mapping but a str",
    ),
    "a field of another kind": (
        lambda _, m: m["metadata_fields"].update(n="bool"),
        "has the unknown type 'bool'",
    ),
    "a path above": (lambda _, m: content(m).update(path="../secret"), "'path' leads out of the export"),
    "a path above, below": (lambda _, m: content(m).update(path="files/../../a"), "'path' leads out of the export"),
    "a parent as path": (lambda _, m: content(m).update(path="files/.."), "'path' leads out of the export"),
    "an absolute path": (lambda _, m: content(m).update(path="/etc/passwd"), "'path' leads out of the export"),
    "a path of Windows": (lambda _, m: content(m).update(path="files/..\\a"), "'path' leads out of the export"),
    "another folder": (lambda _, m: content(m).update(path="other/a.md"), "'path' leads out of the export"),
    "a link out": (link, "leads out of the export in "),
    "a wrong checksum": (lambda _, m: content(m).update(sha256="0" * 64), "differs from the manifest by SHA-256"),
    "no checksum": (lambda _, m: content(m).update(sha256="0"), "'sha256' is not a digest"),
    "a changed file": (lambda folder, m: path_of(folder, m).write_text("x"), "differs from the manifest by SHA-256"),
    "an emptied file": (lambda folder, m: path_of(folder, m).write_text(""), "differs from the manifest by SHA-256"),
    "a missing file": (
        lambda folder, m: path_of(folder, m).unlink(),
        "is not complete: 1 file of its manifest",
    ),
    "another form": (lambda _, m: m["knowledge_base"].update(doc_form="qa_model"), "and the export has 'qa_model'"),
}


@pytest.fixture
def export(dify: FakeDify, tmp_path: Path) -> Path:
    """An export of two documents."""
    staging = dify.add_dataset("staging", process_rule={"mode": "automatic"})
    for name in ("a.md", "b.md"):
        staging.add_document(name, text=f"This is {name}.", file_name=name, metadata={"n": 1})
    folder = tmp_path / "export"
    assert run_export(staging, folder).error is None
    return folder


@pytest.mark.parametrize("case", TABLE)
def test_bad_exports(dify: FakeDify, kb: Dataset, export: Path, case: str) -> None:
    change, error = TABLE[case]
    manifest = manifest_of(export)
    before = json.dumps(manifest)
    kb.doc_form = "text_model"
    change(export, manifest)
    if json.dumps(manifest) != before:
        write(export, json.dumps(manifest))
    asked = len(dify.requests)
    result = run_sync(kb, str(export))
    assert isinstance(result.error, DifyInputError)
    assert error in result.error.message
    assert not changing(dify.requests[asked:])


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("recursive", True), ("include", "*.md"), ("name_prefix", "x"), ("encoding", "detect"), ("adopt", True)],
)
def test_an_export_is_recreated_as_a_whole(
    dify: FakeDify, kb: Dataset, export: Path, parameter: str, value: Any
) -> None:
    asked = len(dify.requests)
    result = run_sync(kb, str(export), **{parameter: value})
    assert isinstance(result.error, DifyInputError)
    assert result.error.message.startswith(f"{parameter} does not apply to an export")
    assert not dify.requests[asked:]


def test_an_empty_export_retires_nothing(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("a.md", metadata={"sync_source": "staging", "exported_document": ID})
    assert run_export(dify.add_dataset("empty"), tmp_path).error is None
    result = run_sync(kb, str(tmp_path), sync_source="staging")
    assert isinstance(result.error, DifySourceError)
    assert "an empty export does not empty a knowledge base" in result.error.message
    assert not changing(dify.requests)


def test_an_export_that_was_killed(dify: FakeDify, kb: Dataset, export: Path) -> None:
    (export / "manifest.json").unlink()
    (export / "unfinished").mkdir()
    (export / "unfinished" / "000000.json").write_text("{}")
    (export / "files" / "c-0123456789abcdef.md.partial").write_text("half")
    asked = len(dify.requests)
    result = run_sync(kb, str(export), recursive=True)
    assert isinstance(result.error, DifyInputError)
    assert not changing(dify.requests[asked:])


class Closed:
    """A folder of a storage that does not open files."""

    def __truediv__(self, name: str) -> Closed:
        return self

    def iterdir(self) -> list[Closed]:
        return [self]

    def is_dir(self) -> bool:
        return True

    def open(self, mode: str) -> None:
        raise PermissionError("no access")


def test_a_manifest_that_cannot_be_read(dify: FakeDify, kb: Dataset) -> None:
    """It may be one of an export, so its files are not synced as they are."""
    result = run_sync(kb, Closed(), sync_source="staging")
    assert isinstance(result.error, DifySourceError)
    assert "cannot be read: PermissionError: no access" in result.error.message
    assert not dify.requests


def test_links_can_be_followed(kb: Dataset, export: Path) -> None:
    link(export, manifest_of(export))
    assert run_sync(kb, str(export), follow_links=True).error is None
    assert len(kb.documents) == 2
