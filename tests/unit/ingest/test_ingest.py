"""Ingestion through the operator: each input becomes one document, however often it runs and whatever goes wrong."""

from __future__ import annotations

import itertools
import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyAuthenticationError, DifyIngestError, DifyServerError
from airflow_provider_dify.knowledge.flow import Deadline, Pause, Request, Response, Step
from airflow_provider_dify.knowledge.ingest.report import IngestReport
from airflow_provider_dify.knowledge.ingest.watch import Watch
from airflow_provider_dify.knowledge.progress import Progress
from airflow_provider_dify.knowledge.status.options import WaitOptions
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import Ingest, names, text
from tests.unit.killing import killed_at_the_fault

CREATE = r"create-by-(file|text)"


def sent(dify: FakeDify) -> list[str]:
    """Requests that changed something, by the end of their path."""
    return [r.path.rpartition("/")[2] for r in dify.requests if r.changes and "metadata" not in r.path]


def test_a_folder_becomes_documents(dify: FakeDify, kb: Dataset, ingest: Ingest, folder: Path) -> None:
    result = ingest(str(folder))
    assert result.error is None
    assert result.outcomes == {f"page{number}.md": "created" for number in range(3)}
    assert [document.text for document in kb.documents] == [f"Page {number} about penguins." for number in range(3)]
    assert all(document.in_search for document in kb.documents)
    assert result.report["document_ids"] == [document.id for document in kb.documents]
    assert result.entry("page0.md")["batch"] == kb.documents[0].batch
    assert result.entry("page0.md")["source"] == str(folder / "page0.md")
    assert IngestReport.from_json(json.loads(json.dumps(result.report))).to_json() == result.report


def test_the_second_run_sends_nothing(dify: FakeDify, kb: Dataset, ingest: Ingest, folder: Path) -> None:
    ingest(str(folder))
    before = len(dify.requests)
    result = ingest(str(folder))
    assert result.error is None
    assert set(result.outcomes.values()) == {"skipped"}
    assert result.report["document_ids"] == [document.id for document in kb.documents]
    assert [(r.method, r.path.rpartition(kb.id)[2]) for r in dify.requests[before:][:2]] == [
        ("GET", ""),
        ("GET", "/documents"),
    ]
    assert not any(request.changes for request in dify.requests[before:])


def test_a_changed_file_replaces_its_document(kb: Dataset, ingest: Ingest, folder: Path) -> None:
    ingest(str(folder))
    ids = [document.id for document in kb.documents]
    (folder / "page1.md").write_text("About walruses.")
    result = ingest(str(folder))
    assert result.outcomes == {"page0.md": "skipped", "page1.md": "updated", "page2.md": "skipped"}
    assert [document.id for document in kb.documents] == ids
    assert kb.documents[1].text == "About walruses."
    assert set(ingest(str(folder)).outcomes.values()) == {"skipped"}


def test_a_digest_that_no_longer_holds_is_withdrawn_first(
    dify: FakeDify, kb: Dataset, ingest: Ingest, folder: Path
) -> None:
    ingest(str(folder / "page0.md"))
    (folder / "page0.md").write_text("Changed.")
    dify.faults.add(Fault("status", path="update-by-file", status=401))
    assert isinstance(ingest(str(folder / "page0.md")).error, DifyAuthenticationError)
    (folder / "page0.md").write_text("Page 0 about penguins.")
    assert ingest(str(folder / "page0.md")).outcomes == {"page0.md": "updated"}


def test_texts_with_names(kb: Dataset, ingest: Ingest) -> None:
    assert ingest([text("a/b"), text("c")]).outcomes == {"a/b": "created", "c": "created"}
    assert ingest(json.dumps([text("a/b"), text("c", "Other.")])).outcomes == {"a/b": "skipped", "c": "updated"}
    assert names(kb) == {"a/b": 1, "c": 1}


