"""What a task's log says: where it works, how far it is, and how it ended."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge.bases.introduction import introduced
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Note, Request, Response
from airflow_provider_dify.knowledge.progress import Progress, WholeJob
from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.sensors.documents import DifyDocumentIndexingSensor
from airflow_provider_dify.testing import MEASURED_1_16_0, Dataset, Document, FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import current, using
from airflow_provider_dify.triggers.conversation import DifyConversationTrigger
from tests.unit.airflow.every_task import APPS, BASES, EVERY, Make
from tests.unit.base.driving import DATASET, ID, dify_error, drive, reply
from tests.unit.conftest import UNKNOWN, TaskInstance

GROUP, END = "::group::Documents by outcome", "::endgroup::"


@pytest.fixture
def page(kb: Dataset) -> Document:
    return kb.add_document("page")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Dify whose answers take as long as those of a real one."""
    with FakeDify(clock=VirtualClock(), costs=MEASURED_1_16_0, jobs=1) as dify, using(dify.clock):
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection())
        yield dify


def run(task: Any) -> DifyError | None:
    try:
        task.execute({"ti": TaskInstance()})
    except DifyError as error:
        return error
    return None


def status(pages: list[Any], action: str = "disable", **kwargs: Any) -> DifyDocumentStatusOperator:
    kb = next(page.dataset for page in pages if isinstance(page, Document))
    ids = [page if isinstance(page, str) else page.id for page in pages]
    return DifyDocumentStatusOperator(task_id="t", dataset_id=kb.id, document_ids=ids, action=action, **kwargs)


def lines(said: pytest.LogCaptureFixture) -> list[str]:
    """What is in the log of the task."""
    return [record.getMessage() for record in said.records if record.name.startswith("task")]


async def first_event(trigger: Any) -> Any:
    return await anext(trigger.run())


