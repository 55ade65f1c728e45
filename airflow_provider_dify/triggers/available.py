"""A trigger for asset watchers: documents of a Dify knowledge base become available."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Hashable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from airflow.providers.common.compat.sdk import AirflowException
from airflow.triggers import base
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.indexing.availability import Availability, Watermark, look
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.transport.clock import current

log = logging.getLogger(__name__)

#: Maximum seconds of a wait after a failed check, unless Dify asks for more, or checks are further apart anyway.
_LONGEST_WAIT = 600.0

#: Seconds between the last of several events and the one before. At the first event of an asset, Airflow up to 3.3
#: records that a run is needed, and adds the events until then to that run. Events between that record and the run stay
#: for the run of the next event, whenever that comes. So the last one comes when the scheduler has created the run,
#: which takes an idle one a second or two, and a busy one any time. https://github.com/apache/airflow/issues/54659
_GAP = 10.0

#: Seconds after which triggers are shown the newest result again, so that a document whose turn has come can fire.
_TICK = 1.0

_EventTrigger: Any = getattr(base, "BaseEventTrigger", BaseTrigger)


class DifyDocumentsAvailableTrigger(_EventTrigger):  # type: ignore[misc]  # Airflow 2 has no event triggers
    """Fires once for each document of a knowledge base that becomes available: indexed, enabled, and not archived.

    For an ``AssetWatcher``, and so for Airflow 3.0 or later. The payload of an event is ``dataset_id``,
    ``document_id``, ``name``, ``word_count``, and ``created_at`` (seconds since the epoch). Dify sets a document's
    flags first; after one is enabled or un-archived, search may follow some seconds later.

    Documents that are available at the first check do not fire. After that, each document fires at most once, however
    it became available: created, finally indexed, enabled, or un-archived. A document of the first check fires if it
    comes back after it was absent from two complete checks. A document whose content is replaced keeps its id, and does
    not fire again.

    Since Airflow 3.3, fired documents are stored in the asset's state store, before an event is sent. So a document
    never fires twice, and after a restart those fire that became available meanwhile. If the triggerer stops within
    about a second after that, before it has passed the event on, that event is lost. Before 3.3 there is no such store.
    Each start of the trigger begins with a new first check: documents that became available while no triggerer ran do
    not fire; and with ``include_existing``, all of them fire again.

    A failure of Dify, of the network, or of the connection never ends the trigger: it is logged as a warning, and the
    next check comes later after each failure in a row, at most 10 minutes later or when Dify asks for it. The Airflow
    Connection is read at each check, so a new key needs no restart.

    An event that would come less than 10 seconds after the previous one is held back until then, or until the next
    document becomes available, which is then held back instead. So however many come together, the last one fires about
    10 seconds after the others: Airflow up to 3.3 would create a run for the first event, and keep the others until
    some later event. For the same reason, do not set a ``max_active_runs`` of the DAG that its runs reach
    (https://github.com/apache/airflow/issues/56050).

    On Airflow 3.3, triggers for the same knowledge base with the same connection and intervals share their checks.

    .. seealso:: https://docs.dify.ai/api-reference/documents/list-documents

    :param dataset_id: UUID of the knowledge base.
    :param dify_conn_id: Id of the Airflow Connection.
    :param poll_interval: Seconds between two checks. A check is one request for each 100 documents that have to be
        read; if at most the newest ones are new, that is one.
    :param full_look_interval: Maximum seconds until all pages are read. That finds a document that came while another
        one left, so that the number of documents did not change.
    :param include_existing: Whether documents that are available at the first check fire.
    :raises DifyInputError: A parameter has an invalid value.
    """

    def __init__(
        self,
        *,
        dataset_id: str,
        dify_conn_id: str = "dify_default",
        poll_interval: float = 60.0,
        full_look_interval: float = 600.0,
        include_existing: bool = False,
    ) -> None:
        if _EventTrigger is BaseTrigger:
            raise RuntimeError("DifyDocumentsAvailableTrigger is for asset watchers, which Airflow has since 3.0.")
        super().__init__()
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.dify_conn_id = dify_conn_id
        self.poll_interval = inputs.number(poll_interval, "poll_interval")
        self.full_look_interval = inputs.number(full_look_interval, "full_look_interval")
        self.include_existing = include_existing

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to create it again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "dataset_id": self.dataset_id,
            "dify_conn_id": self.dify_conn_id,
            "poll_interval": self.poll_interval,
            "full_look_interval": self.full_look_interval,
            "include_existing": self.include_existing,
        }

    def shared_stream_key(self) -> Hashable:
        """Return a key of triggers that share their checks. Airflow 3.3 calls this."""
        classpath, kwargs = self.serialize()
        del kwargs["include_existing"]
        return classpath, *kwargs.values()

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncGenerator[_Newest, None]:
        """Check repeatedly, for all triggers with the same :meth:`shared_stream_key`. It never ends."""
        watch = cls(**kwargs)
        newest = _Newest()
        complete_at, failures = current().monotonic(), 0
        while True:
            now = current().monotonic()
            due = now - complete_at >= watch.full_look_interval
            try:
                seen = await watch._look(None if due else newest.seen)
            except Exception as error:  # noqa: BLE001 - ending here would only make the triggerer start it again at once
                failures += 1
                wait = watch._wait_after(error, failures)
            else:
                newest.seen, newest.began = seen, now
                complete_at = now if seen.complete else complete_at
                failures, wait = 0, watch.poll_interval
            async for _ in _ticks(wait, newest):
                yield newest

    async def filter_shared_stream(self, shared_stream: AsyncIterator[_Newest]) -> AsyncGenerator[TriggerEvent, None]:
        """Fire for what is new to this trigger. It never waits, because Airflow would queue the stream meanwhile."""
        started = current().monotonic()
        state = _State(getattr(self, "asset_state_store", None), self.dataset_id)
        announcer = _Announcer(self.dataset_id, state, include_existing=self.include_existing)
        async for newest in shared_stream:
            if newest.seen is None or newest.began < started:  # a result for a trigger that existed before this one
                continue
            try:
                async for document in announcer.take(newest.seen):
                    yield TriggerEvent(self._payload(document))  # type: ignore[no-untyped-call]
            except Exception as error:  # it is a call to Airflow's API server; the next check returns everything again
                text = "What fired for Dify knowledge base %s cannot be kept, and nothing fires until it can: %s"
                log.warning(text, self.dataset_id, error, exc_info=error)
            newest.held_until = max(newest.held_until, announcer.held_until)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Do everything alone: Airflow before 3.3 shares nothing."""
        async with aclosing(self.open_shared_stream(self.serialize()[1])) as looks:
            async for event in self.filter_shared_stream(looks):
                yield event

    async def _look(self, before: Availability | None) -> Availability:
        return await run_flow(look(self.dataset_id, before), await async_settings(self.dify_conn_id), log)

    def _wait_after(self, error: Exception, failures: int) -> float:
        """Log a failed check; return the seconds to wait before the next one."""
        retries = Retries(first=self.poll_interval, longest=max(_LONGEST_WAIT, self.poll_interval))
        known = error if isinstance(error, DifyError) else DifyError(str(error))
        wait = max(self.poll_interval, retries.delay(failures, known))
        log.warning(
            "Dify knowledge base %s cannot be watched (failure %d in a row): %s Next check in %.0f s.",
            self.dataset_id,
            failures,
            error,
            wait,
            # Errors of Airflow and this package say it all.
            exc_info=None if isinstance(error, AirflowException) else error,
        )
        return wait

    def _payload(self, document: Document) -> dict[str, JSON]:
        return {
            "dataset_id": self.dataset_id,
            "document_id": document.id,
            "name": document.name,
            "word_count": document.word_count,
            "created_at": document.created_at,
        }


@dataclass
class _Newest:
    """The newest result. A stream yields the same object each time: a trigger that was blocked sees no older result.

    :param seen: What is available; ``None`` if no check has succeeded yet.
    :param began: When the check began, in seconds of the monotonic clock.
    :param held_until: Until when a trigger holds a document back.
    """

    seen: Availability | None = None
    began: float = float("-inf")
    held_until: float = float("-inf")


async def _ticks(seconds: float, newest: _Newest) -> AsyncGenerator[None, None]:
    """Wait this many seconds. Yield at the beginning, then each second while a document is or may be held back."""
    began = current().monotonic()
    while (rest := began + seconds - current().monotonic()) > 0:
        yield
        # A trigger of a shared stream takes what was yielded a little later, and only then knows what it holds back.
        needed = max(newest.held_until, began) + _GAP
        ticks = newest.seen and current().monotonic() < needed
        await current().asleep(min(rest, _TICK) if ticks else rest)


class _Announcer:
    """Keeps the watermark of one trigger, and decides when to fire for which document.

    It holds a document back that would fire too soon after another one. That document fires even if it is not available
    any more by then: Airflow may keep events back until one comes after them.

    :param dataset_id: UUID of the knowledge base, for the log.
    :param state: Where the watermark is stored.
    :param include_existing: Whether the documents of the very first check are announced, too.
    """

    def __init__(self, dataset_id: str, state: _State, *, include_existing: bool) -> None:
        self._dataset_id = dataset_id
        self._state = state
        self._include_existing = include_existing
        self._mark = Watermark()
        self._fired_at = float("-inf")
        self._taken: Availability | None = None
        self._held: Document | None = None
        #: When the held back document may fire, in seconds of the monotonic clock.
        self._turn = float("inf")

    @property
    def held_until(self) -> float:
        """When the document that is held back fires, by the monotonic clock; in the past if there is none."""
        return self._turn if self._turn < float("inf") else float("-inf")

    async def take(self, seen: Availability) -> AsyncGenerator[Document, None]:
        """Yield the documents that may fire now; each is stored before.

        It does nothing if it has taken the result before and nothing is due. Documents that it cannot store come with
        the next result.
        """
        if seen is self._taken and current().monotonic() < self._turn:
            return
        self._taken, self._turn = seen, float("inf")
        seen = seen.also(self._held) if self._held else seen
        if self._mark.base is None or self._mark.after(seen) != self._mark:
            # Another triggerer may be running this trigger, too, or may have until now, or another trigger of the
            # asset: do not fire again for what they have stored, and do not overwrite it.
            self._mark = self._mark.joined(await self._state.read())
        first = self._mark.base is None
        if first:
            documents = number_of(len(seen.available))
            log.info("Watching Dify knowledge base %s, which has %s in search.", self._dataset_id, documents)
        news = [] if first and not self._include_existing else self._news(seen)
        held = self._to_hold(news)
        await self._move(seen.without(held) if held else seen, announce=bool(news) or not first)
        self._held = held
        due = news[:-1] if held else news
        if due:
            log.info("Dify knowledge base %s: %s became available.", self._dataset_id, number_of(len(due)))
        for document in due:
            self._fired_at = current().monotonic()
            yield document
        if held:
            self._turn = self._fired_at + _GAP

    def _news(self, seen: Availability) -> list[Document]:
        """Return the new documents in the order of firing: the held back one fires before any other."""
        held = self._held.id if self._held else None
        return sorted(self._mark.news(seen), key=lambda document: document.id != held)

    def _to_hold(self, news: list[Document]) -> Document | None:
        """Return the last one, unless it comes alone and long enough after the one that fired last."""
        quiet = current().monotonic() >= self._fired_at + _GAP
        return news[-1] if len(news) > 1 or (news and not quiet) else None

    async def _move(self, seen: Availability, *, announce: bool = True) -> None:
        moved = self._mark.after(seen, announce=announce)
        if moved != self._mark:
            await self._state.write(moved)
        self._mark = moved


class _StateStore(Protocol):
    """The methods of Airflow's asset state store that are used."""

    async def aget(self, key: str) -> JSON:
        """Return a value; ``None`` if there is none."""

    async def aset(self, key: str, value: JSON) -> None:
        """Store a value."""


class _State:
    """Where a watermark outlives the process.

    :param store: Airflow's store; ``None`` before 3.3, where the watermark only lives in the trigger.
    :param dataset_id: UUID of the knowledge base.
    """

    def __init__(self, store: _StateStore | None, dataset_id: str) -> None:
        self._store = store
        self._key = f"airflow-provider-dify/available/{dataset_id}"

    async def read(self) -> Watermark:
        """Return the stored watermark; an initial one if there is none."""
        if self._store is None:
            return Watermark()
        try:
            return Watermark.from_json(await self._store.aget(self._key))
        except ValueError as error:
            # Airflow creates one trigger for equal ones, and asks it which of their assets it means.
            self._store = None
            text = "Equal triggers watch for several assets, so what fired is not kept over a restart (%s)."
            log.warning(text, error)
            return Watermark()

    async def write(self, mark: Watermark) -> None:
        """Store a watermark."""
        if self._store is not None:
            await self._store.aset(self._key, mark.to_json())
