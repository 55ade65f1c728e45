"""What an asset event says about a change of documents, and how to roll such a change back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_dify import DEFAULT_CONN_ID, REPORT_KEY
from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import JSON

#: Maximum number of changed documents that an event names; the report has all of them.
MAX_IDS = 1000
_ACTIONS = frozenset(action.value for action in Action)
_TASK = ("dag_id", "task_id", "run_id", "map_index")


def event_extra(
    report: Mapping[str, Any],
    *,
    action: str | None = None,
    changed: Sequence[str] | None = None,
    dify_conn_id: str = DEFAULT_CONN_ID,
) -> dict[str, Any]:
    """Return what an asset event says about a change, as plain JSON.

    Operators attach it to the events of their ``outlets``. Airflow creates no event for a failed task. If such a task
    changed documents, call this function yourself: the task's report is in XCom.

    :param report: Report of the task.
    :param action: What was done; by default, as in the report.
    :param changed: UUIDs of the changed documents; by default, the report's ``changed``.
    :param dify_conn_id: Id of the Airflow Connection that was used.
    :return: ``dify_conn_id``, ``dataset_id``, ``action``, ``counts`` by outcome, and ``changed``: the UUIDs, or
        ``None`` if there are more than 1,000.
    """
    ids = report["changed"] if changed is None else changed
    return {
        "dify_conn_id": dify_conn_id,
        "dataset_id": report["dataset_id"],
        "action": action or report["action"],
        "counts": dict(report["counts"]),
        "changed": named(ids),
        **({"dry_run": True} if report.get("dry_run") else {}),
    }


def named(ids: Sequence[str]) -> list[str] | None:
    """Return the ids as an event names them: ``None`` if there are too many, since a part could be taken for all."""
    return list(ids) if len(ids) <= MAX_IDS else None


def origin(context: Mapping[str, Any], dataset_id: str) -> dict[str, Any]:
    """Return what an asset event says about the task that created it.

    :param context: Context of the task.
    :param dataset_id: The knowledge base that it changed.
    :return: ``report``: where the task's report is in XCom; ``try_number``; ``in_answer_to``: the actions of those
        events of the same knowledge base that triggered the task's run.
    """
    task = context["ti"]
    answered = [extra for extra in _newest_first(triggering_events(context)) if extra.get("dataset_id") == dataset_id]
    return {
        "report": {**{name: getattr(task, name) for name in _TASK}, "key": REPORT_KEY},
        "try_number": task.try_number,
        "in_answer_to": list(dict.fromkeys(extra["action"] for extra in answered if "action" in extra)),
    }


def triggering_events(context: Mapping[str, Any]) -> Any:
    """Return the events that triggered the run of a task, for any version of Airflow.

    :param context: Context of the task.
    :return: Sequences of events, by asset; empty if no event triggered the run.
    """
    return context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}


def rollbacks(events: Any) -> list[dict[str, Any]]:
    """Return what rolls status changes back: arguments for a DifyDocumentStatusOperator each, newest first.

    Expand the operator over them, one after the other (``.partial(task_id=...,
    max_active_tis_per_dagrun=1).expand_kwargs(...)``): a later change has to be rolled back before an earlier one.

    Skipped are changes that have no opposite (documents were created, deleted, or got metadata), changes of no
    document, and changes that were rollbacks themselves. Otherwise a rollback that also has outlets would be rolled
    back, and that again, forever.

    :param events: The result of :func:`triggering_events`, a list of events, the ``extra`` of an event, or a list of
        such extras.
    :return: Mappings with ``dify_conn_id``, ``dataset_id``, ``action`` and ``document_ids``.
    :raises DifyInputError: An event does not name all of its documents, and its report is no longer in XCom.
    """
    found: dict[str, dict[str, Any]] = {}
    for extra in _newest_first(events):
        action = extra.get("action")
        if action not in _ACTIONS:
            continue
        opposite = Action(action).opposite.value
        document_ids = [] if opposite in extra.get("in_answer_to", ()) else _changed(extra)
        if document_ids:
            # A task with several assets creates several events of one change; if it runs again, those are of another
            # change.
            change = (extra["report"], extra.get("try_number")) if "report" in extra else len(found)
            found.setdefault(
                str(change),
                {
                    "dify_conn_id": extra.get("dify_conn_id", DEFAULT_CONN_ID),
                    "dataset_id": extra["dataset_id"],
                    "action": opposite,
                    "document_ids": document_ids,
                },
            )
    return list(found.values())


def as_text_and_numbers(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extra without lists and mappings, which Airflow 2 does not support in the events of an alias."""
    import json

    return {
        name: json.dumps(value) if isinstance(value, (list, dict)) else value
        for name, value in extra.items()
        if value is not None
    }


def _newest_first(events: Any) -> Iterator[dict[str, Any]]:
    # Not any mapping: the one of Airflow 3 only accepts assets as keys.
    if isinstance(events, dict) and "dataset_id" in events:  # the extra of one event
        events = [events]
    groups: Iterable[Any] = events.values() if isinstance(events, Mapping) else [events]
    flat = [event for group in groups for event in group]
    if all(hasattr(event, "timestamp") for event in flat):
        flat.sort(key=lambda event: event.timestamp)
    for event in reversed(flat):
        extra = event if isinstance(event, Mapping) else event.extra or {}
        yield {name: inputs.literal(value) for name, value in extra.items()}


def _changed(extra: Mapping[str, Any]) -> list[str]:
    if extra.get("changed") is not None:
        return list(extra["changed"])
    from airflow.providers.common.compat.sdk import XCom

    place = extra.get("report", {})
    report = XCom.get_one(**{name: place.get(name) for name in (*_TASK, "key")})
    # A later try has replaced the report.
    if not report or len(report["changed"]) != extra["counts"]["changed"]:
        raise DifyInputError(
            f"The event is about more than {MAX_IDS:,} documents, so it does not name them. The report that does "
            f"is no longer in XCom: {inputs.show(dict(place))}."
        )
    return list(report["changed"])


def as_event(manifest: dict[str, JSON]) -> dict[str, JSON] | None:
    """Return a manifest if an asset event can contain it. If it has too many documents, the event says where it is."""
    return manifest if len(Fields(manifest).object("previous").values) <= MAX_IDS else None
