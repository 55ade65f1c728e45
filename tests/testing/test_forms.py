"""High quality, parent-child knowledge bases, process rules, files without text, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.testing.text.cutting import Rule
from tests.testing.conftest import Client
from tests.testing.test_keywords import create, retrieve

PARENTS = {"mode": "hierarchical", "rules": {"segmentation": {"separator": "\n\n"}, "parent_mode": "paragraph"}}


@pytest.fixture
def vectors(sim: FakeDify) -> Dataset:
    return sim.add_dataset("vectors", indexing_technique="high_quality")


@pytest.fixture
def parents(sim: FakeDify) -> Dataset:
    return sim.add_dataset(
        "parents", indexing_technique="high_quality", doc_form="hierarchical_model", process_rule=PARENTS
    )


def test_a_vector_store_looks_at_forty(client: Client, vectors: Dataset) -> None:
    for number in range(100):
        vectors.add_document(f"page {number}", text="visitors park", segments=2)
    assert len(retrieve(client, vectors, "visitors", 100, "semantic_search")) == 40
    assert len(retrieve(client, vectors, "visitors", 1000, "semantic_search")) == 200
    vectors.candidates = 7
    assert len(retrieve(client, vectors, "visitors", 10, "semantic_search")) == 7
    assert retrieve(client, vectors, "visitors") == [], "there are no keywords"


def test_parts_of_a_retrieval_model_may_not_be_null(client: Client, vectors: Dataset) -> None:
    vectors.add_document("page")
    vectors.retrieval_model = {
        "search_method": "semantic_search",
        "reranking_enable": False,
        "top_k": 2,
        "score_threshold_enabled": None,
        "weights": {"vector_setting": {"vector_weight": 0.7, "embedding_provider_name": None}},
    }
    shown = client.get(f"/datasets/{vectors.id}").json()["retrieval_model_dict"]
    body = {"query": "fox", "retrieval_model": shown}
    answer = client.call("POST", f"/datasets/{vectors.id}/retrieve", json=body)
    assert answer.status_code == 400
    assert "retrieval_model.score_threshold_enabled" in answer.json()["message"]
    assert "retrieval_model.weights.vector_setting.embedding_provider_name" in answer.json()["message"]
    shown |= {"score_threshold_enabled": False, "weights": None}
    assert client.call("POST", f"/datasets/{vectors.id}/retrieve", json=body).ok


def test_an_own_text_comes_first(client: Client, vectors: Dataset) -> None:
    for number in range(50):
        vectors.add_document(f"page {number}", text=f"visitors park on deck d{number}")
    assert retrieve(client, vectors, "visitors park on deck d31", 3, "semantic_search")[0] == "page 31"
    assert len(retrieve(client, vectors, "penguins", 5, "semantic_search")) == 5, "however little they have in common"


def test_without_any_segment_there_is_no_table(client: Client, vectors: Dataset) -> None:
    vectors.add_document("empty", text="")
    answer = client.call("POST", f"/datasets/{vectors.id}/retrieve", json={"query": "visitors"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_param")
    assert "does not exist" in answer.json()["message"]


def test_a_store_that_keeps_what_it_should_delete(client: Client, sim: FakeDify, vectors: Dataset) -> None:
    document = vectors.add_document("one")
    vectors.refuses_deletes = True
    client.change("archive", document)
    sim.settle()
    assert not document.in_search
    client.change("un_archive", document)
    sim.settle()
    assert (document.indexing_status, document.enabled) == ("error", False)
    assert "duplicate key" in str(document.error)


def test_automatic_empties_a_parent_child_document(client: Client, sim: FakeDify, parents: Dataset) -> None:
    document = create(client, parents, "a", text="One.\n\nTwo.", doc_form="hierarchical_model")
    sim.settle()
    assert [one.text for one in document.chunks] == ["One.", "Two."]
    path = f"/datasets/{parents.id}/documents/{document.id}/update-by-text"
    body = {"name": "a", "text": "Three.", "doc_form": "hierarchical_model", "process_rule": {"mode": "automatic"}}
    assert client.call("POST", path, json=body).ok
    sim.settle()
    assert (document.display_status, document.segments, document.in_search) == ("available", 0, False)
    later = create(client, parents, "b", doc_form="hierarchical_model")
    sim.settle()
    assert later.segments == 0, "automatic is the latest rule now"
    assert client.get(f"/datasets/{parents.id}").json()["doc_form"] == "hierarchical_model"


def test_the_form_has_to_be_named(client: Client, parents: Dataset) -> None:
    body = {"name": "a", "text": "t"}
    answer = client.call("POST", f"/datasets/{parents.id}/document/create-by-text", json=body)
    assert answer.json()["message"] == "doc_form is different from the dataset doc_form."


def test_a_document_without_text(client: Client, kb: Dataset) -> None:
    document = kb.add_document("empty", text="")
    assert (document.display_status, document.segments, document.in_search) == ("available", 0, False)
    assert client.get(f"/datasets/{kb.id}/documents/{document.id}/segments").json()["data"] == []


def test_where_a_long_sentence_is_cut() -> None:
    rule = Rule.of("id", {"mode": "custom", "rules": {"segmentation": {"separator": "\\n\\n", "max_tokens": 10}}})
    assert rule.cut("one two. three four five\n\nsix\n\n \n\nsevenseveneleven", "text_model") == (
        ["one two.", "three four", "five", "six", "sevenseven", "eleven"]
    )


def test_kinds_of_knowledge_bases(client: Client, sim: FakeDify) -> None:
    other = sim.add_dataset("other", provider="external")
    made = sim.add_dataset("made", runtime_mode="rag_pipeline", embedding_available=False)
    shown = [client.get(f"/datasets/{one.id}").json() for one in (other, made)]
    assert [one["provider"] for one in shown] == ["external", "vendor"]
    assert [one["runtime_mode"] for one in shown] == ["general", "rag_pipeline"]
    assert [one["embedding_available"] for one in shown] == [True, False]
    assert all("maintainer" in one for one in shown)
    body = {"name": "n", "text": "t", "indexing_technique": "economy"}
    answer = client.call("POST", f"/datasets/{other.id}/document/create-by-text", json=body)
    assert answer.json()["message"] == "External datasets are not supported."


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/documents?page=99999999999999999999", None, 500, "Internal Server Error"),
        ("POST", "/document/create-by-text", {"name": "n", "text": None}, 400, "Input should be a valid string"),
        ("POST", "/document/create-by-text", {"text": "t"}, 400, "Field required"),
        (
            "POST",
            "/document/create-by-text",
            {"name": "n", "text": "t", "original_document_id": "6f1a2647-c91c-4f17-b55c-86784b69f3b9"},
            404,
            "Document not found",
        ),
        ("POST", "/metadata", {"type": "string", "name": "x" * 256}, 400, "cannot exceed 255 characters"),
        (
            "PATCH",
            "/metadata/6f1a2647-c91c-4f17-b55c-86784b69f3b9",
            {"name": "x"},
            400,
            "1 validation error for DatasetMetadataResponse",
        ),
    ],
)
def test_answers_that_were_wrong_before(
    client: Client, kb: Dataset, method: str, path: str, body: Any, status: int, text: str
) -> None:
    answer = client.call(method, f"/datasets/{kb.id}{path}", json=body)
    assert answer.status_code == status
    assert text in answer.json()["message"]


def test_an_old_dify_wants_the_technique(start: Any) -> None:
    old = start(version="1.14.1")
    kb, client = old.add_dataset("kb"), Client(old)
    body = {"name": "n", "text": "t", "process_rule": {"mode": "automatic"}}
    answer = client.call("POST", f"/datasets/{kb.id}/document/create-by-text", json=body)
    assert (
        "Input should be 'high_quality' or 'economy' [type=literal_error, input_value=None" in answer.json()["message"]
    )


def test_a_creation_may_replace_a_document(client: Client, sim: FakeDify, kb: Dataset) -> None:
    document = kb.add_document("old")
    assert create(client, kb, "new", original_document_id=document.id) == document
    sim.settle()
    assert (document.name, sim.search(kb, "zebra")) == ("new", ["new"])
