"""What responses about apps must have in common with the recorded ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

from tests.contract.compare import Answer, shape_differences, translated
from tests.contract.recordings import Record

#: What Dify says about a stopped run, in one place or the other.
_STOPPED = (
    "Stopped by user.",
    "Aborted: App task was stopped",
    "Aborted: User requested stop",
    "Aborted: Client response stream closed before app execution completed",
)
#: Pieces of text, which an app may split in any way, and their times.
_PIECES = ("text_chunk", "message")
#: Whether an event came with the snapshot, which says less about nodes, or right after it, was random here.
_BY_CHANCE = r"^U: events"
_NOT_IN_SNAPSHOTS = ("inputs_truncated", "outputs_truncated", "process_data_truncated", "agent_strategy")
#: What the nodes of a recorded workflow did; here they are functions.
_OF_NODES = ("inputs", "outputs", "process_data", "execution_metadata")

Ids = Mapping[str, str]


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stream, without pings."""
    return [json.loads(block.removeprefix("data: ")) for block in text.split("\n\n") if block.startswith("data: ")]


def stream_differences(record: Record, answer: Answer, ids: Ids, *, whole: bool) -> Iterator[str]:
    """For a stream: the same events in the same order, with the same fields and the same end.

    :param whole: Whether it came to its end; otherwise only its beginning is compared.
    """
    if (answer.status, answer.headers.get("content-type")) != (200, "text/event-stream; charset=utf-8"):
        yield f"status {answer.status} and {answer.headers.get('content-type')}: {answer.body[:200]}"
        return
    before = {name.lower() for name in (record.response or {})["headers"]}
    for name in ("x-version", "x-env", "cache-control"):
        if (name in before) != (name in answer.headers):
            yield f"header {name} is {'missing' if name in before else 'too much'}"
    old, new = (events_of(text) for text in (translated(record.answer, ids), answer.body))
    kept = [[one for one in bodies if one["event"] not in _PIECES] for bodies in (old, new)]
    if whole:
        pings = [text.count("event: ping\n\n") for text in (record.answer, answer.body)]
        if pings[0] != pings[1]:
            yield f"{pings[1]} pings, not {pings[0]}"
        yield from _whole_differences(record, *kept)
        yield from _piece_differences(old, new)
    else:
        yield from _first_differences(*kept)


