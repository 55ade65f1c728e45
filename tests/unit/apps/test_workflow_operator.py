"""DifyWorkflowRunOperator against the built-in Dify."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import (
    DifyAppKeyError,
    DifyInputError,
    DifyKilledError,
    DifyRunError,
    DifyRunFailed,
    DifyRunUnknown,
    DifyStorageError,
)
from airflow_provider_dify.operators.apps import DifyWorkflowRunOperator
from airflow_provider_dify.testing import FakeDify, Fault, Input, Node, Partial
from airflow_provider_dify.triggers.conversation import DifyConversationTrigger
from tests.unit.apps.running import Ran, Store, context_of, event_of, run_try
from tests.waiting import until

Start = Callable[..., Ran]


def shout(inputs: Any) -> dict[str, Any]:
    return {"text": inputs["text"].upper()}


@pytest.fixture
def app(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A workflow, and the connection ``dify_app`` with its key."""
    made = dify.add_workflow(
        "shout",
        run=shout,
        inputs=[Input("text", required=True, max_length=48), Input("doc", "file"), Input("docs", "file-list")],
        seconds=20,
    )
    # A stream that falls silent holds up a test for as long as that.
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=made))
    return made


def task(**kwargs: Any) -> DifyWorkflowRunOperator:
    return DifyWorkflowRunOperator(task_id="change", **{"inputs": {"text": "hello"}, **kwargs})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_run_succeeds(app: Any, deferrable: bool) -> None:
    ran = run_try(task(deferrable=deferrable))
    assert ran.error is None
    assert ran.deferred is deferrable
    run = app.runs[0]
    assert len(app.runs) == 1
    assert ran.returned == ran.report
    assert ran.returned["outputs"] == {"text": "HELLO"}
    assert ran.returned["outcome"] == "succeeded"
    assert ran.returned["run_id"] == run.id
    assert ran.returned["task_id"] == run.task_id
    assert ran.returned["app_id"] == app.id
    assert ran.returned["user"] == run.user == "airflow/dag/change/run/try-1"
    assert ran.returned["link"].endswith(f"/app/{app.id}/logs")
    assert ran.xcom["_link_DifyAppLink"] == ran.returned["link"]


def test_inputs_may_be_a_rendered_text(app: Any) -> None:
    assert run_try(task(inputs="{'text': 'hi'}", timeout="600")).returned["outputs"] == {"text": "HI"}
    assert app.runs[0].inputs["text"] == "hi"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_failed_run_is_red_and_a_retry_starts_another(app: Any, deferrable: bool) -> None:
    def fail(_: Any) -> dict[str, Any]:
        raise ValueError("Out of paper.")

    app.function, good = fail, app.function
    store = Store()
    first = run_try(task(deferrable=deferrable), store=store)
    assert type(first.error) is DifyRunError
    assert "Out of paper." in first.error.message
    assert first.report["outcome"] == "failed"
    app.function = good
    assert run_try(task(deferrable=deferrable), 2, store).returned["outputs"] == {"text": "HELLO"}
    assert len(app.runs) == 2


def test_a_retry_takes_what_an_earlier_try_started(app: Any) -> None:
    store = Store()
    first = run_try(task(), store=store)
    second = run_try(task(), 2, store)
    assert second.returned["joined"]
    assert second.returned["run_id"] == first.returned["run_id"]
    assert len(app.runs) == 1


