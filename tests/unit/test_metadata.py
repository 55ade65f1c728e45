"""The metadata of documents: every outcome, what goes wrong on the way, and what nobody may ask for."""

from __future__ import annotations

import contextlib
import json
import logging
import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyInputError,
    DifyMetadataError,
    DifyMetadataFailed,
    DifyNotFoundError,
    DifyServerError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Request, Response
from airflow_provider_dify.knowledge.metadata import MetadataChange, set_values
from airflow_provider_dify.knowledge.metadata_fields import FieldType, Value, create_field, native, same
from airflow_provider_dify.knowledge.metadata_report import MetadataOutcome, MetadataReport
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.operators.metadata import DifyDocumentMetadataOperator
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from tests.unit.conftest import TaskInstance
from tests.unit.test_provider_info import python

UNKNOWN = "00000000-0000-4000-8000-000000000000"
ASSIGN = "/documents/metadata$"
SEEN = datetime(2026, 1, 31, 12, 30, 0, 750_000, tzinfo=timezone(timedelta(hours=1)))
SEEN_AT = 1769859000


@pytest.fixture
def hook(dify: FakeDify) -> Iterator[DifyHook]:
    with DifyHook() as hook:
        yield hook


def assigned(dify: FakeDify) -> list[list[dict[str, Any]]]:
    """The entries of each request that set values, in order."""
    return [r.json["operation_data"] for r in dify.requests if r.method == "POST" and r.path.endswith(ASSIGN[:-1])]


def ids(documents: Iterable[Document]) -> list[str]:
    return [document.id for document in documents]


def add_field(kb: Dataset, name: str, kind: str) -> None:
    with DifyHook() as hook:
        hook.run(create_field(kb.id, name, FieldType(kind)))


def hold(page: Document, seconds: float) -> None:
    """Keep Dify's lock on the metadata of a document: whoever is refused by one takes it away."""
    world = page.dataset.world
    until = world.clock.monotonic() + seconds

    def lock(at: float) -> None:
        left = until - world.clock.monotonic()
        if left > 0:
            page.lock_metadata(left)
            world.schedule(min(left, 0.2), lock)

    lock(0.0)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the operator and the hook say, in whatever way this Airflow logs."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.getLogger("said")
    monkeypatch.setattr(logger, "handlers", [Keep()])
    monkeypatch.setattr(logger, "propagate", False)
    logger.setLevel(logging.INFO)
    for kind in (DifyDocumentMetadataOperator, DifyHook):
        monkeypatch.setattr(kind, "log", logger)
    return lines


def report_of(caught: pytest.ExceptionInfo[DifyError]) -> MetadataReport:
    report = caught.value.report
    assert isinstance(report, MetadataReport)
    return report


