"""A sync through the operator: the knowledge base follows the folder, and nothing else is touched."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import (
    DifyAuthenticationError,
    DifyError,
    DifyGuardError,
    DifyIngestError,
    DifyInputError,
    DifySourceError,
    DifySyncError,
    DifySyncFailed,
)
from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.sync import Sync
from airflow_provider_dify.knowledge.sync_report import SyncReport
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from airflow_provider_dify.transport.sync import Client
from tests.unit.conftest import TaskInstance
from tests.unit.syncing import changing, in_search, kinds, run_sync, write

PAGES = {f"page{number}.md": f"Page {number} about penguins." for number in range(3)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files."""
    return write(tmp_path, PAGES)


def fields(kb: Dataset) -> set[str]:
    return {field.name for field in kb.fields.all()}


def test_a_folder_becomes_documents(kb: Dataset, folder: Path) -> None:
    result = run_sync(kb, str(folder))
    assert result.error is None
    assert result.outcomes == {"created": list(PAGES)}
    assert in_search(kb) == PAGES
    assert [entry["id"] for entry in result.report["created"]] == [document.id for document in kb.documents]
    assert {document.metadata["sync_source"] for document in kb.documents} == {str(folder)}
    assert result.report["sync_source"] == str(folder)
    again = SyncReport.from_json(json.loads(json.dumps(result.report)))
    assert again.to_json() == result.report
    assert fields(kb) == {"content_sha256", "sync_source"}


def test_the_second_run_makes_the_calls_of_one_listing(dify: FakeDify, kb: Dataset, folder: Path) -> None:
    kb.add_documents(150)
    run_sync(kb, str(folder))
    before = len(dify.requests)
    assert run_sync(kb, str(folder)).outcomes == {"kept": list(PAGES)}
    assert kinds(dify.requests[before:], kb) == {"GET ": 1, "GET /documents": 2}


def test_everything_at_once(kb: Dataset, folder: Path) -> None:
    run_sync(kb, str(folder))
    ids = {document.name: document.id for document in kb.documents}
    files = {"page0.md": "Changed.", "moved.md": PAGES["page1.md"], "new.md": "New."}
    result = run_sync(kb, write(folder, files), sync_source=str(folder))
    assert result.error is None
    assert result.outcomes == {
        "created": ["new.md"],
        "updated": ["page0.md"],
        "renamed": ["moved.md"],
        "retired": ["page2.md"],
    }
    assert result.report["renamed"] == [{"name": "moved.md", "id": ids["page1.md"], "old_name": "page1.md"}]
    assert result.report["updated"] == [{"name": "page0.md", "id": ids["page0.md"]}]
    assert in_search(kb) == files
    gone = next(document for document in kb.documents if document.id == ids["page2.md"])
    assert (gone.archived, gone.in_search) == (True, False)
    assert fields(kb) == {"content_sha256", "sync_source"}
    assert run_sync(kb, str(folder)).outcomes == {"kept": ["moved.md", "new.md", "page0.md"]}


