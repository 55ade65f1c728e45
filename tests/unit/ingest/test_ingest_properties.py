"""What holds for every ingestion, whatever exists before and whatever goes wrong meanwhile."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.ingest.options import IngestOptions
from airflow_provider_dify.knowledge.ingest.report import IngestReport
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.examples import examples

NAMES = ("a", "b.md", "c d")
CONTENTS = ("walrus", "seal", "otter")
KINDS = ("reset_before", "reset_after", "status", "status_after", "page_after", "truncated", "plan_limit", "latency")

documents = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES),
        "text": st.sampled_from(CONTENTS),
        "enabled": st.booleans(),
        "archived": st.booleans(),
        "indexing_status": st.sampled_from(["completed", "completed", "error", "indexing"]),
    }
)
texts = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS), min_size=1)
faults = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(["create-by", "update-by", "documents$", "metadata", "documents/"]),
        st.integers(0, 4),
        st.integers(1, 6),
    ),
    max_size=3,
)


def in_use(kb: Dataset) -> dict[str, int]:
    return Counter(document.name for document in kb.documents if document.enabled and not document.archived)


def ingest(kb: Dataset, given_texts: dict[str, str], if_exists: str) -> IngestReport:
    source = [{"name": name, "text": content} for name, content in given_texts.items()]
    options = IngestOptions(indexing_technique="economy", if_exists=if_exists, timeout=300)
    with DifyHook() as hook:
        try:
            return hook.ingest_documents(kb.id, source, options)
        except DifyError as error:
            if not isinstance(error.report, IngestReport):
                raise
            return error.report


@pytest.mark.parametrize("if_exists", ["update", "skip", "fail", "new_version"])
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.lists(documents, max_size=4), first=texts, second=texts, accidents=faults)
def test_one_document_for_each_content_and_nothing_lost(
    dify: FakeDify,
    if_exists: str,
    before: list[dict[str, Any]],
    first: dict[str, str],
    second: dict[str, str],
    accidents: list[tuple[Any, str, int, int]],
) -> None:
    kb = dify.add_dataset(f"kb {len(dify.world.datasets)}")
    there = [kb.add_document(**fields) for fields in before]
    were = {document.id: (document.text, document.enabled, document.archived) for document in there}
    live_before = in_use(kb)
    dify.faults.add(*(Fault(kind, path=path, after=after, times=times) for kind, path, after, times in accidents))
    ingest(kb, first, if_exists)
    dify.faults.clear()
    report = ingest(kb, second, if_exists)

    by_id = {document.id: document for document in kb.documents}
    # Documents out of use are unchanged, and no existing document is gone.
    for document_id, (text, enabled, archived) in were.items():
        now = by_id[document_id]
        assert (now.enabled, now.archived) == (enabled, archived)
        if archived or not enabled or if_exists in ("skip", "fail", "new_version"):
            assert now.text == text
    # No name is in use more often than before, or once.
    for name, number in in_use(kb).items():
        assert number <= max(1, live_before.get(name, 0)), name
    # Every document in the report exists, with its content, and in search.
    for entry in report.documents:
        if entry.outcome.value in ("created", "updated"):
            document = by_id[entry.document_id or ""]
            name = entry.name if if_exists != "new_version" else re.sub(r" \([0-9a-f]{8}\)", "", entry.name)
            assert document.text == second[name]
            assert document.in_search
        if if_exists == "update" and entry.outcome.value == "skipped":
            assert by_id[entry.document_id or ""].text == second[entry.name]