class TestOutcomes:
    def test_changed_and_the_fields_are_made(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(3)
        values: dict[str, Value] = {"source_id": "crm", "version": 7, "ratio": 0.5, "seen_at": SEEN}
        report = hook.set_document_metadata(kb.id, ids(pages), values)
        assert report.changed == tuple(ids(pages))
        assert report.counts == {"changed": 3, "unchanged": 0, "missing": 0, "failed": 0, "not_attempted": 0}
        assert report.created_fields == ("source_id", "version", "ratio", "seen_at")
        assert {field.name: field.type for field in hook.list_metadata_fields(kb.id)} == {
            "source_id": "string", "version": "number", "ratio": "number", "seen_at": "time"
        }  # fmt: skip
        assert [page.metadata for page in pages] == [{**values, "seen_at": SEEN_AT}] * 3
        assert len(assigned(dify)) == 1

    @pytest.mark.parametrize("number", [3, 20])  # read one by one, and from the list, which shows values as texts
    def test_what_is_there_already_is_left_alone(
        self, dify: FakeDify, kb: Dataset, hook: DifyHook, number: int
    ) -> None:
        pages = kb.add_documents(number)
        values: dict[str, Value] = {"source_id": "crm", "version": 7, "ratio": 0.5, "seen_at": SEEN}
        hook.set_document_metadata(kb.id, ids(pages), values)
        report = hook.set_document_metadata(kb.id, ids(pages), values)
        assert report.unchanged == tuple(ids(pages))
        assert report.created_fields == ()
        assert len(assigned(dify)) == 1

    @pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
    @pytest.mark.parametrize("number", [3, 20])
    def test_other_values_stay_and_stay_what_they_are(
        self, dify: FakeDify, hook: DifyHook, kb: Dataset, number: int, version: str
    ) -> None:
        dify.world.version = version
        pages = [kb.add_document(f"page {n}", metadata={"text": "7", "number": 7, "half": 0.5}) for n in range(number)]
        hook.set_document_metadata(kb.id, ids(pages), {"new": "x", "number": 8})
        assert [page.metadata for page in pages] == [{"text": "7", "number": 8, "half": 0.5, "new": "x"}] * number

    def test_values_of_each_document(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(120)
        values = {page.id: {"content_sha256": f"{n:064x}"} for n, page in enumerate(pages)}
        report = hook.set_metadata_of_documents(kb.id, values)
        assert report.changed == tuple(ids(pages))
        assert [page.metadata for page in pages] == list(values.values())
        assert [len(batch) for batch in assigned(dify)] == [50, 50, 20]
        assert len(dify.requests) < 12

    def test_a_thousand_documents_cost_few_requests(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(1000)
        hook.set_metadata_of_documents(kb.id, {page.id: {"hash": page.name} for page in pages}, batch_size=100)
        assert all(page.metadata == {"hash": page.name} for page in pages)
        assert len(dify.requests) == 1 + 10 + 1 + 10 + 10  # fields, read, create, set, read back

    def test_cleared(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        page, bare = kb.add_document("page", metadata={"a": "1", "b": 2}), kb.add_document("bare")
        report = hook.clear_document_metadata(kb.id, ids([page, bare]), ["a", "never"])
        assert (report.changed, report.unchanged) == ((page.id,), (bare.id,))
        assert page.metadata == {"b": 2}
        assert {field.name for field in hook.list_metadata_fields(kb.id)} == {"a", "b"}

    def test_none_takes_a_value_away(self, kb: Dataset, hook: DifyHook) -> None:
        page = kb.add_document("page", metadata={"a": "1", "b": 2})
        hook.set_document_metadata(kb.id, page.id, {"a": None, "b": 3})
        assert page.metadata == {"b": 3}

    def test_missing_is_told_and_the_others_are_changed(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        foreign, page = dify.add_dataset("other").add_document("foreign"), kb.add_document("page")
        with pytest.raises(DifyMetadataFailed, match=f"2 missing \\({UNKNOWN}") as caught:
            hook.set_document_metadata(kb.id, [UNKNOWN, page.id, foreign.id], {"a": "1"})
        report = report_of(caught)
        assert (report.missing, report.changed) == ((UNKNOWN, foreign.id), (page.id,))
        assert page.metadata == {"a": "1"}
        assert foreign.metadata == {}
        assert hook.set_document_metadata(kb.id, [UNKNOWN], {"a": "1"}, tolerate=["missing"]).missing == (UNKNOWN,)

    def test_nothing_is_created_for_documents_that_are_not_there(self, kb: Dataset, hook: DifyHook) -> None:
        hook.set_document_metadata(kb.id, UNKNOWN, {"a": "1"}, tolerate="missing")
        assert hook.list_metadata_fields(kb.id) == ()

    def test_a_time_field_takes_seconds(self, kb: Dataset, hook: DifyHook) -> None:
        add_field(kb, "seen_at", "time")
        page = kb.add_document("page")
        assert hook.set_document_metadata(kb.id, page.id, {"seen_at": SEEN_AT}).changed
        assert hook.set_document_metadata(kb.id, page.id, {"seen_at": SEEN}).unchanged

    def test_an_unknown_dataset(self, dify: FakeDify, hook: DifyHook) -> None:
        with pytest.raises(DifyNotFoundError) as caught:
            hook.set_document_metadata(UNKNOWN, [UNKNOWN], {"a": "1"})
        assert report_of(caught).not_attempted == (UNKNOWN,)


class TestOnTheWay:
    """What other people, the network and Dify do while it goes on."""

    @pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
    def test_waits_while_somebody_else_changes_metadata(
        self, dify: FakeDify, kb: Dataset, hook: DifyHook, version: str
    ) -> None:
        dify.world.version = version
        pages = kb.add_documents(10)
        hold(pages[3], 8)
        report = hook.set_document_metadata(kb.id, ids(pages), {"a": "1"})
        assert report.changed == tuple(ids(pages))
        assert report.errors == {}
        assert 8 <= sum(dify.clock.slept) <= 20

    @pytest.mark.parametrize("version", ["1.14.1", "1.12.1"])
    def test_one_that_stays_locked_keeps_no_other_from_its_turn(
        self, dify: FakeDify, kb: Dataset, hook: DifyHook, version: str
    ) -> None:
        dify.world.version = version
        pages = kb.add_documents(10)
        for locked in (pages[0], pages[5]):
            hold(locked, 3600)
        with pytest.raises(DifyMetadataError, match="2 failed") as caught:
            hook.set_document_metadata(kb.id, ids(pages), {"a": "1"}, batch_size=4, timeout=60)
        report = report_of(caught)
        assert not isinstance(caught.value, DifyMetadataFailed)
        assert caught.value.retryable
        assert report.failed == (pages[0].id, pages[5].id)
        assert len(report.changed) == 8
        text = report.errors[pages[5].id]
        assert ("Another document metadata operation" in text) is (version == "1.14.1")
        assert ("answered 'success' 8 times, and shows another value of 'a'" in text) is (version == "1.12.1")
        assert sum(dify.clock.slept) <= 60

    def test_many_locked_ones(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(100)
        for page in pages[:60]:
            page.lock_metadata(5)
        assert len(hook.set_document_metadata(kb.id, ids(pages), {"a": "1"}).changed) == 100
        assert len(dify.requests) < 400

    @pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status", "status_after", "page", "truncated"])
    @pytest.mark.parametrize("path", [ASSIGN, "/metadata$", "/documents$"])
    def test_failures_are_mended(self, dify: FakeDify, kb: Dataset, hook: DifyHook, kind: Any, path: str) -> None:
        pages = kb.add_documents(60)
        after = 1 if path == ASSIGN else 0
        dify.faults.add(Fault(kind, path=path, after=after, times=2))
        report = hook.set_document_metadata(kb.id, ids(pages), {"a": "1"})
        assert report.changed == tuple(ids(pages))
        assert all(page.metadata == {"a": "1"} for page in pages)

    def test_what_arrived_is_not_sent_again(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(10)
        dify.faults.add(Fault("status_after", path=ASSIGN))
        assert len(hook.set_document_metadata(kb.id, ids(pages), {"a": "1"}).changed) == 10
        assert len(assigned(dify)) == 1

    def test_the_report_is_exact_when_dify_breaks_down(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(20)
        dify.faults.add(Fault("status", path=ASSIGN, after=1, times=None))
        with pytest.raises(DifyServerError) as caught:
            hook.set_document_metadata(kb.id, ids(pages), {"a": "1"}, batch_size=10)
        report = report_of(caught)
        assert report.changed == tuple(ids(pages[:10]))
        assert report.not_attempted + report.failed == tuple(ids(pages[10:]))

    def test_a_document_that_is_deleted_meanwhile(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(3)
        row = kb.get(pages[1].id)
        assert row
        kb.world.schedule(3, lambda at: kb.remove(row))
        hold(pages[0], 10)
        hold(pages[1], 10)
        with pytest.raises(DifyMetadataFailed) as caught:
            hook.set_document_metadata(kb.id, ids(pages), {"a": "1"})
        assert report_of(caught).missing == (pages[1].id,)
        assert report_of(caught).errors == {pages[1].id: "It was deleted meanwhile."}

    def test_one_that_goes_between_the_look_and_the_change(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(4)
        row = kb.get(pages[1].id)
        assert row
        dify.faults.add(Fault("latency", path=ASSIGN, seconds=10))
        kb.world.schedule(5, lambda at: kb.remove(row))
        report = hook.set_document_metadata(kb.id, ids(pages), {"a": "1"}, tolerate="missing")
        assert (len(report.changed), report.missing) == (3, (pages[1].id,))

    def test_a_field_whose_creation_was_not_answered(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        page = kb.add_document("page")
        dify.faults.add(Fault("status_after", method="POST", path=f"{kb.id}/metadata$"))
        assert hook.set_document_metadata(kb.id, page.id, {"a": "1"}).created_fields == ("a",)
        assert len(hook.list_metadata_fields(kb.id)) == 1

    def test_a_field_that_somebody_deletes_comes_back(self) -> None:
        fields = {"doc_metadata": [{"id": "old", "name": "a", "type": "string", "count": 0}]}
        replies = [
            fields, document(), {"result": "success"}, document(),
            {"doc_metadata": []}, {"id": "new", "name": "a", "type": "string"}, {"result": "success"}, document(a="1"),
        ]  # fmt: skip
        report, sent = driven(set_values(UNKNOWN, {UNKNOWN: {"a": "1"}}, deadline=FOREVER, retries=Retries()), replies)
        assert (report.changed, report.created_fields) == ((UNKNOWN,), ("a",))
        operations = [r.json["operation_data"][0] for r in sent if r.path.endswith(ASSIGN[:-1])]
        assert [operation["metadata_list"][0]["id"] for operation in operations] == ["old", "new"]

    def test_a_server_that_knows_no_partial_update_gets_the_whole_set(self) -> None:
        fields = [{"id": name, "name": name, "type": kind} for name, kind in (("a", "string"), ("n", "number"))]
        replies = [{"doc_metadata": fields}, document(a="0", n="7", uploader="me"), {"result": "success"}]
        replies += [document(a="1", n=7)]
        _, sent = driven(set_values(UNKNOWN, {UNKNOWN: {"a": "1"}}, deadline=FOREVER, retries=Retries()), replies)
        assert sent[2].json["operation_data"] == [
            {
                "document_id": UNKNOWN,
                "metadata_list": [{"id": "a", "name": "a", "value": "1"}, {"id": "n", "name": "n", "value": 7}],
                "partial_update": True,
            }
        ]


FOREVER = Deadline(3600, lambda: 0.0)


def document(**metadata: Any) -> dict[str, Any]:
    values = [{"id": name, "name": name, "type": "string", "value": value} for name, value in metadata.items()]
    flags = {"enabled": True, "archived": False, "indexing_status": "completed"}
    return {"id": UNKNOWN, "name": "page", "doc_metadata": values, **flags}


def driven(flow: Flow[MetadataReport], replies: Iterable[dict[str, Any]]) -> tuple[MetadataReport, list[Request]]:
    """Run a flow against hand-made answers; return what it returns and what it sent."""
    left = iter(replies)
    sent: list[Request] = []
    answer: Response | None = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as stop:
            assert next(left, None) is None
            return stop.value, sent
        answer = None
        if isinstance(step, Request):
            sent.append(step)
            answer = Response(200, {}, json.dumps(next(left)).encode())


def row(name: str, says: str, **given: Any) -> Any:
    return pytest.param(given, says, id=name)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_report_is_true(dify: FakeDify, kb: Dataset, hook: DifyHook, seed: int) -> None:
    chance = random.Random(seed)
    dify.world.version = chance.choice(["1.14.1", "1.12.1"])
    old = [{"keep": f"k{n}", "n": n, **({"a": "x"} if n % 3 else {})} for n in range(40)]
    pages = [kb.add_document(f"page {n}", metadata=values) for n, values in enumerate(old)]
    for page in chance.sample(pages, chance.randrange(6)):
        hold(page, chance.choice([5, 3600]))
    for page in chance.sample(pages, chance.randrange(3)):
        row = kb.get(page.id)
        assert row
        kb.world.schedule(chance.uniform(0, 3), lambda at, row=row: kb.remove(row))  # type: ignore[misc]
    kinds: list[Any] = ["status", "status_after", "reset_after", "reset_before", "plan_limit"]
    for _ in range(chance.randrange(4)):
        dify.faults.add(Fault(chance.choice(kinds), after=chance.randrange(12), times=chance.choice([1, 2, 9])))
    asked = {page.id: {"a": chance.choice(["x", "y", None])} for page in chance.sample(pages, 30)}
    change = MetadataChange(kb.id, asked, batch_size=7)
    deadline = hook.deadline(100)
    with contextlib.suppress(DifyError):
        hook.run(change.flow(deadline, hook.retries), deadline)
    report = change.report()
    assert sorted(i for outcome in MetadataOutcome for i in report.ids(outcome)) == sorted(asked)
    for page, before in zip(pages, old, strict=True):
        there = kb.get(page.id) is not None
        wanted = asked.get(page.id, {})
        if there and page.id in (*report.changed, *report.unchanged):
            after = {**before, **wanted}
            assert page.metadata == {name: value for name, value in after.items() if value is not None}
        elif there and page.id in report.not_attempted:
            assert page.metadata == before
        elif there:
            assert {name: page.metadata[name] for name in ("keep", "n")} == {n: before[n] for n in ("keep", "n")}


class TestBadInput:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            row("nothing to do", "Neither values nor clear says what to change"),
            row("no values", "Neither values nor clear", values={}),
            row("a list", "values must map names of metadata fields to values, not ['a']", values=["a"]),
            row("a text", "values must map names", values="a=1"),
            row("a rendered list", "values must map names", values='["a"]'),
            row("a truth value", "Dify has no field for truth values: give 1 or 0, or a text.", values={"a": True}),
            row("a list as value", "values['a'] must be a text, a finite number, or a datetime", values={"a": [1]}),
            row("not a number", "values['a'] must be a text, a finite number", values={"a": float("nan")}),
            row("an infinite number", "values['a'] must be", values={"a": float("inf")}),
            row("a NUL", "values['a'] must be a text", values={"a": "x\0"}),
            row("half a character", "values['a'] must be a text", values={"a": "\ud800"}),
            row("half a character as name", "no name of a metadata field", values={"\ud800": "x"}),
            row("a number beyond all", "values['a'] must be a text, a finite number", values={"a": 10**400}),
            row("no time zone", "Give it a time zone.", values={"a": datetime(2026, 1, 1)}),  # noqa: DTZ001
            row("a built-in field", "values names 'uploader', which is a built-in field", values={"uploader": "me"}),
            row("no name", "values holds something that is no name of a metadata field: ' '", values={" ": "x"}),
            row("a number as name", "no name of a metadata field: 7", values={7: "x"}),
            row("a long name", "a metadata field with 256 characters", values={"n" * 256: "x"}),
            row("set and cleared", "'a' is in values and in clear", values={"a": 1}, clear="a"),
            row("clear a built-in field", "clear names 'source'", clear=["source"]),
            row("clear a number", "clear must be a list of names of metadata fields, not 7", clear=7),
            row("clear no name", "clear holds something that is no name", clear=[None]),
            row("no documents", "document_ids holds no id", values={"a": 1}, document_ids=[]),
            row("no id", "document_ids[0] is not a UUID: 'x'", values={"a": 1}, document_ids=["x"]),
            row("no dataset", "dataset_id is not a UUID: 'kb'", values={"a": 1}, dataset_id="kb"),
            row("batch size", "batch_size must be a whole number of at least 1, not 0", values={"a": 1}, batch_size=0),
            row("timeout", "timeout must be a number above 0, not 0", values={"a": 1}, timeout=0),
            row("an outcome", "tolerate must be one of changed, unchanged, missing", values={"a": 1}, tolerate="gone"),
        ],
    )
    def test_nothing_is_sent(self, dify: FakeDify, given: dict[str, Any], says: str) -> None:
        parameters = {"dataset_id": UNKNOWN, "document_ids": [UNKNOWN], **given}
        operator = DifyDocumentMetadataOperator(task_id="set", **parameters)
        with pytest.raises(DifyInputError) as caught:
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert says in str(caught.value)
        assert dify.requests == []

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({}, "values must map ids of documents to values, not {}"),
            ({"x": {"a": 1}}, "An id of values is not a UUID: 'x'"),
            ({UNKNOWN: {}}, f"values[{UNKNOWN}] must map names of metadata fields to values, not {{}}"),
            ({UNKNOWN: {"a": 1}, UNKNOWN.replace("-", ""): {"a": 2}}, f"values holds document {UNKNOWN} twice"),
            (
                {UNKNOWN: {"a": 1}, UNKNOWN.replace("8", "9"): {"a": "x"}},
                "The values of metadata field 'a' are of different types: number and string, 'x'",
            ),
        ],
    )
    def test_values_of_each_document(self, dify: FakeDify, hook: DifyHook, values: Any, says: str) -> None:
        with pytest.raises(DifyInputError) as caught:
            hook.set_metadata_of_documents(UNKNOWN, values)
        assert says in str(caught.value)
        assert dify.requests == []

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("string", 1), ("string", SEEN), ("number", "1"), ("number", SEEN), ("time", "2026-01-31")],
    )
    def test_a_value_that_does_not_go_into_its_field(
        self, dify: FakeDify, kb: Dataset, hook: DifyHook, kind: str, value: Any
    ) -> None:
        add_field(kb, "a", kind)
        with pytest.raises(DifyInputError, match=f"'a' holds values of type {kind}") as caught:
            hook.set_document_metadata(kb.id, kb.add_document("page").id, {"a": value, "new": 1})
        assert ("render_template_as_native_obj" in str(caught.value)) is isinstance(value, str)
        assert [request.method for request in dify.requests] == ["POST", "GET"]  # the first made the field


class TestOperator:
    def test_it_returns_the_report_and_leaves_it_in_xcom(self, kb: Dataset, said: list[str]) -> None:
        page = kb.add_document("page", metadata={"old": "x"})
        task = TaskInstance()
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=f'["{page.id}"]', values='{"stage": "live"}', clear="old"
        )
        returned = operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert returned == task.xcom["report"]
        assert returned["changed"] == [page.id]
        assert MetadataReport.from_json(returned).to_json() == returned
        assert page.metadata == {"stage": "live"}
        assert said == [
            f"Metadata of 1 documents of Dify dataset {kb.id}: set 'stage' and clear 'old', in batches of 50.",
            "Metadata of 1 documents: 1 to change (set 'stage' and clear 'old'). Fields to create: 'stage' (string).",
            "Result of the change of metadata: 1 changed.",
        ]

    def test_the_report_is_there_also_where_it_fails(self, kb: Dataset, said: list[str]) -> None:
        task = TaskInstance()
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=[UNKNOWN], values={"a": 1}
        )
        with pytest.raises(DifyMetadataFailed):
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert task.xcom["report"]["missing"] == [UNKNOWN]
        assert said[-1] == f"  {UNKNOWN}: It is not in this knowledge base."

    def test_what_is_tolerated_is_told_without_advice(self, kb: Dataset, said: list[str]) -> None:
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=[UNKNOWN], values={"a": 1}, tolerate="missing"
        )
        operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert said[-2:] == ["missing: 1 (tolerated)", f"  {UNKNOWN}: It is not in this knowledge base."]

    def test_a_kill_leaves_behind_what_was_done(self, dify: FakeDify, kb: Dataset) -> None:
        pages = kb.add_documents(10)
        hold(pages[9], 3600)
        task = TaskInstance()
        operator = DifyDocumentMetadataOperator(
            task_id="set", dataset_id=kb.id, document_ids=ids(pages), values={"a": 1}
        )
        kb.world.schedule(20, lambda at: operator.on_kill())
        with pytest.raises(DifyError, match="killed"):
            operator.execute({"ti": task})  # type: ignore[typeddict-item]
        assert task.xcom["report"]["changed"] == ids(pages[:9])
        assert task.xcom["report"]["failed"] == [pages[9].id]

    def test_it_is_templated(self) -> None:
        assert set(DifyDocumentMetadataOperator.template_fields) == {
            "dify_conn_id", "dataset_id", "document_ids", "values", "clear"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "wanted", "present", "is_same"),
    [
        ("string", "7", "7", True),
        ("string", "7", 7, True),
        ("number", 7, "7", True),
        ("number", 7, 7.0, True),
        ("number", 7, "7.0", True),
        ("number", 0.1, "0.1", True),
        ("number", 2**70, str(2**70), True),
        ("number", 7, "seven", False),
        ("number", 7, "nan", False),
        ("number", 7, None, False),
        ("number", None, None, True),
        ("number", None, "7", False),
        ("time", SEEN, str(SEEN_AT), True),
        ("time", SEEN, f"{SEEN_AT}.0", True),
        ("time", SEEN, SEEN_AT + 1, False),
    ],
)
def test_same(kind: str, wanted: Any, present: Any, is_same: bool) -> None:
    assert same(kind, wanted, present) is is_same


@pytest.mark.parametrize(
    ("kind", "present", "value"),
    [("number", "7", 7), ("number", "0.5", 0.5), ("number", "seven", "seven"), ("number", "inf", "inf"),
     ("time", "1769859000.0", 1769859000.0), ("string", "7", "7"), ("number", 7, 7)],
)  # fmt: skip
def test_native(kind: str, present: Any, value: Any) -> None:
    assert native(kind, present) == value
    assert type(native(kind, present)) is type(value)


def test_a_report_stays_short_for_thousands() -> None:
    outcomes = {f"{n:032x}": MetadataOutcome.FAILED for n in range(5000)}
    report = MetadataReport.build(UNKNOWN, outcomes, {})
    assert len(report.attention()) == 22
    with pytest.raises(DifyMetadataError) as caught:
        report.raise_for_outcomes()
    assert len(str(caught.value)) < 500


def test_what_a_dag_file_loads() -> None:
    loaded = python(
        "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_dify.operators.metadata, airflow_provider_dify.operators.retrieval\n"
        "result = sorted(set(sys.modules) - before)"
    )
    assert "airflow_provider_dify.operators.retrieval" in loaded
    assert {name.split(".")[0] for name in loaded} & {"requests", "httpx", "urllib3"} == set()
