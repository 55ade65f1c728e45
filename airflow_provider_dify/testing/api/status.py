"""``PATCH /datasets/{dataset_id}/documents/status/{action}``: all or nothing, and search follows later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_dify.testing.api.call import Call, route
from airflow_provider_dify.testing.api.replies import ApiError, InternalError, InvalidParamError, Reply
from airflow_provider_dify.testing.model.documents import Dataset
from airflow_provider_dify.testing.model.rows import Row, parse_document_id
from airflow_provider_dify.testing.work.worker import Change

SUCCESS = {"result": "success"}


@dataclass(frozen=True)
class Action:
    """What an action does to one document.

    :param applies: Whether it changes anything.
    :param apply: Sets the flags; the time is in seconds since 1970.
    :param job: What to do in the search index; ``None``: nothing.
    """

    applies: Callable[[Row], bool]
    apply: Callable[[Row, float], None]
    job: Callable[[Row], Change | None]


def _set_enabled(document: Row, at: float) -> None:
    document.enabled = True
    document.disabled_at = None
    document.touch(at)


def _set_disabled(document: Row, at: float) -> None:
    document.enabled = False
    document.disabled_at = at
    document.touch(at)


def _set_archived(document: Row, at: float) -> None:
    document.archived = True
    document.touch(at)


def _set_unarchived(document: Row, at: float) -> None:
    document.archived = False
    document.touch(at)


#: ``archived`` and ``enabled`` are independent: enabling an archived document puts it into search.
ACTIONS = {
    "enable": Action(lambda one: not one.enabled, _set_enabled, lambda _: "add"),
    "disable": Action(lambda one: one.enabled, _set_disabled, lambda _: "remove"),
    "archive": Action(lambda one: not one.archived, _set_archived, lambda one: "remove" if one.enabled else None),
    "un_archive": Action(lambda one: one.archived, _set_unarchived, lambda one: "add" if one.enabled else None),
}


def change_status(call: Call) -> Reply:
    """Handle the request, with Dify's checks in Dify's order."""
    dataset = call.dataset
    if not dataset.embedding_available:
        text = "No Embedding Model available. Please configure a valid provider in the Settings -> Model Provider."
        raise InvalidParamError(text)
    body = call.json()
    if not isinstance(body, dict):
        raise InternalError(cost="refused", size=1)
    ids = body.get("document_ids")
    if not ids:
        # Before the action is checked.
        return Reply(200, SUCCESS, cost="nothing", size=1)
    action = ACTIONS.get(call.parts["action"])
    if action is None:
        names = list(ACTIONS)
        text = f"Invalid action: {call.parts['action']}. Must be one of {names}"
        raise ApiError(400, "invalid_action", text, cost="refused", size=1)
    if not isinstance(ids, (list, dict, str)):
        raise InternalError(cost="refused", size=1)
    named = _checked(dataset, call.parts["action"], list(ids))
    to_change = [document for document in named if action.applies(document)]
    if not to_change:
        return Reply(200, SUCCESS, cost="nothing", size=len(ids))
    return _apply(call, action, to_change, len(ids))


def _checked(dataset: Dataset, action: str, ids: list[Any]) -> list[Row]:
    """The requested documents, one by one; the first that must not be changed causes an error for all."""
    size, found = len(ids), []
    now = dataset.world.clock.monotonic()
    for value in ids:
        if not value:
            continue
        try:
            document = dataset.get(parse_document_id(value))
        except ValueError:
            raise InternalError(cost="refused", size=size) from None
        if document is None:
            continue
        # The lock is checked before the question whether anything changes.
        if document.lock_until > now:
            text = f"Document:{document.name} is being indexed, please try again later"
            raise ApiError(400, "invalid_action", text, cost="refused", size=size)
        if action == "disable" and document.indexing_status != "completed":
            text = f"Document: {document.name} is not completed."
            raise ApiError(400, "invalid_action", text, cost="refused", size=size)
        found.append(document)
    return found


def _apply(call: Call, action: Action, documents: list[Row], size: int) -> Reply:
    """Change the flags, then queue the jobs: a repeated id gets two of them."""
    world = call.world
    at = world.clock.time()
    jobs = [(document, action.job(document)) for document in documents]
    for document in documents:
        action.apply(document, at)
    queued = [one for one in jobs if one[1] is not None]
    error = world.broker.dispatch(
        jobs, new_connection=call.new_connection, alone=len(queued) == 1, among=len(call.dataset)
    )
    if error is not None:
        # The flags are in the database anyway, and search will never follow.
        refused = 0 if world.broker.full else len(queued)
        return replace(InternalError(cost="changed", size=size).reply(), refused_jobs=refused)
    return Reply(200, SUCCESS, cost="changed", size=size)


ROUTES = [route("/datasets/{dataset}/documents/status/{action}", patch=change_status)]
