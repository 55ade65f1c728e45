"""The state for each recording of status changes: most of it was forced in Dify's database, and is forced here."""

from __future__ import annotations

import json
import re
from typing import Any

from airflow_provider_dify.testing import Dataset, Document, Fault
from tests.contract.compare import Answer
from tests.contract.recordings import Record, recorded
from tests.contract.replay import Scenario


def flags(document: Document) -> str:
    """As the observations write it."""
    return f"{document.indexing_status}/enabled={document.enabled}/archived={document.archived}"


class Actions(Scenario):
    """01: whether a lock was left is random; the observation after the exchange shows it."""

    def before(self, record: Record) -> None:
        if "repeated immediately" in record.case:
            seen = self.replay.later(record, "redis lock key after PATCH")
            assert seen is not None
            assert seen.observation is not None
            # Seen a moment after the response: the lock that refused it may have expired in between.
            if seen.observation["first"][0][1] > 0 or record.status == 400:
                return
        self.settle()

    def observe(self, record: Record) -> None:
        rows = record.observation or {}
        if "row before/after" in record.case:
            last = next(one for one in reversed(self.replay.records[: record.index]) if one.is_exchange)
            document = self.replay.find(last.document_ids[0])
            assert document is not None
            row = rows["after"]
            self.replay.expect(record, "enabled", document.enabled, row["enabled"])
            self.replay.expect(record, "archived", document.archived, row["archived"])


class Combinations(Scenario):
    """02: a document in each of the four states for each of the four actions."""

    _STATE = re.compile(r"(\w+) on enabled=(True|False) archived=(True|False)$")

    def before(self, record: Record) -> None:
        self.settle()
        match = self._STATE.match(record.case)
        if match and record.method == "PATCH" and record.dataset_id:
            document = self.replay.later(record, "document after")
            assert document is not None
            enabled, archived = match[2] == "True", match[3] == "True"
            dataset = self.replay.dataset(record.dataset_id)
            name = document.answer_json()["name"]
            dataset.add_document(name, id=record.document_ids[0], enabled=enabled, archived=archived)

    def observe(self, record: Record) -> None:
        seen = record.observation or {}
        if not self._STATE.match(record.case):
            return
        document = self.replay.find(self.replay.records[record.index - 1].document_ids[0])
        assert document is not None
        self.dify.settle()
        self.replay.expect(record, "after", flags(document), seen["after"])
        self.replay.expect(record, "segments", document.in_search, seen["segment_enabled"])


class NotCompleted(Scenario):
    """02: documents whose indexing was stopped in the database."""

    _STATE = re.compile(r"(?P<action>\w+) on (?P<state>\w+) doc(?: \((?P<flag>enabled=false|archived=true)\))?$")

    def before(self, record: Record) -> None:
        match = self._STATE.match(record.case)
        if match is None:
            # The next action came 1.2 seconds later.
            self.dify.clock.advance(1.2)
            return
        assert record.dataset_id is not None
        state = match["state"]
        self.replay.dataset(record.dataset_id).add_document(
            f"nc-{state}-{match['action']}",
            id=record.document_ids[0],
            indexing_status="indexing" if state == "paused" else state,
            paused=state == "paused",
            enabled=match["flag"] != "enabled=false",
            archived=match["flag"] == "archived=true",
        )

    def observe(self, record: Record) -> None:
        seen = record.observation or {}
        if "next_action_status" not in seen:
            return
        document = self.replay.find(self.replay.records[record.index - 1].document_ids[0])
        assert document is not None
        self.replay.expect(record, "after", flags(document), seen["after"])