@pytest.mark.parametrize("kind", ["drop_stream", "end_stream", "reset_after", "status_after", "mute_stream"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_a_lost_answer_is_no_second_run(dify: FakeDify, app: Any, kind: str, deferrable: bool) -> None:
    more = {"status": 502} if kind == "status_after" else {}
    dify.faults.add(Fault(kind, path="/workflows/run$", **more))  # type: ignore[arg-type]
    ran = run_try(task(deferrable=deferrable))
    assert ran.error is None
    assert ran.returned["outputs"] == {"text": "HELLO"}
    assert len(app.runs) == 1


@pytest.mark.parametrize("kind", ["too_many_requests", "reset_before"])
def test_what_was_not_carried_out(dify: FakeDify, app: Any, kind: str) -> None:
    dify.faults.add(Fault(kind, path="/workflows/run$"))  # type: ignore[arg-type]
    ran = run_try(task(appear_timeout=5))
    if kind == "too_many_requests":
        assert ran.error is None
        assert len(app.runs) == 1
    else:  # nobody can know
        assert isinstance(ran.error, DifyRunUnknown)
        assert app.runs == []
        assert ran.report["outcome"] == "unknown"


def test_a_run_in_the_queue_is_awaited(dify: FakeDify, app: Any) -> None:
    dify.faults.add(Fault("queued", path="/workflows/run$", answer_after=90))
    ran = run_try(task(deferrable=True))
    assert ran.error is None
    assert len(app.runs) == 1


def test_a_run_that_waits_too_long_in_the_queue(dify: FakeDify, app: Any) -> None:
    dify.faults.add(Fault("queued", path="/workflows/run$", answer_after=3000))
    store = Store()
    assert isinstance(run_try(task(), store=store).error, DifyRunUnknown)
    dify.clock.sleep(3000)
    assert run_try(task(), 2, store).returned["joined"]
    assert len(app.runs) == 1


def test_the_timeout_stops_the_run(app: Any) -> None:
    app.seconds = 1000
    ran = run_try(task(timeout=60))
    assert isinstance(ran.error, DifyRunError)
    assert "had not ended after 60 s" in ran.error.message
    assert [run.status for run in app.runs] == ["stopped"]


def test_an_orphan_is_stalled(dify: FakeDify, app: Any) -> None:
    dify.faults.add(Fault("orphan", path="/workflows/run$", answer_after=5))
    ran = run_try(task(stall_timeout=300))
    assert isinstance(ran.error, DifyRunError)
    assert ran.report["outcome"] == "stalled"


@pytest.mark.large
def test_a_long_run_is_not_stalled(app: Any) -> None:
    app.seconds = 900
    assert run_try(task(stall_timeout=300, deferrable=True)).error is None


@pytest.mark.parametrize("tolerate", [(), ("partial-succeeded",), "['partial-succeeded']"])
def test_a_partial_success_is_an_outcome_of_its_own(app: Any, tolerate: Any) -> None:
    app.function = lambda inputs: Partial({"text": inputs["text"]})
    ran = run_try(task(tolerate=tolerate))
    assert ran.report["outcome"] == "partial-succeeded"
    if tolerate:
        assert ran.returned["outputs"] == {"text": "hello"}
    else:
        assert isinstance(ran.error, DifyRunFailed)


class TestOutputs:
    """What is expected of them, and where they go."""

    @pytest.mark.parametrize(
        "expect",
        [
            {"type": "object", "properties": {"text": {"type": "number"}}},
            lambda outputs: outputs["text"] == "hello",
            lambda outputs: outputs["missing"],
        ],
    )
    def test_others_than_expected_fail_the_task(self, app: Any, expect: Any) -> None:
        ran = run_try(task(expect=expect))
        assert isinstance(ran.error, DifyRunFailed)
        assert "are not what was expected" in ran.error.message
        assert ran.report["outputs"] == {"text": "HELLO"}
        assert len(app.runs) == 1

    @pytest.mark.parametrize("expect", [{"required": ["text"]}, lambda outputs: outputs["text"] == "HELLO"])
    def test_expected_ones_do_not(self, app: Any, expect: Any) -> None:
        assert run_try(task(expect=expect)).error is None
        assert len(app.runs) == 1

    @pytest.mark.parametrize("expect", [{"type": "nonsense"}, "text"])
    def test_an_expectation_that_makes_no_sense_starts_nothing(self, app: Any, expect: Any) -> None:
        assert isinstance(run_try(task(expect=expect)).error, DifyInputError)
        assert app.runs == []

    @pytest.mark.parametrize("deferrable", [False, True])
    def test_large_ones_go_to_a_file(self, app: Any, tmp_path: Path, deferrable: bool) -> None:
        app.function = lambda _: {"text": "x" * 2_000_000}
        ran = run_try(task(output_path=f"{tmp_path}/deep/", deferrable=deferrable))
        file = tmp_path / "deep" / f"{app.runs[0].id}.json"
        assert ran.returned["output_path"] == str(file)
        assert ran.returned["outputs"] is None
        assert len(json.dumps(ran.xcom)) < 5000
        assert json.loads(file.read_text()) == {"text": "x" * 2_000_000}

    def test_their_path_may_be_a_number_or_have_blanks_around_it(
        self, app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Native rendering makes a number of it."""
        monkeypatch.chdir(tmp_path)
        for path in (2024, f" {tmp_path}/out.json\n"):
            assert run_try(task(output_path=path)).error is None
        assert {file.name for file in tmp_path.iterdir()} == {"2024", "out.json"}

    def test_an_empty_place_is_none(self, app: Any) -> None:
        ran = run_try(task(output_path=""))
        assert ran.returned["outputs"]
        assert ran.returned["output_path"] is None

    def test_a_place_that_cannot_be_written_is_red(self, app: Any, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        ran = run_try(task(output_path=f"{tmp_path}/file/out.json"))
        assert isinstance(ran.error, DifyStorageError)
        assert ran.error.retryable  # a retry reads the result of the same run
        assert "cannot be written" in ran.error.message
        assert ran.report["outcome"] == "succeeded"
        assert len(app.runs) == 1


class TestFiles:
    """They are uploaded for the same user."""

    def test_a_path_becomes_an_upload(self, dify: FakeDify, app: Any, tmp_path: Path) -> None:
        for name in ("a.txt", "b.txt"):
            (tmp_path / name).write_text("hello")
        ran = run_try(task(files={"doc": str(tmp_path / "a.txt"), "docs": [str(tmp_path / "b.txt")]}))
        assert ran.error is None
        sent = next(request.json for request in dify.requests if request.path.endswith("/workflows/run"))
        assert sent["inputs"]["doc"]["transfer_method"] == "local_file"
        assert sent["inputs"]["doc"]["type"] == "document"
        assert len(sent["inputs"]["docs"]) == 1
        assert len(app.runs) == 1

    @pytest.mark.parametrize("files", [{"doc": ""}, {"doc": 5}, {"docs": []}, {"doc": "/no/such.txt"}, "nonsense"])
    def test_what_is_no_file_starts_nothing(self, app: Any, files: Any) -> None:
        ran = run_try(task(files=files))
        assert isinstance(ran.error, DifyInputError)
        assert app.runs == []


class TestKill:
    """A killed task stops its run."""

    def test_while_it_waits_on_the_worker(self, dify: FakeDify, app: Any) -> None:
        app.seconds = 100_000
        operator = task(timeout=200_000, stall_timeout=None)
        context = context_of(1, Store())
        ended = threading.Event()

        def kill() -> None:
            until(lambda: ended.is_set() or "_link_DifyAppLink" in context["ti"].xcom)
            operator.on_kill()

        # The task runs in this thread: Airflow 2 refuses to execute an operator in another one.
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with pytest.raises(DifyKilledError):
                operator.execute(context)  # type: ignore[arg-type]
        finally:
            ended.set()
            killer.join(300)
        assert [run.status for run in app.runs] == ["stopped"]
        assert context["ti"].xcom["report"]["outcome"] == "stopped"

    def test_while_it_waits_in_the_triggerer(self, dify: FakeDify, app: Any) -> None:
        app.seconds = 100_000
        with pytest.raises(TaskDeferred) as deferred:
            task(deferrable=True, timeout=200_000).execute(context_of(1, Store()))  # type: ignore[arg-type]
        trigger = DifyConversationTrigger(**deferred.value.trigger.serialize()[1])

        async def kill() -> None:
            dify.holds_clock = True
            running = asyncio.ensure_future(anext(trigger.run()))
            assert await asyncio.to_thread(until, lambda: trigger._settings is not None)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            dify.holds_clock = False
            await trigger.on_kill()

        asyncio.run(kill())
        assert [run.status for run in app.runs] == ["stopped"]


class TestKeys:
    """Each key opens only what it is for, and the errors say so."""

    def test_a_knowledge_key(self, dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection())
        ran = run_try(task())
        assert isinstance(ran.error, DifyAppKeyError)
        assert "Put the API key of the app (it starts with 'app-')" in ran.error.message
        assert "is a Knowledge API key, which does not work for apps" in ran.error.message

    def test_the_key_of_a_chat(self, dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
        chat = dify.add_chat_app("helpdesk", answer=lambda question: question.query)
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=chat))
        ran = run_try(task())
        assert isinstance(ran.error, DifyInputError)
        assert "Use DifyChatMessageOperator" in ran.error.message


def test_a_run_of_ten_minutes_survives_a_restart_of_the_triggerer(
    dify: FakeDify, app: Any, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DifyConversationTrigger, "log", logging.getLogger("task"), raising=False)
    app.seconds = 600
    operator, context, begin = task(deferrable=True), context_of(1, Store()), dify.clock.monotonic()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)  # type: ignore[arg-type]
    assert dify.clock.monotonic() - begin < 5, "so long it holds a worker slot"
    state = json.loads(json.dumps(deferred.value.trigger.serialize()[1]))

    async def die() -> None:
        running = asyncio.ensure_future(anext(DifyConversationTrigger(**state).run()))
        while dify.clock.monotonic() - begin < 300:  # noqa: ASYNC110 - the clock is virtual
            await asyncio.sleep(0)
        running.cancel()
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)

    asyncio.run(die())
    event = asyncio.run(event_of(DifyConversationTrigger(**state)))
    assert operator.execute_complete(context, dict(event))["outputs"] == {"text": "HELLO"}  # type: ignore[arg-type]
    assert len(app.runs) == 1
    lines = re.findall(rf"Waiting for run {app.runs[0].id}, which is running \((\d+) s elapsed", said.text)
    seconds = [int(line) for line in lines]
    assert seconds[0] < 15
    assert max(later - earlier for earlier, later in pairwise(seconds)) < 75
    assert seconds[-1] > 500
    assert "succeeded after" in said.text


def test_nothing_that_is_left_behind_holds_the_key(app: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = Store()
    ran = run_try(task(deferrable=True), store=store)
    assert app.api_key not in json.dumps([ran.xcom, store]) + caplog.text


def test_progress_of_a_long_run(app: Any, said: pytest.LogCaptureFixture) -> None:
    app.nodes = (Node("first", seconds=200),)
    assert run_try(task()).error is None
    assert "is running" in said.text
    assert "succeeded after" in said.text
