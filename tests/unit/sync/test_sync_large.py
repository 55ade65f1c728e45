"""A sync of two thousand files: every request that it sends, and that a crash in the middle costs nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_provider_dify.exceptions import DifySourceError
from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.sync import Sync
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.sync.syncing import abandoned, changing, in_search, kinds, run_sync

FILES = 2000
#: The pages of one listing of so many documents.
LISTING = 23


@pytest.mark.large
def test_two_thousand_files(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    """One test, because the documents are created once."""
    # A worker that takes no time: every check finds something new, and the calls can be counted beforehand.
    worker = dify.worker
    worker.seconds_per_document = worker.seconds_per_segment = worker.seconds_per_job = 0.0
    folder = tmp_path / "handbook"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:04}.md").write_text(f"Page {number}")

    # Killed in the middle, between a creation and its mark, and run again: each file is one document.
    with DifyHook() as hook:
        sync = Sync(kb.id, list_folder(folder), SyncOptions("economy"), sync_source=str(folder))
        assert hook.run(abandoned(sync.flow(hook.deadline(3600), hook.retries), 1200)) is False
    made = len(kb.documents)
    unmarked = sum("sync_source" not in document.metadata for document in kb.documents)
    assert 500 < made < 1500
    assert 0 < unmarked < 50
    before = len(dify.requests)
    result = run_sync(kb, str(folder))
    assert result.error is None
    counts = {outcome: number for outcome, number in result.report["counts"].items() if number}
    # What was created but not yet marked is sent again, into the same documents: their content is unknown.
    assert counts == {"created": FILES - made, "updated": unmarked, "kept": made - unmarked}
    writes = kinds(changing(dify.requests[before:]), kb)
    assert writes["POST /document/create-by-file"] == FILES - made
    assert writes["POST /documents/*/update-by-file"] == unmarked
    assert in_search(kb) == {f"{number:04}.md": f"Page {number}" for number in range(FILES)}
    assert len(kb.documents) == FILES

    # Nothing has changed: the calls of one listing. Its pages have up to 100 documents, and each begins with one of
    # the page before.
    before = len(dify.requests)
    assert run_sync(kb, str(folder)).report["counts"]["kept"] == FILES
    # At the end, 20 more pages: kept documents are read again. Then search is queried for all of them at once.
    assert kinds(dify.requests[before:], kb) == {
        "GET ": 2,
        "GET /documents": LISTING + 20,
        "GET /documents/*/segments": 4,
        "POST /retrieve": 1,
    }

    # 50 changed, 20 renamed, 30 removed, 10 added.
    expected = {f"{number:04}.md": f"Page {number}" for number in range(FILES)}
    for number in range(0, 500, 10):
        expected[f"{number:04}.md"] = f"Changed {number}"
    for number in range(501, 701, 10):
        expected[f"moved-{number}.md"] = expected.pop(f"{number:04}.md")
    for number in range(1001, 1301, 10):
        del expected[f"{number:04}.md"]
    for number in range(10):
        expected[f"new-{number}.md"] = f"New {number}"
    for path in folder.iterdir():
        if path.name not in expected:
            path.unlink()
    for name, text in expected.items():
        if not (folder / name).exists() or (folder / name).read_text() != text:
            (folder / name).write_text(text)
    before = len(dify.requests)
    result = run_sync(kb, str(folder))
    assert result.error is None
    counts = {outcome: number for outcome, number in result.report["counts"].items() if number}
    assert counts == {"created": 10, "updated": 50, "renamed": 20, "retired": 30, "kept": FILES - 100}
    assert in_search(kb) == expected
    assert len(kb.documents) == FILES + 10
    assert kinds(dify.requests[before:], kb) == {
        # The first read: the knowledge base, and its documents. 12 more pages are the first tries of
        # looks at more than 8 documents, of which the newest are on the first page: 2 for the digests to withdraw,
        # 2 for each of the two batches of marks, 4 while indexing is awaited, 2 for the documents to archive.
        # Before each of 10 creations, one request sees that the name is still free. At the end, the metadata of all
        # documents in use is read again, 100 a page.
        # For the proof of search, 22 more pages are read: 2 of them for the 80 documents that were sent, and 20 for
        # those that are kept.
        "GET ": 3,
        "GET /documents": LISTING + 12 + 10 + 21 + 22,
        # The note that a run is under way, for its time.
        "POST /metadata": 1,
        "DELETE /metadata/*": 1,
        # The contents: one call for each.
        "POST /document/create-by-file": 10,
        "POST /documents/*/update-by-file": 50 + 20,
        # The digests of 50 contents are withdrawn, and those of 60 are set, 50 at a time.
        "POST /documents/metadata": 1 + 2,
        # Before them, one request sees that the values go into the fields that are there.
        "GET /metadata": 1 + 1 + 2,
        # 30 documents are archived in one call, and all chunks of each are seen to be disabled. 10 more tell by what
        # words search finds the others: it is asked for them in bulk.
        "PATCH /documents/status/archive": 1,
        "GET /documents/*/segments": 30 + 10,
        "POST /retrieve": 3,
        # Reading before and after: 50 documents around the withdrawal and around the marks, each changed or renamed
        # one until it is indexed, 30 documents around the archiving. The new ones are on the first page.
        # Those that were changed or renamed are read again by the proof.
        "GET /documents/*": 2 * 50 + 2 * 50 + 70 + 2 * 30 + 70,
    }

    # The source is gone: nothing is asked of Dify, and nothing retired.
    shutil.rmtree(folder)
    before = len(dify.requests)
    error = run_sync(kb, str(folder)).error
    assert isinstance(error, DifySourceError)
    assert f"The folder {folder} does not exist." in str(error)
    assert dify.requests[before:] == []
    assert in_search(kb) == expected
