"""An export that breaks off, anywhere, is taken up by the next run: nothing that was verified is downloaded twice."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from airflow_provider_dify.exports.target import FolderTarget
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.export.export import Export
from airflow_provider_dify.knowledge.export.manifest import StoredFile
from airflow_provider_dify.knowledge.export.options import ExportOptions
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.export.exporting import contents_of, downloaded, entries_of, files_in, run_export
from tests.unit.killing import killed_at_the_fault
from tests.unit.sync.syncing import abandoned

ODD_NAMES = ("Bericht für Köln", "报告", "résumé", "a/b", "..", "CON", "😀 smile", "x" * 190, "semi;colon", "q?*|<>")


class Killed(BaseException):
    """The process ends."""


class Mortal(FolderTarget):
    """A folder, until so many pieces have been written."""

    def __init__(self, root: Path, pieces: int) -> None:
        super().__init__(root)
        self._left = pieces

    def save(self, path: str, pieces: Iterable[bytes]) -> StoredFile:
        return super().save(path, self._counted(pieces))

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._left -= 1
            if self._left < 0:
                yield piece[: len(piece) // 2]
                raise Killed
            yield piece


def fill(kb: Dataset, documents: int) -> None:
    """Put documents of all kinds into a knowledge base."""
    for number in range(documents):
        name = f"{ODD_NAMES[number // 2 % len(ODD_NAMES)]} {number // 2}.md"[-200:]  # each name twice
        kb.add_document(
            name,
            text="" if number % 40 == 7 else f"Content {number}: Übergröße.",
            file_name=name if number % 3 else None,
            enabled=number % 5 != 0,
            archived=number % 7 == 0,
            indexing_status="error" if number % 50 == 3 else "completed",
            error="It failed." if number % 50 == 3 else None,
            metadata={"number": number} if number % 10 == 0 else None,
        )
    assert len({document.name for document in kb.documents}) == documents // 2


def run_until(dify: FakeDify, kb: Dataset, target: FolderTarget, requests: int, batch_size: int) -> bool:
    """Let a run end after so many requests, or when its target kills it; whether it ended by itself before."""
    with DifyHook() as hook:
        export = Export(kb.id, target, ExportOptions(batch_size=batch_size))
        try:
            return hook.run(abandoned(export.flow(hook.deadline(3600), hook.retries), requests))
        except Killed:
            return False


def verified(folder: Path) -> set[str]:
    """Ids of the documents that an export has noted as saved."""
    journal = [json.loads(note.read_bytes()) for note in (folder / "unfinished").glob("*.json")]
    return {document_id for note in journal for document_id, _ in note["saved"]}


@pytest.mark.parametrize(
    ("documents", "kills"), [(120, 10), pytest.param(1050, 30, marks=pytest.mark.large, id="large")]
)
def test_killed_many_times(dify: FakeDify, tmp_path: Path, documents: int, kills: int) -> None:
    chance = random.Random(17)
    kb = dify.add_dataset("large", process_rule={"mode": "automatic"})
    fill(kb, documents)
    for _ in range(kills):
        known, asked = verified(tmp_path), len(dify.requests)
        if chance.random() < 0.5:
            target, requests = Mortal(tmp_path, chance.randrange(documents // 20)), 10**6
        else:
            target, requests = Mortal(tmp_path, 10**6), chance.randrange(20)
        assert not run_until(dify, kb, target, requests, batch_size=documents // 100)
        assert not known & set(downloaded(dify.requests[asked:]))
    known, asked = verified(tmp_path), len(dify.requests)
    assert known
    result = run_export(kb, tmp_path)
    assert result.error is None
    assert len(result.report["unchanged"]) == len(known)
    assert sorted([*known, *downloaded(dify.requests[asked:])]) == sorted(document.id for document in kb.documents)
    assert contents_of(tmp_path) == {document.id: document.content for document in kb.documents}
    entries = entries_of(tmp_path)
    for document in kb.documents:
        entry = entries[document.id]
        assert (entry["name"], entry["enabled"], entry["archived"], entry["state"]) == (
            document.name,
            document.enabled,
            document.archived,
            document.indexing_status,
        )
        assert entry["metadata"] == document.metadata
    # Nothing else is left behind, not even of files that were being written.
    assert len(files_in(tmp_path)) == documents
    asked = len(dify.requests)
    assert len(run_export(kb, tmp_path).report["unchanged"]) == documents
    assert not downloaded(dify.requests[asked:])


def test_abandoned_at_any_request(dify: FakeDify, tmp_path: Path) -> None:
    """A second export that breaks off leaves the first one as it was, or is complete."""
    kb = dify.add_dataset("small", process_rule={"mode": "automatic"})
    pages = [kb.add_document(f"page{n}.md", text=f"Page {n}.", file_name=f"page{n}.md") for n in range(4)]
    crawled = kb.add_document("crawled", text="Crawled.", source_type="website_crawl")
    run_export(kb, tmp_path)
    before = {i: (folder_file, content) for i, folder_file, content in first(tmp_path)}
    kb.remove(kb.rows[pages[0].id])
    new = kb.add_document("new.md", text="New.", file_name="new.md")
    ended, after = False, 0
    while not ended:
        ended = run_until(dify, kb, FolderTarget(tmp_path), after, batch_size=1)
        if not ended:
            assert {i: (path, content) for i, path, content in first(tmp_path)} == before, after
        after += 1
    assert contents_of(tmp_path).keys() == {page.id for page in pages[1:]} | {crawled.id, new.id}
    assert after > 5


def first(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    """What a manifest names, and what is there."""
    for document_id, entry in entries_of(folder).items():
        path = entry["content"]["path"]
        yield document_id, path, (folder / path).read_bytes()


SCRIPT = """
import sys
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.export.options import ExportOptions
with DifyHook() as hook:
    hook.export_dataset(sys.argv[1], sys.argv[2], ExportOptions(batch_size=5))
"""


@pytest.mark.program
@pytest.mark.parametrize("archives", [0, 2])
def test_killed_by_the_kernel(dify: FakeDify, kb: Dataset, tmp_path: Path, archives: int) -> None:
    for number in range(20):
        kb.add_document(f"page{number}.md", text=f"Page {number}.", file_name=f"page{number}.md")
    dify.faults.add(Fault("hang", path="download-zip", after=archives))
    killed_at_the_fault(dify, SCRIPT, kb.id, str(tmp_path))
    known, asked = verified(tmp_path), len(dify.requests)
    assert len(known) == 5 * archives
    assert run_export(kb, tmp_path).error is None
    assert not known & set(downloaded(dify.requests[asked:]))
    assert contents_of(tmp_path) == {document.id: document.content for document in kb.documents}
