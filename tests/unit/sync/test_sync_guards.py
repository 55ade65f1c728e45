"""Files that a sync cannot use, and the guards that stop it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import (
    DifyGuardError,
    DifySyncError,
    DifySyncFailed,
)
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.sync.syncing import PAGES, changing, in_search, run_sync, write


class TestUnfitFiles:
    @pytest.mark.parametrize("problem", ["empty", "large", "unreadable"])
    def test_their_documents_stay(self, kb: Dataset, folder: Path, problem: str) -> None:
        run_sync(kb, str(folder))
        file = folder / "page1.md"
        if problem == "unreadable":
            file.unlink()
            file.symlink_to(folder / "nowhere.md")
        else:
            file.write_text("" if problem == "empty" else "x" * 1000)
        result = run_sync(kb, str(folder), max_file_size=500)
        outcome = "unreadable" if problem == "unreadable" else "invalid"
        assert result.outcomes == {"kept": ["page0.md", "page2.md"], outcome: ["page1.md"]}
        assert result.report[outcome][0]["id"] == kb.documents[1].id
        assert {"empty": "It is empty", "large": "1,000 bytes", "unreadable": "cannot be read"}[problem] in (
            result.error_of("page1.md")
        )
        # What cannot be read now may be readable soon: that is worth a retry.
        assert type(result.error) is (DifySyncError if problem == "unreadable" else DifySyncFailed)
        assert in_search(kb) == PAGES
        # A template renders numbers as texts.
        assert run_sync(kb, str(folder), max_file_size="500", tolerate=[outcome]).error is None

    def test_of_two_documents_of_one_file_none_is_retired_while_it_is_unfit(self, kb: Dataset, folder: Path) -> None:
        run_sync(kb, str(folder))
        kb.add_document("page1.md", text="Older.", metadata={"sync_source": str(folder)})
        (folder / "page1.md").write_text("")
        run_sync(kb, str(folder))
        assert all(document.in_search for document in kb.documents)
        write(folder, PAGES)
        assert run_sync(kb, str(folder)).outcomes == {"kept": list(PAGES), "retired": ["page1.md"]}
        assert in_search(kb) == PAGES

    def test_one_that_dify_refuses_does_not_keep_the_others(self, kb: Dataset, folder: Path) -> None:
        (folder / "program.exe").write_text("x")
        (folder / "broken.pdf").write_text("no PDF")
        result = run_sync(kb, str(folder))
        assert result.outcomes == {"created": list(PAGES), "invalid": ["program.exe"], "failed": ["broken.pdf"]}
        assert "PDFium" in result.error_of("broken.pdf")
        assert isinstance(result.error, DifySyncError)
        assert not isinstance(result.error, AirflowFailException)
        (folder / "broken.pdf").write_text("%PDF")
        again = run_sync(kb, str(folder), exclude="*.exe")
        assert again.outcomes == {"updated": ["broken.pdf"], "kept": list(PAGES)}
        assert len(kb.documents) == 4

    def test_a_failed_document_whose_file_is_gone_is_left(self, kb: Dataset, folder: Path) -> None:
        (folder / "broken.pdf").write_text("no PDF")
        run_sync(kb, str(folder))
        (folder / "broken.pdf").unlink()
        assert run_sync(kb, str(folder)).outcomes == {"kept": list(PAGES), "left": ["broken.pdf"]}
        assert run_sync(kb, str(folder), retire="delete").outcomes == {"kept": list(PAGES), "retired": ["broken.pdf"]}


class TestGuards:
    @pytest.mark.parametrize(
        ("guard", "says"),
        [
            ({"max_share": 0.5}, "2 of 3 documents (66.7%) are to be retired, and max_share allows 50%."),
            ({"max_documents": 1}, "2 of 3 documents are to be retired, and max_documents allows 1."),
        ],
    )
    def test_nothing_is_changed_where_too_much_would_be_retired(
        self, dify: FakeDify, kb: Dataset, folder: Path, guard: dict[str, Any], says: str
    ) -> None:
        run_sync(kb, str(folder))
        kb.add_documents(7)
        before = len(dify.requests)
        write(folder, {"page0.md": "Changed.", "new.md": "New."})
        result = run_sync(kb, str(folder), **guard)
        assert isinstance(result.error, DifyGuardError)
        assert says in str(result.error)
        assert changing(dify.requests[before:]) == []
        assert result.outcomes == {"not_attempted": ["new.md", "page0.md", "page1.md", "page2.md"]}
        assert run_sync(kb, str(folder), max_share=0.7, max_documents=2).error is None

    def test_half_is_the_most_unless_said_otherwise(self, kb: Dataset, folder: Path) -> None:
        run_sync(kb, str(folder))
        write(folder, {"page0.md": PAGES["page0.md"]})
        operator = DifySyncOperator(task_id="t", dataset_id=kb.id, source=str(folder))
        assert isinstance(run_sync(kb, str(folder), max_share=vars(operator)["max_share"]).error, DifyGuardError)

    def test_a_dry_run_changes_nothing(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
        run_sync(kb, str(folder))
        before = len(dify.requests)
        write(folder, {"page0.md": "Changed.", "page1.md": PAGES["page1.md"], "new.md": "New."})
        result = run_sync(kb, str(folder), dry_run=True)
        assert result.error is None
        assert result.report["dry_run"] is True
        assert [(entry["name"], entry["move"]) for entry in result.report["not_attempted"]] == [
            ("new.md", "create"),
            ("page0.md", "update"),
            ("page2.md", "retire"),
        ]
        assert changing(dify.requests[before:]) == []
        assert in_search(kb) == PAGES
