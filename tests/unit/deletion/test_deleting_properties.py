"""What holds for every deletion, with any states and any fault."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import (
    DifyError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.deletion.deletion import Deletion
from airflow_provider_dify.knowledge.deletion.report import DeleteOutcome, DeleteReport
from airflow_provider_dify.testing import Dataset, FakeDify, Fault, VirtualClock
from tests.examples import examples
from tests.unit.status.test_properties import time_of


@dataclass(frozen=True)
class State:
    """The state of a document before."""

    indexing: str = "completed"
    enabled: bool = True
    archived: bool = False
    lock: int = 0
    gone: bool = False


states = st.builds(
    State,
    indexing=st.sampled_from(["completed"] * 3 + ["indexing", "error"]),
    enabled=st.booleans(),
    archived=st.booleans(),
    lock=st.sampled_from([0, 0, 0, 30, 600, 5000]),
    gone=st.sampled_from([False] * 5 + [True]),
)


faults = st.lists(
    st.builds(
        Fault,
        st.sampled_from(["reset_before", "reset_after", "status", "status_after", "page"]),
        method=st.sampled_from(["GET", "PATCH", "DELETE", "DELETE", None]),
        status=st.sampled_from([400, 500, 502]),
        after=st.integers(0, 12),
        times=st.sampled_from([1, 1, 2, 6, None]),
    ).filter(lambda fault: fault.kind != "status_after" or fault.status != 400),  # a refusal changes nothing
    max_size=3,
)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(states=st.lists(states, min_size=1, max_size=10), faults=faults)
@example([State(archived=True)], [Fault("status_after", method="PATCH", path="un_archive", times=None)])
@example([State(archived=True, lock=600), State()], [Fault("reset_after", method="DELETE")])
def test_the_report_tells_what_is(states: list[State], faults: list[Fault]) -> None:
    with FakeDify(clock=VirtualClock()) as dify, time_of(dify), DifyHook() as hook:
        kb = dify.add_dataset("kb")
        documents = [
            kb.add_document(f"page {n}", indexing_status=one.indexing, enabled=one.enabled, archived=one.archived)
            for n, one in enumerate(states)
        ]
        for document, one in zip(documents, states, strict=True):
            document.lock(one.lock)
            if one.gone:
                kb.remove(document._row)
        gone = {document.id for document, one in zip(documents, states, strict=True) if one.gone}
        archived = {document.id for document in documents if document.archived}
        # Built by hypothesis once, and used up: each run needs its own.
        dify.faults.add(*(Fault(f.kind, method=f.method, status=f.status, after=f.after, times=f.times, path=f.path)
                          for f in faults))  # fmt: skip
        deletion = Deletion(kb.id, [document.id for document in documents])
        deadline = hook.deadline(900)
        error: DifyError | None = None
        try:
            hook.run(deletion.flow(deadline, hook.retries), deadline)
        except DifyError as raised:
            error = raised
        dify.settle()
        check(kb, deletion.report(), [document.id for document in documents], archived, gone, error)


def check(
    kb: Dataset, report: DeleteReport, ids: list[str], archived: set[str], gone: set[str], error: DifyError | None
) -> None:
    there = {document.id for document in kb.documents}
    outcomes = {i: outcome for outcome in DeleteOutcome for i in report.ids(outcome)}
    assert Counter(i for outcome in DeleteOutcome for i in report.ids(outcome)) == Counter(ids)
    for outcome in DeleteOutcome:
        assert list(report.ids(outcome)) == [i for i in ids if outcomes[i] is outcome]
    # Documents that are reported as gone are gone; others exist, or the response was lost.
    for document_id in ids:
        if outcomes[document_id].good:
            assert document_id not in there
        elif document_id not in gone or document_id in report.errors:  # others were not checked
            assert document_id in there or "answer to its deletion was lost" in report.errors[document_id]
    # Green means that all are gone.
    assert error is not None or not there
    for document in kb.documents:
        if document.id in archived:
            assert document.archived or "un-archived for the deletion" in report.errors[document.id]
            assert not document.in_search
