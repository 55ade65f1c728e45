"""What holds for every status change, with any states, any action and any fault."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyDocumentStatusError, DifyError, DifyServerError, DifyTransportError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.status.change import StatusChange
from airflow_provider_dify.knowledge.status.options import StatusOptions
from airflow_provider_dify.knowledge.status.report import Outcome
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault, RequestRecord, VirtualClock
from airflow_provider_dify.transport.clock import using
from tests.examples import examples

ACTIONS = ("enable", "disable", "archive", "un_archive")
UNKNOWN = [f"00000000-0000-4000-8000-{n:012d}" for n in range(3)]


@dataclass(frozen=True)
class State:
    """The state of a document before."""

    indexing: str = "completed"
    enabled: bool = True
    archived: bool = False
    lost: bool = False  # search does not match the flags: a job was lost long ago
    lock: int = 0
    ready_after: int | None = None
    fails: bool = False
    namesake: bool = False


states = st.builds(
    State,
    indexing=st.sampled_from(["completed"] * 5 + ["indexing", "error", "paused"]),
    enabled=st.booleans(),
    archived=st.booleans(),
    lost=st.sampled_from([False] * 5 + [True]),
    lock=st.sampled_from([0, 0, 0, 0, 30, 600]),
    ready_after=st.sampled_from([None, 20, 200]),
    fails=st.sampled_from([False] * 5 + [True]),
    namesake=st.booleans(),
)
faults = st.lists(
    st.builds(
        Fault,
        st.sampled_from(["reset_before", "reset_after", "status", "status_after", "page"]),
        method=st.sampled_from(["GET", "PATCH", None]),
        status=st.sampled_from([500, 502, 503, 504]),
        after=st.integers(0, 12),
        times=st.integers(1, 2),
    ),
    max_size=3,
)


@dataclass(frozen=True)
class Scenario:
    """One status change and what goes wrong meanwhile."""

    action: str
    states: list[State]
    unknown: int
    tolerate: tuple[str, ...]
    batch_size: int
    wait: bool
    repair: bool
    faults: list[Fault]
    worker: str


scenarios = st.builds(
    Scenario,
    action=st.sampled_from(ACTIONS),
    states=st.lists(states, min_size=1, max_size=12),
    unknown=st.sampled_from([0, 0, 0, 1, 2]),
    tolerate=st.sampled_from([(), (), ("missing",), ("refused",), ("missing", "refused")]),
    batch_size=st.sampled_from([1, 2, 5, 100]),
    wait=st.booleans(),
    repair=st.booleans(),
    faults=faults,
    worker=st.sampled_from(["healthy"] * 4 + ["down", "loses jobs", "comes back"]),
)


@contextmanager
def time_of(dify: FakeDify) -> Iterator[None]:
    """Let the provider use a Dify's clock."""
    os.environ["AIRFLOW_CONN_DIFY_DEFAULT"] = dify.airflow_connection()
    try:
        with using(dify.clock):
            yield
    finally:
        del os.environ["AIRFLOW_CONN_DIFY_DEFAULT"]


def build(dify: FakeDify, kb: Dataset, scenario: Scenario) -> list[Document]:
    documents = []
    for n, state in enumerate(scenario.states):
        in_search = state.indexing == "completed" and state.enabled and not state.archived
        document = kb.add_document(
            "namesake" if state.namesake else f"page {n}",
            indexing_status="indexing" if state.indexing == "paused" else state.indexing,
            paused=state.indexing == "paused",
            error="no model" if state.indexing == "error" else None,
            enabled=state.enabled,
            archived=state.archived,
            in_search=in_search is not state.lost if state.indexing == "completed" else None,
        )
        if state.lock:
            document.lock(state.lock)
        if state.indexing == "indexing" and state.ready_after:
            document.finish_indexing(after=state.ready_after)
        documents.append(document)
    return documents


def break_things(dify: FakeDify, scenario: Scenario, documents: list[Document]) -> None:
    dify.worker.failing.update(d.id for d, state in zip(documents, scenario.states, strict=True) if state.fails)
    if scenario.worker in ("down", "comes back"):
        dify.worker.stop()
    if scenario.worker == "comes back":
        dify.world.schedule(100, lambda at: dify.worker.start())
    if scenario.worker == "loses jobs":
        dify.broker.full = True
    for fault in scenario.faults:
        dify.faults.add(fault)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(scenario=scenarios)
