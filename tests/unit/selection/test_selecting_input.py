"""Invalid filters are rejected before anything is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
from airflow_provider_dify.testing import FakeDify
from tests.unit.selection.listing import operate

NO_MOMENTS: list[Any] = [
    "", "yesterday", "90", "-3d", "3 months", "90D", "20260101", 20260101, 1_767_225_600_000, True, float("nan"),
    "2026-13-01", "2026-02-30", "9999999d", timedelta(days=-1), ["1d"], {}, "1e400", "0001-01-01T00:00:00+23:59:59x",
]  # fmt: skip
NO_METADATA: list[Any] = [True, [], {}, [True], [[1]], float("inf")]
ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"


KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"


MOMENT = " must be a date or time such as 2026-01-31 or"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"filters": {}}, "filters has no condition: {} would select the whole knowledge base. If you mean that, use"),
    ({"filters": "{}"}, "filters has no condition: '{}' would select the whole"),
    ({"filters": ""}, "filters must be a mapping such as {'status': 'archived'}, or text that contains one, not ''."),
    ({"filters": "archived"}, "filters must be a mapping such as"),
    ({"filters": "None"}, "filters must be a mapping such as"),
    ({"filters": ["archived"]}, "filters must be a mapping such as"),
    ({"filters": {1: 2}}, "filters must be a mapping such as"),
    ({"filters": '["status"]'}, "filters must be a mapping such as"),
    ({}, "Give document_ids or filters: document_ids is None."),
    ({"filters": {"name": "*"}, "document_ids": [ID]}, f"Give document_ids or filters, not both: ['{ID}'] and"),
    ({"filters": {"name": "*"}, "document_ids": []}, "Give document_ids or filters, not both: [] and"),
    ({"filters": {"state": "archived"}}, "filters.state is unknown; the keys of filters are status, name, keyword,"),
    ({"filters": {KEY: 1}}, "filters.dataset-*** is unknown"),
    ({"filters": {"status": None}}, "filters.status is null. Leave it out if it should not filter."),
    ({"filters": {"status": "completed"}}, "filters.status must be one of available, disabled, archived, queuing,"),
    ({"filters": {"status": ["archived", "waiting"]}}, "paused, error, not 'waiting'."),
    ({"filters": {"status": []}}, "filters.status must be text that is not empty, or a list of texts, not []."),
    ({"filters": {"status": KEY}}, "not 'dataset-***'."),
    ({"filters": {"name": ""}}, "filters.name must be text that is not empty, or a list of texts, not ''."),
    (
        {"filters": {"name": ["a", True]}},
        "filters.name must be text that is not empty, or a list of texts, not ['a', True]",
    ),
    ({"filters": {"keyword": " "}}, "filters.keyword must be text that is not empty"),
    ({"filters": {"keyword": ["a", "b"]}}, "filters.keyword must be a single text, not ['a', 'b']."),
    *(({"filters": {"created_before": value}}, f"filters.created_before{MOMENT}") for value in NO_MOMENTS),
    ({"filters": {"updated_after": "soon"}}, f"filters.updated_after{MOMENT}"),
    (
        {"filters": {"created_after": "1d", "created_before": "2d"}},
        ("Nothing can be between filters.created_after and filt"),
    ),
    ({"filters": {"metadata": {}}}, "filters.metadata must name at least one metadata field, not {}."),
    ({"filters": {"metadata": {"": 1}}}, "filters.metadata must name at least one metadata field"),
    ({"filters": {"metadata": "source"}}, "filters.metadata must be a mapping such as"),
    *(
        ({"filters": {"metadata": {"team": value}}}, "filters.metadata.team must be text, a number, null (no")
        for value in NO_METADATA
    ),
    ({"filters": {"keyword": "half \ud800"}}, "filters.keyword must be text"),
    ({"filters": {"keyword": "nul \0"}}, "filters.keyword must be text"),
    ({"filters": {"metadata": {"size": 10**400}}}, "filters.metadata.size must be text, a number"),
    ({"filters": {"enabled": "yes"}}, "filters.enabled must be True or False, not 'yes'."),
    ({"filters": {"archived": 1}}, "filters.archived must be True or False, not 1."),
    ({"filters": {"max_hits": -1}}, "filters.max_hits must be a whole number of at least 0, not -1."),
    ({"filters": {"max_hits": 1.0}}, "filters.max_hits must be a whole number of at least 0, not 1.0."),
    ({"filters": {"max_hits": True}}, "filters.max_hits must be a whole number of at least 0, not True."),
    (
        {"filters": {"never_retrieved": False}},
        ("filters.never_retrieved can only be true, and cannot be combined with max_hi"),
    ),
    ({"filters": {"never_retrieved": True, "max_hits": 0}}, "filters.never_retrieved can only be true, and cannot be"),
    ({"document_ids": [ID], "max_documents": 0}, "max_documents must be a whole number of at least 1, not 0."),
    (
        {"document_ids": [ID], "max_documents": "five"},
        "max_documents must be a whole number of at least 1, not 'five'.",
    ),
    ({"document_ids": [ID], "max_share": 0}, "max_share must be a number above 0, not 0."),
    ({"document_ids": [ID], "max_share": 1.5}, "max_share must be a share of all documents, at most 1, not 1.5."),
    ({"document_ids": [ID], "max_share": "10%"}, "max_share must be a number above 0, not '10%'."),
    ({"document_ids": [ID], "dry_run": "perhaps"}, "dry_run must be True or False, not 'perhaps'."),
]


@pytest.mark.parametrize(("given", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_what_is_wrong_is_said_before_anything_is_sent(dify: FakeDify, given: dict[str, Any], says: str) -> None:
    run = operate(DifyDocumentStatusOperator, dataset_id=ID, action="archive", **given)
    assert type(run.error) is DifyInputError
    assert says in str(run.error)
    assert KEY not in str(run.error)
    assert len(str(run.error)) < 500
    assert dify.requests == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"batches_of": 0}, "batches_of must be a whole number of at least 1, not 0."),
        ({"max_documents": -1}, "max_documents must be a whole number of at least 1, not -1."),
        ({"fail_if_empty": "no"}, "fail_if_empty must be True or False, not 'no'."),
        ({"filters": "all"}, "filters must be a mapping such as"),
        ({"dataset_id": "library"}, "dataset_id is not a UUID: 'library'."),
    ],
)
def test_the_list_says_so_too(dify: FakeDify, given: dict[str, Any], says: str) -> None:
    run = operate(DifyListDocumentsOperator, **{"dataset_id": ID, **given})
    assert type(run.error) is DifyInputError
    assert says in str(run.error)
    assert dify.requests == []