class Batches(Scenario):
    """03 and 04: one knowledge base with documents b0 to b11, all of them enabled again before each exchange."""

    def __init__(self, version: str) -> None:
        self._ids = recorded(version, "03_poisoned_batches")[0].document_ids
        self._documents: list[Document] = []
        self._unknown_key = ""

    def before(self, record: Record) -> None:
        self.dify.settle()
        for document in self._documents:
            document.set(enabled=True, archived=False, indexing_status="completed", in_search=True)
            document.unlock()
        if record.file == "03_poisoned_batches":
            self._poison(record)
        if record.file == "04_actions_ids_auth":
            self._prepare_keys(record)

    def after(self, record: Record, answer: Answer) -> None:
        if record.case != "setup create dataset":
            return
        datasets = list(self.dify.world.datasets.values())
        if len(datasets) == 1:
            extra: list[str | None] = [None, None]
            for index, one in enumerate([*self._ids, *extra]):
                self._documents.append(datasets[0].add_document(f"b{index}", id=one))
        else:
            foreign = self.replay.later(record, "only an id of another dataset")
            assert foreign is not None
            self._documents.append(datasets[1].add_document("foreign", id=foreign.document_ids[0]))

    def _poison(self, record: Record) -> None:
        match = re.search(r"number (\d) holds", record.case)
        if match or "holds the lock" in record.case or "AND locked" in record.case:
            self._documents[int(match[1]) if match else 0].lock()
        if "already disabled" in record.case:
            for document in self._documents[:3] if "3 of them" in record.case else self._documents[:1]:
                document.set(enabled=False, in_search=False)
        if "number 5 is 'indexing'" in record.case:
            self._documents[5].set(indexing_status="indexing")

    def _prepare_keys(self, record: Record) -> None:
        dataset = self._documents[0].dataset
        self.dify.enable_api(dataset, "enable_api=false" not in record.case)
        if record.case == "unknown key":
            self._unknown_key = "dataset-made-later"
        if record.case.startswith("key created right after"):
            self.dify.add_key(key=self._unknown_key)

    def headers(self, record: Record) -> dict[str, str]:
        found = super().headers(record)
        if record.case in ("unknown key", "fresh key") or record.case.startswith("key created"):
            key = self.dify.add_key() if record.case == "fresh key" else self._unknown_key
            found["Authorization"] = f"Bearer {key}"
        return found

    def observe(self, record: Record) -> None:
        states = (record.observation or {}).get("states")
        if not states:
            return
        now = [f"{'E' if one.enabled else 'D'}{'A' if one.archived else '-'}" for one in self._documents]
        self.replay.expect(record, "states", now[: len(states)], states)


class BatchSizes(Scenario):
    """10: large batches, each sent, sent again while its jobs wait, and again when they are done."""

    def __init__(self) -> None:
        #: First ids of the batches that were sent in parallel, and where each begins here.
        self._starts: dict[str, int] = {"": 0}

    def before(self, record: Record) -> None:
        if record.dataset_id is None:
            return
        if "again at once" in record.case:
            if record.status == 200:
                # The worker happened to be faster than the second call.
                self.settle()
        elif "8 at once" not in record.case or record.case != self.replay.records[record.index - 1].case:
            self.settle()
        busy = re.search(r"Document:big-(\d+) is", record.answer)
        if busy:
            # The worker was done with the first ones by then.
            self.dify.clock.advance(int(busy[1]) * self.dify.worker.seconds_per_job)

    def body(self, record: Record) -> str:
        """The ids: of the long bodies only the beginning was recorded, or their length."""
        assert record.dataset_id is not None
        number = int(re.findall(r" (\d+) documents", record.case)[0])
        first = record.document_ids[0] if record.document_ids and "8 at once" in record.case else ""
        start = self._starts.setdefault(first, number * max(len(self._starts) - 1, 0))
        dataset = self.replay.dataset(record.dataset_id)
        if not dataset.documents:
            for index in range(1100):
                dataset.add_document(f"big-{index:04}")
        return json.dumps({"document_ids": [one.id for one in dataset.documents[start : start + number]]})


class LockExpiry(Scenario):
    """13: a lock that is left behind, retried until it expires after 600 seconds."""

    def __init__(self) -> None:
        self._tries = 0
        self._set_at = 0.0

    def before(self, record: Record) -> None:
        if record.case.startswith("make a stuck lock") and record.dataset_id:
            self.replay.dataset(record.dataset_id).add_document("exp", id=record.document_ids[0])
            self._set_at = self.dify.clock.monotonic()
        elif record.case.startswith("stuck lock"):
            last = self.replay.later(record, "stuck lock: next action") is None
            at = 601.1 if last else min(2.0 + 9.2 * self._tries, 599.9)
            self._tries += 1
            self.dify.clock.advance(self._set_at + at - self.dify.clock.monotonic())


class SameIdTwice(Scenario):
    """14: documents whose creation was not recorded."""

    def before(self, record: Record) -> None:
        self.settle()
        if record.method != "PATCH" or record.dataset_id is None:
            return
        unknown = record.document_ids[:1] if "unknown id first" in record.case else []
        for document_id in dict.fromkeys(record.document_ids):
            if document_id not in unknown and self.replay.find(document_id) is None:
                self.replay.dataset(record.dataset_id).add_document("one", id=document_id)
        enabled, archived = "enable" not in record.path, "un_archive" in record.path
        for document_id in record.document_ids:
            document = self.replay.find(document_id)
            if document is not None:
                document.set(enabled=enabled, archived=archived, in_search=enabled and not archived)

    def after(self, record: Record, answer: Answer) -> None:
        self.dify.settle()
        twice = len(record.document_ids) != len(set(record.document_ids))
        if twice:
            first = self.replay.find(record.document_ids[0])
            self.replay.expect(record, "stale lock", first is not None and first.locked, False)


