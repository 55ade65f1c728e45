"""Exporting a knowledge base: everything is there, and nothing is downloaded twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from airflow_provider_dify.exceptions import (
    DifyExportError,
    DifyExportFailed,
    DifyInputError,
    DifyServerError,
    DifyStorageError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.export.options import ExportOptions
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault, RequestRecord
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from tests.unit.export.exporting import contents_of, downloaded, entries_of, files_in, manifest_of, run_export


def test_everything_is_in_the_export(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    documents = [
        kb.add_document(
            "guide.md", text="# Guide\n\nÜber penguins.", file_name="guide.md", metadata={"team": "a", "n": 3}
        ),
        kb.add_document("off.md", text="Disabled.", file_name="off.md", enabled=False),
        kb.add_document("old.md", text="Archived.", file_name="old.md", archived=True),
        kb.add_document("bad.pdf", text="No PDF.", file_name="bad.pdf", indexing_status="error", error="Not a PDF."),
        kb.add_document("empty.md", text="", file_name="empty.md"),
        kb.add_document("A text with / and ..", text="Ein Text über Pinguine."),
        kb.add_document("guide.md", text="Another one.", file_name="guide.md", enabled=False),
    ]
    result = run_export(kb, tmp_path)
    assert result.error is None
    assert result.outcomes == {"downloaded": [document.name for document in documents]}
    assert contents_of(tmp_path) == {document.id: document.content for document in documents}
    entries = entries_of(tmp_path)
    assert [entry["name"] for entry in entries.values()] == [document.name for document in documents]
    for document in documents:
        entry = entries[document.id]
        assert (entry["enabled"], entry["archived"]) == (document.enabled, document.archived)
        assert (entry["state"], entry["error"]) == (document.indexing_status, document.error)
        assert entry["content"]["size"] == len(document.content)
        assert entry["content"]["sha256"] == hashlib.sha256(document.content).hexdigest()
    assert entries[documents[0].id]["metadata"] == {"team": "a", "n": 3}
    assert [entry["content"]["kind"] for entry in entries.values()] == ["file"] * 5 + ["text", "file"]
    assert files_in(tmp_path) == {entry["content"]["path"] for entry in entries.values()}


@pytest.mark.parametrize("number", [10**19, -(10**300), 2.5])
def test_numbers_of_any_size(dify: FakeDify, kb: Dataset, tmp_path: Path, number: float) -> None:
    document = kb.add_document("a.md", text="A.", metadata={"n": number})
    assert run_export(kb, tmp_path).error is None
    assert entries_of(tmp_path)[document.id]["metadata"] == {"n": number}
    assert run_export(kb, tmp_path).outcomes == {"unchanged": ["a.md"]}


def test_the_manifest_has_the_settings_and_the_rules(dify: FakeDify, tmp_path: Path) -> None:
    rule = {"mode": "custom", "rules": {"segmentation": {"separator": "\n", "max_tokens": 200}}}
    kb = dify.add_dataset("handbook", indexing_technique="high_quality", process_rule=rule)
    kb.add_document("a.md", text="A.", metadata={"n": 1.5})
    kb.add_document("b.md", text="B.")
    run_export(kb, tmp_path)
    data = manifest_of(tmp_path)
    assert data["knowledge_base"]["name"] == "handbook"
    assert data["knowledge_base"]["indexing_technique"] == "high_quality"
    assert data["knowledge_base"]["embedding_model"] == "text-embedding-3-small"
    assert data["metadata_fields"] == {"n": "number"}
    assert [one["mode"] for one in data["process_rules"].values()] == ["custom"]
    assert {entry["rule"] for entry in data["documents"]} == set(data["process_rules"])


def test_an_empty_knowledge_base(kb: Dataset, tmp_path: Path) -> None:
    assert run_export(kb, tmp_path / "new" / "folder").error is None
    assert manifest_of(tmp_path / "new" / "folder")["documents"] == []


def test_only_what_changed_is_downloaded_again(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    pages = [kb.add_document(f"page{n}.md", text=f"Page {n}.", file_name=f"page{n}.md") for n in range(5)]
    run_export(kb, tmp_path)
    before = (tmp_path / "manifest.json").stat().st_mtime_ns
    asked = len(dify.requests)
    assert run_export(kb, tmp_path).outcomes == {"unchanged": [page.name for page in pages]}
    # The knowledge base, its fields, and the list. The manifest is the same, so it is not even written.
    assert [request.method for request in dify.requests[asked:]] == ["GET"] * 3
    assert (tmp_path / "manifest.json").stat().st_mtime_ns == before
    replace(dify, pages[1], "Another page.")
    pages[2].set(archived=True, in_search=False)
    new = kb.add_document("new.md", text="New.", file_name="new.md")
    asked = len(dify.requests)
    result = run_export(kb, tmp_path)
    assert result.outcomes == {
        "downloaded": ["page1.md", "new.md"],
        "unchanged": ["page0.md", "page2.md", "page3.md", "page4.md"],
    }
    assert downloaded(dify.requests[asked:]) == [pages[1].id, new.id]
    assert contents_of(tmp_path) == {document.id: document.content for document in [*pages, new]}
    assert entries_of(tmp_path)[pages[2].id]["archived"]
    # The file of the old content is gone.
    assert len(files_in(tmp_path)) == len(pages) + 1


def test_a_deleted_document_leaves_the_export(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    gone, stays = kb.add_document("gone.md", text="Gone."), kb.add_document("stays.md", text="Stays.")
    run_export(kb, tmp_path)
    with DifyHook() as hook:
        hook.delete_documents(kb.id, [gone.id], max_share=None)
    assert run_export(kb, tmp_path).error is None
    assert contents_of(tmp_path) == {stays.id: b"Stays."}
    assert len(files_in(tmp_path)) == 1


@pytest.mark.parametrize("damage", ["change", "cut", "delete"])
def test_a_damaged_file_is_downloaded_again(dify: FakeDify, kb: Dataset, tmp_path: Path, damage: str) -> None:
    kb.add_document("a.md", text="Aster.", file_name="a.md")
    other = kb.add_document("b.md", text="Birch.", file_name="b.md")
    run_export(kb, tmp_path)
    path = tmp_path / entries_of(tmp_path)[other.id]["content"]["path"]
    if damage == "delete":
        path.unlink()
    else:
        path.write_bytes(b"Larch." if damage == "change" else b"Bir")
    assert run_export(kb, tmp_path).outcomes == {"downloaded": ["b.md"], "unchanged": ["a.md"]}
    assert path.read_bytes() == b"Birch."


def test_what_dify_keeps_no_file_of_is_put_together_from_its_chunks(
    dify: FakeDify, kb: Dataset, tmp_path: Path
) -> None:
    page = kb.add_document("page", segments=[f"Part {n}." for n in range(250)], source_type="website_crawl")
    lost = kb.add_document("lost.md", text="Lost and found.", file_name="lost.md")
    lost.lose_file()
    kept = kb.add_document("kept.md", text="Kept.", file_name="kept.md")
    assert run_export(kb, tmp_path).outcomes == {"downloaded": ["kept.md"], "from_chunks": ["page", "lost.md"]}
    text = "\n\n".join(f"Part {n}." for n in range(250)).encode()
    assert contents_of(tmp_path) == {page.id: text, lost.id: b"Lost and found.", kept.id: b"Kept."}
    assert entries_of(tmp_path)[page.id]["content"]["kind"] == "chunks"
    assert run_export(kb, tmp_path).outcomes == {"unchanged": ["page", "lost.md", "kept.md"]}


def test_without_any_content_the_task_is_red_and_the_rest_is_there(kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("nothing", text="", source_type="notion_import")
    kept = kb.add_document("kept.md", text="Kept.")
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyExportFailed)
    assert result.outcomes == {"downloaded": ["kept.md"], "no_content": ["nothing"]}
    assert contents_of(tmp_path) == {kept.id: b"Kept."}
    assert entries_of(tmp_path).keys() == {document.id for document in kb.documents}
    assert run_export(kb, tmp_path, tolerate=["no_content"]).error is None


def test_a_file_that_dify_cannot_read_fails_alone(kb: Dataset, tmp_path: Path) -> None:
    pages = [kb.add_document(f"page{n}.md", text=f"Page {n}.", file_name=f"page{n}.md") for n in range(9)]
    pages[4].lose_file(unreadable=True)
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyExportError)
    assert result.outcomes["failed"] == ["page4.md"]
    assert "500 unknown" in result.error_of("page4.md")
    assert len(contents_of(tmp_path)) == 8
    assert entries_of(tmp_path)[pages[4].id]["content"] is None


def test_a_document_that_is_deleted_meanwhile_is_no_part_of_it(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    page, other = kb.add_document("page.md", text="Page."), kb.add_document("other.md", text="Other.")
    asked: list[str] = []

    def told(request: RequestRecord) -> None:
        """Delete the page once it was listed."""
        if request.path.endswith("/documents") and not asked:
            asked.append(page.id)
            kb.remove(kb.rows[page.id])

    dify.front.told = told
    result = run_export(kb, tmp_path)
    assert result.error is None
    assert result.report["deleted"] == asked == [page.id]
    assert contents_of(tmp_path) == {other.id: b"Other."}


def test_dify_is_down(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    pages = [kb.add_document(f"page{n}.md", text=f"Page {n}.", file_name=f"page{n}.md") for n in range(4)]
    dify.faults.add(Fault("page", path="download-zip", times=None, after=1))
    result = run_export(kb, tmp_path, batch_size=2)
    assert isinstance(result.error, DifyServerError)
    assert result.outcomes == {"downloaded": ["page0.md", "page1.md"], "not_attempted": ["page2.md", "page3.md"]}
    assert not (tmp_path / "manifest.json").exists()
    dify.faults.clear()
    asked = len(dify.requests)
    assert run_export(kb, tmp_path).error is None
    assert downloaded(dify.requests[asked:]) == [page.id for page in pages[2:]]


def test_an_archive_that_is_cut_off_is_asked_for_again(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    page = kb.add_document("page.md", text="Page.", file_name="page.md")
    dify.faults.add(Fault("truncated", path="download-zip", times=2))
    assert run_export(kb, tmp_path).error is None
    assert contents_of(tmp_path) == {page.id: b"Page."}


def test_archives_that_are_always_broken(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("page.md", text="Page.", file_name="page.md")
    dify.faults.add(Fault("truncated", path="download-zip", times=None))
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyExportError)
    assert result.error_of("page.md").startswith("Dify sent a broken or wrong archive of it: ")


def test_a_page_instead_of_an_archive(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("page.md", text="Page.", file_name="page.md")
    dify.faults.add(Fault("page", status=200, path="download-zip", times=None))
    error = run_export(kb, tmp_path).error
    assert error is not None
    assert "page 'Welcome'" in error.message or "200" in error.message


def test_the_time_is_up(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    for number in range(6):
        kb.add_document(f"page{number}.md", text=f"Page {number}.", file_name=f"page{number}.md")
    dify.faults.add(Fault("latency", seconds=40, path="download-zip", times=None))
    result = run_export(kb, tmp_path, batch_size=2, timeout=70)
    assert isinstance(result.error, DifyExportError)
    assert {name: len(ids) for name, ids in result.outcomes.items()} == {"downloaded": 4, "not_attempted": 2}
    assert not (tmp_path / "manifest.json").exists()
    dify.faults.clear()
    assert {name: len(ids) for name, ids in run_export(kb, tmp_path).outcomes.items()} == {
        "downloaded": 2,
        "unchanged": 4,
    }


def test_a_dify_that_is_too_old(dify_factory: DifyFactory, tmp_path: Path) -> None:
    kb = dify_factory("old", version="1.12.1").add_dataset("handbook")
    kb.add_document("page.md")
    result = run_export(kb, tmp_path, dify_conn_id="old")
    assert isinstance(result.error, DifyInputError)
    assert "Upgrade Dify to 1.13.1 or newer." in result.error.message


def test_another_export_is_not_overwritten(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("page.md", text="Page.")
    run_export(kb, tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    result = run_export(dify.add_dataset("another"), tmp_path)
    assert isinstance(result.error, DifyInputError)
    assert result.error.message.startswith(f"target already holds the export of another knowledge base, {kb.id}")
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": "x"}', b'{"format": "airflow-provider-dify export"}']
)
def test_something_else_is_not_overwritten(kb: Dataset, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyInputError)
    assert "is not the manifest of an export" in result.error.message
    assert (tmp_path / "manifest.json").read_bytes() == content


def test_a_target_that_cannot_be_written(kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("page.md", text="Page.")
    (tmp_path / "files").write_text("A file where a folder has to be.")
    result = run_export(kb, tmp_path)
    assert isinstance(result.error, DifyStorageError)
    assert "cannot be written: FileExistsError" in result.error.message


def test_the_hook(kb: Dataset, tmp_path: Path) -> None:
    page = kb.add_document("page.md", text="Page.")
    with DifyHook() as hook:
        report = hook.export_dataset(kb.id, tmp_path, ExportOptions(batch_size=1))
    assert report.downloaded == (page.id,)
    assert report.manifest_sha256 == hashlib.sha256((tmp_path / "manifest.json").read_bytes()).hexdigest()


def replace(dify: FakeDify, document: Document, text: str) -> None:
    """Give a document another content, as somebody else does."""
    with dify.world.guard:
        row = document.dataset.rows[document.id]
        row.take(text, None, dify.clock.time())
        row.complete_indexing(dify.clock.time())
