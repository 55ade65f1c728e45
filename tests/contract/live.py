"""The part of the recordings that needs no forced state, played against any Dify by its URL and key.

It creates its own knowledge bases and deletes them.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tests.contract import compare, recordings
from tests.contract.recordings import UUID, Record, recorded
from tests.contract.replay import Wire

#: Files, and those of their cases that only need a knowledge base with a few documents.
CASES = {
    "03_batches": r"",
    "04_actions_ids_auth": r"^action |action with unknown id|^no action|dataset|slash|prefix|wrong key|bearer|Bearer"
    r"|Basic|two spaces|trailing space|X-Api-Key|in the query",
    "05_list_documents": r"setup|page=(-1|abc|99999)|limit=(|abc|1\.5|0|-1)$|bad metadata|unknown uuid|non-uuid"
    r"|foo=bar|one dataset",
    "07_create_update_delete": r"^setup|no name|body not JSON|empty JSON|unknown dataset|DELETE unknown|41 chars"
    r"|create-by-file (unsupported|no extension|jpg|no file|two files|name with slash|JSON body)",
    "09_metadata": r"^list metadata fields \(none\)|^create field|^rename|^built-in (fields|bogus)|empty (list|body)"
    r"|^delete unknown field",
    # A high-quality knowledge base, with the workspace's own embedding model.
    "25_retrieve_high_quality": r"^setup|^create |^query alone|^full text|threshold|^query of 251|^empty query",
    "35_metadata_fields": r"^setup|^rename|^list",
}
NOT_HERE = r"enable_api"
#: Seconds that a short text may take to be indexed.
PATIENCE = 60.0


class Live:
    """One run against one server."""

    def __init__(self, base_url: str, key: str) -> None:
        self.wire = Wire(base_url)
        self.key = key
        self.ids: dict[str, str] = {}
        self.made: list[str] = []
        self.problems: list[str] = []
        self.sent = 0

    def play(self, version: str) -> None:
        """Play all cases; knowledge bases are gone afterwards, whatever happens."""
        try:
            for file in files(version):
                self.ids.clear()
                for record in cases(version, file):
                    self._play(record)
        finally:
            for dataset_id in self.made:
                self._call("DELETE", f"/v1/datasets/{dataset_id}")
            self.wire.close()

    def _play(self, record: Record) -> None:
        self._prepare(record)
        path, body = compare.translated(record.path, self.ids), compare.translated(record.body, self.ids)
        if record.case == "setup create dataset":
            technique = json.loads(record.body)["indexing_technique"]
            body = json.dumps({"name": f"contract-{uuid.uuid4().hex[:8]}", "indexing_technique": technique})
        headers = {
            name: value.replace("dataset-REDACTED", self.key)
            for name, value in (record.request or {})["headers"].items()
        }
        if path.endswith("/retrieve"):
            self._wait_until_indexed(path.removesuffix("/retrieve"))
        answer = self.wire.send(record.method, path, headers, body.encode() or None)
        self.sent += 1
        if record.method == "POST" and answer.status in (200, 201) and "id" in (record.answer_json() or {}):
            self._learn(record.answer_json()["id"], answer.json()["id"])
            if record.path == "/v1/datasets":
                self.made.append(answer.json()["id"])
        self.problems += [f"{record}: {text}" for text in compare.differences(record, answer, self.ids)]

    def _wait_until_indexed(self, dataset: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while any(one["indexing_status"] != "completed" for one in self._call("GET", f"{dataset}/documents")["data"]):
            assert time.monotonic() < deadline, f"the documents were not indexed within {PATIENCE:g} s"
            time.sleep(0.1)

    def _learn(self, old: str, new: str) -> None:
        self.ids[old] = new
        self.ids[old.upper()] = new.upper()

    def _prepare(self, record: Record) -> None:
        """Create the knowledge base, if the recording took it from elsewhere, and healthy documents that are named."""
        dataset_id = record.dataset_id
        if dataset_id is None or "unknown dataset" in record.case:
            return
        known = dataset_id.lower()
        if known not in self.ids:
            body = {"name": f"contract-{uuid.uuid4().hex[:8]}", "indexing_technique": "economy"}
            self._learn(known, self._call("POST", "/v1/datasets", body)["id"])
            self.made.append(self.ids[known])
        if "unknown" in record.case:
            return
        in_path = re.findall(rf"/documents/({UUID})", record.path)
        for document_id in {one.lower() for one in [*record.document_ids, *in_path]}:
            self._learn(document_id, self._document(self.ids[known], f"d-{document_id[:8]}"))

    def _document(self, dataset_id: str, name: str) -> str:
        """An indexed and enabled document: an enabled one with the same name is replaced, others stay."""
        body = {
            "name": name,
            "text": "The quick brown fox jumps over the lazy dog.",
            "indexing_technique": "economy",
            "process_rule": {"mode": "automatic"},
        }
        made = str(self._call("POST", f"/v1/datasets/{dataset_id}/document/create-by-text", body)["document"]["id"])
        path, deadline = f"/v1/datasets/{dataset_id}/documents/{made}", time.monotonic() + PATIENCE
        while self._call("GET", path)["indexing_status"] != "completed":
            assert time.monotonic() < deadline, f"the text {name} was not indexed within {PATIENCE:g} s"
            time.sleep(0.02)
        return made

    def _call(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        answer = self.wire.send(method, path, headers, sent)
        assert answer.status is not None, f"no answer from {path}"
        assert answer.status < 300, answer.body
        return answer.json()


def files(version: str) -> list[str]:
    """The files of a version that exist and are played."""
    return [file for file in CASES if file in recordings.files(version)]


def recorded_version(base_url: str) -> str:
    """The newest recorded version that is not newer than the server; the oldest one if it is older than all."""
    wire = Wire(base_url)
    answer = wire.send("GET", "/v1/datasets", {}, None)
    wire.close()
    number = _number(answer.headers.get("x-version", ""))
    known = sorted(recordings.VERSIONS, key=_number)
    return next((one for one in reversed(known) if _number(one) <= number), known[0])


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def cases(version: str, file: str) -> Iterator[Record]:
    """The part of a file that is played."""
    for record in recorded(version, file):
        if record.is_exchange and re.search(CASES[file], record.case) and not re.search(NOT_HERE, record.case):
            yield record
