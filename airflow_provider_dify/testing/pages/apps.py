"""The pages of apps: their runs and answers, and a single run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_provider_dify.testing.api.call import UUID
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.chat import Message
from airflow_provider_dify.testing.apps.run import Run
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.pages.html import Content, Html, join, table, tag
from airflow_provider_dify.testing.pages.parts import badge, date, empty, page

#: Their paths in Dify's console.
APP_PATH = re.compile(rf"/app/(?P<app>{UUID})(?:/(?:logs|overview|workflow)|/runs/(?P<run>{UUID}))?/?")
#: Maximum number of rows on a page.
_MOST = 100
_STATES = {"succeeded": "good", "failed": "bad", "running": "odd", "queued": "odd", "paused": "odd"}
_MODES = {
    "workflow": "workflow",
    "advanced-chat": "chatflow",
    "chat": "chat",
    "agent-chat": "agent",
    "completion": "completion",
}


def listed_apps(apps: Sequence[App]) -> Iterator[Html]:
    """All apps, for the first page."""
    if not apps:
        return
    rows: list[list[Content]] = [
        [
            join(_link(one), tag("code", one.id, class_="id")),
            badge(_MODES[one.mode]),
            len(one.runs) if one.has_runs else len(one.messages),
            len(one.queued),
            badge("on", "good") if one.api_enabled else badge("off", "bad"),
        ]
        for one in apps
    ]
    yield tag("h1", "Apps")
    yield table(["Name", "Kind", "#Runs or messages", "#In the queue", "API"], rows)


def app_page(site: Site, apps: Sequence[App], app_id: str, run_id: str | None) -> tuple[int, Html] | None:
    """The page of an app or run; ``None`` if it does not exist."""
    app = next((one for one in apps if one.id == app_id.lower()), None)
    if app is None or run_id is None:
        return None if app is None else (200, _app(site, app))
    run = app.run_of(run_id.lower())
    return None if run is None else (200, _run(site, app, run))


def _app(site: Site, app: App) -> Html:
    inputs = ", ".join(f"{one.name} ({one.type}{', required' if one.required else ''})" for one in app.form.inputs)
    return page(
        site,
        app.name,
        tag("nav", tag("a", "Knowledge bases and apps", href="/")),
        tag("h1", app.name),
        tag("p", badge(_MODES[app.mode]), " ", tag("code", app.id)),
        tag("p", f"Inputs: {inputs or 'none'}", class_="quiet"),
        *(_runs(app) if app.has_runs else ()),
        *(() if app.mode == "workflow" else _messages(app)),
    )


def _runs(app: App) -> Iterator[Html]:
    runs = [*app.queued, *app.runs[::-1]][:_MOST]
    rows: list[list[Content]] = [
        [_run_link(run), _state(run), tag("code", run.user), run.steps, f"{run.elapsed:.2f} s", date(run.created_at)]
        for run in runs
    ]
    yield tag("h2", "Runs, the latest first")
    yield table(["Run", "Status", "User", "#Steps", "#Time", "Started"], rows) if rows else empty("There are none yet.")


def _run_link(run: Run) -> Html:
    if run.status == "queued":
        return tag("span", "waits for the worker", class_="quiet")
    return tag("a", run.id, href=f"/app/{run.app.id}/runs/{run.id}")


def _state(run: Run) -> Html:
    gone = tag("div", "its worker has died", class_="quiet") if run.orphaned else None
    return join(badge(run.status, "bad" if run.orphaned else _STATES.get(run.status, "off")), gone)


def _run(site: Site, app: App, run: Run) -> Html:
    facts: dict[str, Content] = {
        "Id": tag("code", run.id),
        "Task": tag("code", run.task_id),
        "Status": _state(run),
        "User": tag("code", run.user),
        "Started": date(run.created_at),
        "Took": f"{run.elapsed:.3f} s, {run.steps} steps, {run.tokens} tokens",
    }
    facts |= {"Error": run.error} if run.error else {}
    listed = join(*(join(tag("dt", name), tag("dd", value)) for name, value in facts.items()))
    return page(
        site,
        f"Run of {app.name}",
        tag("nav", tag("a", "Knowledge bases and apps", href="/"), " / ", _link(app)),
        tag("h1", f"Run of {app.name}"),
        tag("dl", listed),
        tag("h2", "Inputs"),
        _json(run.inputs),
        tag("h2", "Outputs"),
        _json(run.outputs),
        tag("h2", f"{len(run.events)} events"),
        *(_json(one.body) for one in run.events[:_MOST]),
    )


def _json(value: Any) -> Html:
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return tag("div", tag("div", text, class_="text"), class_="card")


def _messages(app: App) -> Iterator[Html]:
    shown = app.messages[::-1][:_MOST]
    yield tag("h2", "Messages, the latest first")
    yield join(*map(_message, shown)) if shown else empty("There are none yet.")


def _message(message: Message) -> Html:
    wrong = badge("error", "bad") if message.status == "error" else None
    about = tag("span", f"{message.user}, {date(message.created_at)}", class_="quiet")
    top = tag("div", tag("span", message.query), wrong, about, class_="top")
    names = ", ".join(document.name for document in message.sources)
    cited = tag("div", f"Cites {names}", class_="quiet") if names else None
    text = tag("div", message.error or message.answer or "(no answer yet)", class_="text")
    return tag("div", top, text, cited, class_="card")


def _link(app: App) -> Html:
    return tag("a", app.name, href=f"/app/{app.id}/logs")
