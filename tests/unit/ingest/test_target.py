"""The knowledge base that documents are sent to: what it accepts; if it accepts nothing, that is one error."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyInputError,
    DifyKnowledgeBaseError,
    DifyKnowledgeBaseFailed,
)
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Dataset as KnowledgeBase
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow
from airflow_provider_dify.knowledge.ingest.ingestion import Ingestion
from airflow_provider_dify.knowledge.ingest.options import DocumentOptions, IngestOptions
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.sync import Sync
from airflow_provider_dify.sources import resolve
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock
from tests.unit.base.driving import DATASET, ID, Driven, dify_error, drive, reply
from tests.unit.conftest import UNKNOWN, Ingest, text
from tests.unit.sync.syncing import run_sync, write

AUTOMATIC = {"mode": "automatic"}
SEGMENTATION: JSON = {"separator": "\n\n", "max_tokens": 500}
CUSTOM: dict[str, JSON] = {"mode": "custom", "rules": {"pre_processing_rules": [], "segmentation": SEGMENTATION}}
PARENTS: dict[str, JSON] = {
    "mode": "hierarchical",
    "rules": {
        "pre_processing_rules": [],
        "segmentation": SEGMENTATION,
        "parent_mode": "paragraph",
        "subchunk_segmentation": {"separator": "\n", "max_tokens": 60},
    },
}
#: A knowledge base as in Dify 1.16.0 (files 25 and 27), as far as it matters here.
USED = {
    **DATASET,
    "provider": "vendor",
    "data_source_type": "upload_file",
    "indexing_technique": "economy",
    "doc_form": "text_model",
    "embedding_available": True,
    "runtime_mode": "general",
    "document_count": 1,
}
FRESH = {**USED, "data_source_type": None, "doc_form": None, "document_count": 0}
EMPTIED = {**USED, "doc_form": None, "document_count": 0}


def begin(shown: Mapping[str, Any], options: DocumentOptions | None = None, *, kind: str = "ingest") -> Driven:
    """Start an ingestion or sync of one text, with an empty knowledge base as given."""
    return drive(conversation(kind, options), [reply(200, shown), reply(200, {"data": [], "total": 0})])


def conversation(kind: str, options: DocumentOptions | None = None) -> Flow[Any]:
    """An ingestion or a sync of one text."""
    deadline, retries = Deadline(60, VirtualClock().monotonic), Retries(max_retries=0)
    sources = resolve([text("a.md")])
    if kind == "ingest":
        return retrying(
            Ingestion(ID, sources, IngestOptions(**vars(options or DocumentOptions()))).flow(deadline, retries), retries
        )
    how = SyncOptions(**vars(options or DocumentOptions()))
    return retrying(Sync(ID, sources, how, sync_source="pages").flow(deadline, retries), retries)


def sent_rules(dify: FakeDify) -> list[Any]:
    """The rule of each content that was sent."""
    return [request.json.get("process_rule") for request in dify.requests if "-by-" in request.path]


@pytest.fixture
def used(kb: Dataset) -> Dataset:
    """A knowledge base with a document."""
    kb.add_document("there.md", text="About foxes.")
    return kb


class TestRules:
    """No rule is sent unless the user gave one."""

    def test_none_with_a_new_text_a_new_content_and_a_file(
        self, dify: FakeDify, used: Dataset, ingest: Ingest, folder: Path
    ) -> None:
        assert ingest([text("new.md"), text("there.md", "About elephants."), str(folder / "page0.md")]).error is None
        (folder / "page0.md").write_text("About dates instead.")
        assert ingest(str(folder / "page0.md")).error is None
        assert sent_rules(dify) == [None] * 4

    def test_none_from_a_sync(self, dify: FakeDify, used: Dataset, tmp_path: Path) -> None:
        assert run_sync(used, str(write(tmp_path, {"a.md": "About apples."}))).error is None
        assert run_sync(used, str(write(tmp_path, {"b.md": "About apples.", "c.md": "About cherries."}))).error is None
        assert run_sync(used, str(write(tmp_path, {"b.md": "About bananas.", "c.md": "About cherries."}))).error is None
        assert sent_rules(dify) == [None] * 4

    @pytest.mark.parametrize("as_files", [False, True])
    def test_the_first_document_of_all_needs_one(
        self, dify: FakeDify, ingest: Ingest, folder: Path, as_files: bool
    ) -> None:
        assert ingest(str(folder) if as_files else [text("a"), text("b"), text("c")]).error is None
        assert sent_rules(dify) == [AUTOMATIC, None, None]

    def test_a_first_document_that_dify_refuses_is_not_the_first(
        self, dify: FakeDify, ingest: Ingest, tmp_path: Path
    ) -> None:
        write(tmp_path, {"a.exe": "About apples.", "b.md": "About bananas.", "c.md": "About cherries."})
        assert ingest(str(tmp_path)).outcomes == {"a.exe": "invalid", "b.md": "created", "c.md": "created"}
        assert sent_rules(dify) == [AUTOMATIC, AUTOMATIC, None]

    def test_one_that_is_given_is_sent_each_time(self, dify: FakeDify, used: Dataset, ingest: Ingest) -> None:
        assert ingest([text("new.md"), text("there.md", "About elephants.")], process_rule=CUSTOM).error is None
        assert sent_rules(dify) == [CUSTOM, CUSTOM]

    def test_an_emptied_knowledge_base_keeps_its_own(self) -> None:
        options = DocumentOptions()
        assert options.for_first_document(KnowledgeBase.read(Fields(EMPTIED))).process_rule is None
        assert options.for_first_document(KnowledgeBase.read(Fields(DATASET))).process_rule is None
        assert options.for_first_document(KnowledgeBase.read(Fields(FRESH))).process_rule == AUTOMATIC

    @pytest.mark.parametrize("kind", ["ingest", "sync"])
    @pytest.mark.parametrize(
        ("shown", "rule", "says"),
        [
            (USED, AUTOMATIC, "its mode is 'automatic'"),
            (USED, CUSTOM, "or leave process_rule out; its mode is 'custom'"),
            (USED, {"mode": "hierarchical", "rules": {"segmentation": SEGMENTATION}}, "its mode is 'hierarchical'"),
            (USED, {"mode": "hierarchical", "rules": {"parent_mode": ""}}, "must have a parent_mode"),
            (USED, {"mode": "hierarchical", "rules": "paragraph"}, "must have a parent_mode"),
            (USED, {}, "must have a parent_mode"),
            (FRESH, None, "its mode is none"),
            (FRESH, AUTOMATIC, "'paragraph', ...}}; its mode is 'automatic'"),
            (USED, None, None),
            (USED, PARENTS, None),
            (FRESH, PARENTS, None),
            (EMPTIED, None, None),
        ],
    )
    def test_without_parents_nothing_goes_into_parent_child_chunks(
        self, kind: str, shown: dict[str, Any], rule: dict[str, Any] | None, says: str | None
    ) -> None:
        shown = {**shown, "doc_form": "hierarchical_model" if shown is USED else None}
        driven = begin(shown, DocumentOptions(process_rule=rule, doc_form="hierarchical_model"), kind=kind)
        assert (type(driven.error) is DifyInputError) is (says is not None)
        if says:
            assert [request.method for request in driven.requests] == ["GET"]
            assert says in str(driven.error)

    def test_search_finds_what_goes_into_parent_child_chunks(
        self, dify: FakeDify, ingest: Ingest, tmp_path: Path
    ) -> None:
        parents = dify.add_dataset("parents", indexing_technique="high_quality", doc_form="hierarchical_model")
        into: dict[str, Any] = {"dataset_id": parents.id, "indexing_technique": None}
        assert ingest(text("there.md", "About foxes."), process_rule=PARENTS, **into).error is None
        assert ingest([text("new.md"), text("there.md", "About elephants.")], **into).error is None
        write(tmp_path, {"a.md": "About apples."})
        assert run_sync(parents, str(tmp_path), indexing_technique=None).error is None
        assert sent_rules(dify) == [PARENTS, None, None, None]
        for word, name in {"penguins": "new.md", "elephants": "there.md", "apples": "a.md"}.items():
            assert name in dify.search(parents, word)

    @pytest.mark.parametrize("as_file", [False, True])
    def test_a_rule_that_somebody_else_has_sent_is_seen(
        self, dify: FakeDify, ingest: Ingest, tmp_path: Path, as_file: bool
    ) -> None:
        parents = dify.add_dataset(
            "parents", indexing_technique="high_quality", doc_form="hierarchical_model", process_rule=AUTOMATIC
        )
        old = parents.add_document("there.md", text="About foxes.")
        write(tmp_path, {"new.md": "About apples."})
        source: Any = str(tmp_path) if as_file else text("there.md", "About elephants.")
        result = ingest(source, dataset_id=parents.id, indexing_technique=None)
        assert type(result.error) is DifyInputError
        assert old.in_search
        assert {request.method for request in dify.requests} == {"GET"}

    @pytest.mark.parametrize("kind", ["ingest", "sync"])
    @pytest.mark.parametrize("latest", [AUTOMATIC, CUSTOM, {"mode": "automatic", "rules": None}, {}, PARENTS, None])
    def test_the_latest_rule_is_looked_at_if_it_is_to_make_parents(
        self, kind: str, latest: dict[str, Any] | None
    ) -> None:
        """Somebody has sent another one, which is as bad as no rule."""
        shown = {**USED, "doc_form": "hierarchical_model"}
        other = {
            "id": UNKNOWN, "name": "there.md", "indexing_status": "completed", "enabled": True, "archived": False,
        }  # fmt: skip
        page, document = (
            reply(200, {"data": [other], "total": 1}),
            reply(200, {**other, "dataset_process_rule": latest}),
        )
        driven = drive(conversation(kind), [reply(200, shown), page, page, document, dify_error(418)])
        assert [request.method for request in driven.requests[:4]] == ["GET"] * 4
        if latest in (PARENTS, None):
            assert len(driven.requests) > 4
        else:
            assert len(driven.requests) == 4
            assert type(driven.error) is DifyInputError
            assert "has no parent_mode" in str(driven.error)


class TestForms:
    """A document has the form of its knowledge base."""

    @pytest.mark.parametrize("form", ["text_model", "hierarchical_model", "qa_model"])
    def test_it_is_sent_along(self, dify: FakeDify, used: Dataset, ingest: Ingest, form: str) -> None:
        used.doc_form = form
        rule = PARENTS if form == "hierarchical_model" else None
        ingest([text("new.md"), text("there.md", "About elephants.")], process_rule=rule)
        assert [r.json["doc_form"] for r in dify.requests if "-by-" in r.path] == [form, form]

    @pytest.mark.parametrize("kind", ["ingest", "sync"])
    def test_another_one_is_an_error_before_anything_is_sent(self, kind: str) -> None:
        driven = begin(USED, DocumentOptions(doc_form="qa_model", process_rule=CUSTOM), kind=kind)
        assert type(driven.error) is DifyInputError
        assert [request.method for request in driven.requests] == ["GET"]
        assert "has the form 'text_model', and accepts no documents with doc_form='qa_model'" in str(driven.error)

    def test_the_first_document_chooses(self, dify: FakeDify, kb: Dataset, ingest: Ingest) -> None:
        assert ingest(text("a"), doc_form="qa_model").error is None
        assert kb.doc_form == "qa_model"


def invalid(model: str, field: str, why: str) -> str:
    """Dify's error if a request does not fit its model."""
    return f"1 validation error for {model}\n{field}\n  {why}"


