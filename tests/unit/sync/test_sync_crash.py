"""A sync that is killed, at any request, is continued by the next run: nothing twice, nothing missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.sync import Sync
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.killing import killed_at_the_fault
from tests.unit.sync.syncing import abandoned, in_search, run_sync, write

BEFORE = {"same.md": "Same.", "changes.md": "Old.", "moves.md": "Moves.", "goes.md": "Goes.", "back.md": "Back."}
AFTER = {"same.md": "Same.", "changes.md": "New.", "moved.md": "Moves.", "back.md": "Back.", "new.md": "Brand new."}


def abandon(kb: Dataset, folder: Path, after: int, retire: str) -> bool:
    """Let a run end after this many requests, as if its process was killed; return whether it had ended before."""
    with DifyHook() as hook:
        sync = Sync(kb.id, list_folder(folder), SyncOptions("economy", retire=retire), sync_source=str(folder))
        return hook.run(abandoned(sync.flow(hook.deadline(3600), hook.retries), after))


@pytest.mark.large
@pytest.mark.parametrize(("retire", "step"), [("archive", 1), ("disable", 4), ("delete", 4)])
def test_abandoned_at_any_request(dify: FakeDify, tmp_path: Path, retire: str, step: int) -> None:
    ended, after = False, 0
    while not ended:
        kb = dify.add_dataset(f"{retire} {after}")
        hand_made = kb.add_document("by hand", text="By hand.")
        folder = write(tmp_path, BEFORE)
        assert run_sync(kb, str(folder), retire=retire).error is None
        next(document for document in kb.documents if document.name == "back.md").set(enabled=False, in_search=False)
        write(tmp_path, AFTER)
        ended = abandon(kb, folder, after, retire)
        result = run_sync(kb, str(folder), retire=retire)
        assert result.error is None, after
        assert in_search(kb) == {**AFTER, "by hand": "By hand."}, after
        assert (hand_made.text, dict(hand_made.metadata)) == ("By hand.", {})
        # One document for each file, the one whose file is gone, and the one that was created by hand.
        assert len(kb.documents) == len(AFTER) + (1 if retire == "delete" else 2), after
        assert not [field.name for field in kb.fields.all() if field.name.startswith("sync_unfinished")]
        after += step
    assert after > 30


@pytest.mark.large
def test_abandoned_twice(dify: FakeDify, tmp_path: Path) -> None:
    """Documents that the first run created and could not mark are its own for the third one, too."""
    folder = write(tmp_path, {"a.md": "Aster.", "b.md": "Birch.", "c.md": "Cedar."})
    ended, after = False, 0
    while not ended:
        kb = dify.add_dataset(f"kb {after}")
        # Two lists, one read of the fields, and the note; then for each document a check of its name, and its creation.
        assert abandon(kb, folder, 4 + 2 * 2, "archive") is False
        assert [dict(document.metadata) for document in kb.documents] == [{}, {}]
        ended = abandon(kb, folder, after, "archive")
        assert run_sync(kb, str(folder)).error is None, after
        assert in_search(kb) == {"a.md": "Aster.", "b.md": "Birch.", "c.md": "Cedar."}, after
        assert len(kb.documents) == 3
        after += 1


@pytest.mark.program
def test_a_file_that_changes_back_after_a_crash(dify: FakeDify, tmp_path: Path) -> None:
    """A digest must never belong to a content that a document no longer has."""
    ended, after = False, 0
    while not ended:
        kb = dify.add_dataset(f"kb {after}")
        folder = write(tmp_path, {"a.md": "Walrus.", "b.md": "Otter."})
        run_sync(kb, str(folder))
        write(tmp_path, {"a.md": "Seal.", "b.md": "Otter."})
        ended = abandon(kb, folder, after, "archive")
        write(tmp_path, {"a.md": "Walrus.", "b.md": "Otter."})
        assert run_sync(kb, str(folder)).error is None
        assert in_search(kb) == {"a.md": "Walrus.", "b.md": "Otter."}, after
        after += 1


def test_what_was_made_by_hand_since_a_crash_is_not_taken_for_its_own(
    dify: FakeDify, kb: Dataset, tmp_path: Path
) -> None:
    folder = write(tmp_path, {"a.md": "Aster.", "b.md": "Birch."})
    assert abandon(kb, folder, 4 + 2, "archive") is False
    assert [document.name for document in kb.documents] == ["a.md"]
    (folder / "a.md").unlink()
    other = kb.add_document("c.md", text="By hand.")
    assert run_sync(kb, str(folder)).outcomes == {"created": ["b.md"]}
    # It is unclear whose a.md is, as its file is gone: it stays, and the log says so.
    assert in_search(kb) == {"a.md": "Aster.", "b.md": "Birch.", "c.md": "By hand."}
    assert dict(other.metadata) == {}


SCRIPT = """
import sys
from airflow_provider_dify.operators.sync import DifySyncOperator
class Task:
    def xcom_push(self, key, value): pass
DifySyncOperator(
    task_id="t", dataset_id=sys.argv[1], source=sys.argv[2], max_active=200,
    indexing_technique="economy", deferrable=False,
).execute({"ti": Task()})
"""


@pytest.mark.program
def test_killed_in_the_middle_and_run_again(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    files = {f"{number:03}.md": f"Page {number}" for number in range(120)}
    write(tmp_path, files)
    # The response to one creation never comes, so the process is killed between a request and its response.
    dify.faults.add(Fault("hang_after", path="create-by-file", after=70))
    killed_at_the_fault(dify, SCRIPT, kb.id, str(tmp_path))
    assert 60 < len(kb.documents) < 120
    assert run_sync(kb, str(tmp_path)).error is None
    assert in_search(kb) == files
    assert len(kb.documents) == 120
