"""The state for the recordings of 1.16.0: most of it came from requests alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from airflow_provider_dify.testing import Document
from tests.contract import compare
from tests.contract.compare import Answer
from tests.contract.recordings import UUID, Record
from tests.contract.replay import Check, Scenario

#: Content of files that the recording, which is text, could not hold.
BINARY = {
    "utf16.txt": "Gr\u00fc\u00dfe aus K\u00f6ln".encode("utf-16"),
    "latin1.txt": "Gr\u00fc\u00dfe aus K\u00f6ln".encode("latin-1"),
    "gbk.txt": "\u505c\u8f66\u573a\u5728\u4e8c\u697c".encode("gbk"),
}


class Recent(Scenario):
    """Everything by requests, one after the other; segments must have the recorded texts."""

    def checks(self, record: Record) -> list[Check]:
        found = super().checks(record)
        if re.search(r"/segments(\?|$)", record.path):
            found.append(compare.segment_differences)
        return found

    def body(self, record: Record) -> str | bytes | None:
        name = record.case.removeprefix("create ")
        if name not in BINARY:
            return super().body(record)
        head, _, rest = record.body.encode().partition(b"text/plain\r\n\r\n")
        return head + b"text/plain\r\n\r\n" + BINARY[name] + rest[rest.rindex(b"\r\n--") :]

    def after(self, record: Record, answer: Answer) -> None:
        """Learn the ids of segments."""
        old, new = record.answer_json(), answer.json()
        if "/segments" in record.path and isinstance(old, dict) and isinstance(new, dict):
            pairs = zip(old["data"], new.get("data", ()), strict=False) if isinstance(old.get("data"), list) else ()
            self.replay.ids.update((before["id"], now["id"]) for before, now in pairs)

    def document(self, name: str) -> Document:
        """The document of that name."""
        return next(one for kb in self.dify.world.datasets.values() for one in kb.documents if one.name == name)


class Settings(Recent):
    """30: the workspace has one embedding model."""

    def before(self, record: Record) -> None:
        super().before(record)
        self.dify.world.embedding_models = [("local/standin/standin", "bag-of-words")]


class Lived(Recent):
    """03 to 09: recorded by the tests that run against a live server, which create healthy documents beforehand."""

    def before(self, record: Record) -> None:
        self.settle()
        if record.dataset_id is None or "unknown dataset" in record.case:
            return
        dataset = self.replay.dataset(record.dataset_id.lower())
        listed = (record.answer_json() or {}).get("data", []) if record.method == "GET" else []
        named = [one["id"] for one in listed[::-1] if "name" in one]
        if "unknown" not in record.case:
            named += [*record.document_ids, *re.findall(rf"/documents/({UUID})", record.path)]
        for document_id in dict.fromkeys(one.lower() for one in named):
            document = self.replay.find(document_id)
            if document is None:
                dataset.add_document(self._names().get(document_id, f"d-{document_id[:8]}"), id=document_id)
            else:
                document.set(enabled=True, archived=False, in_search=True)

    def _names(self) -> dict[str, str]:
        """Names of the documents that some list shows."""
        bodies = [one.answer_json() for one in self.replay.records]
        rows = [row for body in bodies if isinstance(body, dict) for row in body.get("data", ())]
        return {row["id"]: row["name"] for row in rows if "name" in row}


class KeywordRace(Recent):
    """21: which keywords were lost was random, and is taken from the observation in the database."""

    def observe(self, record: Record) -> None:
        seen: Any = record.observation
        if not isinstance(seen, dict):
            return
        self.settle()
        chunks = {one.name: one.chunks[0] for kb in self.dify.world.datasets.values() for one in kb.documents}
        self.replay.expect(
            record, "segments enabled", sum(one.enabled for one in chunks.values()), seen["segments enabled"]
        )
        lost = seen["enabled but not in dataset_keyword_tables"]
        ghosts = seen["disabled but still in dataset_keyword_tables"]
        for name, chunk in chunks.items():
            chunk.in_index = name in ghosts or (chunk.enabled and name not in lost)

    def checks(self, record: Record) -> list[Check]:
        # Which of the equally good ones come first is random; that some places are used up is not.
        return [self._places_used_up] if "a word of all" in record.case else super().checks(record)

    def _places_used_up(self, record: Record, answer: Answer) -> Iterator[str]:
        found = [one["segment"]["document"]["name"] for one in answer.json()["records"]]
        live = {one.name for kb in self.dify.world.datasets.values() for one in kb.documents if one.in_search}
        top_k = int(record.case.rpartition(" ")[2])
        if not (set(found) <= live and len(found) < min(top_k, len(live))):
            yield f"found {found} of {sorted(live)}"


class Vectors(Recent):
    """22 to 25, 27, 28: high quality; the vectors were counted in the database."""

    def observe(self, record: Record) -> None:
        seen: Any = record.observation
        self.settle()
        if isinstance(seen, list):
            name, *state = seen
            self.replay.expect(record, name, self._state(self.document(name)), state)
        elif isinstance(seen, dict) and "state" in seen:
            created = next(one for one in reversed(self.replay.records[: record.index]) if one.path.endswith("by-text"))
            document = self.document(created.answer_json()["document"]["name"])
            # The vectors are those of the child chunks, which are not counted here.
            self.replay.expect(record, "state", self._state(document)[:5], seen["state"][:5])

    def checks(self, record: Record) -> list[Check]:
        # Everything that has nothing in common with a query is equally far away, and its order is random.
        return [self._best] if record.case.startswith("retrieve with") else super().checks(record)

    def _best(self, record: Record, answer: Answer) -> Iterator[str]:
        old, new = ([one["segment"] for one in body["records"]] for body in (record.answer_json(), answer.json()))
        # A score above 0 may also be two words with the same hash in the embedding of the recordings.
        if json.loads(record.body)["query"] in old[0]["content"] and old[0]["content"] != new[0]["content"]:
            yield f"the best is {new[0]['content']!r}, not {old[0]['content']!r}"
        if {one["document"]["name"] for one in new} - {"h1", "h2"}:
            yield f"found {[one['document']['name'] for one in new]}"

    def _state(self, document: Document) -> list[object]:
        chunks = document.chunks
        return [
            document.indexing_status,
            document.enabled,
            document.archived,
            len(chunks),
            sum(one.enabled for one in chunks),
            sum(one.in_index for one in chunks),
        ]
