"""Workflows: start, show, follow and stop a run."""

from __future__ import annotations

import json
import re

from airflow_provider_dify.testing.api.call import UUID
from airflow_provider_dify.testing.api.replies import (
    ApiError,
    InternalError,
    InvalidParamError,
    Json,
    NotFoundError,
    Outcome,
    Reply,
)
from airflow_provider_dify.testing.apps import events
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.endpoints.asking import Asked, check_limit, only_for, payload_complaints
from airflow_provider_dify.testing.apps.run import Run
from airflow_provider_dify.testing.apps.streams import RunReply, RunStream

JSON_TYPE = "application/json; charset=utf-8"
EVENTS_TYPE = "text/event-stream; charset=utf-8"
SUCCESS: Json = {"result": "success"}

_NOT_WORKFLOW = "not_workflow_app"


def run_workflow(asked: Asked) -> Outcome:
    """``POST /workflows/run`` and ``/workflows/{workflow_id}/run``."""
    app, body, user = asked.app, asked.body, asked.user
    only_for(app, "workflow", code=_NOT_WORKFLOW)
    asked.complain("WorkflowRunPayload", *payload_complaints(body, needs=("inputs",)))
    workflow_id = asked.call.parts.get("workflow")
    if workflow_id is not None:
        _check_workflow(app, workflow_id)
    blocking = body.get("response_mode") != "streaming"
    check_published(app)
    check_limit(app, blocking=blocking)
    run = accepted(asked, body, user, blocking=blocking, refuses_at_once=blocking)
    app.engine.submit(run)
    return RunReply(run, _blocking_answer) if blocking else RunStream(run)


def _check_workflow(app: App, workflow_id: str) -> None:
    if not re.fullmatch(UUID, workflow_id):
        raise ApiError(400, "bad_request", f"Invalid workflow_id format: '{workflow_id}'. ")
    if workflow_id.lower() != app.workflow_id:
        raise NotFoundError(f"Workflow not found with id: {workflow_id}")


def check_published(app: App) -> None:
    """Raise an error if the app only exists in the editor."""
    if not app.published:
        raise InvalidParamError("Workflow not published")


def accepted(asked: Asked, body: Json, user: str, *, blocking: bool, refuses_at_once: bool) -> Run:
    """The run for a request.

    :param refuses_at_once: Whether the API checks the inputs, instead of the worker, which reports errors in the
        stream.
    """
    app, owner, refusal, inputs = asked.app, asked.app.end_user(user), None, {}
    try:
        inputs = app.form.checked(body["inputs"], lambda value, kinds: asked.files.read(value, kinds, owner))
    except InvalidParamError as error:
        if refuses_at_once:
            raise
        refusal = error.message
    return Run(app, user=user, inputs=inputs, blocking=blocking, refusal=refusal)


def _blocking_answer(run: Run) -> Reply:
    """The content of the last event, in another form."""
    last = run.events[-1].body["data"]
    left_out = {"workflow_run_id", "created_by", "exceptions_count", "files"}
    data: Json = {"id": run.id, "workflow_id": run.app.workflow_id}
    data |= {name: value for name, value in last.items() if name not in left_out}
    if run.status == "paused":
        data |= {"error": None, "finished_at": None}
    body = {"task_id": run.task_id, "workflow_run_id": run.id, "data": data}
    return Reply(200, json.dumps(body), content_type=JSON_TYPE)


def get_run(asked: Asked) -> Outcome:
    """``GET /workflows/run/{workflow_run_id}``: any key of the app may ask for any user's run."""
    only_for(asked.app, "workflow", "advanced-chat", code=_NOT_WORKFLOW)
    run_id = asked.call.parts["run"]
    if not re.fullmatch(UUID, run_id):
        raise InternalError
    run = asked.app.run_of(run_id.lower())
    if run is None:
        raise NotFoundError("Workflow run not found.")
    over = run.ended or run.status == "paused"
    body = {
        "id": run.id,
        "workflow_id": run.app.workflow_id,
        "status": run.status,
        "inputs": json.dumps(events.with_timestamp(run)),
        "outputs": run.outputs,
        "error": run.error,
        "total_steps": run.steps if over else 0,
        "total_tokens": run.tokens if over else 0,
        "created_at": int(run.created_at),
        "finished_at": None if run.finished_at is None else int(run.finished_at),
        "elapsed_time": run.elapsed,
    }
    return Reply(200, body)


def stop_run(asked: Asked) -> Outcome:
    """``POST /workflows/tasks/{task_id}/stop``: success, whatever the id. The run may belong to another app or user."""
    user = asked.user
    only_for(asked.app, "workflow", code=_NOT_WORKFLOW)
    asked.app.engine.stop(asked.call.parts["task"], user)
    return Reply(200, SUCCESS)


def follow_run(asked: Asked) -> Outcome:
    """``GET /workflow/{workflow_run_id}/events``."""
    only_for(asked.app, "workflow", "advanced-chat", code=_NOT_WORKFLOW)
    run = asked.app.run_of(asked.call.parts["run"].lower())
    if run is None or run.user != asked.user_of_query:
        raise NotFoundError("Workflow run not found")
    if run.ended:
        text = f"data: {json.dumps(_last_event(run))}\n\n"
        return Reply(200, text, content_type=EVENTS_TYPE, headers={"Cache-Control": "no-cache"})
    with_snapshot = asked.query.get("include_state_snapshot", "").lower() == "true"
    return RunStream(run, live=True, with_snapshot=with_snapshot)


def _last_event(run: Run) -> Json:
    """The end of a run as in its row."""
    at = run.finished_at or run.created_at
    body = events.finished(run, at, status=run.status, outputs=run.outputs, error=run.error)
    return {**body, "task_id": run.id}