def _whole_differences(record: Record, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    kinds = [[(one["event"], one.get("data", {}).get("node_id")) for one in bodies] for bodies in (old, new)]
    if kinds[0] != kinds[1]:
        yield f"events {kinds[1]}, not {kinds[0]}"
        return
    for before, now in zip(old, new, strict=True):
        if re.search(_BY_CHANCE, record.case):
            for data, name in product((before["data"], now["data"]), _NOT_IN_SNAPSHOTS):
                data.pop(name, None)
        yield from _event_differences(before, now)


def _piece_differences(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    for kind in _PIECES:
        pieces = [[one for one in bodies if one["event"] == kind] for bodies in (old, new)]
        if pieces[0] and pieces[1]:
            yield from _event_differences(pieces[0][0], pieces[1][0])


def _first_differences(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    if old and new and old[0]["event"] == new[0]["event"]:
        yield from _event_differences(old[0], new[0])


def _event_differences(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    where = f"${old['event']}"
    node = old["event"].startswith("node_")
    bodies = [json.loads(json.dumps(one)) for one in (old, new)]
    for body in bodies:
        if node:
            body["data"] |= dict.fromkeys(_OF_NODES)
    yield from shape_differences(bodies[0], bodies[1], where)
    if isinstance(old.get("data"), dict):
        yield from _state_differences(old["data"], new["data"], where)


def _state_differences(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
    """The same status and numbers; the same outputs of a run; the same error, or one of those of a stop."""
    names = ["status", "total_steps", "total_tokens", "exceptions_count", "paused_nodes", "reason"]
    names += ["outputs"] if "workflow_id" in old else []
    for name in names:
        if name in old and not _alike(old[name], new.get(name)):
            yield f"{where}.{name} {new.get(name)!r}, not {old[name]!r}"
    errors = [one.get("error") for one in (old, new)]
    if errors[0] != errors[1] and not set(errors) <= set(_STOPPED) and old.get("status") != "exception":
        yield from _error_differences(errors, where)


def _error_differences(errors: list[Any], where: str) -> Iterator[str]:
    texts = [re.sub(r"\d+\.\d+s", "", str(error)) for error in errors]
    if texts[0] != texts[1]:
        yield f"{where}.error {errors[1]!r}, not {errors[0]!r}"


def _alike(old: Any, new: Any) -> bool:
    """Whether two values are equal; files in them only need the same name."""
    if isinstance(old, dict) and old.get("dify_model_identity"):
        return isinstance(new, dict) and old["filename"] == new.get("filename")
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_alike(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_alike, old, new))
    return bool(old == new)


def run_differences(old: Any, new: Any) -> Iterator[str]:
    """One run, or the answer of a blocking one: the same state."""
    before, now = (one.get("data", one) for one in (old, new))
    yield from _state_differences(before, now, "$")
    if isinstance(before.get("inputs"), str):
        names = [list(json.loads(one["inputs"])) for one in (before, now)]
        if names[0] != names[1]:
            yield f"inputs {names[1]}, not {names[0]}"


def log_differences(old: Any, new: Any) -> Iterator[str]:
    """A page of the log: as many rows, in the same states."""
    for name in ("page", "limit", "has_more"):
        if old[name] != new[name]:
            yield f"{name} {new[name]}, not {old[name]}"
    # Which rows of one second are on which page is chance.
    whole = old["total"] == len(old["data"])
    states = [
        Counter((one["workflow_run"]["status"], _user(one) if whole else "") for one in body["data"])
        for body in (old, new)
    ]
    if states[0] != states[1]:
        yield f"rows {states[1]}, not {states[0]}"


def _user(row: Any) -> str:
    return str(row["created_by_end_user"]["session_id"])


def message_differences(old: Any, new: Any) -> Iterator[str]:
    """Messages: the same questions, in whatever order within a second, in the same states."""
    states = [sorted((one["query"], one["status"], str(one["error"])) for one in body["data"]) for body in (old, new)]
    if states[0] != states[1]:
        yield f"messages {states[1]}, not {states[0]}"
    if old["has_more"] != new["has_more"]:
        yield f"has_more {new['has_more']}"


def conversation_differences(old: Any, new: Any) -> Iterator[str]:
    """Conversations: the same names."""
    names = [sorted(one["name"] for one in body["data"]) for body in (old, new)]
    if names[0] != names[1] or old["has_more"] != new["has_more"]:
        yield f"conversations {names[1]}, not {names[0]}; has_more {new['has_more']}, not {old['has_more']}"


def equal(old: Any, new: Any) -> Iterator[str]:
    """The same in every field."""
    if old != new:
        yield f"{new}, not {old}"


_CHECKS: tuple[tuple[str, str, Callable[[Any, Any], Iterator[str]]], ...] = (
    ("GET", r"/workflows/run/", run_differences),
    ("POST", r"/workflows/.*run$", run_differences),
    ("GET", r"/workflows/logs", log_differences),
    ("GET", r"/messages\?", message_differences),
    ("GET", r"/conversations(\?|$)", conversation_differences),
    ("GET", r"/(info|parameters|site|meta)$", equal),
    ("POST", r"/stop$", equal),
)


def answer_differences(record: Record, answer: Answer, ids: Ids) -> Iterator[str]:
    """What must be as in the recorded response, beyond its shape."""
    if answer.status not in (200, 201) or not record.answer.strip():
        return
    old, new = json.loads(translated(record.answer, ids)), answer.json()
    for method, pattern, check in _CHECKS:
        if record.method == method and re.search(pattern, record.path):
            yield from check(old, new)
