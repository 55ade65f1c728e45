"""What the hooks for apps request: arguments of users are checked here, for both."""

from __future__ import annotations

from typing import Any

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps import api
from airflow_provider_dify.knowledge.apps.api import AppRun, ChatRow, LogRow
from airflow_provider_dify.knowledge.apps.stopping import stopped
from airflow_provider_dify.knowledge.apps.tries import checked_user
from airflow_provider_dify.knowledge.flow import Flow


def conversations(user: object, limit: object) -> Flow[tuple[dict[str, Any], ...]]:
    """List the conversations of a user."""
    return api.conversations_of(checked_user(user), limit=inputs.whole_number(limit, "limit"))


def messages(conversation_id: object, user: object, limit: object) -> Flow[tuple[ChatRow, ...]]:
    """List the messages of a conversation."""
    known = inputs.canonical_id(conversation_id, "conversation_id")
    return api.messages_of(checked_user(user), known, limit=inputs.whole_number(limit, "limit"))


def run(run_id: object) -> Flow[AppRun]:
    """Read a run."""
    return api.get_run(inputs.canonical_id(run_id, "run_id"))


def runs(user: object, status: object, limit: object) -> Flow[tuple[LogRow, ...]]:
    """List runs."""
    text = inputs.or_none(inputs.text)
    known = None if user is None else checked_user(user)
    return api.runs_of(known, status=text(status, "status"), limit=inputs.whole_number(limit, "limit"))


def stop(run_id: object, user: object, task_id: object) -> Flow[AppRun]:
    """Stop a run."""
    known = "" if task_id in (None, "") else inputs.canonical_id(task_id, "task_id")
    return stopped(inputs.canonical_id(run_id, "run_id"), known, checked_user(user))
