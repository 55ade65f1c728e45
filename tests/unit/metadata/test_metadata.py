"""The metadata of documents: every outcome, and what goes wrong on the way."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyMetadataError,
    DifyMetadataFailed,
    DifyNotFoundError,
    DifyServerError,
)
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Request, Response
from airflow_provider_dify.knowledge.metadata.fields import Value
from airflow_provider_dify.knowledge.metadata.report import MetadataOutcome, MetadataReport
from airflow_provider_dify.knowledge.metadata.update import MetadataChange, set_values
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import UNKNOWN
from tests.unit.metadata.describing import SEEN, SEEN_AT, add_field, hold, ids

ASSIGN = "/documents/metadata$"


def assigned(dify: FakeDify) -> list[list[dict[str, Any]]]:
    """The entries of each request that set values, in order."""
    return [r.json["operation_data"] for r in dify.requests if r.method == "POST" and r.path.endswith(ASSIGN[:-1])]


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
    """What other people, the network and Dify do in the meantime."""

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
        assert ("answered 'success' 8 times, but shows another value of 'a'" in text) is (version == "1.12.1")
        assert sum(dify.clock.slept) <= 60

    @pytest.mark.large
    def test_many_locked_ones(self, dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
        pages = kb.add_documents(100)
        for page in pages[:60]:
            page.lock_metadata(5)
        assert len(hook.set_document_metadata(kb.id, ids(pages), {"a": "1"}).changed) == 100
        assert len(dify.requests) < 400

    @pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status", "status_after", "page", "truncated"])
    @pytest.mark.parametrize("path", [ASSIGN, "/metadata$", "/documents$"])
    def test_failures_are_retried(self, dify: FakeDify, kb: Dataset, hook: DifyHook, kind: Any, path: str) -> None:
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
        assert report_of(caught).errors == {pages[1].id: "It was deleted in the meantime."}

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
        operations = [Fields(r.json).items("operation_data")[0] for r in sent if r.path.endswith(ASSIGN[:-1])]
        assert [operation.items("metadata_list")[0].id() for operation in operations] == ["old", "new"]

    def test_a_server_that_knows_no_partial_update_gets_the_whole_set(self) -> None:
        fields = [{"id": name, "name": name, "type": kind} for name, kind in (("a", "string"), ("n", "number"))]
        replies = [{"doc_metadata": fields}, document(a="0", n="7", uploader="me"), {"result": "success"}]
        replies += [document(a="1", n=7)]
        _, sent = driven(set_values(UNKNOWN, {UNKNOWN: {"a": "1"}}, deadline=FOREVER, retries=Retries()), replies)
        assert Fields(sent[2].json).get("operation_data") == [
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
    """Run a flow against written responses; return what it returns and what it sent."""
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


def test_a_report_stays_short_for_thousands() -> None:
    report = MetadataReport(UNKNOWN, failed=tuple(f"{n:032x}" for n in range(5000)))
    assert len(report.table()) == 2 + 20 + 1
    with pytest.raises(DifyMetadataError) as caught:
        report.raise_for_outcomes()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("value", [10**19, -(10**300), 2.5, "x", None])
def test_a_document_with_any_plain_value_is_read(value: object) -> None:
    page = dict(document(), doc_metadata=[{"name": "n", "value": value}])
    assert Document.read(Fields(page)).metadata == {"n": value}


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, [1], {"a": 1}])
def test_a_document_with_any_other_value_is_not_read(value: object) -> None:
    page = dict(document(), doc_metadata=[{"name": "n", "value": value}])
    with pytest.raises(ValueError, match="'value' is not a plain value"):
        Document.read(Fields(page))
