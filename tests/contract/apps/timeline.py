"""Sends the requests for apps again at the recorded times, in parallel if they were.

Time is a virtual clock that only this code moves. Before it moves on, readers of streams have read everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from airflow_provider_dify.testing import App, FakeDify, Run, VirtualClock
from airflow_provider_dify.testing.apps.streams import IDLE
from tests.contract import compare
from tests.contract.apps import made
from tests.contract.apps.differences import answer_differences, events_of, stream_differences
from tests.contract.apps.sending import Sending
from tests.contract.compare import Answer
from tests.contract.coverage import reason_left_out
from tests.contract.recordings import UUID, Record, recorded
from tests.waiting import until

#: The files that it plays.
FILES = (
    "40_workflow_run",
    "41_workflow_stop_and_get",
    "42_workflow_errors",
    "43_chat",
    "44_files_and_app_info",
    "45_workflow_logs",
)
#: Seconds of the longest step of the clock.
STEP = 5.0
#: Seconds by which a response may come earlier or later; it is checked once in each step.
TOLERANCE = STEP + 1.0
#: Seconds of the clock that the last answers may take.
LAST = 7200.0
#: Responses that take longer in the recordings, or are streams, are awaited in parallel with other requests.
_STARTS_RUN = re.compile(r"/(run|chat-messages|completion-messages)$")
_FOLLOWS = re.compile(rf"/workflow/({UUID})/events")
_MEGABYTE = 1024 * 1024


@dataclass
class Open:
    """A request without a response yet.

    :param since: When it was sent, by the clock.
    :param run: The run that it waits for.
    :param seen: Events of the run before it came.
    """

    record: Record
    sending: Sending
    since: float
    run: Run | None
    seen: int = 0

    def is_up_to_date(self, now: float) -> bool:
        """Whether the client has read everything."""
        run = self.run
        if self.sending.over:
            return True
        if run is None or (run.status == "queued" and now - self.since > IDLE):
            return False
        if not self.record.is_stream:
            return not (run.closed or run.orphaned)
        return (not run.closed or run.status == "paused") and self.sending.events >= len(run.events) - self.seen


class Timeline:
    """Plays one file.

    :param later: Seconds by which requests are shifted, by a pattern for their cases.
    """

    def __init__(self, dify: FakeDify, file: str, later: dict[str, float]) -> None:
        self.dify = dify
        self.records = recorded("1.16.0", file)
        self.apps = made.make(dify)
        self.ids: dict[str, str] = {}
        self.problems: list[str] = []
        self.sent = 0
        self._later = later
        self._open: list[Open] = []
        #: What happens besides the requests: (seconds after the start, action).
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.start = min(self._time(record) for record in self.records)

    def _time(self, record: Record) -> float:
        shift = next((seconds for pattern, seconds in self._later.items() if re.search(pattern, record.case)), 0.0)
        return record.at + shift

    def at(self, case: str) -> float:
        """Seconds from the start to the request of this case."""
        return next(self._time(one) - self.start for one in self.records if case in one.case)

    def play(self, before: Callable[[Timeline, Record], None]) -> None:
        """Send all requests in their order."""
        plan: list[tuple[float, int, Callable[[], object]]] = []
        for number, record in enumerate(self.records):
            if reason_left_out(record) is None:
                plan.append((self._time(record) - self.start, number, partial(self._send, record, before)))
                if record.note.startswith("TimeoutError"):
                    end = self._time(record) - self.start + record.seconds
                    plan.append((end, number, partial(self._leave, record)))
        plan += [(moment, -1, act) for moment, act in self.events]
        for moment, _, act in sorted(plan, key=lambda one: one[:2]):
            self._advance_to(moment)
            act()
        self._finish()

    def _advance_to(self, moment: float) -> None:
        clock = self.dify.clock
        assert isinstance(clock, VirtualClock)
        while (left := moment - clock.monotonic()) > 0:
            clock.advance(min(STEP, left))
            self._catch_up()

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self._advance_to(self.dify.clock.monotonic() + seconds)

    def _finish(self) -> None:
        """Wait until everything that is still open has ended."""
        end = self.dify.clock.monotonic() + LAST
        while self._open:
            assert self.dify.clock.monotonic() < end, [one.record for one in self._open]
            self._advance_to(self.dify.clock.monotonic() + STEP)

    def _catch_up(self) -> None:
        """Wait until every client has read everything, and check the complete responses."""
        now = self.dify.clock.monotonic()
        for one in list(self._open):
            assert until(partial(one.is_up_to_date, now)), f"{one.record} hangs: {one.sending.text[-300:]}"
            if one.sending.events or one.sending.over:
                self._learn(one.record, one.sending.answer)
            if one.sending.over:
                self._open.remove(one)
                self._compare(one)
            if one.sending.over and one.run is not None:
                assert until(partial(self._has_noticed, one.run)), one.record

    def _has_noticed(self, run: Run) -> bool:
        """Whether the simulator knows that a reader of a run has disconnected."""
        return len(run.readers) <= sum(one.run is run and one.record.is_stream for one in self._open)

    def _leave(self, record: Record) -> None:
        for one in self._open:
            if one.record is record:
                one.sending.leave()
                one.sending.join(300)
        self._catch_up()

    def _send(self, record: Record, before: Callable[[Timeline, Record], None]) -> None:
        before(self, record)
        path = self.now(record.path)
        sending = Sending(
            self.dify.base_url, record.method, path, self._headers(record), self._body(record),
            leave_after=_events_until_left(record),
        )  # fmt: skip
        since = self.dify.clock.monotonic()
        known, queued, follows = self._started(), self._queued(), _FOLLOWS.search(path)
        followed = self._run(follows[1]) if follows else None
        readers, seen = (len(followed.readers), len(followed.events)) if followed else (0, 0)
        self.sent += 1
        sending.start()
        if _STARTS_RUN.search(record.path):
            assert until(lambda: sending.over or self._started() > known), record
            new = [run for run in self._queued() if run not in queued]
            self._open.append(Open(record, sending, since, new[0] if new else None))
        elif followed is not None:
            assert until(lambda: sending.over or len(followed.readers) > readers), record
            # What a snapshot brings counts, too.
            seen = 0 if "snapshot" in path else seen
            self._open.append(Open(record, sending, since, followed, seen))
        else:
            sending.join(300)
            self._open.append(Open(record, sending, since, None))
        self._catch_up()

    def _started(self) -> int:
        """How many runs have been accepted so far."""
        return sum(len(app.queued) + len(app.runs) + len(app.messages) for app in self.apps.values())

    def _queued(self) -> list[Run]:
        return [run for app in self.apps.values() for run in app.queued]

    def _run(self, run_id: str) -> Run | None:
        try:
            return self.dify.run(run_id)
        except KeyError:
            return None

    def app_of(self, record: Record) -> App | None:
        """The app that a request was for."""
        name = made.name_of(record)
        return self.apps[name] if name else None

    def unknown(self, record: Record) -> set[str]:
        """Recorded ids of a request that do not stand for anything yet."""
        return {one for one in re.findall(UUID, record.path + record.body) if one not in self.ids}

    def _headers(self, record: Record) -> dict[str, str]:
        app = self.app_of(record)
        keys = {
            "app-REDACTED": app.api_key if app else "app-wrong",
            "dataset-REDACTED": self.dify.api_key,
        }
        headers: dict[str, str] = dict((record.request or {})["headers"])
        for name, value in headers.items():
            for old, new in keys.items():
                headers[name] = value.replace(old, new) if old in value else headers[name]
        return headers

    def _body(self, record: Record) -> bytes | None:
        if record.body.startswith("(multipart"):
            size = 15 * _MEGABYTE + ("+ 1" in record.body)
            return _form("big.txt", b"x" * size)
        return self.now(record.body).encode() or None

    def now(self, text: str) -> str:
        """A recorded text with the ids that hold now."""
        return compare.translated(text, self.ids)

    def _learn(self, record: Record, answer: Answer) -> None:
        """Remember the ids of what was created or found."""
        if record.is_stream:
            pairs = [*zip(events_of(record.answer)[:1], events_of(answer.body)[:1], strict=False)]
            forms = [
                [one for one in events_of(text) if "form_token" in str(one)] for text in (record.answer, answer.body)
            ]
            pairs += zip(*forms, strict=False)
        else:
            pairs = [(record.answer_json(), answer.json())]
        for old, new in pairs:
            self._walk(old, new)

    def _walk(self, old: Any, new: Any) -> None:
        if isinstance(old, dict) and isinstance(new, dict):
            for name in old.keys() & new.keys():
                self._walk(old[name], new[name])
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            for before, now in zip(old, new, strict=True):
                self._walk(before, now)
        elif isinstance(old, str) and isinstance(new, str) and re.fullmatch(rf"{UUID}|FORM-TOKEN-\d+", old):
            self.ids.setdefault(old, new)

    def _compare(self, one: Open) -> None:
        record, sending = one.record, one.sending
        answer = sending.answer
        took = self.dify.clock.monotonic() - one.since
        if abs(took - record.seconds) > TOLERANCE:
            self.problems.append(f"{record}: took {took:.1f} s, not {record.seconds:.1f} s")
        broken = record.note.startswith(("IncompleteRead", "RemoteDisconnected"))
        if broken and not sending.error:
            self.problems.append(f"{record}: did not break off")
        if record.is_stream:
            whole = not record.note
            found = [*stream_differences(record, answer, self.ids, whole=whole)]
            if whole and sending.error:
                found.append(f"broke off: {sending.error}")
        elif record.note:
            found = [] if answer.status is None else [f"status {answer.status}, not none"]
        else:
            found = [*compare.differences(record, answer, self.ids)] or [*answer_differences(record, answer, self.ids)]
        self.problems += [f"{record}: {text}" for text in found]


def _events_until_left(record: Record) -> int | None:
    if record.note != "the client closed the connection here":
        return None
    return record.answer.count("data: ")


def _form(name: str, content: bytes) -> bytes:
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    user = 'Content-Disposition: form-data; name="user"\r\n\r\naf-files\r\n'
    line = "----" + "--recorded-boundary"
    return f"{line}\r\n{head}".encode() + content + f"\r\n{line}\r\n{user}{line}--\r\n".encode()
