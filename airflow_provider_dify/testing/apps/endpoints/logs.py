"""``GET /workflows/logs``: the only way to find a run whose response was lost (1.16.0, file 45)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import datetime, timezone

from airflow_provider_dify.testing.api.call import UUID
from airflow_provider_dify.testing.api.replies import Complaint, InternalError, InvalidParamError, Json, Outcome, Reply
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.endpoints.asking import Asked
from airflow_provider_dify.testing.apps.run import Run

#: How many characters of a keyword count.
_KEYWORD = 30
_STATUSES = ("succeeded", "failed", "stopped")
_LIMITS = {"page": (1, 99999, 1), "limit": (1, 100, 20)}


def list_logs(asked: Asked) -> Outcome:
    """The runs of a workflow, newest first. Runs in the queue have no row yet; other kinds of apps never have any."""
    query = asked.query
    page, limit = _checked_numbers(asked)
    if query.get("created_by_account"):
        raise InvalidParamError(f"Account not found: {query['created_by_account']}")
    user, keyword = query.get("created_by_end_user_session_id"), query.get("keyword")
    if user and keyword:
        raise InternalError
    runs = asked.app.runs if asked.app.mode == "workflow" else []
    found = [run for run in runs if _fits(run, query)]
    if user:
        found = [run for run in found if run.user == user]
    if keyword:
        found = [run for run in found if _holds(run, keyword)]
    shown = _sorted(found, page, limit)[(page - 1) * limit : page * limit]
    more = page * limit < len(found)
    data = [_row(asked.app, run) for run in shown]
    return Reply(200, {"page": page, "limit": limit, "total": len(found), "has_more": more, "data": data})


def _checked_numbers(asked: Asked) -> list[int]:
    """Page and limit. The status is checked as well."""
    complaints: list[Complaint] = []
    status = asked.query.get("status")
    if status is not None and status not in _STATUSES:
        text = "Input should be 'succeeded', 'failed' or 'stopped'"
        complaints.append(Complaint("status", text, "literal_error", status))
    numbers = []
    for name, (least, most, usual) in _LIMITS.items():
        given = asked.query.get(name)
        complaints += [] if given is None else _number_complaints(name, given, least, most)
        numbers.append(usual if given is None or complaints else int(given))
    asked.complain("WorkflowLogQuery", *complaints)
    return numbers


def _number_complaints(name: str, given: str, least: int, most: int) -> Iterator[Complaint]:
    if not re.fullmatch(r"\s*[+-]?\d+\s*", given):
        text = "Input should be a valid integer, unable to parse string as an integer"
        yield Complaint(name, text, "int_parsing", given)
    elif int(given) < least:
        yield Complaint(name, f"Input should be greater than or equal to {least}", "greater_than_equal", given)
    elif int(given) > most:
        yield Complaint(name, f"Input should be less than or equal to {most}", "less_than_equal", given)


def _fits(run: Run, query: dict[str, str]) -> bool:
    """Whether status and time match."""
    after, before = (query.get(f"created_at__{name}") for name in ("after", "before"))
    if after and run.created_at < _time(after):
        return False
    if before and run.created_at > _time(before):
        return False
    return query.get("status") in (None, run.status)


def _time(text: str) -> float:
    """A time in ISO 8601; without an offset it is UTC.

    :raises InvalidParamError: with the message of Dify's parser.
    """
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InvalidParamError(_time_error(text)) from None
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp()


def _time_error(text: str) -> str:
    if not text[:4].isdigit():
        return f"invalid literal for int() with base 10: {text[:4].encode()!r}"
    return "ISO time too short" if "T" not in text else "Unused components in ISO string"


def _holds(run: Run, keyword: str) -> bool:
    """Whether a keyword is the id of a run, or part of its user, inputs or outputs.

    They are stored as JSON with escapes, so only ASCII is found.
    """
    if re.fullmatch(UUID, keyword):
        return run.id == keyword.lower()
    wanted = keyword[:_KEYWORD].lower()
    if not wanted.isascii():
        return False
    return any(wanted in text.lower() for text in (run.user, json.dumps(run.sent_inputs), json.dumps(run.outputs)))


def _sorted(runs: list[Run], page: int, limit: int) -> list[Run]:
    """Newest first. Runs of the same second are ordered differently on every page: some come twice, some never."""
    luck = random.Random(f"{page} of {limit}")
    mixed = sorted(runs, key=lambda run: run.id)
    luck.shuffle(mixed)
    return sorted(mixed, key=lambda run: -int(run.created_at))


def _row(app: App, run: Run) -> Json:
    over = run.ended or run.status == "paused"
    about = {
        "id": run.id,
        "version": app.version,
        "status": run.status,
        "triggered_from": "app-run",
        "error": run.error,
        "elapsed_time": run.elapsed,
        "total_tokens": run.tokens if over else 0,
        "total_steps": run.steps if over else 0,
        "created_at": int(run.created_at),
        "finished_at": None if run.finished_at is None else int(run.finished_at),
        "exceptions_count": run.exceptions if over else 0,
    }
    user = {"id": app.end_user(run.user), "type": "service-api", "is_anonymous": False, "session_id": run.user}
    return {
        "id": run.log_id,
        "workflow_run": about,
        "details": None,
        "created_from": "service-api",
        "created_by_role": "end_user",
        "created_by_account": None,
        "created_by_end_user": user,
        "created_at": int(run.created_at),
    }
