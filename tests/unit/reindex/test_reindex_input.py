"""What a user can write wrongly about indexing again: what the operator says, before it has asked Dify for anything."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from tests.unit.reindex.reindexing import VERSION, failed, run_reindex

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
#: What is wrong, and the beginning of what is said about it.
TABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no knowledge base": ({"dataset_id": None}, "Give dataset_id or dataset_name: dataset_id is None."),
    "no documents": ({"document_ids": None}, "Give document_ids or filters: document_ids is None."),
    "an empty list": ({"document_ids": []}, "document_ids contains no id"),
    "a name": ({"document_ids": ["page.md"]}, "document_ids[0] is not a UUID: 'page.md'."),
    "both": ({"filters": {"status": "error"}}, "Give document_ids or filters, not both"),
    "no condition": ({"document_ids": None, "filters": {}}, "filters has no condition"),
    "an unknown status": ({"document_ids": None, "filters": {"status": "failed"}}, "filters.status must be one of"),
    "no batch": ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0."),
    "a large batch": ({"batch_size": 101}, "batch_size must be at most 100, not 101: Dify accepts no more"),
    "no time": ({"timeout": 0}, "timeout must be a number above 0, not 0."),
    "a time with its unit": ({"timeout": "1h"}, "timeout must be a number above 0, not '1h'."),
    "no patience": ({"stall_timeout": 0}, "stall_timeout must be a number above 0, not 0."),
    "no interval": ({"poll_interval": -1}, "poll_interval must be a number above 0, not -1."),
    "an unknown proof": ({"prove_by": "hope"}, "prove_by must be one of search, segments, not 'hope'."),
    "an unknown outcome": ({"tolerate": ["lost"]}, "tolerate must be one of reindexed, unchanged, missing"),
    "perhaps": ({"dry_run": "perhaps"}, "dry_run must be True or False, not 'perhaps'."),
    "a large share": ({"max_share": 2}, "max_share must be a share of all documents, at most 1, not 2."),
    "no number": ({"max_documents": "None"}, "max_documents must be a whole number of at least 1, not 'None'."),
}


@pytest.mark.parametrize("case", TABLE)
def test_bad_input(dify: FakeDify, kb: Dataset, case: str) -> None:
    given, expected = TABLE[case]
    run = run_reindex(kb, **{"document_ids": [ID], **given})
    assert isinstance(run.error, DifyInputError)
    assert isinstance(run.error, AirflowFailException)
    assert run.error.message.startswith(expected)
    assert not dify.requests


def test_what_templates_render(dify_factory: DifyFactory) -> None:
    kb = dify_factory(version=VERSION).add_dataset("handbook")
    (page,) = failed(kb, "seals")
    given = {"timeout": "60", "tolerate": '["busy"]', "max_documents": "5", "max_share": "1.0", "dry_run": "false"}
    run = run_reindex(kb, document_ids=f'["{page.id}"]', **given)
    assert run.error is None
    assert page.in_search