def test_sources_of_all_kinds(kb: Dataset, ingest: Ingest, folder: Path) -> None:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    (folder / "deep").mkdir()
    (folder / "deep" / "below.md").write_text("Deep.")
    source = [
        folder / "page0.md",
        ObjectStoragePath(f"file://{folder}/page1.md"),
        f"file://{folder}/page[2-9].md",
        f"{folder}/**/below.md",
        {"path": str(folder / "page0.md"), "name": "other.md"},
        text("text"),
    ]
    result = ingest(source)
    assert result.error is None
    assert list(result.outcomes) == ["page0.md", "page1.md", "page2.md", "below.md", "other.md", "text"]
    assert set(result.outcomes.values()) == {"created"}


@pytest.mark.parametrize(
    ("flags", "if_exists", "outcome", "after"),
    [
        ({}, "update", "updated", {"page": 1}),
        ({}, "skip", "skipped", {"page": 1}),
        ({}, "fail", "refused", {"page": 1}),
        ({}, "new_version", "created", {"page": 1, "page (fe32608c)": 1}),
        ({"archived": True}, "update", "refused", {"page": 1}),
        ({"archived": True}, "skip", "skipped", {"page": 1}),
        ({"archived": True}, "new_version", "created", {"page": 1, "page (fe32608c)": 1}),
        ({"enabled": False}, "update", "created", {"page": 2}),
        ({"enabled": False, "archived": True}, "update", "created", {"page": 2}),
        ({"indexing_status": "error", "error": "no"}, "update", "updated", {"page": 1}),
    ],
)
def test_namesakes(
    kb: Dataset, ingest: Ingest, flags: dict[str, Any], if_exists: str, outcome: str, after: dict[str, int]
) -> None:
    old = kb.add_document("page", text="old", **flags)
    result = ingest(text("page", "new content"), if_exists=if_exists)
    (entry,) = result.report["documents"]
    assert entry["outcome"] == outcome
    assert names(kb) == after
    replaced = outcome == "updated"
    assert old.text == ("new content" if replaced else "old")
    assert (old.archived, old.in_search) == (flags.get("archived", False), replaced or flags == {})
    assert entry["document_id"] == (old.id if outcome in ("updated", "skipped") else entry["document_id"])
    if outcome == "refused":
        assert old.id in entry["error"]
        assert isinstance(result.error, AirflowFailException)
    elif outcome == "created":
        in_use = if_exists == "new_version" and flags
        assert entry["old_document_ids"] == ([] if in_use else [old.id])


def test_versions_stand_beside_each_other(kb: Dataset, ingest: Ingest) -> None:
    first = ingest(text("page.md", "walrus"), if_exists="new_version").report["documents"][0]
    assert ingest(text("page.md", "walrus"), if_exists="new_version").report["documents"][0]["outcome"] == "skipped"
    second = ingest(text("page.md", "seal"), if_exists="new_version").report["documents"][0]
    assert second["name"] == "page (f0f668bf).md"
    assert second["old_document_ids"] == [first["document_id"]]
    kb.documents[0].set(archived=True)
    again = ingest(text("page.md", "walrus"), if_exists="new_version").report["documents"][0]
    assert again["outcome"] == "refused"
    assert "un_archive" in again["error"]
    reused = ingest(text("page.md", "walrus"), if_exists="for_release").report["documents"][0]
    assert (reused["outcome"], reused["document_id"]) == ("skipped", first["document_id"])
    assert reused["old_document_ids"] == [second["document_id"]]
    assert kb.documents[0].archived


def test_two_documents_in_use_of_one_name_are_refused(kb: Dataset, ingest: Ingest) -> None:
    kb.add_documents(2, "page")
    kb.add_document("twin")
    kb.add_document("twin")
    assert ingest(text("twin")).outcomes == {"twin": "refused"}


def test_what_is_switched_off_and_unchanged_is_not_made_anew(kb: Dataset, ingest: Ingest) -> None:
    ingest(text("page"))
    kb.documents[0].set(enabled=False, in_search=False)
    result = ingest(text("page"))
    assert result.outcomes == {"page": "refused"}
    assert "Enable it" in result.entry("page")["error"]