@example(Scenario("archive", [State(fails=True), State()], 0, (), 100, True, True, [], "comes back"))
@example(
    Scenario(
        "enable",
        [State(enabled=False, fails=True), State(enabled=False, lock=30)],
        0,
        (),
        1,
        False,
        False,
        [],
        "healthy",
    )
)
# The worker undoes the change of the third while the read of the fourth is retried.
@example(
    Scenario(
        "disable",
        [*[State(enabled=False)] * 8, State(), State(), State(fails=True), State()],
        0,
        (),
        1,
        False,
        False,
        [Fault("reset_before", method="GET", after=4)],
        "healthy",
    )
)
# Each failure is that of a change which Dify has carried out anyway, and the last one uses up the retries.
@example(
    Scenario(
        "disable",
        [State(), State(), State()],
        0,
        (),
        1,
        False,
        False,
        [Fault("reset_before", method="PATCH", times=2)],
        "loses jobs",
    )
)
# The same, and the last failure happens on the way back of a repair.
@example(
    Scenario(
        "disable",
        [*[State(enabled=False)] * 2, *[State()] * 4],
        0,
        (),
        1,
        True,
        True,
        [],
        "loses jobs",
    )
)
# Dify cannot be asked any more what happened to the change.
@example(
    Scenario(
        "enable",
        [State(enabled=False)],
        0,
        (),
        1,
        False,
        False,
        [Fault("reset_before", method="GET", after=2, times=5)],
        "healthy",
    )
)
@example(
    Scenario(
        "disable",
        [*[State(enabled=False)] * 8, State(fails=True), State(indexing="indexing")],
        0,
        (),
        1,
        False,
        False,
        [Fault("reset_before", method="GET", after=1, times=5)],
        "healthy",
    )
)
def test_the_report_tells_what_is(scenario: Scenario) -> None:
    with FakeDify(clock=VirtualClock(), lock_race="measured") as dify, time_of(dify), DifyHook() as hook:
        kb = dify.add_dataset("kb")
        documents = build(dify, kb, scenario)
        before = {d.id: (d.enabled, d.archived) for d in documents}
        break_things(dify, scenario, documents)
        asked = [d.id for d in documents] + UNKNOWN[: scenario.unknown]
        options = StatusOptions(
            batch_size=scenario.batch_size, wait_for_completion=scenario.wait, repair=scenario.repair,
            tolerate=scenario.tolerate,
        )  # fmt: skip
        change = StatusChange(kb.id, asked, scenario.action, options)
        deadline = hook.deadline(900)
        error: DifyError | None = None
        try:
            hook.run(change.flow(deadline, hook.retries), deadline)
        except DifyError as raised:
            error = raised
        check(dify, hook, scenario, change, error, before, asked)


def check(
    dify: FakeDify, hook: DifyHook, scenario: Scenario, change: StatusChange, error: DifyError | None,
    before: dict[str, tuple[bool, bool]], asked: list[str],
) -> None:  # fmt: skip
    report = change.report()
    lists = {outcome: list(report.ids(outcome)) for outcome in Outcome}

    # Each id is in exactly one list, in the requested order.
    outcome_of = {i: outcome for outcome, ids in lists.items() for i in ids}
    assert Counter(i for ids in lists.values() for i in ids) == Counter(asked)
    for ids in lists.values():
        assert ids == [i for i in asked if i in set(ids)]

    # Green means exactly: every document is where it should be, except for tolerated outcomes.
    bad = {o for o, ids in lists.items() if ids and not o.good} - {Outcome(t) for t in scenario.tolerate}
    # If no more could be read, documents may be in doubt instead, and the report names them.
    doubtful = {i for i in (*report.changed, *report.unchanged) if i in report.errors}
    assert (error is None) == (not bad and not doubtful)
    broke_off = isinstance(error, (DifyServerError, DifyTransportError))
    assert broke_off or isinstance(error, DifyDocumentStatusError | None)
    assert not broke_off or len(failed(dify)) > hook.retries.max_retries

    named = Counter(i for r in dify.requests if r.method == "PATCH" for i in set(r.json["document_ids"]))
    now = {i: dify.document(i) for i in before}
    flags = {i: (d.enabled, d.archived) for i, d in now.items()}
    mended = scenario.repair
    for i, flags_before in before.items():
        outcome = outcome_of[i]
        if outcome in (Outcome.UNCHANGED, Outcome.NOT_READY) and not mended and not busy_once(dify, i):
            assert named[i] == 0, outcome
        if outcome is Outcome.CHANGED and i not in report.errors:
            assert reached(scenario.action, *flags[i])
        if outcome is Outcome.UNCHANGED:
            assert reached(scenario.action, *flags[i])
        if outcome in (Outcome.REFUSED, Outcome.NOT_READY, Outcome.NOT_ATTEMPTED, Outcome.BUSY) and not mended:
            assert flags[i] == flags_before or outcome is Outcome.NOT_READY or i in report.errors, outcome
        if outcome.good and error is None and scenario.wait and now[i].indexing_status == "completed":
            assert now[i].in_search is (flags[i] == (True, False))

    # If missing or refused documents stop the run, nothing was changed at all.
    if {Outcome.MISSING, Outcome.REFUSED} & bad and not named:
        assert flags == before


def failed(dify: FakeDify) -> list[RequestRecord]:
    """The failed requests."""
    return [request for request in dify.requests if request.status != 200]


def busy_once(dify: FakeDify, document_id: str) -> bool:
    """Whether a change of the document was refused or failed: then it may have got there by itself."""
    return any(r.status != 200 for r in dify.requests if r.method == "PATCH" and document_id in r.json["document_ids"])


def reached(action: str, enabled: bool, archived: bool) -> bool:
    return {
        "enable": enabled and not archived,
        "disable": not enabled,
        "archive": archived,
        "un_archive": not archived,
    }[action]


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(scenario=scenarios)
def test_missing_or_refused_documents_stop_everything(scenario: Scenario) -> None:
    with FakeDify(clock=VirtualClock()) as dify, time_of(dify), DifyHook() as hook:
        kb = dify.add_dataset("kb")
        documents = build(dify, kb, scenario)
        before = {d.id: (d.enabled, d.archived) for d in documents}
        refused = scenario.action == "enable" and any(state.archived for state in scenario.states)
        stops = scenario.unknown > 0 and "missing" not in scenario.tolerate
        stops = stops or (refused and "refused" not in scenario.tolerate)
        asked = [d.id for d in documents] + UNKNOWN[: scenario.unknown]
        with suppress(DifyError):
            options = StatusOptions(tolerate=scenario.tolerate)
            hook.change_document_status(kb.id, asked, scenario.action, options)  # type: ignore[arg-type]
        if stops:
            assert not any(request.method == "PATCH" for request in dify.requests)
            assert {d.id: (d.enabled, d.archived) for d in documents} == before
