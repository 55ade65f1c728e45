"""A release that an app has to agree to: it is asked while both versions are in search."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.exceptions import (
    DifyAppKeyError,
    DifyError,
    DifyInputError,
    DifyKilledError,
    DifyReleaseUndone,
)
from airflow_provider_dify.testing import FakeDify, Question
from tests.unit.apps.running import event_of
from tests.unit.conftest import TaskInstance
from tests.unit.release.release_scene import LIVE, Scene, World, fake

OFF = (False, False)


class Helpdesk:
    """An app that answers with what search finds."""

    def __init__(self, dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scene = Scene(dify, World(new=[OFF, OFF], old=[LIVE, LIVE, (True, True)]))
        self.app = dify.add_chat_app("helpdesk", answer=self.answer, seconds=2)
        self.says = "all of"
        #: What search found at each question.
        self.found: list[set[str]] = []
        monkeypatch.setenv("AIRFLOW_CONN_HELPDESK", dify.airflow_connection(app=self.app))

    def answer(self, question: Question) -> str:
        self.found.append(self.scene.found())
        return f"{question.query}: {self.says} {', '.join(sorted(self.found[-1]))}"

    def release(self, *, checks: Any = ({"query": "rules", "contains": "all of"},), **more: Any) -> DifyError | None:
        return self.scene.release(checks=list(checks), checks_conn_id="helpdesk", **more)


@pytest.fixture
def helpdesk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Helpdesk]:
    with fake() as dify:
        yield Helpdesk(dify, monkeypatch)


def test_right_answers_let_it_go_on(helpdesk: Helpdesk) -> None:
    assert helpdesk.release() is None
    assert helpdesk.scene.wholly_new
    assert helpdesk.found == [{"new 0", "new 1", "old 0", "old 1"}]
    assert helpdesk.scene.report["state"] == "released"
    assert helpdesk.scene.task.xcom["answers"]["passed"]


def test_a_wrong_answer_takes_it_back(helpdesk: Helpdesk, said: pytest.LogCaptureFixture) -> None:
    helpdesk.says = "none of"
    error = helpdesk.release()
    assert isinstance(error, DifyReleaseUndone)
    assert "failed at step 'answers'. 1 of 1 answer is not as expected." in error.message
    assert "'rules': does not contain 'all of'" in error.message
    assert "All of it was undone" in error.message
    assert helpdesk.scene.wholly_old
    assert helpdesk.scene.report["state"] == "undone"
    assert not helpdesk.scene.task.xcom["answers"]["passed"]
    assert "does not contain 'all of'" in said.text
    helpdesk.says = "all of"
    assert helpdesk.release() is None
    assert helpdesk.scene.wholly_new


def test_without_the_second_half_it_is_asked_as_well(helpdesk: Helpdesk) -> None:
    helpdesk.says = "none of"
    assert isinstance(helpdesk.release(until="enable"), DifyReleaseUndone)
    assert helpdesk.scene.wholly_old
    helpdesk.says = "all of"
    assert helpdesk.release(until="enable") is None
    assert helpdesk.scene.report["state"] == "enabled"


@pytest.mark.parametrize("says", ["all of", "none of"])
def test_the_triggerer_stops_in_front_of_the_questions(helpdesk: Helpdesk, says: str) -> None:
    helpdesk.says = says
    scene = helpdesk.scene
    scene.new[0].lock(300)
    scene.old[0].lock(900)
    task = scene.operator(
        checks=[{"query": "rules", "contains": "all of"}], checks_conn_id="helpdesk", deferrable=True, retire="delete"
    )
    context: Any = {"ti": TaskInstance()}
    states: list[str] = []
    error: DifyError | None = None
    result: Any = None

    def go_on(run: Any) -> bool:
        nonlocal error, result
        try:
            result = run()
        except TaskDeferred as deferred:
            event = dict(asyncio.run(event_of(deferred.trigger)))
            states.append(event["report"]["state"])
            assert len(helpdesk.found) == len(states) - 1
            return go_on(lambda: task.execute_complete(context, event))
        except DifyError as raised:
            error = raised
        return error is None

    if says == "all of":
        assert go_on(lambda: task.execute(context))
        assert states == ["enabled", "released"]
        assert result["state"] == "released"
        assert {document.name for document in scene.new} == scene.found()
    else:
        assert not go_on(lambda: task.execute(context))
        assert states == ["enabled"]
        assert isinstance(error, DifyReleaseUndone)
        scene.old[0].unlock()
        assert scene.flags() == scene.before
    assert len(helpdesk.found) == 1


def test_a_killed_task_stops_asking_and_changes_nothing_more(helpdesk: Helpdesk) -> None:
    scene = helpdesk.scene
    task: Any
    questions = [{"query": "rules", "check": lambda _: task.on_kill()}, "more"]
    task = scene.operator(checks=questions, checks_conn_id="helpdesk", max_active_questions=1)
    context: Any = {"ti": TaskInstance()}
    with pytest.raises(DifyKilledError):
        task.execute(context)
    assert len(helpdesk.found) == 1
    assert scene.found() == {"new 0", "new 1", "old 0", "old 1"}
    assert context["ti"].xcom["report"]["state"] == "releasing"
    assert helpdesk.release() is None
    assert scene.wholly_new


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"checks": []}, "checks is empty"),
        ({"checks": [{"query": "x", "contain": "y"}]}, "checks[0] has an unknown key 'contain'"),
        ({"checks": [{"query": "x", "inputs": {"floor": 2}}]}, "Question 1: The app has no input 'floor'"),
        ({"answer_timeout": "soon"}, "answer_timeout must be a number"),
    ],
)
def test_questions_are_checked_before_anything_is_changed(
    helpdesk: Helpdesk, arguments: dict[str, Any], says: str
) -> None:
    error = helpdesk.release(**arguments)
    assert isinstance(error, DifyInputError)
    assert says in error.message
    assert helpdesk.scene.flags() == helpdesk.scene.before


def test_the_app_is_checked_before_anything_is_changed(helpdesk: Helpdesk, monkeypatch: pytest.MonkeyPatch) -> None:
    dify = helpdesk.scene.dify
    workflow = dify.add_workflow("sum", run=dict)
    monkeypatch.setenv("AIRFLOW_CONN_HELPDESK", dify.airflow_connection(app=workflow))
    error = helpdesk.release()
    assert isinstance(error, DifyInputError)
    assert "is not a chat app" in error.message
    monkeypatch.setenv("AIRFLOW_CONN_HELPDESK", dify.airflow_connection())
    assert isinstance(helpdesk.release(), DifyAppKeyError)
    assert helpdesk.scene.flags() == helpdesk.scene.before