class TestFirstLine:
    @pytest.mark.parametrize("make", EVERY)
    def test_it_says_where(self, page: Document, said: pytest.LogCaptureFixture, make: Make) -> None:
        run(make(page))
        kb = page.dataset
        where = r"Dify 1\.18\.0 at 127\.0\.0\.1:\d+ \(connection 'dify_default'\)"
        assert re.fullmatch(rf"{where}, knowledge base 'handbook' \({kb.id}\)\.", lines(said)[0])

    @pytest.mark.parametrize("make", BASES)
    def test_of_a_knowledge_base_that_may_not_exist(self, page: Document, said: Any, make: Make) -> None:
        run(make(page))
        assert re.fullmatch(r"Dify at \S+ \(connection 'dify_default'\), knowledge base 'handbook'\.", lines(said)[0])

    @pytest.mark.parametrize("make", APPS)
    def test_of_an_app(
        self, dify: FakeDify, page: Document, said: pytest.LogCaptureFixture, monkeypatch: Any, make: Make
    ) -> None:
        app = (
            dify.add_workflow("app") if make is APPS[0] else dify.add_chat_app("app", answer=lambda question: "Deck 2.")
        )
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", dify.airflow_connection(app=app))
        run(make(page))
        assert re.fullmatch(r"Dify 1\.18\.0 at \S+ \(connection 'dify_default'\), app 'app'\.", lines(said)[0])

    def test_without_a_name_if_dify_does_not_tell(
        self, dify: FakeDify, page: Document, said: pytest.LogCaptureFixture
    ) -> None:
        dify.faults.add(Fault("status", status=503))
        assert run(status([page])) is None
        assert lines(said)[0].endswith(f"(connection 'dify_default'), knowledge base {page.dataset.id}.")

    def test_a_sensor_says_it_once(self, dify: FakeDify, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        page = kb.add_document("page", indexing_status="indexing")
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=kb.id, document_ids=[page.id], poke_interval=1)
        for _ in range(3):
            sensor.poke({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert sum("connection 'dify_default'" in message for message in lines(said)) == 1


class TestIntroduction:
    def reads_it_first(self) -> Flow[object]:
        return (yield Request("GET", f"/datasets/{ID}"))

    def reads_it_later(self) -> Flow[object]:
        yield Request("GET", "/other")
        return (yield Request("GET", f"/datasets/{ID}"))

    def test_a_flow_that_begins_with_the_same_request_gets_its_answer(self) -> None:
        answer = reply(200, DATASET, x_version="1.14.1")
        driven = drive(introduced(self.reads_it_first(), "here", ID), [answer])
        assert driven.result is answer
        assert len(driven.requests) == 1
        assert driven.notes == [Note(f"Dify 1.14.1 at here, knowledge base 'handbook' ({ID}).")]

    def test_later_it_may_have_changed(self) -> None:
        driven = drive(introduced(self.reads_it_later(), "here", ID), [reply(200, DATASET)])
        assert len(driven.requests) == 3

    def test_what_fails_is_asked_again_by_the_flow(self) -> None:
        refused = DifyError("no")
        driven = drive(introduced(self.reads_it_first(), "here", ID, "Plan."), [refused, reply(200, DATASET)])
        assert [note.text for note in driven.notes] == [f"Dify at here, knowledge base {ID}.", "Plan."]
        assert isinstance(driven.result, Response)
        assert not driven.requests[0].repeatable

    @pytest.mark.parametrize("answer", [reply(200, {"id": ID}), reply(200, "no JSON"), dify_error(200)])
    def test_an_odd_answer_is_left_to_the_flow(self, answer: Response) -> None:
        driven = drive(introduced(self.reads_it_first(), "here", ID), [answer])
        assert driven.result is answer
        assert driven.notes[0].text == f"Dify at here, knowledge base {ID}."


class TestProgress:
    @pytest.mark.large
    def test_a_line_that_only_grows(self, slow: FakeDify, said: pytest.LogCaptureFixture) -> None:
        pages = slow.add_dataset("kb").add_documents(900)
        assert run(status(pages)) is None
        found = (re.fullmatch(r"Search is up to date for (\d+) of 900 documents, \d+ s", m) for m in lines(said))
        counts = [int(match[1]) for match in found if match]
        assert len(counts) >= 2
        assert counts == sorted(set(counts))
        assert len(set(lines(said))) == len(lines(said))

    def test_a_trigger_reports_on_the_whole_job(
        self, slow: FakeDify, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(DifyConversationTrigger, "log", said_by := logging.getLogger("task.trigger"), raising=False)
        kb = slow.add_dataset("kb")
        pages = kb.add_documents(100)
        slow.worker.seconds_per_job = 0.5
        operator = status([*pages, *(kb.add_document(f"off {n}", enabled=False) for n in range(200))], deferrable=True)
        with pytest.raises(TaskDeferred) as deferred:
            operator.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        asyncio.run(first_event(deferred.value.trigger))
        told = [record.getMessage() for record in said.records if record.name == said_by.name]
        assert told[0].startswith("Waiting for search to update: ")
        assert re.fullmatch(r"Search is up to date for 2\d\d of 300 documents, \d+ s", told[1])

    def test_news_comes_at_most_every_ten_seconds(self) -> None:
        clock = VirtualClock()
        progress = Progress(Deadline(900, clock.monotonic), WholeJob(100, 250))

        def job() -> Flow[None]:
            for done in range(31):
                yield from progress.search(done, 150)
                yield progress.pause(1.0, f"search to update: {150 - done} documents")

        driven = drive(job(), [reply(200)], clock)
        assert [note.text for note in driven.notes] == [
            "Search is up to date for 110 of 250 documents, 10 s",
            "Search is up to date for 120 of 250 documents, 20 s",
            "Search is up to date for 130 of 250 documents, 30 s",
        ]
        said = [pause.reason for pause in driven.pauses if pause.reason]
        assert said == ["Waiting for search to update: 150 documents (0 s elapsed, next check in 1 s)"]

    def test_another_reason_to_wait_is_said_at_once(self) -> None:
        clock = VirtualClock()
        progress = Progress(Deadline(900, clock.monotonic))
        texts = ["indexing: 3 documents", "indexing: 2 documents", "search to update: 1 document"]
        pauses = [progress.pause(0.5, text) for text in (*texts, texts[-1])]
        assert [bool(pause.reason) for pause in pauses] == [True, False, True, False]
        clock.sleep(3600)
        assert not progress.pause(0.5, texts[-1]).reason


class TestEnd:
    def test_a_table_in_a_group_is_last(self, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        pages = [*kb.add_documents(2), kb.add_document("off", enabled=False)]
        assert run(status(pages)) is None
        *_, result, group, table, end = lines(said)
        assert (result, group, end) == ("Result of disable: 2 changed, 1 unchanged.", GROUP, END)
        assert [line.split() for line in table.splitlines()[2:]] == [
            *(["changed", page.name, page.id] for page in pages[:2]),
            ["unchanged", "off", pages[2].id],
        ]

    def test_the_cause_comes_before_the_documents(self, kb: Dataset, said: pytest.LogCaptureFixture) -> None:
        pages = kb.add_documents(3)
        error = run(status([*pages, UNKNOWN]))
        *_, cause, result, group, table, _ = said.records
        assert cause.getMessage() == str(error)
        assert (cause.levelname, result.levelname) == ("ERROR", "WARNING")
        assert group.getMessage() == GROUP
        assert table.getMessage().splitlines()[2:] == [f"missing  {UNKNOWN}"]
        assert "Nothing was changed." in str(error)
        assert "not_attempted" not in str(error)

    def test_no_list_if_nothing_had_started(self, dify: FakeDify, page: Document, said: Any) -> None:
        dify.world.keys.clear()
        error = run(status([page]))
        assert lines(said)[-2:] == [str(error), "Result of disable: 1 not_attempted."]

    def test_what_was_not_attempted_is_listed_if_others_were(self, dify: FakeDify, kb: Dataset, said: Any) -> None:
        pages = kb.add_documents(3)
        dify.faults.add(Fault("status", method="PATCH", status=403, after=1, times=None))
        assert run(status(pages, batch_size=1))
        assert lines(said)[-2].count("not_attempted") == 2

    @pytest.mark.parametrize("expect", ["page", "other"])
    def test_a_retrieval_check_logs_its_table_as_one_record(self, kb: Dataset, said: Any, expect: str) -> None:
        page = kb.add_document("page", text="About penguins.")
        queries = [{"query": "penguins", "expect": {"name": expect}}]
        error = run(DifyRetrievalCheckOperator(task_id="t", dataset_id=page.dataset.id, queries=queries))
        assert (error is None) == (expect == "page")
        group, table, end = lines(said)[-3:]
        assert (group, end) == ("::group::Queries and what they returned", END)
        assert table.splitlines()[0].split() == ["verdict", "query", "expected", "found"]
        assert sum("verdict" in message for message in lines(said)) == 1

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_a_sensor_ends_with_a_sentence(self, page: Document, said: Any, deferrable: bool) -> None:
        sensor = DifyDocumentIndexingSensor(
            task_id="t", dataset_id=page.dataset.id, document_ids=[page.id], deferrable=deferrable
        )
        assert sensor.poke({"ti": TaskInstance()})  # type: ignore[typeddict-item]
        assert lines(said)[-1] == "All is indexed, and search returns what is enabled: 1 document, 0 s"

    def test_a_sensor_that_was_deferred(self, page: Document, said: Any) -> None:
        sensor = DifyDocumentIndexingSensor(task_id="t", dataset_id=page.dataset.id, document_ids=[page.id])
        report = {"dataset_id": page.dataset.id, "document_ids": [page.id], "segments": 1}
        event = {"report": report, "names": {}, "error": None, "started": current().time() - 35}
        sensor.execute_complete({"ti": TaskInstance()}, json.loads(json.dumps(event)))  # type: ignore[typeddict-item]
        assert lines(said)[-1] == "All is indexed, and search returns what is enabled: 1 document, 35 s"