class Down(Scenario):
    """11: worker, broker or the whole server down. The documents were not recorded, but for a list of them."""

    def before(self, record: Record) -> None:
        if record.dataset_id and record.dataset_id not in self.replay.ids:
            self._make(record, self.replay.dataset(record.dataset_id))
        for document_id in record.document_ids:
            if self.replay.find(document_id) is None and record.dataset_id and "unknown" not in record.case:
                dataset = self.replay.dataset(record.dataset_id)
                dataset.add_document(self._name(record), text="lonely", id=document_id)
        self._prepare(record)

    def _make(self, record: Record, dataset: Dataset) -> None:
        """The documents of a knowledge base, by the list or the searches that were recorded."""
        known: dict[str, str] = {}
        for later in self.replay.records[record.index :]:
            if later.dataset_id != record.dataset_id:
                continue
            body = later.answer_json() if later.is_exchange and not later.is_cut else None
            listed = later.path.endswith(("limit=100", "limit=1"))
            rows: list[dict[str, Any]] = (body or {}).get("data", []) if listed else []
            found = [one["segment"]["document"] for one in (body or {}).get("records", [])]
            created = later.path.endswith("create-by-text")
            known |= {one["id"]: one["name"] for one in [*rows[::-1], *found] if not created}
        created_later = {
            (one.answer_json() or {}).get("document", {}).get("id")
            for one in self.replay.records
            if one.path.endswith("create-by-text")
        }
        known = {one: name for one, name in known.items() if one not in created_later}
        total = (record.answer_json() or {}).get("total", 0)
        dataset.add_documents(max(total - len(known), 0), "other-")
        for document_id in sorted(known, key=known.__getitem__) if total else known:
            name = known[document_id]
            dataset.add_document(name, text=f"{name}word common sentence", id=document_id)

    def _name(self, record: Record) -> str:
        """A document's name, if a later refusal contains it."""
        texts = [one.answer for one in self.replay.records[record.index :] if one.dataset_id == record.dataset_id]
        match = next((found for text in texts if (found := re.search(r"Document:(\S+) is being", text))), None)
        return match[1] if match else "unnamed"

    def _prepare(self, record: Record) -> None:
        case = record.case
        worker, broker = self.dify.worker, self.dify.broker
        if case.startswith(("worker stopped", "worker frozen")) and worker.alive:
            self.settle()
            worker.stop()
        if case.startswith("worker frozen") and record.status == 200 and "retry" in case:
            worker.start()
            self.dify.settle()
        if case.startswith("warm-up"):
            worker.start()
            self.settle()
        broker.full = case.startswith("Redis full")
        broker.alive = not case.startswith("broker down")
        if "without the lock" in case or case.startswith(("broker back", "repair")):
            self.settle()
        if case.startswith("API") and record.status is None:
            self.dify.stop()
        elif case.startswith("API"):
            self.dify.start()

    def observe(self, record: Record) -> None:
        seen = record.observation or {}
        if record.case == "after the worker came back":
            self.dify.worker.start()
            self.dify.settle()
            documents = {one.name: one for kb in self.dify.world.datasets.values() for one in kb.documents}
            for name, row in seen["rows"].items():
                if name != "dis":
                    self.replay.expect(record, name, flags(documents[name]), row)
                    enabled = seen["idx"][name]["segment_enabled"][0]
                    self.replay.expect(record, f"segments of {name}", documents[name].in_search, enabled)
            locked = {one.name for one in documents.values() if one.locked}
            self.replay.expect(record, "locked", locked, set(seen["locks"]))


class Nginx(Scenario):
    """12: what nginx answers itself is a fault for the simulator."""

    def before(self, record: Record) -> None:
        self.settle()
        if "X-Version" not in (record.response or {}).get("headers", {}):
            path = re.escape(self.replay.now(record.path).partition("?")[0])
            fault = Fault("page", path=path, status=record.status, headers={"content-type": "text/html"})
            self.dify.faults.add(fault)
        elif record.method == "GET" and record.dataset_id and "limit" in record.path:
            dataset = self.replay.dataset(record.dataset_id)
            body = record.answer_json()
            if not dataset.documents and body:
                names = [one["name"] for one in body["data"]]
                for index in range(body["total"]):
                    dataset.add_document(f"d{index}" if index < body["total"] - 1 else names[0])

    def body(self, record: Record) -> str | bytes | None:
        return "{}" if record.body_length else super().body(record)
