"""What a client waits for: the events of a run as they come, or its response at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Literal

from airflow_provider_dify.testing.api.replies import Json, LaterReply, Reply, Stream
from airflow_provider_dify.testing.apps.events import snapshot
from airflow_provider_dify.testing.apps.run import Run

PING = "event: ping\n\n"
#: Seconds between the pings of a worker.
PING_EVERY = 10.0
#: Seconds of silence after which Dify ends a stream, cleanly and without a last event (1.16.0, file 41, W).
IDLE = 300.0
#: Events that a reader still gets after another reader of the same run has disconnected (1.16.0, file 41, F and T).
LAST_EVENTS = 2


def block(body: Json) -> str:
    """One event, encoded."""
    return f"data: {json.dumps(body, separators=(',', ':'), ensure_ascii=False)}\n\n"


class _OfRun:
    """Something that waits for a run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._world = run.app.world
        self._engine = run.engine

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        return self.run.listen(wake)

    def postpone(self, seconds: float) -> None:
        self._engine.postpone(self.run, seconds)

    def orphan_after(self, seconds: float) -> None:
        self._world.schedule(seconds, lambda _: self._engine.orphan(self.run))


class RunReply(_OfRun, LaterReply):
    """The response to a blocking request.

    :param answer: Makes it from a run that has ended.
    """

    def __init__(self, run: Run, answer: Callable[[Run], Reply]) -> None:
        super().__init__(run)
        self._answer = answer

    def take(self) -> Reply | None:
        self.lost = self.run.orphaned
        return self._answer(self.run) if self.run.closed else None

    def due(self, *, moving: bool) -> float | None:
        del moving
        return self._world.next_due()


class RunStream(_OfRun, Stream):
    """The events of a run.

    :param live: Whether to send only new events, instead of all from the beginning.
    :param with_snapshot: Whether the state so far is sent first.
    """

    def __init__(self, run: Run, *, live: bool = False, with_snapshot: bool = False) -> None:
        super().__init__(run)
        now = self._world.clock.time()
        self._first = [PING] if run.app.has_runs else []
        self._first += [block(body) for body in snapshot(run)] if with_snapshot else []
        self._next = len(run.events) if live else 0
        since = now - run.created_at if live else 0.0
        self._pinged_at = run.created_at + since // PING_EVERY * PING_EVERY
        self._heard_at = now
        self._left_over: int | None = None
        self._when_over: Literal["clean", "cut", "mute"] = "clean"
        if live:
            self.headers = {"Cache-Control": "no-cache"}
        #: Whether it ends when another reader leaves; a stream that began with a snapshot does not.
        self._fragile = not with_snapshot
        #: Whether it began while the run was paused, to wait for its continuation.
        self._awaits_form = live and not with_snapshot and run.status == "paused"
        run.readers.append(self)

    def take(self) -> list[str]:
        found, self._first = self._first, []
        self._catch_up_pings()
        for event in self.run.events[self._next :]:
            if self.ended:
                break
            found += self._pings(event.at)
            self._next += 1
            self._heard_at = event.at
            if self._left_over != 0:
                found.append(block(event.body))
            self._count()
        if not self.ended and self.run.executing:
            found += self._pings(self._world.clock.time())
        if self._left_over == 0:
            self.ended, self.ending = True, self._when_over
        elif self._over() or self._world.clock.time() - self._heard_at >= IDLE:
            self.ended = True
        if self.ended and self in self.run.readers:
            self.run.readers.remove(self)
        return found

    def _over(self) -> bool:
        """Whether there is nothing more for this reader."""
        return self.run.closed and not (self._awaits_form and self.run.status == "paused")

    def _count(self) -> None:
        if self._left_over:
            self._left_over -= 1
        if self._left_over == 0:
            self.ended, self.ending = True, self._when_over

    def _catch_up_pings(self) -> None:
        """The first ping of a worker comes ten seconds after the start of the run."""
        self._pinged_at = max(self._pinged_at, self.run.created_at)

    def _pings(self, until: float) -> list[str]:
        """The pings of the worker until then."""
        if self.run.status == "queued" or not self.run.app.has_runs:
            return []
        number = max(0, int((until - self._pinged_at + 1e-6) / PING_EVERY))
        if number:
            self._pinged_at += number * PING_EVERY
            self._heard_at = max(self._heard_at, self._pinged_at)
        return [PING] * number

    def due(self, *, moving: bool) -> float | None:
        clock = self._world.clock
        due = self._world.next_due()
        if self.run.executing:
            if moving and due is None:
                # It never ends by itself: time stands still, so that a test can end it.
                return None
            own = self._pinged_at + PING_EVERY
        else:
            own = self._heard_at + IDLE
        own += clock.monotonic() - clock.time()
        return own if due is None else min(due, own)

    def end_after(self, events: int, ending: Literal["clean", "cut", "mute"]) -> None:
        self._left_over, self._when_over = events, ending

    def left(self) -> None:
        """Dify notices at the next event, and then cuts off others, too."""
        if self in self.run.readers:
            self.run.readers.remove(self)
            self.run.departed = True

    def disturb(self) -> None:
        """Another reader has closed its connection."""
        if self._fragile and self._left_over is None:
            self.end_after(LAST_EVENTS, "cut")
