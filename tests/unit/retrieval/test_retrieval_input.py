"""Invalid retrieval checks are rejected before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyInputError,
)
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.testing import FakeDify
from tests.unit.conftest import UNKNOWN, TaskInstance

SIX = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(6)]


def row(name: str, says: str, **given: Any) -> Any:
    return pytest.param(given, says, id=name)


def query(name: str, says: str, **given: Any) -> Any:
    return row(name, says, queries=[{"query": "zebra", "expect": UNKNOWN, **given}])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        row("no queries", "queries contains no query, so nothing would be checked.", queries=[]),
        row("None", "queries must be a list of texts or mappings, not None", queries=None),
        row("a truth", "queries must be a list of texts or mappings, not True", queries=True),
        row("a broken list", "queries looks like a list or a mapping, but is not", queries='["zebra"'),
        row("an empty query", "queries[1] must be text to search for, not ''", queries=["zebra", ""]),
        row("a truth as query", "queries[0] must be text to search for, not True", queries=[True]),
        row("a long query", "queries[0] has 251 characters", queries=["z" * 251]),
        row("no query", "queries[0] has no query: {'expect': 'x'}", queries=[{"expect": "x"}]),
        row("nothing expected", "queries[0] has neither expect nor expect_not: 'zebra'", expect=None),
        row("an empty default", "expect is empty", expect=[]),
        row("a default that is no id", "expect is not a UUID: 'guide'", expect="guide"),
        row("and what to write", "use {'name': 'guide*'} or {'metadata'", expect="guide"),
        row("top_k 0", "top_k must be a whole number of at least 1, not 0", top_k=0),
        row("more than it asks for", "expects 6 documents by id, but asks for only 5", expect=SIX),
        row("half a character", "queries[0] must be text to search for", queries=["\ud800"]),
        row("a NUL", "queries[0] must be text to search for", queries=["a\0b"]),
        row("top_k 101", "top_k must be at most 100, not 101", top_k=101),
        row("min_score", "min_score must be a number from 0 to 1, not 'half'", min_score="half"),
        row("search_method", "search_method must be one of keyword_search", search_method="fuzzy"),
        row("timeout", "timeout must be a number of at least 0, not -1", timeout=-1),
        row("poll_interval", "poll_interval must be a number above 0, not 0", poll_interval=0),
        row("on_failure", "on_failure must be one of fail, report, not 'ignore'", on_failure="ignore"),
        row("dataset_id", "dataset_id is not a UUID: 'kb'", dataset_id="kb"),
        query("an unknown key", "queries[0] has the key 'expects'; it may have query, expect, expect_not", expects="x"),
        query("an empty expectation", "queries[0]['expect'] is empty", expect=[]),
        query(
            "an empty mapping", "queries[0]['expect'] names no document. Give it an id, a name, or metadata", expect={}
        ),
        query("only a place", "queries[0]['expect'] names no document", expect={"first": 3}),
        query("no id", "queries[0]['expect'][1] is not a UUID: 'x'", expect=[UNKNOWN, "x"]),
        query("a number", "queries[0]['expect'][0] is not a UUID: 7", expect=7),
        query(
            "an unknown key of it",
            "queries[0]['expect'] has the key 'names'; it may have id, name",
            expect={"names": "x"},
        ),
        query(
            "an empty pattern", "queries[0]['expect']['name'] must be a pattern for names, not ''", expect={"name": ""}
        ),
        query("no metadata", "queries[0]['expect']['metadata'] must map names", expect={"metadata": {}}),
        query("a truth value", "['metadata']['a'] must be text or a number", expect={"metadata": {"a": True}}),
        query("an empty id", "queries[0]['expect']['id'] is not a UUID: ''", expect={"id": ""}),
        query("first 0", "queries[0]['expect']['first'] must be a whole", expect={"id": UNKNOWN, "first": 0}),
        query("expect_not", "queries[0]['expect_not'] is empty", expect_not=[]),
        query("too many", "queries[0]['expect'] names 101 documents", expect=[UNKNOWN] * 101),
        query("top_k of a query", "queries[0]['top_k'] must be at most 100", top_k=1000),
        query("min_score of a query", "queries[0]['min_score'] must be a number from 0 to 1", min_score=7),
        query("a long text", "queries[0]['query'] has 300 characters", query="z" * 300),
    ],
)
def test_bad_input(dify: FakeDify, given: dict[str, Any], says: str) -> None:
    parameters = {"dataset_id": UNKNOWN, "queries": ["zebra"], "expect": UNKNOWN, **given}
    operator = DifyRetrievalCheckOperator(task_id="check", **parameters)
    with pytest.raises(DifyInputError) as caught:
        operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert says in str(caught.value)
    assert dify.requests == []