MODE = invalid("DocumentTextCreatePayload", "process_rule.mode", "Input should be 'automatic', 'custom' or ...")
TECHNIQUE = invalid("KnowledgeConfig", "indexing_technique", "Input should be 'high_quality' or 'economy'")
#: Dify's reasons to reject all documents, and the advice in the error.
REFUSALS = {
    "no credentials": ("provider_not_initialize", "No valid model provider credentials found.", "Model Provider"),
    "no default model": ("provider_not_initialize", "Default model not found for text-embedding", "Model Provider"),
    "no model": ("invalid_param", "No Embedding Model available. Please configure a valid provider.", "Model Provider"),
    "unavailable": ("invalid_param", "The dataset is unavailable, due to: Model x not found.", "Model Provider"),
    "external": ("invalid_param", "External datasets are not supported.", "Use another dataset_id"),
    "another form": ("invalid_param", "doc_form is different from the dataset doc_form.", "Remove doc_form"),
    "an unknown form": ("invalid_param", invalid("X", "doc_form", "Invalid doc_form."), "Remove doc_form"),
    "a rule without rules": ("invalid_param", "Process rule rules is required", "Check process_rule"),
    "no rule": ("invalid_param", "process_rule is required.", "Check process_rule"),
    "an unknown mode": ("invalid_param", MODE, "Check process_rule"),
    "no technique": ("invalid_param", "indexing_technique is required.", "Check indexing_technique"),
    "a wrong technique": ("invalid_param", TECHNIQUE, "Check indexing_technique"),
}


