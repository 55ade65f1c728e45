"""A sync through the operator: the knowledge base follows the folder, and nothing else is touched."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyIngestError,
    DifySourceError,
    DifySyncFailed,
)
from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.report import SyncReport
from airflow_provider_dify.knowledge.sync.sync import Sync
from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.transport.clock import current
from airflow_provider_dify.transport.sync import Client
from tests.unit.sync.syncing import PAGES, changing, fields, in_search, kinds, run_sync, write


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
    made = kinds(dify.requests[before:], kb)
    assert {kind: made.pop(kind) for kind in ("GET /documents", "GET ")} == {"GET /documents": 2, "GET ": 2}
    # The proof that search still returns kept documents: three documents with their segments, and a search.
    assert made == {"GET /documents/*": 3, "GET /documents/*/segments": 3, "POST /retrieve": 1}


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
        client = Client(hook.settings, logging.getLogger("test"), current())
        sync = Sync(kb.id, list_folder(folder), SyncOptions(dry_run=True), sync_source=str(folder))
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
        # It stays as a version to go back to: Dify would have overwritten it if it had not been disabled before.
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


def test_the_log_of_a_green_task_has_no_warning_about_what_is_tolerated(
    kb: Dataset, folder: Path, said: pytest.LogCaptureFixture
) -> None:
    kb.add_document("page1.md", text="By hand.")
    assert run_sync(kb, str(folder), tolerate=["refused"]).error is None
    assert "refused (tolerated)" in said.text
    assert not [record for record in said.records if record.levelname == "WARNING"]


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
    one, two = (
        write(tmp_path / "one", {"a.md": "Rule one."}),
        write(tmp_path / "two", {"a.md": "Rule two.", "b.md": "Rule two b."}),
    )
    run_sync(kb, str(one))
    assert run_sync(kb, str(two), name_prefix="two-").outcomes == {"created": ["two-a.md", "two-b.md"]}
    write(one, {"c.md": "Rule one c."})
    assert run_sync(kb, str(one)).outcomes == {"created": ["c.md"], "retired": ["a.md"]}
    assert run_sync(kb, str(two), name_prefix="two-").outcomes == {"kept": ["two-a.md", "two-b.md"]}
    assert in_search(kb) == {"c.md": "Rule one c.", "two-a.md": "Rule two.", "two-b.md": "Rule two b."}


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

    write(folder, {"a.md": "Aster.", "guide/b.md": "Birch."})
    url = f"file://{folder}"
    assert run_sync(kb, url, recursive=True).outcomes == {"created": ["a.md", "guide__b.md"]}
    (folder / "a.md").unlink()
    assert run_sync(kb, ObjectStoragePath(url), recursive=True).outcomes == {
        "retired": ["a.md"],
        "kept": ["guide__b.md"],
    }
    assert isinstance(run_sync(kb, f"{url}/nowhere").error, DifySourceError)


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
