"""What Airflow shows and passes on of an app: links, asset events, lineage, and metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_dify import assets
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.operators.apps import (
    DifyAnswerCheckOperator,
    DifyChatMessageOperator,
    DifyWorkflowRunOperator,
)
from airflow_provider_dify.testing import Answer, App, FakeDify, Input
from tests.unit.apps.running import Store, run_try

ALIAS = AssetAlias("apps")


class Accessor:
    """What a task puts into the events of an outlet."""

    def __init__(self) -> None:
        self.extra: dict[str, Any] = {}
        self.added: list[tuple[str, dict[str, Any]]] = []

    def add(self, asset: Any, extra: dict[str, Any]) -> None:
        self.added.append((asset.uri, extra))


class Accessors(defaultdict[str, Accessor]):
    """The events of all outlets."""

    def __getitem__(self, one: Any) -> Accessor:  # Airflow 3.1 cannot hash an asset
        return super().__getitem__(getattr(one, "uri", None) or one.name)


class Stats:
    """What Airflow would send."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def incr(self, stat: str, count: int = 1) -> None:
        self.counts[stat] += count

    def timing(self, stat: str, dt: timedelta) -> None:
        """Nothing is timed here."""

    @property
    def of_apps(self) -> dict[str, int]:
        return {name: count for name, count in self.counts.items() if name.split(".")[1] in ("runs", "answers")}


@pytest.fixture
def stats(monkeypatch: pytest.MonkeyPatch) -> Stats:
    stats = Stats()
    monkeypatch.setattr(sdk, "Stats", stats)
    return stats


@pytest.fixture
def workflow(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> App:
    made = dify.add_workflow("echo", run=dict, inputs=[Input("text", required=True)], seconds=20)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=made))
    return made


@pytest.fixture
def chatflow(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> App:
    made = dify.add_chat_app("helpdesk", answer=lambda _: Answer("Deck 2.", tokens=(7, 5)), seconds=3)
    monkeypatch.setenv("AIRFLOW_CONN_DIFY_APP", dify.airflow_connection({"timeout": 2}, app=made))
    return made


def run_task(**kwargs: Any) -> Any:
    return DifyWorkflowRunOperator(task_id="change", **{"inputs": {"text": "hello"}, **kwargs})


def chat_task(**kwargs: Any) -> Any:
    return DifyChatMessageOperator(task_id="change", query="Where?", **kwargs)


def uri(dify: FakeDify, app: App) -> str:
    return f"dify://{assets.host_of(dify.base_url)}/apps/{app.id}"


@pytest.mark.parametrize("deferrable", [False, True])
def test_events_of_a_run(dify: FakeDify, workflow: App, deferrable: bool) -> None:
    asset, accessors = Asset(uri(dify, workflow)), Accessors(Accessor)
    run_try(run_task(outlets=[asset, ALIAS], deferrable=deferrable), outlet_events=accessors)
    extra = accessors[asset].extra
    assert (extra["action"], extra["outcome"], extra["run_id"]) == ("run", "succeeded", workflow.runs[0].id)
    assert (extra["dify_conn_id"], extra["app_id"], extra["try_number"]) == ("dify_app", workflow.id, 1)
    assert extra["total_steps"] == workflow.runs[0].steps
    ((of_alias, more),) = accessors[ALIAS].added
    assert (of_alias, more["run_id"]) == (uri(dify, workflow), workflow.runs[0].id)


def test_events_of_an_answer(dify: FakeDify, chatflow: App) -> None:
    accessors = Accessors(Accessor)
    run_try(chat_task(outlets=[ALIAS]), outlet_events=accessors)
    ((of_alias, extra),) = accessors[ALIAS].added
    assert of_alias == uri(dify, chatflow)
    assert (extra["action"], extra["outcome"], extra["total_tokens"]) == ("ask", "succeeded", 12)


def test_the_same_app_is_the_same_asset(dify: FakeDify, workflow: App) -> None:
    assert assets.app(dify.base_url, workflow.id).uri == uri(dify, workflow)


def test_links(workflow: App) -> None:
    task = run_task()
    ran = run_try(task)
    (link,) = task.operator_extra_links
    assert ran.returned["link"].endswith(f"/app/{workflow.id}/logs")
    assert ran.xcom[link.xcom_key] == ran.returned["link"]


def test_lineage_of_a_run(dify: FakeDify, workflow: App) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    task = run_task()
    run_try(task)
    lineage = task.get_openlineage_facets_on_complete(None)
    namespace, _, name = uri(dify, workflow).partition("/apps/")
    assert [(one.namespace, one.name) for one in lineage.inputs] == [(namespace, f"apps/{name}")]
    facet = lineage.run_facets["dify"]
    assert (facet.app_id, facet.run_id, facet.outcome) == (workflow.id, workflow.runs[0].id, "succeeded")
    assert facet.elapsed_time == pytest.approx(20, abs=1)


def test_lineage_of_an_answer(chatflow: App) -> None:
    pytest.importorskip("airflow.providers.openlineage")
    task = chat_task()
    run_try(task)
    facet = task.get_openlineage_facets_on_complete(None).run_facets["dify"]
    assert (facet.app_id, facet.run_id, facet.total_tokens) == (chatflow.id, chatflow.runs[0].id, 12)


@pytest.mark.parametrize("deferrable", [False, True])
def test_metrics_of_a_run(workflow: App, stats: Stats, deferrable: bool) -> None:
    run_try(run_task(deferrable=deferrable))
    assert stats.of_apps == {"dify.runs.succeeded": 1}
    workflow.seconds = 1000
    run_try(run_task(deferrable=deferrable, user="other", timeout=60))
    assert stats.of_apps == {"dify.runs.succeeded": 1, "dify.runs.stopped": 1}


def test_metrics_of_answers(chatflow: App, stats: Stats) -> None:
    run_try(chat_task(), store=Store())
    with DifyHook("dify_app") as hook:
        hook.ask_app("Where?", user="ann")
    assert stats.of_apps == {"dify.runs.succeeded": 2}
    run_try(DifyAnswerCheckOperator(task_id="check", questions=["Where?", {"query": "Who?", "contains": "Ann"}]))
    assert stats.of_apps == {"dify.runs.succeeded": 2, "dify.answers.passed": 1, "dify.answers.failed": 1}
    assert len(chatflow.messages) == 4
