"""What a response must have in common with the recorded one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.contract.recordings import UUID, Record


@dataclass(frozen=True)
class Answer:
    """A current response. ``status`` is ``None`` if there was none."""

    status: int | None
    headers: Mapping[str, str]
    body: str

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def differences(record: Record, answer: Answer, ids: Mapping[str, str]) -> Iterator[str]:
    """Everything that differs from the recording: status, code, message, headers, shape of the body."""
    if answer.status != record.status:
        yield f"status {answer.status}, not {record.status}: {answer.body[:200]}"
        return
    if record.response is None or record.status is None:
        return
    before = {name.lower(): value for name, value in record.response["headers"].items()}
    for name in ("x-version", "x-env", "www-authenticate", "allow", "location"):
        if (name in before) != (name in answer.headers):
            yield f"header {name} is {'missing' if name in before else 'too much'}"
    if before.get("content-type") != answer.headers.get("content-type"):
        yield f"content type {answer.headers.get('content-type')}, not {before.get('content-type')}"
    if record.answer.startswith("<"):
        yield from _page_differences(record.answer, answer.body)
    elif not record.is_cut:
        yield from _json_differences(translated(record.answer, ids), answer)


def translated(text: str, ids: Mapping[str, str]) -> str:
    """A recorded text with the ids that hold now."""
    for old, new in ids.items():
        text = text.replace(old, new)
    return text


def _page_differences(before: str, now: str) -> Iterator[str]:
    titles = [re.findall(r"<title>.*?</title>", text) for text in (before, now)]
    if titles[0] != titles[1]:
        yield f"page {titles[1]}, not {titles[0]}"


def _json_differences(before: str, answer: Answer) -> Iterator[str]:
    if not before.strip():
        if answer.body.strip():
            yield f"a body where there was none: {answer.body[:100]}"
        return
    old, new = json.loads(before), answer.json()
    yield from shape_differences(old, new, "$")
    if isinstance(old, dict) and isinstance(new, dict) and answer.status is not None and answer.status >= 400:
        for name in ("code", "message", "status"):
            if old.get(name) != new.get(name):
                yield f"{name} {new.get(name)!r}, not {old.get(name)!r}"


def shape_differences(old: Any, new: Any, where: str) -> Iterator[str]:
    """Keys and JSON types, recursively; null matches anything."""
    if old is None or new is None:
        return
    if _kind(old) != _kind(new):
        yield f"{where}: {_kind(new)}, not {_kind(old)}"
    elif isinstance(old, dict):
        for name in old.keys() ^ new.keys():
            yield f"{where}.{name} is {'missing' if name in old else 'too much'}"
        for name in old.keys() & new.keys():
            yield from shape_differences(old[name], new[name], f"{where}.{name}")
    elif isinstance(old, list) and old:
        for index, value in enumerate(new):
            yield from shape_differences(old[min(index, len(old) - 1)], value, f"{where}[{index}]")


def _kind(value: Any) -> str:
    """JSON's name of a type; JSON has one kind of number."""
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def page_differences(record: Record, answer: Answer) -> Iterator[str]:
    """For a list of documents: the same documents in the same order, and the same words about the page."""
    old, new = record.answer_json(), answer.json()
    if not (isinstance(old, dict) and isinstance(new, dict) and "has_more" in old):
        return
    for name in ("has_more", "limit", "total", "page"):
        if old[name] != new[name]:
            yield f"{name} {new[name]}, not {old[name]}"
    names = [[one.get("name") for one in body["data"]] for body in (old, new)]
    if names[0] != names[1]:
        yield f"documents {names[1]}, not {names[0]}"


def document_differences(record: Record, answer: Answer) -> Iterator[str]:
    """For one document at rest: the same state."""
    old, new = record.answer_json(), answer.json()
    if not (isinstance(old, dict) and isinstance(new, dict) and "display_status" in old):
        return
    for name in ("name", "enabled", "archived", "indexing_status", "display_status", "error"):
        if _without_paths(old[name]) != _without_paths(new.get(name)):
            yield f"{name} {new.get(name)!r}, not {old[name]!r}"


def _without_paths(value: Any) -> Any:
    """A text without the names of temporary files and ids, which are different each time."""
    return re.sub(rf"/tmp/\w+/\w+|embedding_vector_index_\w+|{UUID}", "", value) if isinstance(value, str) else value


def search_differences(record: Record, answer: Answer) -> Iterator[str]:
    """For a search: the same documents, in whatever order."""
    old, new = record.answer_json(), answer.json()
    if not (isinstance(old, dict) and isinstance(new, dict) and "records" in old):
        return
    found = [sorted(one["segment"]["document"]["name"] for one in body.get("records", ())) for body in (old, new)]
    if found[0] != found[1]:
        yield f"found {found[1]}, not {found[0]}"


def segment_differences(record: Record, answer: Answer) -> Iterator[str]:
    """For segments: the same texts in the same order, enabled or not."""
    old, new = record.answer_json(), answer.json()
    if not (isinstance(old, dict) and isinstance(new, dict) and isinstance(old.get("data"), list)):
        return
    seen = [[(one["content"], one["enabled"]) for one in body.get("data", ())] for body in (old, new)]
    if seen[0] != seen[1]:
        yield f"segments {seen[1]}, not {seen[0]}"
    if old.get("total") != new.get("total"):
        yield f"{new.get('total')} segments, not {old.get('total')}"