def test_unfit_inputs_do_not_keep_the_others_from_it(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, said: pytest.LogCaptureFixture
) -> None:
    files = {"empty.md": b"", "large.md": b"x" * 200, "noextension": b"x", "wrong.exe": b"x", "good.md": b"penguin"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    source: list[Any] = [str(tmp_path / name) for name in files]
    source += ["/nowhere/at-all.md", text("blank", " "), text("half", "\ud800")]
    source += [{"path": str(tmp_path / "good.md"), "name": "good.md"}]
    result = ingest(source, max_file_size=100)
    outcomes = [entry["outcome"] for entry in result.report["documents"]]
    assert outcomes == ["invalid"] * 4 + ["created", "unreadable"] + ["invalid"] * 3
    parts = ["empty", "200 bytes", "no extension", "file types", "", "cannot be read", "empty", "not valid", "same"]
    for entry, part in zip(result.report["documents"], parts, strict=True):
        assert part in (entry["error"] or "")
    # A missing file may appear later.
    assert isinstance(result.error, DifyIngestError)
    assert not isinstance(result.error, AirflowFailException)
    assert names(kb) == {"good.md": 1}
    assert isinstance(ingest(source, max_file_size=100, tolerate=["unreadable"]).error, AirflowFailException)
    said.clear()
    assert ingest(source, max_file_size="100", tolerate=["invalid", "unreadable"]).error is None
    assert "unreadable (tolerated)" in said.text
    assert not [record for record in said.records if record.levelname == "WARNING"]


FAULTS: dict[str, dict[str, Any]] = {
    "reset": {"kind": "reset_before"},
    "carried out, then reset": {"kind": "reset_after"},
    "500": {"kind": "status"},
    "carried out, then 500": {"kind": "status_after"},
    "504 after a minute": {"kind": "page", "status": 504, "seconds": 60},
    "carried out, then 504 after a minute": {"kind": "page_after", "status": 504, "answer_after": 60},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("before", ["nothing", "a namesake", "a failed namesake"])
def test_a_lost_answer_makes_no_duplicate(dify: FakeDify, kb: Dataset, ingest: Ingest, fault: str, before: str) -> None:
    if before != "nothing":
        kb.add_document("page", text="old", indexing_status="error" if "failed" in before else "completed")
    dify.faults.add(Fault(path=r"(create|update)-by-", **FAULTS[fault]))
    result = ingest(text("page", "new"))
    assert result.error is None
    assert result.outcomes == {"page": "created" if before == "nothing" else "updated"}
    assert names(kb) == {"page": 1}
    assert kb.documents[0].text == "new"
    assert kb.documents[0].in_search
    # Once it is indexed, one cannot see that an update was carried out: it is sent again, which makes no difference.
    seen = fault.startswith("carried out") and before != "a namesake"
    assert len(sent(dify)) == (1 if seen else 2)


def test_no_answer_ever(dify: FakeDify, kb: Dataset, ingest: Ingest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection({"timeout": 0.3}))
    dify.faults.add(Fault("hang_after", path=CREATE))
    result = ingest(text("page"))
    assert result.outcomes == {"page": "created"}
    assert names(kb) == {"page": 1}


def test_a_stale_digest_of_a_failed_document_is_withdrawn(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    ingest(text("page", "walrus"))
    kb.documents[0].set(indexing_status="error")
    dify.faults.add(Fault("status", path="documents/metadata", status=401, after=1))
    assert ingest(text("page", "seal")).error is not None
    assert kb.documents[0].text == "seal"
    assert ingest(text("page", "walrus")).outcomes == {"page": "updated"}
    assert kb.documents[0].text == "walrus"


def test_what_cannot_be_fixed_leaves_a_report(dify: FakeDify, kb: Dataset, ingest: Ingest, folder: Path) -> None:
    dify.faults.add(Fault("status", path=CREATE, status=401, after=1, times=None))
    result = ingest(str(folder))
    assert isinstance(result.error, DifyAuthenticationError)
    assert list(result.outcomes.values()) == ["created", "not_attempted", "not_attempted"]
    dify.faults.clear()
    assert ingest(str(folder)).error is None
    assert names(kb) == {f"page{number}.md": 1 for number in range(3)}


def test_the_last_lost_answer_is_in_the_report(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    dify.faults.add(Fault("status_after", path=CREATE, times=None))
    dify.faults.add(Fault("status", path=r"/documents$", status=500, times=0))
    result = ingest([text("a"), text("b")], timeout=0.1)
    assert result.error is not None
    assert result.outcomes == {"a": "created", "b": "not_attempted"}


def test_the_request_is_the_cause_even_if_dify_goes_down(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    dify.faults.add(Fault("status", path=CREATE, status=503, retry_after=10_000))
    dify.faults.add(Fault("status", method="GET", status=500, after=4, times=None))
    result = ingest(text("page"))
    assert isinstance(result.error, DifyServerError)
    assert result.error.message.startswith("POST ")
    assert result.outcomes == {"page": "not_attempted"}


def test_indexing_that_fails_is_told_by_document(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    kb.add_document("stuck", indexing_status="indexing")
    (tmp_path / "broken.pdf").write_text("no PDF")
    result = ingest([text("good"), text("stuck"), tmp_path / "broken.pdf"], timeout=60, if_exists="skip")
    assert result.outcomes == {"good": "created", "stuck": "not_indexed", "broken.pdf": "failed"}
    assert "PDFium" in result.entry("broken.pdf")["error"]
    assert "still indexing" in result.entry("stuck")["error"]
    assert isinstance(result.error, DifyIngestError)
    assert not isinstance(result.error, AirflowFailException)


def test_nothing_moves(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    dify.worker.stop()
    result = ingest(text("page"), stall_timeout=120)
    assert result.outcomes == {"page": "not_indexed"}
    assert "worker" in result.entry("page")["error"]


def test_a_document_that_is_being_indexed_is_updated_when_it_is_through(kb: Dataset, ingest: Ingest) -> None:
    document = kb.add_document("page", indexing_status="indexing")
    document.finish_indexing(after=45)
    result = ingest(text("page", "new"))
    assert result.outcomes == {"page": "updated"}
    assert document.text == "new"


def test_no_more_are_in_indexing_than_may_be(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    dify.worker.stop()
    result = ingest([text(f"page {number}") for number in range(9)], max_active=4, timeout=60)
    assert Counter(result.outcomes.values()) == {"not_indexed": 4, "not_attempted": 5}
    dify.worker.start()
    assert ingest([text(f"page {number}") for number in range(9)], max_active=4).error is None
    assert len(names(kb)) == 9


def test_the_looks_come_soon_again_when_something_has_moved() -> None:
    kb, ids = str(uuid.uuid4()), [str(uuid.uuid4()) for _ in range(8)]
    ticks = itertools.count()  # a clock that never shows the same time twice, as a real one does not
    deadline = Deadline(10_000, lambda: next(ticks) / 1000)
    watch = Watch(kb, WaitOptions(stall_timeout=None))
    watch.add(ids, deadline)
    flow = watch.until_below(1, deadline, Progress(deadline))
    pauses: list[float] = []

    def answer(step: Step) -> Response | None:
        if isinstance(step, Pause):
            pauses.append(step.seconds)
        if not isinstance(step, Request):
            return None
        document_id = step.path.rpartition("/")[2]
        # Nothing for five checks, then one document with each.
        status = "completed" if len(pauses) - 5 > ids.index(document_id) else "waiting"
        item = {"id": document_id, "name": "", "indexing_status": status, "enabled": True, "archived": False}
        return Response(200, {}, json.dumps(item).encode())

    step: Step | None = next(flow)
    while step:
        try:
            step = flow.send(answer(step))
        except StopIteration:
            step = None
    assert pauses == [0.5, 1, 2, 4, 8, 10, *[0.5] * 7]


def test_metadata_is_set_and_kept(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    ingest([text("a"), text("b")], metadata={"team": "docs", "version": 3})
    for document in kb.documents:
        assert (document.metadata["team"], document.metadata["version"]) == ("docs", 3)
        assert len(document.metadata["content_sha256"]) == 64
    before = len(dify.requests)
    assert set(ingest([text("a"), text("b")], metadata={"team": "docs", "version": 3}).outcomes.values()) == {"skipped"}
    assert not any(request.changes for request in dify.requests[before:])
    ingest([text("a")], metadata={"team": "sales"})
    assert [document.metadata["team"] for document in kb.documents] == ["sales", "docs"]
    assert all(document.metadata["version"] == 3 for document in kb.documents)


def test_a_document_may_be_deleted_before_its_digest_is_withdrawn(dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
    ingest([text("a"), text("b")])
    # The metadata is read after the documents.
    dify.faults.add(Fault("latency", path=r"/metadata$", seconds=1))
    dify.world.schedule(0.5, lambda at: kb.remove(kb.documents[0]._row))
    assert ingest([text("a", "new"), text("b", "new")]).outcomes == {"a": "created", "b": "updated"}


def test_a_digest_that_cannot_be_withdrawn_does_not_keep_the_others(kb: Dataset, ingest: Ingest) -> None:
    ingest([text("a"), text("b")])
    kb.documents[0].lock_metadata(3600)
    result = ingest([text("a", "new"), text("b", "new"), text("c")], timeout=300)
    assert result.outcomes == {"a": "not_attempted", "b": "updated", "c": "created"}
    assert "Another document metadata operation is running" in result.entry("a")["error"]
    assert isinstance(result.error, DifyIngestError)
    assert kb.documents[0].text == "About penguins."


def test_what_is_left_as_it_is_has_to_be_indexed(kb: Dataset, ingest: Ingest) -> None:
    kb.add_document("broken", indexing_status="error", error="No such encoding.")
    kb.add_document("paused", indexing_status="paused")
    kb.add_document("off", enabled=False)
    result = ingest([text("broken"), text("paused"), text("off")], if_exists="skip")
    assert result.outcomes == {"broken": "failed", "paused": "failed", "off": "skipped"}
    assert result.entry("broken")["error"] == "No such encoding."


def test_without_waiting(kb: Dataset, dify: FakeDify, ingest: Ingest) -> None:
    dify.worker.stop()
    assert ingest(text("page"), indexing="none").outcomes == {"page": "created"}


def test_few_names_in_a_large_knowledge_base_are_looked_up_one_by_one(
    dify: FakeDify, kb: Dataset, ingest: Ingest
) -> None:
    kb.add_documents(1050)
    ingest([text("document-7"), text("document-%")])
    pages = [request for request in dify.requests if request.path.endswith("/documents") and request.method == "GET"]
    assert len(pages) < 30
    assert names(kb)["document-7"] == 1


def test_an_empty_knowledge_base_wants_a_technique(dify: FakeDify, ingest: Ingest) -> None:
    kb = dify.add_dataset("empty", indexing_technique=None)  # type: ignore[arg-type]
    result = ingest(text("a"), dataset_id=kb.id, indexing_technique=None)
    assert "indexing_technique" in str(result.error)


def test_an_empty_source_may_be_allowed(dify: FakeDify, ingest: Ingest) -> None:
    assert ingest([], allow_empty=True).report["documents"] == []


SCRIPT = """
import sys
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
class Task:
    def xcom_push(self, key, value): pass
DifyDocumentIngestOperator(
    task_id="t", dataset_id=sys.argv[1], source=sys.argv[2], max_active=200, indexing_technique="economy"
).execute({"ti": Task()})
"""


@pytest.mark.program
@pytest.mark.parametrize("after", [1, 20])
def test_killed_in_the_middle_and_run_again(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, after: int
) -> None:
    for number in range(30):
        (tmp_path / f"{number:03}.md").write_text(f"Page {number}")
    # The response to one creation never comes, so the process is killed between a request and its response.
    dify.faults.add(Fault("hang", path=CREATE, after=after))
    killed_at_the_fault(dify, SCRIPT, kb.id, str(tmp_path))
    assert 0 < len(kb.documents) < 30
    result = ingest(str(tmp_path))
    assert result.error is None
    assert names(kb) == {f"{number:03}.md": 1 for number in range(30)}
    assert all(document.in_search for document in kb.documents)
