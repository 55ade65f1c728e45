"""What a sync says and leaves behind if Dify or a source fails, or the task is killed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyError,
    DifyInputError,
    DifySourceError,
    DifySyncError,
)
from airflow_provider_dify.knowledge.sync.report import SyncReport
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import TaskInstance
from tests.unit.sync.syncing import PAGES, fields, in_search, run_sync, write


class TestSource:
    """A problem with a source never takes a document out of search."""

    @pytest.mark.parametrize("wrong", ["missing", "empty", "nothing fits", "all unfit", "unlistable below"])
    def test_nothing_is_changed(
        self, dify: FakeDify, kb: Dataset, folder: Path, tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_sync(kb, str(folder), recursive=True)
        before = len(dify.requests)
        kwargs: dict[str, Any] = {"recursive": True}
        if wrong == "missing":
            shutil.rmtree(folder)
        elif wrong == "empty":
            write(folder, {})
        elif wrong == "nothing fits":
            kwargs["include"] = "*.pdf"
        elif wrong == "all unfit":
            write(folder, dict.fromkeys(PAGES, ""))
        else:
            (folder / "below").mkdir()
            listing = Path.iterdir
            monkeypatch.setattr(Path, "iterdir", lambda path: _listing_but_below(path, listing))
        result = run_sync(kb, str(folder), **kwargs)
        assert type(result.error) is DifySourceError
        says = {
            "missing": "does not exist. Nothing was changed",
            "empty": f"The folder {folder} is empty. Nothing was changed",
            "nothing fits": "include=['*.pdf']",
            "all unfit": "No file of the source can become a document; it has 3 files",
            "unlistable below": f"{folder}/below cannot be read: PermissionError",
        }
        assert says[wrong] in str(result.error)
        # Files are read after the first line of the log, which names the knowledge base.
        assert [request.method for request in dify.requests[before:]] == (["GET"] if wrong == "all unfit" else [])
        assert in_search(kb) == PAGES

    def test_a_file_is_no_folder(self, kb: Dataset, folder: Path) -> None:
        result = run_sync(kb, str(folder / "page0.md"))
        assert isinstance(result.error, DifyInputError)
        assert "is a file" in str(result.error)

    def test_folders_below(self, kb: Dataset, tmp_path: Path) -> None:
        files = {
            "a.md": "Aster.",
            "guide/b.md": "Birch.",
            "guide/deep/c.md": "Cedar.",
            ".hidden/d.md": "D",
            "guide/.e.md": "E",
        }
        write(tmp_path, files)
        assert run_sync(kb, str(tmp_path)).outcomes == {"created": ["a.md"]}
        below = run_sync(kb, str(tmp_path), recursive=True, include=["guide/*", "a.*"], exclude="['*/.*']")
        assert below.outcomes == {"created": ["guide__b.md", "guide__deep__c.md"], "kept": ["a.md"]}

    def test_two_files_that_would_be_one_document(self, dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
        write(tmp_path, {"a/b__c.md": "One.", "a__b/c.md": "Two."})
        result = run_sync(kb, str(tmp_path), recursive=True)
        assert isinstance(result.error, DifyInputError)
        assert f"{tmp_path}/a/b__c.md and {tmp_path}/a__b/c.md would both become" in str(result.error)
        assert dify.requests == []

    def test_links_in_a_circle(self, kb: Dataset, folder: Path) -> None:
        (folder / "round").symlink_to(folder)
        assert "circle" in str(run_sync(kb, str(folder), recursive=True).error)

    @pytest.mark.parametrize("name", ["a:b.md", "x" * 201 + ".md", "half\udc80.md"])
    def test_names_that_dify_does_not_keep(self, kb: Dataset, tmp_path: Path, name: str) -> None:
        write(tmp_path, {"good.md": "Good."})
        folder = name[:100] + "/" + name[100:] if len(name) > 200 else name
        path = tmp_path / folder
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        result = run_sync(kb, str(tmp_path), recursive=True)
        assert {outcome: len(names) for outcome, names in result.outcomes.items()} == {"created": 1, "invalid": 1}


def _listing_but_below(path: Path, listing: Any) -> Any:
    if path.name == "below":
        raise PermissionError(13, "Permission denied")
    return listing(path)


class TestFailures:
    def test_what_cannot_be_fixed_leaves_a_report(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
        dify.faults.add(Fault("status", path="create-by-file", status=401, after=1, times=None))
        result = run_sync(kb, str(folder))
        assert isinstance(result.error, DifyAuthenticationError)
        assert result.outcomes == {"created": ["page0.md"], "not_attempted": ["page1.md", "page2.md"]}
        assert isinstance(result.error.report, SyncReport)
        dify.faults.clear()
        assert run_sync(kb, str(folder)).outcomes == {"created": ["page1.md", "page2.md"], "updated": ["page0.md"]}
        assert in_search(kb) == PAGES
        assert fields(kb) == {"content_sha256", "sync_source"}

    def test_nothing_is_retired_before_all_that_is_new_is_there(
        self, dify: FakeDify, kb: Dataset, folder: Path
    ) -> None:
        run_sync(kb, str(folder))
        dify.worker.stop()
        write(folder, {"page0.md": PAGES["page0.md"], "a.md": "Aster.", "b.md": "Birch."})
        result = run_sync(kb, str(folder), max_active=1, timeout=60)
        assert result.outcomes["not_indexed"] == ["a.md"]
        assert result.outcomes["not_attempted"] == ["b.md", "page1.md", "page2.md"]
        assert not any(document.archived for document in kb.documents)
        dify.worker.start()
        assert run_sync(kb, str(folder), timeout=60).error is None
        assert in_search(kb) == {"page0.md": PAGES["page0.md"], "a.md": "Aster.", "b.md": "Birch."}

    def test_search_that_does_not_follow_is_seen_by_the_next_run_too(
        self, dify: FakeDify, kb: Dataset, folder: Path
    ) -> None:
        run_sync(kb, str(folder))
        (folder / "page1.md").unlink()
        dify.worker.stop()
        for _ in range(2):
            result = run_sync(kb, str(folder), timeout=60)
            assert result.outcomes == {"kept": ["page0.md", "page2.md"], "failed": ["page1.md"]}
            assert isinstance(result.error, DifySyncError)
            assert kb.documents[1].archived
        dify.worker.start()
        assert run_sync(kb, str(folder), timeout=60).outcomes == {
            "kept": ["page0.md", "page2.md"],
            "retired": ["page1.md"],
        }
        assert run_sync(kb, str(folder)).outcomes == {"kept": ["page0.md", "page2.md"]}

    def test_a_run_that_breaks_off_retires_nothing_without_proof(
        self, dify: FakeDify, kb: Dataset, folder: Path
    ) -> None:
        run_sync(kb, str(folder))
        (folder / "page1.md").unlink()
        dify.faults.add(Fault("status", path="/segments", status=401, times=None))
        for why in ("Dify accepted the change, but the run ended", "The run ended before search was checked"):
            result = run_sync(kb, str(folder))
            assert isinstance(result.error, DifyAuthenticationError)
            assert kb.documents[1].archived
            assert result.outcomes == {"kept": ["page0.md", "page2.md"], "failed": ["page1.md"]}
            assert why in str(result.report)
        dify.faults.clear()
        assert run_sync(kb, str(folder)).outcomes == {"kept": ["page0.md", "page2.md"], "retired": ["page1.md"]}

    def test_a_restored_document_that_search_does_not_find_is_seen_by_the_next_run_too(
        self, dify: FakeDify, kb: Dataset, folder: Path
    ) -> None:
        run_sync(kb, str(folder))
        kb.documents[1].set(enabled=False, in_search=False)
        dify.worker.stop()
        for _ in range(2):
            result = run_sync(kb, str(folder), timeout=60)
            assert result.outcomes == {"kept": ["page0.md", "page2.md"], "failed": ["page1.md"]}
        dify.worker.start()
        assert run_sync(kb, str(folder), timeout=60).error is None
        assert in_search(kb) == PAGES

    def test_half_of_a_restoration_is_none(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
        run_sync(kb, str(folder))
        kb.documents[1].set(archived=True, enabled=False, in_search=False)
        dify.faults.add(Fault("status", path="status/enable", status=401, times=None))
        result = run_sync(kb, str(folder))
        assert result.outcomes == {"kept": ["page0.md", "page2.md"], "not_attempted": ["page1.md"]}
        dify.faults.clear()
        assert run_sync(kb, str(folder)).outcomes["restored"] == ["page1.md"]

    def test_indexing_that_never_ends(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
        dify.worker.stop()
        result = run_sync(kb, str(folder), stall_timeout=120)
        assert result.outcomes == {"not_indexed": list(PAGES)}
        assert isinstance(result.error, DifySyncError)

    def test_an_archived_document_that_dify_will_not_let_go_is_not_overwritten(self, kb: Dataset, folder: Path) -> None:
        run_sync(kb, str(folder))
        old = kb.documents[1]
        old.set(archived=True, in_search=False)
        old.lock(600)
        files = {**PAGES, "page1.md": "Another one."}
        result = run_sync(kb, str(write(folder, files)), timeout=60)
        assert result.outcomes == {"kept": ["page0.md", "page2.md"], "failed": ["page1.md"]}
        assert "disabling it failed" in result.error_of("page1.md")
        assert old.text == PAGES["page1.md"]
        assert run_sync(kb, str(folder), timeout=900).error is None
        assert in_search(kb) == files

    def test_somebody_else_archives_what_was_just_sent(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
        dify.worker.stop()
        dify.world.schedule(5, lambda _: kb.documents[1].set(archived=True))
        dify.world.schedule(6, lambda _: dify.worker.start())
        result = run_sync(kb, str(folder), timeout=60)
        assert result.outcomes == {"created": ["page0.md", "page2.md"], "failed": ["page1.md"]}
        assert "archived or disabled" in result.error_of("page1.md")


def test_a_killed_task_says_what_it_did(
    dify: FakeDify, kb: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = DifySyncOperator(
        task_id="t", dataset_id=kb.id, source=str(folder), indexing_technique="economy", deferrable=False
    )
    task, batches = TaskInstance(), iter(range(100))
    new_batch = dify.world.new_batch

    def killed_at_the_second() -> str:
        if next(batches) == 1:
            operator.on_kill()
        return new_batch()

    monkeypatch.setattr(dify.world, "new_batch", killed_at_the_second)
    with pytest.raises(DifyError, match="killed"):
        operator.execute({"ti": task})  # type: ignore[typeddict-item]
    counts = task.xcom["report"]["counts"]
    assert (counts["created"], counts["not_attempted"]) == (2, 1)
    assert run_sync(kb, str(folder)).error is None
    assert in_search(kb) == PAGES
