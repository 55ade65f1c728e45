"""The verbs of the hook on apps, and its connection with the key of an app."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyAppKeyError, DifyInputError, DifyNotFoundError, DifyRunError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.apps.options import RunOptions
from airflow_provider_dify.testing import FakeDify, Input
from tests.unit.conftest import UNKNOWN


@pytest.fixture
def app(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = dify.add_workflow("echo", run=dict, inputs=[Input("text", required=True)], seconds=20)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection(app=made))
    return made


@pytest.fixture
def hook(app: Any) -> Iterator[DifyHook]:
    with DifyHook("dify_app") as hook:
        yield hook


def test_what_an_app_is(hook: DifyHook, app: Any) -> None:
    assert (hook.app_info().name, hook.app_info().mode) == ("echo", "workflow")
    (item,) = hook.app_parameters()["user_input_form"]
    assert "text" in str(item)
    assert app.runs == []


def test_the_connection_is_tested_with_the_app(hook: DifyHook) -> None:
    assert hook.test_connection() == (True, "Dify 1.16.0 answered: the key can access the app 'echo' (mode workflow).")


def test_a_run_and_its_log(hook: DifyHook, app: Any) -> None:
    report = hook.run_workflow({"text": "hello"}, user="ann")
    assert report.outputs is not None
    assert report.outputs["text"] == "hello"
    assert hook.run_workflow({"text": "other"}, user="ann").run_id == report.run_id  # the same user: the same run
    assert [row.run_id for row in hook.list_app_runs(user="ann")] == [report.run_id]
    assert hook.list_app_runs(user="bob") == []
    assert hook.get_app_run(report.run_id).status == "succeeded"
    assert len(app.runs) == 1


def test_a_run_is_stopped(hook: DifyHook, app: Any) -> None:
    app.seconds = 1000
    with pytest.raises(DifyRunError):
        hook.run_workflow({"text": "x"}, user="ann", options=RunOptions(timeout=30))
    assert hook.stop_app_run(app.runs[0].id, user="ann").status == "stopped"


def test_a_file_is_uploaded(hook: DifyHook, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    answer = hook.upload_app_file(str(tmp_path / "a.txt"), user="ann")
    assert (answer["name"], answer["size"]) == ("a.txt", 5)


def test_what_is_not_there(hook: DifyHook) -> None:
    with pytest.raises(DifyNotFoundError):
        hook.get_app_run(UNKNOWN)
    with pytest.raises(DifyInputError):
        hook.get_app_run("nonsense")


def test_a_knowledge_key_is_told_apart(dify: FakeDify) -> None:
    assert dify.api_key
    with DifyHook() as hook, pytest.raises(DifyAppKeyError, match="which does not work for apps"):
        hook.app_info()