class TestRefusals:
    """If a knowledge base rejects all documents, that is one error, not an outcome of each."""

    @pytest.mark.parametrize("kind", ["ingest", "sync"])
    @pytest.mark.parametrize("refusal", REFUSALS)
    def test_it_is_learned_once_and_not_tolerated(
        self, dify: FakeDify, kb: Dataset, ingest: Ingest, folder: Path, kind: str, refusal: str
    ) -> None:
        code, message, advice = REFUSALS[refusal]
        body = {"code": code, "message": message, "status": 400}
        dify.faults.add(Fault("status", path="by-file", status=400, body=body, times=None))
        if kind == "ingest":
            result: Any = ingest(str(folder), tolerate=("invalid",))
        else:
            result = run_sync(kb, str(folder), tolerate=("invalid",))
        assert type(result.error) is DifyKnowledgeBaseFailed
        assert isinstance(result.error, AirflowFailException)
        assert (result.error.status, result.error.code, result.error.detail) == (400, code, message)
        assert advice in str(result.error)
        assert sum("by-file" in request.path for request in dify.requests) == 1
        counts = result.report["counts"]
        assert {outcome for outcome, number in counts.items() if number} == {"not_attempted"}

    def test_what_is_against_one_file_still_ends_that_file_only(self, ingest: Ingest, tmp_path: Path) -> None:
        write(tmp_path, {"a.exe": "About apples.", "b.md": "About bananas."})
        assert ingest(str(tmp_path), tolerate=("invalid",)).error is None

    @pytest.mark.parametrize("times", [2, None])
    def test_one_that_is_not_initialized_yet_is_waited_for(
        self, dify: FakeDify, ingest: Ingest, times: int | None
    ) -> None:
        message = "The dataset is still being initialized or indexing. Please wait a moment."
        body = {"code": "dataset_not_initialized", "message": message, "status": 400}
        dify.faults.add(Fault("status", path="by-text", status=400, body=body, times=times))
        result = ingest([text("a"), text("b")], tolerate=("invalid",))
        if times:
            assert result.outcomes == {"a": "created", "b": "created"}
        else:
            assert type(result.error) is DifyKnowledgeBaseError
            assert result.error.retryable
            assert result.outcomes == {"a": "not_attempted", "b": "not_attempted"}

    @pytest.mark.parametrize("kind", ["ingest", "sync"])
    @pytest.mark.parametrize(
        ("differs", "error", "says"),
        [
            ({"provider": "external", "indexing_technique": None}, DifyInputError, "is an external one"),
            ({"embedding_available": False}, DifyKnowledgeBaseFailed, "embedding model of knowledge base"),
        ],
    )
    def test_what_dify_shows_of_it_is_enough(
        self, kind: str, differs: dict[str, Any], error: type[DifyError], says: str
    ) -> None:
        driven = begin({**USED, **differs}, kind=kind)
        assert type(driven.error) is error
        assert driven.error.final
        assert says in str(driven.error)
        assert [request.method for request in driven.requests] == ["GET"]

    def test_the_same_through_a_socket(self, dify: FakeDify, used: Dataset, ingest: Ingest) -> None:
        used.embedding_available = False
        assert type(ingest(text("a")).error) is DifyKnowledgeBaseFailed
        assert [request.method for request in dify.requests] == ["GET"]

    @pytest.mark.parametrize("kind", ["ingest", "sync"])
    @pytest.mark.parametrize("mode", ["general", "rag_pipeline"])
    def test_who_bypasses_a_pipeline_is_warned(self, kind: str, mode: str) -> None:
        driven = begin({**USED, "runtime_mode": mode}, kind=kind)
        warnings = [note.text for note in driven.notes if note.level == logging.WARNING]
        assert len(driven.requests) > 1
        assert any("bypass the pipeline" in warning for warning in warnings) is (mode == "rag_pipeline")
