"""The recorded exchanges with a real Dify, stored in ``data/<version>/*.jsonl``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
VERSIONS = ("1.16.0", "1.14.1", "1.12.1")

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_LEFT_OUT = re.compile(r"<(\d+) bytes>")
_CUT = re.compile(r"…\(cut\)$|\.\.\.<\d+ chars>$")


@dataclass(frozen=True)
class Record:
    """One line: an exchange (``request`` and ``response``) or an observation outside of the API."""

    version: str
    file: str
    index: int
    section: str
    case: str
    request: dict[str, Any] | None = None
    response: dict[str, Any] | None = None
    observation: dict[str, Any] | None = None
    #: When it was sent, in seconds since 1970, and how long it took; only of apps.
    at: float = 0.0
    seconds: float = 0.0
    #: How it ended, if the client disconnected or it broke off; only for apps.
    note: str = ""

    def __str__(self) -> str:
        return f"{self.version}/{self.file}[{self.index}] {self.case!r}"

    @property
    def is_exchange(self) -> bool:
        return self.request is not None

    @property
    def method(self) -> str:
        return str(self.request["method"]) if self.request else ""

    @property
    def path(self) -> str:
        return str(self.request["path"]) if self.request else ""

    @property
    def body(self) -> str:
        return str(self.request.get("body") or "") if self.request else ""

    @property
    def body_length(self) -> int | None:
        """Length of a request's body that was left out of the recording."""
        match = _LEFT_OUT.fullmatch(self.body)
        return int(match[1]) if match else None

    @property
    def is_body_cut(self) -> bool:
        """Whether the recording only has the beginning of the request's body."""
        return _CUT.search(self.body) is not None

    @property
    def status(self) -> int | None:
        """Status of the recorded answer; ``None``: there was none."""
        status = self.response["status"] if self.response else None
        return None if status is None else int(status)

    @property
    def answer(self) -> str:
        return str(self.response.get("body") or "") if self.response else ""

    @property
    def is_cut(self) -> bool:
        """Whether the recording only has the beginning of the response."""
        return _CUT.search(self.answer) is not None

    def answer_json(self) -> Any:
        """The recorded response, if it is complete and JSON."""
        try:
            return json.loads(self.answer)
        except ValueError:
            return None

    @property
    def is_stream(self) -> bool:
        """Whether the recorded answer is a stream of events."""
        headers = self.response["headers"] if self.response else {}
        return any("event-stream" in str(value) for value in (headers or {}).values())

    @property
    def dataset_id(self) -> str | None:
        match = re.match(rf"/v1/datasets/({UUID})", self.path)
        return match[1] if match else None

    @property
    def document_ids(self) -> list[str]:
        """The UUIDs in the body."""
        return re.findall(UUID, self.body) if self.method == "PATCH" else []


def recorded(version: str, file: str) -> list[Record]:
    """The lines of one file, in their order."""
    records = []
    for index, line in enumerate((DATA / version / f"{file}.jsonl").read_text().splitlines()):
        fields = json.loads(line)
        timed = {"at": fields.get("at", 0.0), "note": fields.get("note") or ""}
        timed["seconds"] = fields.get("elapsed_ms", 0) / 1000
        known = {name: fields.get(name) for name in ("request", "response", "observation")}
        records.append(Record(version, file, index, fields.get("section", ""), fields["case"], **known, **timed))
    return records


def files(version: str) -> list[str]:
    return sorted(path.stem for path in (DATA / version).glob("*.jsonl"))


@cache
def all_exchanges() -> tuple[Record, ...]:
    return tuple(_exchanges())


def _exchanges() -> Iterator[Record]:
    for version in VERSIONS:
        for file in files(version):
            yield from (record for record in recorded(version, file) if record.is_exchange)
