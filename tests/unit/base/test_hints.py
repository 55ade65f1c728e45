"""What errors say about values that show the mistake: nothing, a template, a near miss, a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyError, DifyInputError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.selection.select import Selection
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.operators.sync import DifySyncOperator
from airflow_provider_dify.testing import FakeDify
from tests.unit.indexing.polling import document
from tests.unit.selection.listing import operate


def error_of(kind: Any, **given: Any) -> DifyError:
    error = operate(kind, **given).error
    assert error is not None
    return error


ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
STATUS = {"dataset_id": ID, "document_ids": [ID], "action": "archive"}
INGEST = {"dataset_id": ID, "source": {"name": "a", "text": "b"}}
CHECK = {"dataset_id": ID, "queries": "x", "expect": ID}
NOTHING = "It is missing, or an upstream task returned nothing."
EMPTY = "A template rendered to nothing, or an upstream task returned an empty text."
UNRENDERED = "A template was not rendered: Airflow renders only templated parameters, once."

#: The text about a value that shows what happened to it.
SAID: list[tuple[Any, dict[str, Any], str]] = [
    (
        DifyDocumentStatusOperator,
        {**STATUS, "dataset_id": None},
        f"Give dataset_id or dataset_name: dataset_id is None. {NOTHING}",
    ),
    (DifyDocumentStatusOperator, {**STATUS, "dataset_id": "None"}, f"dataset_id is not a UUID: 'None'. {NOTHING}"),
    (DifyDocumentStatusOperator, {**STATUS, "dataset_id": ""}, f"dataset_id is not a UUID: ''. {EMPTY}"),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "dataset_id": "{{ x }}"},
        f"dataset_id is not a UUID: '{{{{ x }}}}'. {UNRENDERED}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": "null"},
        f"document_ids[0] is not a UUID: 'null'. {NOTHING}",
    ),
    (DifyDocumentStatusOperator, {**STATUS, "document_ids": ""}, f"document_ids contains no id: ''. {EMPTY}"),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "action": "None"},
        f"action must be one of enable, disable, archive, un_archive, not 'None'. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "timeout": "None"},
        f"timeout must be a number above 0, not 'None'. {NOTHING}",
    ),
    (DifyDocumentStatusOperator, {**STATUS, "dry_run": None}, f"dry_run must be True or False, not None. {NOTHING}"),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "max_documents": "None"},
        f"max_documents must be a whole number of at least 1, not 'None'. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "tolerate": None},
        f"tolerate must be a list or a string, not None. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": None, "filters": "None"},
        f"filters must be a mapping such as {{'status': 'archived'}}, or text that contains one, not 'None'. {NOTHING}",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": None, "filters": {"name": "{{ x }}"}},
        f"filters.name must be text that is not empty, or a list of texts, not '{{{{ x }}}}'. {UNRENDERED}",
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "source": None},
        f"source must be a path, a text with a name, or a list of them, not None. {NOTHING}",
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "source": {"name": "a", "text": None}},
        (
            "source[0] must be {'name': ..., 'text': ...} or {'name': ..., 'path': ...}, with a name that "
            f"is not empty, not {{'name': 'a', 'text': None}}. {NOTHING}"
        ),
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "metadata": "None"},
        f"metadata must map names of metadata fields to values, not 'None'. {NOTHING}",
    ),
    (
        DifySyncOperator,
        {"dataset_id": ID, "source": None},
        f"source must be a folder: a path, a URL, or a path object, not None. {NOTHING}",
    ),
    (
        DifySyncOperator,
        {"dataset_id": ID, "source": ".", "sync_source": ""},
        f"sync_source must be a name that is not empty, not ''. {EMPTY}",
    ),
    (
        DifyRetrievalCheckOperator,
        {**CHECK, "queries": None},
        f"queries must be a list of texts or mappings, not None. {NOTHING}",
    ),
    (
        DifyRetrievalCheckOperator,
        {**CHECK, "queries": [None]},
        f"queries[0] must be text to search for, not None. {NOTHING}",
    ),
    # near misses
    (
        DifyDocumentStatusOperator,
        {**STATUS, "action": "unarchive"},
        "action must be one of enable, disable, archive, un_archive, not 'unarchive'. Did you mean 'un_archive'?",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "action": "ARCHIVE"},
        "action must be one of enable, disable, archive, un_archive, not 'ARCHIVE'. Did you mean 'archive'?",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "prove_by": "segment"},
        "prove_by must be one of search, segments, not 'segment'. Did you mean 'segments'?",
    ),
    (
        DifyDocumentIngestOperator,
        {**INGEST, "indexing": "deferred"},
        "indexing must be one of wait, defer, none, not 'deferred'. Did you mean 'defer'?",
    ),
    (
        DifyRetrievalCheckOperator,
        {**CHECK, "queries": [{"query": "x", "expects": ID}]},
        (
            "queries[0] has the key 'expects'; it may have query, expect, expect_not, top_k, min_score. Did "
            "you mean 'expect'?"
        ),
    ),
    # names where ids belong
    (
        DifyDocumentStatusOperator,
        {**STATUS, "dataset_id": "Hand book"},
        "dataset_id is not a UUID: 'Hand book'. To find a knowledge base by name, use dataset_name='Hand book'.",
    ),
    (
        DifyDocumentStatusOperator,
        {**STATUS, "document_ids": ["a b.pdf"]},
        (
            "document_ids[0] is not a UUID: 'a b.pdf'. To find documents by name, use filters={\"name\": 'a b.pdf'}, "
            "here or in DifyListDocumentsOperator."
        ),
    ),
]


@pytest.mark.parametrize(
    ("kind", "given", "says"), SAID, ids=lambda value: value[:60] if isinstance(value, str) else ""
)
def test_what_is_said(dify: FakeDify, kind: Any, given: dict[str, Any], says: str) -> None:
    error = error_of(kind, **given)
    assert type(error) is DifyInputError
    assert str(error).startswith(says)
    # The cause is short; what was given, and what there is to choose from, are details.
    assert len(str(error).replace(repr(next(iter(given.values()))), "")) < 320
    assert len(str(error).partition(", not ")[0].partition(". ")[0]) < 200
    assert dify.requests == []


def test_an_unknown_filter_that_is_nearly_one(dify: FakeDify) -> None:
    error = error_of(DifyListDocumentsOperator, dataset_id=ID, filters={"create_before": "1d"})
    assert str(error).endswith("Did you mean 'created_before'?")
    error = error_of(DifyListDocumentsOperator, dataset_id=ID, filters={"colour": "red"})
    assert "Did you mean" not in str(error)


def test_an_unknown_extra_that_is_nearly_one(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    extra = {"verify_ssl": False, "colour": "red"}
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection(extra))
    with caplog.at_level("WARNING"):
        assert DifyHook().settings.verify is True
    assert "has unknown extras, which are ignored: colour, verify_ssl. Did you mean 'verify'?" in caplog.text


@pytest.mark.parametrize("name", ["source", "exclude"])
def test_a_pattern_longer_than_any_path_is_refused(dify: FakeDify, tmp_path: Path, name: str) -> None:
    """Translating one with so many brackets took minutes."""
    given = {"source": str(tmp_path), name: "[" * 50_000}
    error = error_of(DifyDocumentIngestOperator, dataset_id=ID, **given)
    assert str(error).startswith(f"{name} has 50,000 characters, more than any path")
    error = error_of(DifyListDocumentsOperator, dataset_id=ID, filters={"name": "[" * 50_000})
    assert str(error).startswith("filters.name has 50,000 characters")
    assert dify.requests == []


def test_a_keyword_of_many_wildcards_takes_no_time() -> None:
    page = Document.read(Fields(document(ID, "completed", single=False, name="a" * 200)))
    for filters, fits in (
        ({"keyword": "%a" * 60 + "%b"}, False),
        ({"name": "*a" * 60 + "b"}, False),
        ({"keyword": "%a_a%a"}, True),
    ):
        assert Selection.parse(filters, 0.0).may_match(page) is fits
