"""Sends the recorded requests again, with the current ids, and compares the responses."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from airflow_provider_dify.testing import Dataset, Document, FakeDify
from tests.contract import compare
from tests.contract.compare import Answer
from tests.contract.coverage import reason_left_out
from tests.contract.recordings import UUID, Record, recorded

#: Checks beyond status, error and shape, which apply to every response.
Check = Callable[[Record, Answer], Iterator[str]]

_REDIRECTED = re.compile(r"/v1/.*")


class Wire:
    """One keep-alive connection, with nothing between the recorded request and the socket.

    :param base_url: With ``/v1`` or whatever replaces it.
    """

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=20)
        self._base = parts.path.rstrip("/")

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        target = self._base + path.removeprefix("/v1") if path.startswith("/v1") else path
        for last_try in (False, True):
            try:
                self._connection.request(method, target, body=body, headers=headers)
                response = self._connection.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # Dify closes an idle connection after two seconds.
                self._connection.close()
                if last_try:
                    raise
            except ConnectionRefusedError:
                self._connection.close()
                break
            else:
                text = response.read().decode(errors="replace")
                return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
        return Answer(None, {}, "")

    def close(self) -> None:
        self._connection.close()


class Replay:
    """Plays recordings against a simulator, and collects differences in ``problems``."""

    def __init__(self, dify: FakeDify) -> None:
        self.dify = dify
        self.wire = Wire(dify.base_url)
        #: Recorded ids (and names of batches) and the current ones.
        self.ids: dict[str, str] = {}
        self.problems: list[str] = []
        self.sent = 0
        self.records: list[Record] = []

    def play(self, version: str, file: str, scenario: Scenario) -> None:
        """Play one file."""
        self.records = recorded(version, file)
        scenario.replay = self
        for record in self.records:
            if not record.is_exchange:
                scenario.observe(record)
            elif reason_left_out(record) is not None:
                scenario.leave_out(record)
            else:
                scenario.before(record)
                answer = self.send(record, scenario)
                scenario.after(record, answer)

    def send(self, record: Record, scenario: Scenario) -> Answer:
        """Send one request, compare the answer, learn its ids."""
        body = scenario.body(record)
        text = self.now(body).encode() if isinstance(body, str) else body
        headers = scenario.headers(record)
        answer = self.wire.send(record.method, self.now(record.path), headers, text)
        self.sent += 1
        self.learn(record, answer)
        self.problems += [f"{record}: {text}" for text in compare.differences(record, answer, self.ids)]
        for check in scenario.checks(record):
            self.problems += [f"{record}: {text}" for text in check(record, answer)]
        return answer

    def now(self, text: str) -> str:
        """A recorded text with the ids that hold now."""
        return compare.translated(text, self.ids)

    def learn(self, record: Record, answer: Answer) -> None:
        """Remember the ids of what was created."""
        old, new = record.answer_json(), answer.json()
        if record.method != "POST" or not (isinstance(old, dict) and isinstance(new, dict)):
            return
        pairs = [(old, new, "id"), (old, new, "batch"), (old.get("document"), new.get("document"), "id")]
        for before, after, name in pairs:
            if isinstance(before, dict) and isinstance(after, dict) and before.get(name) and after.get(name):
                self.ids[before[name]] = after[name]
                self.ids[before[name].upper()] = after[name].upper()

    def expect(self, record: Record, what: str, now: object, before: object) -> None:
        """Compare something that was observed outside of the API."""
        if now != before:
            self.problems.append(f"{record}: {what} {now!r}, not {before!r}")

    def dataset(self, recorded_id: str) -> Dataset:
        """The knowledge base of a recorded id; created if its creation was not recorded."""
        known = self.ids.get(recorded_id.lower())
        if known is None:
            dataset = self.dify.add_dataset(f"kb-{recorded_id[:8]}")
            self.ids[recorded_id] = known = dataset.id
            self.ids[recorded_id.upper()] = known.upper()
            return dataset
        return self.dify.world.datasets[known]

    def find(self, recorded_id: str) -> Document | None:
        """The document of a recorded id, if there is one."""
        try:
            return self.dify.document(self.ids.get(recorded_id, recorded_id))
        except KeyError:
            return None

    def later(self, record: Record, case: str) -> Record | None:
        """The next line after ``record`` whose case holds ``case``."""
        return next((one for one in self.records[record.index + 1 :] if case in one.case), None)


class Scenario:
    """Creates the state for each exchange of a file: by default the worker is done, and no lock is left."""

    replay: Replay

    @property
    def dify(self) -> FakeDify:
        return self.replay.dify

    def settle(self) -> None:
        """Let the worker finish, and remove locks, as was done by hand between the recorded exchanges."""
        self.dify.settle()
        for dataset in self.dify.world.datasets.values():
            for document in dataset.documents:
                document.unlock()

    def before(self, record: Record) -> None:
        """Create the state in which the request was sent."""
        self.settle()

    def after(self, record: Record, answer: Answer) -> None:
        """Check the result."""

    def observe(self, record: Record) -> None:
        """Compare what was observed outside of the API."""

    def leave_out(self, record: Record) -> None:
        """Do what an exchange that is not replayed would have done."""

    def headers(self, record: Record) -> dict[str, str]:
        """The recorded headers, with the keys that hold now."""
        found: dict[str, str] = dict(record.request["headers"]) if record.request else {}
        keys = {"dataset-REDACTED": self.dify.api_key, "app-REDACTED": self.dify.app_key}
        for name, value in found.items():
            for old, new in keys.items():
                found[name] = found[name].replace(old, new) if old in value else found[name]
        return found

    def body(self, record: Record) -> str | bytes | None:
        """The recorded body; if it was left out for its length, one of about that length."""
        if record.body_length is None:
            return record.body or None
        kind = self.headers(record).get("Content-Type", "")
        if "multipart" in kind:
            return _large_form(kind.partition("boundary=")[2], record.body_length)
        created = record.answer_json() or {}
        fields = {
            "name": created.get("document", {}).get("name", "large"),
            "text": "word " * (record.body_length // 5),
            "indexing_technique": "economy",
            "process_rule": {"mode": "automatic"},
        }
        return json.dumps(fields)

    def checks(self, record: Record) -> list[Check]:
        """Further checks on the answer."""
        if record.method == "GET" and re.search(r"/documents(\?|$)", record.path):
            return [compare.page_differences]
        if record.method == "GET" and re.search(rf"/documents/{UUID}(\?|$)", record.path):
            return [compare.document_differences]
        if record.path.endswith(("/retrieve", "/hit-testing")):
            return [compare.search_differences]
        return []


def _large_form(boundary: str, length: int) -> str:
    """A form with a file that makes up all its length."""
    head = 'Content-Disposition: form-data; name="file"; filename="large.txt"\r\nContent-Type: text/plain'
    return f"--{boundary}\r\n{head}\r\n\r\n{'word ' * (length // 5)}\r\n--{boundary}--\r\n"
