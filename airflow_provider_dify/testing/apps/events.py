"""The events of streams, as in Dify 1.16.0 (files 40, 41 and 43)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_provider_dify.testing.api.replies import Json
from airflow_provider_dify.testing.api.shapes import whole
from airflow_provider_dify.testing.apps.plan import Node
from airflow_provider_dify.testing.apps.run import Run

_START, _END, _ANSWER = (Node(name, kind=name) for name in ("start", "end", "answer"))
#: First and last node of every workflow.
START = _START


def last_node(run: Run) -> Node:
    """The node that ends a workflow: a chatflow has another one."""
    return _END if run.message is None else _ANSWER


def event(run: Run, kind: str, data: Json) -> Json:
    """An event of a workflow, or of a chatflow."""
    ids: Json = {"task_id": run.task_id, "workflow_run_id": run.id}
    if run.message is None:
        return {"event": kind, **ids, "data": data}
    return {"event": kind, **run.message.ids(), **ids, "data": data}


def started(run: Run, *, reason: str = "initial") -> Json:
    """``workflow_started``."""
    data = {
        "id": run.id,
        "workflow_id": run.app.workflow_id,
        "inputs": run.sent_inputs,
        "created_at": int(run.created_at),
        "reason": reason,
    }
    return event(run, "workflow_started", data)


def _node(run: Run, node: Node) -> Json:
    node_id = run.node_ids.setdefault(node.name, run.app.world.new_id())
    return {
        "id": node_id,
        "node_id": node.name,
        "node_type": node.kind,
        "title": node.name.title() if node in (_START, _END, _ANSWER) else node.name,
        "index": 1,
        "predecessor_node_id": None,
    }


def node_started(run: Run, node: Node, at: float) -> Json:
    """``node_started``."""
    rest: Json = {"extras": {}, "iteration_id": None, "loop_id": None, "agent_strategy": None}
    about = {"inputs": None, "inputs_truncated": False, "created_at": int(at)}
    return event(run, "node_started", {**_node(run, node), **about, **rest})


def node_finished(
    run: Run,
    node: Node,
    at: float,
    *,
    since: float,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    status: str = "succeeded",
    error: str | None = None,
) -> Json:
    """``node_finished``; with the status ``retry`` it is ``node_retry``."""
    covered = {"error_strategy": "default-value"} if status == "exception" else None
    data = {
        **_node(run, node),
        "inputs": dict(inputs),
        "inputs_truncated": False,
        "process_data": {},
        "process_data_truncated": False,
        "outputs": dict(outputs),
        "outputs_truncated": False,
        "status": status,
        "error": error,
        "elapsed_time": round(at - since, 6),
        "execution_metadata": covered,
        "created_at": int(since),
        "finished_at": int(at),
        "files": [],
        "iteration_id": None,
        "loop_id": None,
    }
    return event(run, "node_retry" if status == "retry" else "node_finished", data)


def finished(run: Run, at: float, *, status: str, outputs: Mapping[str, Any], error: str | None) -> Json:
    """``workflow_finished``."""
    data = {
        "id": run.id,
        "workflow_id": run.app.workflow_id,
        "status": status,
        "outputs": dict(outputs),
        "error": error,
        "elapsed_time": round(at - run.created_at, 6),
        "total_tokens": run.tokens,
        "total_steps": run.steps,
        "created_by": {"id": run.app.end_user(run.user), "user": run.user},
        "created_at": int(run.created_at),
        "finished_at": whole(at),
        "exceptions_count": run.exceptions,
        "files": _files(outputs),
    }
    return event(run, "workflow_finished", data)


def refused(run: Run, at: float, error: str) -> list[Json]:
    """The stream of a run whose inputs Dify rejects: its id never exists."""
    ids = {"task_id": run.task_id, "workflow_run_id": run.task_id}
    about = {"id": run.task_id, "workflow_id": run.app.workflow_id}
    start = {**about, "inputs": {}, "created_at": int(at), "reason": "initial"}
    end: Json = {
        **about,
        "status": "failed",
        "outputs": None,
        "error": error,
        "elapsed_time": 0.0,
        "total_tokens": 0,
        "total_steps": 0,
        "created_by": {},
        "created_at": int(at),
        "finished_at": int(at),
        "exceptions_count": 1,
        "files": [],
    }
    return [{"event": "workflow_started", **ids, "data": start}, {"event": "workflow_finished", **ids, "data": end}]


def text_chunks(run: Run, outputs: Mapping[str, Any]) -> Iterator[Json]:
    """The outputs as text: each in a separate chunk, with line breaks in between."""
    for index, (name, value) in enumerate(outputs.items()):
        if index:
            yield event(run, "text_chunk", {"text": "\n", "from_variable_selector": ["end", "answer"]})
        yield event(run, "text_chunk", {"text": _as_text(value), "from_variable_selector": ["end", name]})


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and "filename" in value:
        return f"[{value['filename']}]({value.get('url', '')})"
    return value if isinstance(value, str) else json.dumps(value)


def _files(outputs: Mapping[str, Any]) -> list[Any]:
    """The files among the outputs."""
    values = [one for value in outputs.values() for one in (value if isinstance(value, list) else [value])]
    return [one for one in values if isinstance(one, dict) and "dify_model_identity" in one]


def form_required(run: Run, form: Json, node: Node) -> Json:
    """``human_input_required``."""
    about = {"form_id": form["form_id"], "node_id": node.name, "node_title": node.name.title()}
    rest = {name: value for name, value in form.items() if name not in ("TYPE", "form_id", "node_id", "node_title")}
    return event(run, "human_input_required", {**about, **rest, "display_in_ui": True})


def paused(run: Run, form: Json, node: Node, *, elapsed: float) -> Json:
    """``workflow_paused``."""
    data = {
        "workflow_run_id": run.id,
        "paused_nodes": [node.name],
        "outputs": {},
        "reasons": [form],
        "status": "paused",
        "created_at": int(run.created_at),
        "elapsed_time": elapsed,
        "total_tokens": run.tokens,
        "total_steps": run.steps,
    }
    return event(run, "workflow_paused", data)


def snapshot(run: Run) -> list[Json]:
    """What ``include_state_snapshot`` sends first: the events so far."""
    kept = ("workflow_started", "node_started", "node_finished", "human_input_required", "workflow_paused")
    found = [_in_short(run, one.body) for one in run.events if one.body["event"] in kept]
    if run.form is not None and run.status == "paused":
        at = run.events[-1].at
        waiting = node_finished(run, run.form.node, at, since=at, inputs={}, outputs={}, status="paused")
        found.insert(-2, _in_short(run, waiting))
    return found


def _in_short(run: Run, body: Json) -> Json:
    """An event as in a snapshot: nodes say less, and the start has its time."""
    left_out = ("inputs_truncated", "outputs_truncated", "process_data_truncated", "agent_strategy")
    data = {name: value for name, value in body["data"].items() if name not in left_out}
    if body["event"] == "workflow_started":
        data["inputs"] = with_timestamp(run)
    return {**body, "data": data}


def with_timestamp(run: Run) -> Json:
    """The inputs as in the row of a workflow run: with the time, which the events lack."""
    found: Json = {}
    for name, value in run.sent_inputs.items():
        if name == "sys.workflow_id" and run.message is None:
            found["sys.timestamp"] = int(run.created_at)
        found[name] = value
    return found
