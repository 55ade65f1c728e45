"""Other people change documents in the middle of a job: what a green task says is true at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyDocumentDeleteError,
    DifyIngestError,
    DifyInputError,
    DifyListChangedError,
    DifyMetadataError,
    DifySyncError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.metadata.report import MetadataReport
from airflow_provider_dify.knowledge.retrieval.check import RetrievalCheck
from airflow_provider_dify.knowledge.retrieval.report import RetrievalReport
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import Ingest, text
from tests.unit.metadata.describing import hold, ids
from tests.unit.sync.syncing import changing, kinds, run_sync, write
from tests.unit.sync.test_sync_deferred import play


class TestNames:
    """Somebody takes a name between the list and the creation."""

    @pytest.fixture
    def taken(self, dify: FakeDify, kb: Dataset) -> list[Document]:
        """Somebody creates or enables a document after the knowledge base was listed."""
        made: list[Document] = []
        dify.faults.add(Fault("latency", method="GET", path="/metadata$", seconds=1))
        dify.world.schedule(0.5, lambda at: made.append(kb.add_document("a.md", text="By hand, precious")))
        return made

    @pytest.mark.parametrize("if_exists", ["update", "skip", "fail"])
    def test_an_ingestion(
        self, dify: FakeDify, kb: Dataset, ingest: Ingest, taken: list[Document], if_exists: str
    ) -> None:
        result = ingest([text("a.md"), text("b.md")], if_exists=if_exists)
        assert result.outcomes == {"a.md": "failed", "b.md": "created"}
        assert type(result.error) is DifyIngestError  # a retry sees the document
        assert f"Document {taken[0].id} got this name after" in result.entry("a.md")["error"]
        assert taken[0].text == "By hand, precious"
        retry = ingest([text("a.md"), text("b.md")], if_exists=if_exists)
        assert retry.outcomes["a.md"] == {"update": "updated", "skip": "skipped", "fail": "refused"}[if_exists]

    def test_a_sync(self, dify: FakeDify, kb: Dataset, tmp_path: Path, taken: list[Document]) -> None:
        folder = write(tmp_path, {"a.md": "Aster.", "b.md": "Birch."})
        result = run_sync(kb, str(folder))
        assert result.outcomes == {"created": ["b.md"], "failed": ["a.md"]}
        assert type(result.error) is DifySyncError
        assert taken[0].text == "By hand, precious"
        assert run_sync(kb, str(folder)).outcomes == {"refused": ["a.md"], "kept": ["b.md"]}

    def test_a_namesake_is_enabled_again(self, dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
        old = kb.add_document("a.md", text="By hand, precious", enabled=False)
        dify.faults.add(Fault("latency", method="GET", path="/metadata$", seconds=1))
        dify.world.schedule(0.5, lambda at: old.set(enabled=True))
        result = ingest([text("a.md")])
        assert result.outcomes == {"a.md": "failed"}
        assert old.text == "By hand, precious"

    def test_what_is_as_it_was_is_not_in_the_way(self, kb: Dataset, ingest: Ingest) -> None:
        kb.add_document("off.md", enabled=False)
        kb.add_document("failed.md", indexing_status="error")
        result = ingest([text("off.md"), text("failed.md")])
        assert result.outcomes == {"off.md": "created", "failed.md": "updated"}

    def test_one_request_for_each_creation(self, dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
        ingest([text(f"{number}.md") for number in range(5)], hash_field=None)
        assert kinds(dify.requests, kb)["GET /documents"] == 1 + 5
        assert [r.query["keyword"] for r in dify.requests if "keyword" in r.query] == [f"{n}.md" for n in range(5)]

    def test_a_refused_look_is_not_the_content(self, dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
        dify.faults.add(Fault("status", method="GET", path="/documents$", status=400, after=1))
        result = ingest([text("a.md")])
        assert result.outcomes == {"a.md": "not_attempted"}


@pytest.mark.parametrize("job", ["ingest", "sync"])
def test_a_list_that_never_holds_still_changes_nothing(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, job: str
) -> None:
    """Somebody replaces the newest documents all the time, so the manually created one is never listed."""
    by_hand = kb.add_document("a.md", text="By hand, precious")
    top = kb.add_documents(400)
    dify.faults.add(Fault("latency", path="/documents$", seconds=1, times=None))
    for number in range(100):
        dify.world.schedule(0.5 + number, lambda at: replace_all(kb, top))
    if job == "ingest":
        error = ingest([text("a.md"), *(text(f"{n}.md") for n in range(20))]).error
    else:
        error = run_sync(kb, str(write(tmp_path, {"a.md": "Aster."}))).error
    assert isinstance(error, DifyListChangedError)
    assert not changing(dify.requests)
    assert by_hand.text == "By hand, precious"


def replace_all(kb: Dataset, top: list[Document]) -> None:
    for document in top:
        kb.remove(document._row)
    top[:] = kb.add_documents(400)


def overwrite(document: Document, **values: str) -> None:
    """Change values of its metadata, as somebody does in Dify."""
    document._row.metadata = {**(document._row.metadata or {}), **values}


class TestMetadata:
    """Somebody changes the values of a finished document while the task waits for another one."""

    def changed(self, dify: FakeDify, kb: Dataset, hook: DifyHook, act: Callable[[Document], object]) -> MetadataReport:
        def late(document: Document, at: float) -> None:
            act(document)

        there, sent, busy = (kb.add_document(name, metadata={"stage": "old"}) for name in ("there", "sent", "busy"))
        hook.set_document_metadata(kb.id, [there.id], {"stage": "live"})
        hold(busy, 60)
        for document in (there, sent):
            dify.world.schedule(30, partial(late, document))
        with pytest.raises(DifyMetadataError) as caught:
            hook.set_document_metadata(kb.id, ids([there, sent, busy]), {"stage": "live"})
        report = caught.value.report
        assert isinstance(report, MetadataReport)
        assert report.changed == (busy.id,)
        assert not report.unchanged
        return report

    def test_another_value(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        report = self.changed(dify, kb, hook, lambda document: overwrite(document, stage="old"))
        assert report.failed == tuple(document.id for document in kb.documents[:2])
        assert set(report.errors.values()) == {"It had its values, but somebody changed 'stage' in the meantime."}

    def test_deleted(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        report = self.changed(dify, kb, hook, lambda document: kb.remove(document._row))
        assert len(report.missing) == 2
        assert set(report.errors.values()) == {"It was deleted in the meantime."}

    def test_nothing_is_read_twice_without_need(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(3)
        hook.set_document_metadata(kb.id, ids(pages), {"stage": "live"})
        assert kinds(dify.requests, kb)["GET /documents/*"] == 2 * 3

    @pytest.mark.parametrize("field", ["stage", "content_sha256"])
    def test_of_an_ingestion(self, dify: FakeDify, kb: Dataset, ingest: Ingest, field: str) -> None:
        dify.worker.seconds_per_document = 60
        dify.world.schedule(30, lambda at: overwrite(kb.documents[0], **{field: "other"}))
        result = ingest([text("a.md"), text("b.md")], metadata={"stage": "live"})
        assert sorted(result.outcomes.values()) == ["created", "failed"]
        assert f"somebody changed '{field}' in the meantime" in result.entry(kb.documents[0].name)["error"]

    @pytest.mark.parametrize("field", ["stage", "content_sha256", "sync_source"])
    @pytest.mark.parametrize("deferrable", [False, True])
    def test_of_a_sync(self, dify: FakeDify, kb: Dataset, tmp_path: Path, field: str, deferrable: bool) -> None:
        """A kept document is as wrong as a created one."""
        write(tmp_path, {"kept.md": "Kept."})
        options: dict[str, Any] = {"metadata": {"stage": "live"}, "indexing_technique": "economy"}
        assert run_sync(kb, str(tmp_path), **options).error is None
        (tmp_path / "new.md").write_text("New.")
        dify.worker.seconds_per_document = 60
        dify.world.schedule(30, lambda at: overwrite(kb.documents[0], **{field: "other"}))
        report, _, error, _ = play(dify, kb, tmp_path, options, deferrable=deferrable)
        assert error is DifySyncError
        assert [entry["name"] for entry in report["failed"]] == ["kept.md"]
        assert f"somebody changed '{field}' in the meantime" in report["failed"][0]["error"]
        assert [entry["name"] for entry in report["created"]] == ["new.md"]

    @pytest.mark.parametrize(
        "metadata",
        [{"draft": True}, {"tags": ["a"]}, {"document_name": "x"}, {"sync_source": "x"}, {"content_sha256": "x"},
         {"team": 5}, "no mapping"],
    )  # fmt: skip
    def test_a_sync_refuses_what_dify_cannot_hold(
        self, dify: FakeDify, kb: Dataset, hook: DifyHook, tmp_path: Path, metadata: Any
    ) -> None:
        hook.set_document_metadata(kb.id, [kb.add_document("old").id], {"team": "hr"})
        before = len(dify.requests)
        result = run_sync(kb, str(write(tmp_path, {"a.md": "Aster."})), metadata=metadata)
        assert isinstance(result.error, DifyInputError)
        assert not changing(dify.requests[before:])

    def test_a_sync_takes_rendered_text(self, kb: Dataset, tmp_path: Path) -> None:
        folder = str(write(tmp_path, {"a.md": "Aster."}))
        result = run_sync(kb, folder, metadata=json.dumps({"stage": "live", "version": 3}))
        assert result.error is None
        (document,) = kb.documents
        assert document.metadata.items() >= {"stage": "live", "version": 3, "sync_source": folder}.items()


class TestDeletion:
    def test_gone_by_an_answer_and_there_at_the_end(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        """A proxy, or a replica that lags behind, says that a document does not exist."""
        first, second = kb.add_document("first"), kb.add_document("second")
        gone = {"code": "not_found", "message": "Document Not Exists.", "status": 404}
        dify.faults.add(Fault("status", method="DELETE", path=first.id, status=404, body=gone))
        with pytest.raises(DifyDocumentDeleteError) as caught:
            hook.delete_documents(kb.id, ids([first, second]))
        report = caught.value.report.to_json()
        assert (report["failed"], report["deleted"]) == ([first.id], [second.id])
        assert "at the end it did" in report["errors"][first.id]

    def test_what_was_never_there_is_asked_for_once(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        gone = kb.add_document("gone")
        kb.remove(gone._row)
        assert hook.delete_documents(kb.id, [gone.id]).missing == (gone.id,)
        assert kinds(dify.requests, kb) == {"GET /documents/*": 1}


def swap(out: Document, into: Document) -> None:
    out.set(in_search=False)
    into.set(in_search=True)


class TestQueries:
    """A query that passed fails when the last one passes."""

    @pytest.fixture
    def pages(self, kb: Dataset) -> list[Document]:
        zebra = kb.add_document("zebra", text="The zebra runs")
        return [zebra, kb.add_document("lion", text="The lion sleeps", in_search=False)]

    def check(self, hook: DifyHook, pages: list[Document]) -> RetrievalReport:
        queries = [{"query": page.name, "expect": [page.id]} for page in pages]
        deadline = hook.deadline(300)
        return hook.run(RetrievalCheck(pages[0].dataset.id, queries).flow(deadline), deadline)

    def test_it_is_asked_again(self, dify: FakeDify, hook: DifyHook, pages: list[Document]) -> None:
        zebra, lion = pages
        dify.world.schedule(20, lambda at: swap(zebra, lion))
        assert [answer.question.query for answer in self.check(hook, pages).failing] == ["zebra"]

    def test_it_may_come_back(self, dify: FakeDify, hook: DifyHook, pages: list[Document]) -> None:
        zebra, lion = pages
        dify.world.schedule(20, lambda at: swap(zebra, lion))
        dify.world.schedule(60, lambda at: zebra.set(in_search=True))
        assert not self.check(hook, pages).failing
        assert dify.clock.monotonic() >= 60

    def test_one_round_is_enough_if_all_pass_at_once(
        self, dify: FakeDify, hook: DifyHook, pages: list[Document]
    ) -> None:
        pages[1].set(in_search=True)
        assert not self.check(hook, pages).failing
        assert [r.path.rpartition("/")[2] for r in dify.requests].count("retrieve") == 2
