"""An export is recreated in another Dify: the same documents, and nothing is sent twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyGuardError, DifySetupFailed, DifySyncFailed
from airflow_provider_dify.exports.source import open_export
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.ingest.options import FolderOptions
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.promotion import Promotion
from airflow_provider_dify.knowledge.text.names import canonical
from airflow_provider_dify.testing import Dataset, Document, FakeDify
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from tests.unit.export.exporting import run_export
from tests.unit.sync.syncing import Result, abandoned, changing, run_sync

RULE = {"mode": "custom", "rules": {"segmentation": {"separator": "\n", "max_tokens": 300}}}
OWN = {"sync_source", "content_sha256", "exported_document"}
MODEL = ("acme/acme/acme", "small")
SEARCH = {"search_method": "hybrid_search", "top_k": 7, "score_threshold_enabled": True, "score_threshold": 0.4}
#: Names of files and texts, one of them in decomposed Unicode.
NAMES = ("Bericht für Köln {}.md", "报告 {}.md", "a/b: {}?", "re\u0301sume\u0301 {}.md", "😀 smile {}", "page {}.md")
NUMBERS = ("eins", "zwei", "drei")


@pytest.fixture
def production(dify_factory: DifyFactory) -> FakeDify:
    """Another Dify."""
    return dify_factory("production")


def fill(kb: Dataset) -> None:
    """Put documents of all kinds into a knowledge base."""
    kb.add_document("a.md", text="# A\n\nFirst penguin.", file_name="a.md", metadata={"n": 3, "team": "birds"})
    kb.add_document("a.md", text="Second penguin, disabled.", file_name="a.md", enabled=False)
    kb.add_document("a.md", text="Third penguin, archived.", file_name="a.md", archived=True)
    kb.add_document("Ein Text über Füchse / Wölfe", text="Über Füchse: fox.")
    kb.add_document("off", text="Disabled and archived walrus.", enabled=False, archived=True)
    kb.add_document("page", text="A crawled otter.", source_type="website_crawl")


def promote(kb: Dataset, source: Any, **kwargs: Any) -> Result:
    """Run a DifySyncOperator with an export as its source."""
    given = {"dify_conn_id": "production", "sync_source": "staging", "indexing_technique": None, **kwargs}
    return run_sync(kb, str(source), **given)


def state(documents: Iterable[Document]) -> list[Any]:
    """What should be equal in both knowledge bases."""
    return sorted(
        (canonical(one.name), one.content, one.enabled, one.archived, one.in_search, rest(one.metadata))
        for one in documents
        if one.indexing_status == "completed"
    )


def rest(metadata: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in metadata.items() if name not in OWN}, sort_keys=True)


def test_staging_becomes_production(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    fill(staging)
    assert run_export(staging, tmp_path).error is None
    kb = production.add_dataset("handbook", indexing_technique="economy")
    result = promote(kb, tmp_path)
    assert result.error is None
    assert result.outcomes == {"created": [document.name for document in staging.documents]}
    assert state(kb.documents) == state(staging.documents)
    for query in ("penguin", "fox", "walrus", "otter"):
        assert production.search(kb, query) == dify.search(staging, query)
    assert {field.name: field.type for field in kb.fields.all() if field.name not in OWN} == {
        "n": "number",
        "team": "string",
    }
    assert {json.dumps(row.rule.rules["segmentation"]) for row in kb.rows.values() if row.rule} == {
        json.dumps({"chunk_overlap": 0, "separator": "\n", "max_tokens": 300})
    }
    asked = len(production.requests)
    assert promote(kb, tmp_path).outcomes == {"kept": [document.name for document in staging.documents]}
    assert not changing(production.requests[asked:])


def test_what_changed_since_follows(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    changed = staging.add_document("changed.md", text="Old.", file_name="changed.md")
    moved = staging.add_document("moved.md", text="Archived later.", metadata={"team": "a", "old": "x"})
    gone = staging.add_document("gone.md", text="Gone later.")
    kb = production.add_dataset("handbook", indexing_technique="economy")
    run_export(staging, tmp_path)
    assert promote(kb, tmp_path).error is None
    with dify.world.guard:
        staging.rows[changed.id].take("New.", None, dify.clock.time())
        staging.rows[changed.id].complete_indexing(dify.clock.time())
    moved.set(archived=True, in_search=False)
    moved.set_metadata(team="b")
    staging.remove(staging.rows[gone.id])
    run_export(staging, tmp_path)
    result = promote(kb, tmp_path)
    assert result.error is None
    assert result.outcomes == {"updated": ["changed.md", "moved.md"], "retired": ["gone.md"]}
    left = [document for document in kb.documents if document.name != "gone.md"]
    assert {document.name: (document.content, document.archived) for document in left} == {
        "changed.md": (b"New.", False),
        "moved.md": (b"Archived later.", True),
    }
    assert [rest(document.metadata) for document in left if document.name == "moved.md"] == ['{"team": "b"}']
    asked = len(production.requests)
    assert promote(kb, tmp_path).outcomes == {"kept": ["changed.md", "moved.md"]}
    assert not changing(production.requests[asked:])


@pytest.mark.large
def test_abandoned_at_any_request(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    fill(staging)
    run_export(staging, tmp_path)
    ended, after = False, 0
    while not ended:
        kb = production.add_dataset(f"handbook {after}", indexing_technique="economy")
        with DifyHook("production") as hook:
            exported = open_export(tmp_path, FolderOptions(), adopt=False)
            assert exported is not None
            promotion = Promotion(kb.id, exported, SyncOptions(max_share=None), sync_source="staging")
            ended = hook.run(abandoned(promotion.flow(hook.deadline(3600), hook.retries), after))
        result = promote(kb, tmp_path)
        assert result.error is None, after
        assert state(kb.documents) == state(staging.documents), after
        assert not [field.name for field in kb.fields.all() if field.name.startswith("sync_unfinished")]
        after += 9
    assert after > 50


def test_what_cannot_be_recreated_is_invalid(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    staging.add_document("failed.md", text="Failed.", file_name="failed.md", indexing_status="error", error="No luck")
    staging.add_document("empty.md", text="", file_name="empty.md")
    staging.add_document("nothing", text="", source_type="website_crawl")
    staging.add_document("Renamed", text="Renamed.", file_name="file.md")
    staging.add_document("good.md", text="Good.", file_name="good.md")
    run_export(staging, tmp_path, tolerate=["no_content"])
    kb = production.add_dataset("handbook", indexing_technique="economy")
    result = promote(kb, tmp_path)
    assert isinstance(result.error, DifySyncFailed)
    assert result.names("created") == ["good.md"]
    assert {name: result.error_of(name) for name in result.names("invalid")} == {
        "failed.md": "Its indexing is 'error' in the export: No luck. Fix it there, and export it again.",
        "empty.md": "It is empty. Dify would create a document that search never returns.",
        "nothing": "The export has no content of it.",
        "Renamed": "Its name has no extension, and Dify needs one to tell the file type. Rename the document where it "
        "was exported, and export it again.",
    }
    assert promote(kb, tmp_path, tolerate=["invalid"]).error is None


def test_a_failed_copy_is_replaced(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    staging.add_document("a.md", text="First.", file_name="a.md", archived=True)
    staging.add_document("a.md", text="Second.", file_name="a.md")
    run_export(staging, tmp_path)
    kb = production.add_dataset("handbook", indexing_technique="economy")
    assert promote(kb, tmp_path).error is None
    (copy,) = (document for document in kb.documents if document.in_search)
    copy.set(indexing_status="error", in_search=False)
    result = promote(kb, tmp_path)
    assert result.error is None
    assert (result.names("updated"), result.names("kept")) == (["a.md"], ["a.md"])
    assert state(kb.documents) == state(staging.documents)


def test_a_folder_was_the_source_before(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a.md", "b.md"):
        (folder / name).write_text(f"This is {name}.")
    kb = production.add_dataset("handbook", indexing_technique="economy")
    assert promote(kb, folder).names("created") == ["a.md", "b.md"]
    staging = dify.add_dataset("handbook", process_rule=RULE)
    staging.add_document("a.md", text="This is a.md.", file_name="a.md")
    run_export(staging, tmp_path / "export")
    result = promote(kb, tmp_path / "export")
    assert result.error is None
    assert result.outcomes == {"updated": ["a.md"], "retired": ["b.md"]}
    assert [document.name for document in kb.documents if document.in_search] == ["a.md"]


def test_documents_of_others_are_not_touched(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    staging.add_document("a.md", text="Ours.", file_name="a.md")
    run_export(staging, tmp_path)
    kb = production.add_dataset("handbook", indexing_technique="economy")
    theirs = [kb.add_document("a.md", text="Theirs."), kb.add_document("b.md", text="Theirs, too.")]
    result = promote(kb, tmp_path)
    assert isinstance(result.error, DifySyncFailed)
    assert result.outcomes == {"refused": ["a.md"]}
    assert kb.documents == theirs


def test_a_guard_and_a_dry_run(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    pages = [staging.add_document(f"page{n}.md", text=f"Page {n}.") for n in range(4)]
    run_export(staging, tmp_path)
    kb = production.add_dataset("handbook", indexing_technique="economy")
    assert promote(kb, tmp_path, dry_run=True).outcomes == {"not_attempted": [page.name for page in pages]}
    assert not changing(production.requests)
    promote(kb, tmp_path)
    for page in pages[:3]:
        staging.remove(staging.rows[page.id])
    run_export(staging, tmp_path)
    assert isinstance(promote(kb, tmp_path, max_share=0.5).error, DifyGuardError)
    assert all(document.enabled and not document.archived for document in kb.documents)


def test_another_manifest_is_a_file_like_any_other(production: FakeDify, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "logo-0123456789abcdef.svg").write_text("A picture.")
    (tmp_path / "manifest.json").write_text('{"name": "something else"}')
    (tmp_path / "page.md").write_text("A page.")
    kb = production.add_dataset("handbook", indexing_technique="economy")
    result = promote(kb, tmp_path, include="*.md")
    assert result.outcomes == {"created": ["page.md"]}


def everything(kb: Dataset, documents: int) -> None:
    """Fill a knowledge base with files and texts, each name twice, in all states."""
    for number in range(documents):
        name = NAMES[number // 2 % len(NAMES)].format(number // (2 * len(NAMES)))
        failed = number % 50 == 3
        kb.add_document(
            name,
            text="" if number % 40 == 7 else f"Text{number} über Pinguine, {NUMBERS[number % 3]}.",
            file_name=name if name.endswith(".md") else None,
            enabled=number % 5 != 0,
            archived=number % 7 == 0,
            indexing_status="error" if failed else "completed",
            error="It failed." if failed else None,
            metadata={"number": number, "team": "bird"} if number % 3 == 0 else None,
        )


@pytest.mark.parametrize("documents", [50, pytest.param(1050, marks=pytest.mark.large, id="large")])
def test_documents_of_all_kinds(dify: FakeDify, production: FakeDify, tmp_path: Path, documents: int) -> None:
    staging = dify.add_dataset("handbook", process_rule=RULE)
    everything(staging, documents)
    assert run_export(staging, tmp_path).error is None
    kb = production.add_dataset("handbook", indexing_technique="economy")
    result = promote(kb, tmp_path, tolerate=["invalid"], timeout=10**6)
    assert result.error is None
    good = [one for one in staging.documents if one.content and one.indexing_status == "completed"]
    assert state(kb.documents) == state(good)
    assert len(kb.documents) == len(good)
    assert len(result.names("invalid")) == documents - len(good)
    for number in range(0, documents, documents // 10):
        assert production.search(kb, f"Text{number}") == dify.search(staging, f"Text{number}")
    asked = len(production.requests)
    again = promote(kb, tmp_path, tolerate=["invalid"], timeout=10**6)
    assert len(again.names("kept")) == len(good)
    assert not changing(production.requests[asked:])


def high_quality(dify: FakeDify) -> Dataset:
    """A knowledge base whose settings are not the usual ones, with a document."""
    kb = dify.add_dataset("handbook", indexing_technique="high_quality")
    kb.description, kb.embedding_model, kb.retrieval_model = "All about birds", MODEL, SEARCH
    kb.add_document("a.md", text="A penguin.", file_name="a.md")
    return kb


def test_a_new_knowledge_base_gets_the_settings(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    production.world.embedding_models.append(MODEL)
    run_export(high_quality(dify), tmp_path)
    kb = production.add_dataset("birds", indexing_technique=None)  # type: ignore[arg-type]
    assert promote(kb, tmp_path, dry_run=True).error is None
    assert not changing(production.requests)
    assert promote(kb, tmp_path).error is None
    assert (kb.name, kb.description, kb.indexing_technique) == ("birds", "All about birds", "high_quality")
    assert kb.embedding_model == MODEL
    assert kb.retrieval_model is not None
    assert SEARCH.items() <= kb.retrieval_model.items()
    assert [document.in_search for document in kb.documents] == [True]


def test_chosen_settings_stay(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    run_export(high_quality(dify), tmp_path)
    chosen = production.add_dataset("chosen", indexing_technique="economy")
    new = production.add_dataset("new", indexing_technique=None)  # type: ignore[arg-type]
    assert promote(chosen, tmp_path).error is None
    assert promote(new, tmp_path, indexing_technique="economy").error is None
    for kb in (chosen, new):
        assert (kb.description, kb.indexing_technique, kb.embedding_model) == ("", "economy", None)
        assert kb.retrieval_model is None


def test_settings_that_dify_cannot_have(dify: FakeDify, production: FakeDify, tmp_path: Path) -> None:
    run_export(high_quality(dify), tmp_path)
    kb = production.add_dataset("birds", indexing_technique=None)  # type: ignore[arg-type]
    result = promote(kb, tmp_path)
    assert isinstance(result.error, DifySetupFailed)
    assert "Dify has no embedding model 'small'" in str(result.error)
    assert result.outcomes == {"not_attempted": ["a.md"]}
    assert not changing(production.requests)
