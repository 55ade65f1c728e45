"""Where an export goes: folders, buckets, and storages that fail."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from upath import UPath

from airflow_provider_dify.exceptions import DifyExportError, DifyInputError, DifyStorageError
from airflow_provider_dify.exports.target import FolderTarget, open_target
from airflow_provider_dify.knowledge.export.manifest import StoredFile, file_of
from airflow_provider_dify.testing import Dataset, FakeDify, RequestRecord
from tests.unit.export.exporting import contents_of, run_export
from tests.unit.sync.syncing import run_sync


@pytest.fixture
def bucket() -> Iterator[UPath]:
    """A bucket, which is empty afterwards."""
    yield UPath("memory://exports/handbook")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def in_bucket() -> dict[str, bytes]:
    """What is in it, by the end of its path."""
    return {path.rpartition("handbook/")[2]: file.getvalue() for path, file in MemoryFileSystem.store.items()}


def test_a_bucket(dify: FakeDify, kb: Dataset, bucket: UPath) -> None:
    pages = [kb.add_document(f"page{n}.md", text=f"Page {n}.", file_name=f"page{n}.md") for n in range(3)]
    assert run_export(kb, bucket).outcomes == {"downloaded": [page.name for page in pages]}
    assert sorted(content for path, content in in_bucket().items() if path.startswith("files/")) == [
        b"Page 0.", b"Page 1.", b"Page 2.",
    ]  # fmt: skip
    assert {path.partition("/")[0] for path in in_bucket()} == {"files", "manifest.json"}
    assert run_export(kb, bucket).outcomes == {"unchanged": [page.name for page in pages]}


def test_a_bucket_is_recreated(dify: FakeDify, kb: Dataset, bucket: UPath) -> None:
    kb.add_document("page.md", text="Page.", file_name="page.md", archived=True)
    run_export(kb, bucket)
    copy = dify.add_dataset("copy")
    assert run_sync(copy, bucket).outcomes == {"created": ["page.md"]}
    assert [(document.content, document.archived) for document in copy.documents] == [(b"Page.", True)]
    (bucket / "manifest.json").unlink()
    error = run_sync(copy, bucket).error
    assert isinstance(error, DifyInputError)
    assert "contains an export without manifest.json" in error.message


def test_a_url_of_a_folder(kb: Dataset, tmp_path: Path) -> None:
    page = kb.add_document("page.md", text="Page.")
    assert run_export(kb, f"file://{tmp_path}/new").error is None
    assert contents_of(tmp_path / "new") == {page.id: b"Page."}


@pytest.mark.parametrize("damage", ["gone", "cut"])
@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_what_the_target_loses_meanwhile_is_not_exported(
    dify: FakeDify, kb: Dataset, tmp_path: Path, bucket: UPath, kind: str, damage: str
) -> None:
    kb.add_documents(3)
    target = tmp_path / "export" if kind == "folder" else bucket
    downloads: list[str] = []
    lost: list[str] = []

    def told(record: RequestRecord) -> None:
        downloads.extend([record.path] if "download" in record.path else [])
        if len(downloads) == 3 and not lost:  # all but the last one are in the target
            first = min((target / "files").iterdir())
            lost.append(f"files/{first.name}")
            if damage == "gone":
                first.unlink()
            else:
                first.write_bytes(b"x")

    dify.front.told = told
    run = run_export(kb, target, batch_size=1)
    assert isinstance(run.error, DifyExportError)
    assert not run.error.final
    assert {outcome: len(names) for outcome, names in run.outcomes.items()} == {"downloaded": 2, "failed": 1}
    (why,) = run.report["errors"].values()
    assert why == f"The target lost {lost[0]}, or has only a part of it, during the export."
    again = run_export(kb, target, batch_size=1)
    assert again.error is None
    assert {outcome: len(names) for outcome, names in again.outcomes.items()} == {"downloaded": 1, "unchanged": 2}


class Forgetful(FolderTarget):
    """A storage that does not keep what it was given."""

    def check(self, path: str) -> StoredFile | None:
        found = super().check(path)
        return StoredFile(found.size, "0" * 64) if found and "bad" in path else found


def test_a_storage_that_changes_a_content(kb: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb.add_document("bad.md", text="Bad.", file_name="bad.md")
    kb.add_document("good.md", text="Good.", file_name="good.md")
    monkeypatch.setattr("airflow_provider_dify.exports.target.FolderTarget", Forgetful)
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyExportError)
    assert result.outcomes == {"downloaded": ["good.md"], "failed": ["bad.md"]}
    assert "Read back from the target, files/bad-" in result.error_of("bad.md")


class Full(io.BytesIO):
    """A file on a disk without space."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk(kb: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder, and not the connection to Dify, over which the content comes at that moment."""
    kb.add_document("page.md", text="Page.")
    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyStorageError)
    assert result.error.message.startswith("The temporary folder ")


def test_no_secret_is_shown() -> None:
    target = open_target(UPath("memory://user:secret-password@exports/x"))
    assert "secret-password" not in target.place


@pytest.mark.parametrize(
    ("name", "extension", "path"),
    [
        ("report.pdf", "pdf", "files/report-"),
        ("Über uns", "txt", "files/Über_uns-"),
        ("../../etc/passwd", "", "files/etc_passwd-"),
        (".hidden", "md", "files/hidden-"),
        ("a\x00b\nc\\d", "md", "files/a_b_c_d-"),
        ("报告.docx", "docx", "files/报告-"),
        ("???", "txt", "files/document-"),
        ("x" * 300 + ".md", "md", f"files/{'x' * 60}-"),
        ("é" * 100, "md", f"files/{'é' * 30}-"),
    ],
)
def test_names_of_files(name: str, extension: str, path: str) -> None:
    found = file_of(name, extension, "document", "file")
    assert found.startswith(path)
    assert found.count("/") == 1
    assert found.endswith(f".{extension or 'bin'}")
    assert len(found.encode()) < 120
    assert found != file_of(name, extension, "document", "another file")
