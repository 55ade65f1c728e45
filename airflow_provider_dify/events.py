"""What an asset's event says of a change of documents, and how to take such a change back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_provider_dify import DEFAULT_CONN_ID, REPORT_KEY
from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.flow import JSON

#: An event names the changed documents up to so many; beyond that, the report has them.
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
    """Return what an asset's event says of a change, as plain JSON.

    Operators attach it to the events of their ``outlets``. Call it yourself to tell of a task that failed and has
    changed some documents all the same, for which Airflow makes no event: its report is in XCom.

    :param report: Report of the task.
    :param action: What was done; the report's own by default.
    :param changed: UUIDs of the documents that were changed; the report's ``changed`` by default.
    :param dify_conn_id: Id of the Airflow Connection by which they were changed.
    :return: ``dify_conn_id``, ``dataset_id``, ``action``, ``counts`` by outcome, and ``changed``: the UUIDs, or
        ``None`` where there are more than 1,000.
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
    """Return ids as an event names them: ``None`` where they are too many, as a part of them could pass for all."""
    return list(ids) if len(ids) <= MAX_IDS else None


def origin(context: Mapping[str, Any], dataset_id: str) -> dict[str, Any]:
    """Return what an asset's event says of the task that made it.

    :param context: Context of the task.
    :param dataset_id: The knowledge base that it changed.
    :return: ``report``: where the task's report is in XCom; ``try_number``; ``in_answer_to``: the actions of those
        events of the same knowledge base that started the task's run.
    """
    task = context["ti"]
    answered = [extra for extra in _newest_first(triggering_events(context)) if extra.get("dataset_id") == dataset_id]
    return {
        "report": {**{name: getattr(task, name) for name in _TASK}, "key": REPORT_KEY},
        "try_number": task.try_number,
        "in_answer_to": list(dict.fromkeys(extra["action"] for extra in answered if "action" in extra)),
    }


def triggering_events(context: Mapping[str, Any]) -> Any:
    """Return the events that started the run of a task, under the name that this Airflow has for them.

    :param context: Context of the task.
    :return: Sequences of events, by asset; nothing where no event started it.
    """
    return context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}


def rollbacks(events: Any) -> list[dict[str, Any]]:
    """Return what takes changes of status back: arguments of a DifyDocumentStatusOperator for each, newest first.

    Expand the operator over them (``.partial(task_id=..., max_active_tis_per_dagrun=1).expand_kwargs(...)``), one after
    the other, as a later change has to be taken back before an earlier one.

    Left out are changes that have no opposite (documents were made, deleted, or given metadata), those that changed
    no document, and those that themselves took back what an event told of. Otherwise a rollback that has outlets, too,
    would be taken back, and that again, for ever.

    :param events: What :func:`triggering_events` returns, a list of events, the ``extra`` of an event, or a list of
        such.
    :return: Mappings with ``dify_conn_id``, ``dataset_id``, ``action`` and ``document_ids``.
    :raises DifyInputError: An event is of so many documents that its report is needed, which is not in XCom any more.
    """
    found: dict[str, dict[str, Any]] = {}
    for extra in _newest_first(events):
        action = extra.get("action")
        if action not in _ACTIONS:
            continue
        opposite = Action(action).opposite.value
        document_ids = [] if opposite in extra.get("in_answer_to", ()) else _changed(extra)
        if document_ids:
            # A task with several assets makes several events of one change; when it runs again, of another one.
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
    """Return the same without lists and mappings, which Airflow 2 does not bear in the events of an alias."""
    import json

    return {
        name: json.dumps(value) if isinstance(value, (list, dict)) else value
        for name, value in extra.items()
        if value is not None
    }


def _newest_first(events: Any) -> Iterator[dict[str, Any]]:
    # Not any mapping: what Airflow 3 gives takes no key but an asset.
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
    # A later try has put its own report there.
    if not report or len(report["changed"]) != extra["counts"]["changed"]:
        raise DifyInputError(
            f"The event is about more than {MAX_IDS:,} documents, so it does not name them. The report that does "
            f"is no longer in XCom: {inputs.show(dict(place))}."
        )
    return list(report["changed"])


def as_event(manifest: dict[str, JSON]) -> dict[str, JSON] | None:
    """Return a manifest if the event of an asset can hold it: of many documents, the event says where it is."""
    return manifest if len(manifest["previous"]) <= MAX_IDS else None
