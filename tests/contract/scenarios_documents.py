"""The state behind the recordings of lists, creation, indexing and search."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from airflow_provider_dify.testing import Document
from tests.contract.compare import Answer
from tests.contract.recordings import UUID, Record
from tests.contract.replay import Check, Scenario

#: Content of files that the recording, which is text, could not hold.
BINARY = {"binary.txt": bytes(range(256)) * 4, "bad.csv": b"\xff\xfe\x00\x01,,,"}
RUNNING = ("parsing", "cleaning", "splitting", "indexing")


class Lists(Scenario):
    """05: 25 documents in all states, forced in the database; here taken from the recorded pages."""

    def before(self, record: Record) -> None:
        self.settle()
        if record.dataset_id is None:
            return
        if record.dataset_id not in self.replay.ids and "unknown" not in record.case:
            self._make_large(record)
        elif record.case == "all 25, default limit":
            self._make(record)
        elif record.case == "single, document of another dataset":
            other = self.replay.dify.world.datasets[list(self.replay.dify.world.datasets)[-1]]
            other.add_document("other", id=re.findall(UUID, record.path)[1])

    def _make(self, record: Record) -> None:
        assert record.dataset_id is not None
        rows: list[dict[str, Any]] = []
        for page in ("page 1 full", "page 2 full"):
            later = self.replay.later(record, page)
            assert later is not None
            rows += later.answer_json()["data"]
        dataset = self.replay.dataset(record.dataset_id)
        for row in reversed(rows):
            fields = {name: row[name] for name in ("id", "indexing_status", "enabled", "archived", "error")}
            dataset.add_document(row["name"], paused=row["display_status"] == "paused", text="abcdef", **fields)

    def _make_large(self, record: Record) -> None:
        """A large knowledge base, of which only the number of documents is known."""
        assert record.dataset_id is not None
        seen = self.replay.records[record.index + 1].observation or {}
        self.replay.dataset(record.dataset_id).add_documents(seen["total"])

    def checks(self, record: Record) -> list[Check]:
        return [] if record.case.startswith("big dataset") else super().checks(record)

    def after(self, record: Record, answer: Answer) -> None:
        body = answer.json()
        if record.case.startswith("big dataset"):
            seen = self.replay.records[record.index + 1].observation or {}
            now = {name: body[name] for name in ("has_more", "limit", "total", "page")} | {"n": len(body["data"])}
            self.replay.expect(record, "page", now, seen)

    def observe(self, record: Record) -> None:
        """States of a filter: those of the previous exchange, or of one that was not recorded."""
        seen = record.observation or {}
        if not record.case.startswith("status="):
            return
        dataset = next(iter(self.dify.world.datasets.values()))
        path = f"/v1/datasets/{dataset.id}/documents?limit=100&{record.case}"
        headers = {"Authorization": f"Bearer {self.dify.api_key}"}
        body = self.replay.wire.send("GET", path, headers, None).json()
        self.replay.expect(record, "total", body["total"], seen["total"])


class Errors(Scenario):
    """06: files that are not what their names say, and what happened to them."""

    def before(self, record: Record) -> None:
        self.settle()
        if record.dataset_id is not None and record.dataset_id not in self.replay.ids:
            # Its first document was a text, which was not recorded.
            self.replay.dataset(record.dataset_id).add_document("text")

    def body(self, record: Record) -> str | bytes | None:
        sent = record.case.removeprefix("create-by-file ")
        if sent not in BINARY:
            return super().body(record)
        head, end, rest = record.body.encode().partition(
            b"text/csv\r\n\r\n" if "csv" in sent else b"text/plain\r\n\r\n"
        )
        return head + end + BINARY[sent] + rest[rest.rindex(b"\r\n--") :]


class Polling(Scenario):
    """06: the indexing of texts, polled."""

    def before(self, record: Record) -> None:
        if record.case.startswith("indexing-status:"):
            self.dify.clock.advance(0.01)
        else:
            self.settle()


class Creation(Scenario):
    """07 and 08: creating, updating, deleting, searching. Anything that was created without a recording is created
    here.
    """

    _AT_ONCE = re.compile(r"right after|without waiting, 2|body not JSON")

    def before(self, record: Record) -> None:
        if not self._AT_ONCE.search(record.case):
            self.settle()
        if record.case.startswith("archive right after") and record.version == "1.14.1":
            # On that server indexing ended first; the requests do not show it.
            self.dify.worker.seconds_per_job = 0.5
        if record.case == "DELETE dataset again" and record.dataset_id:
            del self.dify.world.datasets[self.replay.dataset(record.dataset_id).id]
        self._make_missing(record)

    def _make_missing(self, record: Record) -> None:
        """Create documents that the recording mentions without their creation."""
        if (
            record.dataset_id is None
            or "unknown" in record.case
            or record.case.startswith(("GET deleted", "DELETE document again"))
        ):
            return
        named = re.search(rf"/documents/({UUID})", record.path)
        wanted = [*record.document_ids, *([named[1]] if named else [])]
        wanted += (
            [one["segment"]["document"]["id"] for one in (record.answer_json() or {}).get("records", [])]
            if (record.path.endswith(("/retrieve", "/hit-testing")))
            else []
        )
        for document_id in wanted:
            if self.replay.find(document_id) is None and document_id not in self.replay.ids:
                self.replay.dataset(record.dataset_id).add_document(
                    self._name(document_id), id=document_id, text=self._text(document_id)
                )

    def _records_about(self, document_id: str) -> list[dict[str, Any]]:
        found = []
        for record in self.replay.records:
            body = record.answer_json() if record.is_exchange else None
            records = body.get("records", []) if isinstance(body, dict) else []
            found += [one["segment"] for one in records if one["segment"]["document"]["id"] == document_id]
        return found

    def _name(self, document_id: str) -> str:
        found = self._records_about(document_id)
        return found[0]["document"]["name"] if found else f"made-{document_id[:8]}"

    def _text(self, document_id: str) -> str:
        found = self._records_about(document_id)
        return found[0]["content"] if found else "made beside the API"


class ReallyIndexing(Scenario):
    """15: actions on large documents while they are indexed, and again when that has ended."""

    def before(self, record: Record) -> None:
        if "while really indexing" in record.case:
            self.dify.clock.advance(0.4)
        elif record.case.startswith("archive after indexing ended"):
            self.dify.settle()
        else:
            self.dify.settle()
            if record.method == "GET" and "limit=1" in record.path and record.dataset_id:
                self._make(record)

    def _make(self, record: Record) -> None:
        assert record.dataset_id is not None
        row = record.answer_json()["data"][0]
        self.replay.dataset(record.dataset_id).add_document(row["name"], id=row["id"])


class Metadata(Creation):
    """09, after 08: in the same knowledge base. Some changes to it were not recorded, and are made here."""

    def before(self, record: Record) -> None:
        super().before(record)
        if record.file != "09_metadata" or record.dataset_id is None:
            return
        self._make_operated(record)
        if "while the metadata lock is held" in record.case:
            self._zebra().lock_metadata()
        if record.case.startswith("retrieve filtered"):
            self._zebra().set_metadata(source_id="page-1", version_no=7)
        if record.case == "list metadata fields" and '"seen_at"' not in record.answer:
            fields = self.replay.dataset(record.dataset_id).fields
            seen_at = fields.named("seen_at")
            assert seen_at is not None
            fields.pop(seen_at.id)
            fields.built_in = False

    def _zebra(self) -> Document:
        return next(one for kb in self.dify.world.datasets.values() for one in kb.documents if one.name == "zebra doc")

    def _make_operated(self, record: Record) -> None:
        """The documents whose metadata are assigned."""
        if not record.path.endswith("/documents/metadata") or "unknown document" in record.case:
            return
        for operation in json.loads(record.body).get("operation_data", ()):
            wanted = operation["document_id"]
            if re.fullmatch(UUID, wanted) and self.replay.find(wanted) is None and wanted not in self.replay.ids:
                assert record.dataset_id is not None
                self.replay.dataset(record.dataset_id).add_document("b", id=wanted)

    def checks(self, record: Record) -> list[Check]:
        found = super().checks(record)
        if record.path.endswith("/metadata") and record.method == "GET":
            found.append(_fields_differences)
        if "metadata=only" in record.path:
            found.append(_metadata_differences)
        return found


def _fields_differences(record: Record, answer: Answer) -> Iterator[str]:
    """The same fields, given to as many documents."""
    old, new = record.answer_json(), answer.json()
    fields = [[(one["name"], one["type"], one["count"]) for one in body["doc_metadata"]] for body in (old, new)]
    if fields[0] != fields[1]:
        yield f"fields {fields[1]}, not {fields[0]}"
    if old["built_in_field_enabled"] != new["built_in_field_enabled"]:
        yield f"built_in_field_enabled is {new['built_in_field_enabled']}"


def _metadata_differences(record: Record, answer: Answer) -> Iterator[str]:
    """The same values, times aside."""
    values = [
        [(one["name"], one["value"]) for one in body.json()["doc_metadata"] if one["type"] != "time"]
        for body in (Answer(record.status, {}, record.answer), answer)
    ]
    if values[0] != values[1]:
        yield f"metadata {values[1]}, not {values[0]}"