def test_the_plan_is_in_the_log_before_anything_is_changed(
    dify: FakeDify, kb: Dataset, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_sync(kb, str(folder))
    write(folder, {"page0.md": "Changed.", "moved.md": PAGES["page1.md"], "new.md": "New."})
    before = len(dify.requests)
    caplog.clear()  # the plan of the first one
    with DifyHook() as hook, caplog.at_level(logging.INFO):
        client = Client(hook.settings, logging.getLogger("test"))
        sync = Sync(kb.id, list_folder(folder), sync_source=str(folder), dry_run=True)
        client.run(sync.flow(hook.deadline(60), hook.retries))
        client.close()
    plan = next(record.getMessage() for record in caplog.records if "Plan of sync" in record.getMessage())
    assert [line.split() for line in plan.splitlines()[1:]] == [
        ["document", "why"],
        ["create", "1"],
        ["new.md", "it", "is", "new"],
        ["update", "1"],
        ["page0.md", "its", "content", "differs"],
        ["rename", "1"],
        ["moved.md", "it", "was", "'page1.md'"],
        ["retire", "1"],
        ["page2.md", "its", "file", "is", "gone"],
    ]
    assert changing(dify.requests[before:]) == []


def test_two_files_that_swap_their_names_swap_their_contents(kb: Dataset, folder: Path) -> None:
    run_sync(kb, str(folder))
    files = {**PAGES, "page0.md": PAGES["page1.md"], "page1.md": PAGES["page0.md"]}
    assert run_sync(kb, str(write(folder, files))).outcomes == {
        "updated": ["page0.md", "page1.md"],
        "kept": ["page2.md"],
    }
    assert in_search(kb) == files
    assert len(kb.documents) == 3


@pytest.mark.parametrize(
    ("retire", "outcome", "flags"),
    [
        ("archive", "retired", (True, True)),
        ("disable", "retired", (False, False)),
        ("delete", "retired", None),
        ("keep", "left", (True, False)),
    ],
)
def test_what_vanished_is_retired_as_was_asked_for(
    dify: FakeDify, kb: Dataset, folder: Path, retire: str, outcome: str, flags: tuple[bool, bool] | None
) -> None:
    run_sync(kb, str(folder))
    (folder / "page1.md").unlink()
    result = run_sync(kb, str(folder), retire=retire)
    assert result.error is None
    assert result.outcomes == {"kept": ["page0.md", "page2.md"], outcome: ["page1.md"]}
    found = [(document.enabled, document.archived) for document in kb.documents if document.name == "page1.md"]
    assert found == ([flags] if flags else [])
    assert ("page1.md" in in_search(kb)) is (retire == "keep")
    before = len(dify.requests)
    assert run_sync(kb, str(folder), retire=retire).error is None
    assert changing(dify.requests[before:]) == []


@pytest.mark.parametrize(("retire", "moves"), [("archive", ["un_archive"]), ("disable", ["enable"])])
def test_what_reappears_is_brought_back(
    dify: FakeDify, kb: Dataset, folder: Path, retire: str, moves: list[str]
) -> None:
    run_sync(kb, str(folder))
    ids = {document.id for document in kb.documents}
    (folder / "page1.md").unlink()
    run_sync(kb, str(folder), retire=retire)
    dify.clock.advance(700)
    before = len(dify.requests)
    result = run_sync(kb, str(write(folder, PAGES)), retire=retire)
    assert result.outcomes == {"restored": ["page1.md"], "kept": ["page0.md", "page2.md"]}
    assert in_search(kb) == PAGES
    assert {document.id for document in kb.documents} == ids
    sent = [request.path.rpartition("/")[2] for request in dify.requests[before:] if request.method == "PATCH"]
    assert sent == moves


def test_what_is_archived_and_disabled_is_brought_back(kb: Dataset, folder: Path) -> None:
    run_sync(kb, str(folder))
    kb.documents[1].set(archived=True, enabled=False, in_search=False)
    result = run_sync(kb, str(folder))
    assert result.outcomes == {"restored": ["page1.md"], "kept": ["page0.md", "page2.md"]}
    assert in_search(kb) == PAGES


@pytest.mark.parametrize("retire", ["archive", "disable", "delete"])
def test_what_reappears_with_another_content_is_a_new_document(kb: Dataset, folder: Path, retire: str) -> None:
    run_sync(kb, str(folder))
    old = kb.documents[1]
    (folder / "page1.md").unlink()
    run_sync(kb, str(folder), retire=retire)
    files = {**PAGES, "page1.md": "Another one."}
    result = run_sync(kb, str(write(folder, files)), retire=retire)
    assert result.outcomes == {"created": ["page1.md"], "kept": ["page0.md", "page2.md"]}
    assert in_search(kb) == files
    if retire != "delete":
        # It stays as a version to go back to: Dify would have overwritten it, had it not been switched off before.
        assert old.text == PAGES["page1.md"]
        assert not old.enabled
        assert run_sync(kb, str(write(folder, PAGES)), retire=retire).outcomes == {
            "updated": ["page1.md"],
            "kept": ["page0.md", "page2.md"],
        }


def test_documents_of_others_are_not_touched(kb: Dataset, folder: Path) -> None:
    others = [kb.add_document("by hand", text="By hand.", metadata={"team": "docs"})]
    others += [kb.add_document("page1.md", text="Off.", enabled=False)]
    others += [kb.add_document("theirs.md", text="Theirs.", metadata={"sync_source": "another"})]
    before = [(d.name, d.text, d.enabled, d.archived, dict(d.metadata)) for d in others]
    assert run_sync(kb, str(folder)).error is None
    (folder / "page0.md").unlink()
    assert run_sync(kb, str(folder)).outcomes["retired"] == ["page0.md"]
    assert [(d.name, d.text, d.enabled, d.archived, dict(d.metadata)) for d in others] == before


@pytest.mark.parametrize("archived", [False, True])
def test_a_name_that_is_taken_is_refused_and_the_rest_is_done(kb: Dataset, folder: Path, archived: bool) -> None:
    other = kb.add_document("page1.md", text="By hand.", archived=archived)
    result = run_sync(kb, str(folder))
    assert result.outcomes == {"created": ["page0.md", "page2.md"], "refused": ["page1.md"]}
    assert other.id in result.error_of("page1.md")
    assert isinstance(result.error, DifySyncFailed)
    assert isinstance(result.error, AirflowFailException)
    assert result.error.report is not None
    assert (other.text, other.archived, dict(other.metadata)) == ("By hand.", archived, {})
    assert run_sync(kb, str(folder), tolerate=["refused"]).error is None


def test_documents_are_taken_over_where_that_is_asked_for(kb: Dataset, folder: Path) -> None:
    other = kb.add_document("page1.md", text=PAGES["page1.md"])
    twins = [kb.add_document("page2.md", text=text) for text in ("one", "two")]
    theirs = kb.add_document("page0.md", metadata={"sync_source": "another"})
    result = run_sync(kb, str(folder), adopt=True)
    assert result.outcomes == {"updated": ["page1.md"], "refused": ["page0.md", "page2.md"]}
    assert other.metadata["sync_source"] == str(folder)
    assert [twin.text for twin in twins] == ["one", "two"]
    assert theirs.metadata["sync_source"] == "another"


def test_an_ingested_folder_is_taken_over_without_sending_it_again(dify: FakeDify, kb: Dataset, folder: Path) -> None:
    with DifyHook() as hook:
        hook.ingest_documents(kb.id, str(folder))
    before = len(dify.requests)
    assert run_sync(kb, str(folder), adopt=True).outcomes == {"kept": list(PAGES)}
    assert kinds(changing(dify.requests[before:]), kb) == {"POST /metadata": 1, "POST /documents/metadata": 1}
    assert run_sync(kb, str(folder)).outcomes == {"kept": list(PAGES)}


def test_two_syncs_share_a_knowledge_base(kb: Dataset, tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", {"a.md": "One."}), write(tmp_path / "two", {"a.md": "Two.", "b.md": "Two b."})
    run_sync(kb, str(one))
    assert run_sync(kb, str(two), name_prefix="two-").outcomes == {"created": ["two-a.md", "two-b.md"]}
    write(one, {"c.md": "One c."})
    assert run_sync(kb, str(one)).outcomes == {"created": ["c.md"], "retired": ["a.md"]}
    assert run_sync(kb, str(two), name_prefix="two-").outcomes == {"kept": ["two-a.md", "two-b.md"]}
    assert in_search(kb) == {"c.md": "One c.", "two-a.md": "Two.", "two-b.md": "Two b."}


def test_the_name_of_a_sync_outlives_its_path(kb: Dataset, folder: Path, tmp_path: Path) -> None:
    run_sync(kb, str(folder), sync_source="handbook")
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    assert run_sync(kb, str(moved), sync_source="handbook").outcomes == {"kept": list(PAGES)}


def test_more_metadata_is_set_and_follows(dify: FakeDify, kb: Dataset, folder: Path) -> None:
    run_sync(kb, str(folder), metadata={"team": "docs", "version": 3})
    before = len(dify.requests)
    run_sync(kb, str(folder), metadata={"team": "docs", "version": 3})
    assert changing(dify.requests[before:]) == []
    assert run_sync(kb, str(folder), metadata={"team": "sales", "version": 3}).outcomes == {"kept": list(PAGES)}
    assert {(document.metadata["team"], document.metadata["version"]) for document in kb.documents} == {("sales", 3)}


def test_a_source_that_airflow_opens(kb: Dataset, folder: Path) -> None:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    write(folder, {"a.md": "A", "guide/b.md": "B"})
    url = f"file://{folder}"
    assert run_sync(kb, url, recursive=True).outcomes == {"created": ["a.md", "guide__b.md"]}
    (folder / "a.md").unlink()
    assert run_sync(kb, ObjectStoragePath(url), recursive=True).outcomes == {
        "retired": ["a.md"],
        "kept": ["guide__b.md"],
    }
    assert isinstance(run_sync(kb, f"{url}/nowhere").error, DifySourceError)


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
        assert run_sync(kb, str(folder), max_file_size=500, tolerate=[outcome]).error is None

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
            ({"max_share": 0.5}, "2 of 3 (66.7%) documents are to be retired, and max_share allows 0.5 of all."),
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
        assert isinstance(run_sync(kb, str(folder), max_share=operator.max_share).error, DifyGuardError)

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


class TestSource:
    """What is wrong with a source never takes a document out of search."""

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
            "missing": "There is no folder",
            "empty": "There is no file in",
            "nothing fits": "include=['*.pdf']",
            "all unfit": "Of the 3 files of the source not one can become a document",
            "unlistable below": f"{folder}/below cannot be read: PermissionError",
        }
        assert says[wrong] in str(result.error)
        assert dify.requests[before:] == []
        assert in_search(kb) == PAGES

    def test_a_file_is_no_folder(self, kb: Dataset, folder: Path) -> None:
        result = run_sync(kb, str(folder / "page0.md"))
        assert isinstance(result.error, DifyInputError)
        assert "is a file" in str(result.error)

    def test_folders_below(self, kb: Dataset, tmp_path: Path) -> None:
        files = {"a.md": "A", "guide/b.md": "B", "guide/deep/c.md": "C", ".hidden/d.md": "D", "guide/.e.md": "E"}
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
    def test_what_cannot_be_mended_leaves_a_report(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
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
        write(folder, {"page0.md": PAGES["page0.md"], "a.md": "A", "b.md": "B"})
        result = run_sync(kb, str(folder), max_active=1, timeout=60)
        assert result.outcomes["not_indexed"] == ["a.md"]
        assert result.outcomes["not_attempted"] == ["b.md", "page1.md", "page2.md"]
        assert not any(document.archived for document in kb.documents)
        dify.worker.start()
        assert run_sync(kb, str(folder), timeout=60).error is None
        assert in_search(kb) == {"page0.md": PAGES["page0.md"], "a.md": "A", "b.md": "B"}

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
        assert "could not be disabled" in result.error_of("page1.md")
        assert old.text == PAGES["page1.md"]
        assert run_sync(kb, str(folder), timeout=900).error is None
        assert in_search(kb) == files

    def test_somebody_else_archives_what_was_just_sent(self, dify: FakeDify, kb: Dataset, folder: Path) -> None:
        dify.worker.stop()
        dify.world.schedule(5, lambda _: kb.documents[1].set(archived=True))
        dify.world.schedule(6, lambda _: dify.worker.start())
        result = run_sync(kb, str(folder), timeout=60)
        assert result.outcomes == {"created": ["page0.md", "page2.md"], "failed": ["page1.md"]}
        assert "archived or switched off" in result.error_of("page1.md")


def test_the_verb_of_the_hook(kb: Dataset, folder: Path) -> None:
    with DifyHook() as hook:
        report = hook.sync_documents(kb.id, folder)
        assert report.changed
        assert (report.sync_source, report.counts["created"]) == (str(folder), 3)
        assert not hook.sync_documents(kb.id, folder).changed
        (folder / "page0.md").write_text("")
        with pytest.raises(DifySyncFailed) as raised:
            hook.sync_documents(kb.id, folder)
    assert not isinstance(raised.value, DifyIngestError)
    assert isinstance(raised.value, DifyError)


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
