"""Waits for the indexing of documents, and decides when waiting longer makes no sense.

Dify responds to a creation at once and indexes later, in a worker. It never says that indexing will not happen any
more: the documents of a killed worker remain as they are forever. So a wait also ends if there is no progress.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, TypeAlias, cast

from airflow_provider_dify.exceptions import (
    DifyIndexingError,
    DifyIndexingStalled,
    DifyIndexingTimeout,
    DifyInputError,
    DifyNotFoundError,
)
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.answers import (
    Fields,
    a_list,
    a_list_of_whole_numbers,
    a_number_or_nothing,
    a_string,
)
from airflow_provider_dify.knowledge.conversation import is_long
from airflow_provider_dify.knowledge.documents import IndexingState
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Pause
from airflow_provider_dify.knowledge.indexing.report import IndexingReport, first_of, status, what_is_wrong
from airflow_provider_dify.knowledge.progress import Intervals, Progress, WholeJob
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT
from airflow_provider_dify.knowledge.status.proof import ProvenBy, SearchProof
from airflow_provider_dify.knowledge.status.repair import why_lost
from airflow_provider_dify.knowledge.text.counts import if_one, number_of
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.knowledge.text.packing import pack_ids, unpack_ids

#: How many documents that a list shows as splitting are read one by one, since the list has no segment counts. Dify
#: splits only a few at a time.
_MOST_SINGLE_READS = 20
#: What is kept of a document: its status, and how many of its segments are indexed.
_Seen: TypeAlias = tuple[str, int | None, int | None]


class IndexingWait:
    """A wait until all documents of a batch or a list are indexed.

    Its whole state is in this object, not in a generator, so a sensor can check, release its slot, and check again.

    :param dataset_id: UUID of the knowledge base.
    :param batch: The batch that Dify returned when the documents were created: a text of 20 digits.
    :param document_ids: UUIDs of documents, instead of a batch: a list, one id, or a string that contains a list.
    :param stall_timeout: Seconds without progress after which it fails; ``None``: never.
    :param prove_by: What proves, when all are indexed, that search returns the enabled ones: ``search``, or only their
        ``segments``; ``None``: no proof.
    :param poll_interval: Seconds between two checks; the first checks come sooner.
    :raises DifyInputError: An argument is invalid.
    """

    kind: ClassVar[str] = "indexing"

    def __init__(
        self,
        dataset_id: object,
        *,
        batch: object = None,
        document_ids: object = None,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: object = None,
        poll_interval: float = 10.0,
    ) -> None:
        if (batch is None) == (document_ids is None):
            raise not_exactly_one(batch, document_ids)
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.batch = None if batch is None else _batch(batch)
        self._asked = () if document_ids is None else inputs.canonical_ids(document_ids)
        self._stall_timeout = None if stall_timeout is None else inputs.number(stall_timeout, "stall_timeout")
        self._prove_by = None if prove_by is None else inputs.choice(prove_by, ProvenBy, "prove_by")
        self._poll_interval = inputs.number(poll_interval, "poll_interval")
        self._states: dict[str, IndexingState] = {}
        #: When the last progress was made, in seconds since the wait began.
        self._moved = 0.0
        self._server_time = 0.0
        self._progress: Progress | None = None
        #: The job that this is a part of, for the log.
        self.whole = WholeJob()

    def __str__(self) -> str:
        return f"{self.what} of knowledge base {self.dataset_id}"

    @property
    def what(self) -> str:
        """What is waited for."""
        return f"batch {self.batch}" if self.batch else number_of(len(self._asked))

    @property
    def names(self) -> dict[str, str]:
        """The names of the documents read so far, by id."""
        return {state.id: state.name for state in self._states.values() if state.name}

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere instead of waiting here."""
        return is_long(pause)

    @property
    def document_ids(self) -> tuple[str, ...]:
        """The documents that it waits for, as far as known, in order."""
        return self._asked or tuple(self._states)

    def to_json(self) -> dict[str, JSON]:
        """Return it and its state as plain JSON, with a few bytes for each document, to continue elsewhere.

        The time at which the wait began is needed, too, by a clock that both processes share.
        """
        seen = [(s.status, s.completed_segments, s.total_segments) for s in self._states.values()]
        kinds = {kind: number for number, kind in enumerate(dict.fromkeys(seen))}
        return {
            "dataset_id": self.dataset_id,
            "batch": self.batch,
            "ids": pack_ids(self.document_ids),
            "seen": [kinds[kind] for kind in seen],
            "kinds": [list(kind) for kind in kinds],
            "moved": self._moved,
            "stall_timeout": self._stall_timeout,
            "prove_by": self._prove_by and self._prove_by.value,
            "poll_interval": self._poll_interval,
            "whole": self.whole.to_json(),
        }

    @classmethod
    def from_json(cls, data: JSON) -> IndexingWait:
        """Return the wait that :meth:`to_json` was called on. It still recognizes progress since then."""
        state = Fields(data)
        ids, batch = unpack_ids(state.read("ids", a_string)), state.get("batch")
        asked = None if batch else list(ids)
        wait = cls(
            state.get("dataset_id"),
            batch=batch,
            document_ids=asked,
            stall_timeout=state.read("stall_timeout", a_number_or_nothing),
            prove_by=state.get("prove_by"),
            poll_interval=state.number("poll_interval"),
        )
        wait._moved = state.number("moved")
        wait.whole = WholeJob.from_json(state.get("whole"))
        kinds = cast("list[_Seen]", state.read("kinds", a_list))  # as to_json wrote it
        seen = state.read("seen", a_list_of_whole_numbers)
        wait._states = {i: _state_from(i, *kinds[kind]) for i, kind in zip(ids, seen, strict=False)}
        return wait

    def flow(self, deadline: Deadline, retries: Retries | None = None) -> Flow[IndexingReport]:  # noqa: ARG002 - as called
        """Wait until all documents are indexed.

        :param deadline: How long to wait.
        :param retries: Not needed: it only reads, and reads are retried anyway.
        :raises DifyIndexingTimeout: The deadline passed.
        :raises DifyError: see :meth:`look`.
        """
        waits = Intervals(longest=self._poll_interval)
        while True:
            if (yield from self.look(deadline)):
                return self.report()
            if deadline.passed:
                raise self.timed_out(deadline)
            yield Pause(min(waits.next(), deadline.remaining), "")

    def look(self, deadline: Deadline) -> Flow[IndexingReport | None]:
        """Check the documents once.

        :param deadline: Knows how long the wait has lasted.
        :return: The report; ``None`` if not all are indexed yet.
        :raises DifyIndexingError: A document failed, is paused, or is gone.
        :raises DifyIndexingStalled: There was no progress for too long.
        :raises DifyError: A request to Dify failed.
        """
        seen = yield from self._read_batch() if self.batch else self._read_asked()
        if any(state.differs(self._states[i]) for i, state in seen.items() if i in self._states):
            self._moved = deadline.elapsed
        self._states.update(seen)
        yield from self._check_broken_off()
        if not self._open() and (yield from self._is_in_search(deadline)):
            return self.report()
        yield from self._check_stalled(deadline)
        yield from self._say(deadline)
        return None

    def _is_in_search(self, deadline: Deadline) -> Flow[bool]:
        """Whether search returns the enabled documents, now that all of them are indexed.

        :raises DifyIndexingError: It never will, or the worker has lost them.
        """
        if self._prove_by is None:
            return True
        documents = yield from read_documents(self.dataset_id, self.document_ids)
        self._refuse_gone([i for i in self.document_ids if i not in documents])
        self._states.update({i: IndexingState.of(document) for i, document in documents.items()})
        if self._open():  # somebody has changed one meanwhile
            yield from self._check_broken_off()
            return False
        dataset = yield from api.get_dataset(self.dataset_id)
        proof = SearchProof(self.dataset_id, dataset, self._prove_by)
        awaited = [i for i, document in documents.items() if document.belongs_in_search]
        check = yield from proof.look(awaited, documents, thorough=True, progress=Progress(deadline, self.whole))
        self._refuse_gone(check.gone)
        if bad := {**check.empty, **dict.fromkeys(check.lost, why_lost(proof))}:
            reasons = "; ".join(sorted(set(bad.values())))
            raise DifyIndexingError(
                f"Indexing of {self} completed, but search does not return {number_of(len(bad))}: "
                f"{first_of(self._states[i] for i in bad)}. {reasons}",
                bad,
            )
        return not check.behind

    def timed_out(self, deadline: Deadline) -> DifyIndexingTimeout:
        """Return the error that names the documents that were not indexed in time."""
        known = self._progress_text() if self._states else "Dify did not answer the last check"
        names = f" Not completed: {first_of(self._open(), status)}." if self._states else ""
        return DifyIndexingTimeout(
            f"Indexing of {self} had not completed after {deadline.elapsed:.0f} s: {known}. Raise the timeout, or "
            f"check what keeps Dify's worker busy.{names}",
            {state.id: state.status for state in self._open()},
        )

    def _read_batch(self) -> Flow[dict[str, IndexingState]]:
        found: dict[str, IndexingState] = {}
        try:
            states, self._server_time = yield from api.batch_indexing(self.dataset_id, self.batch or "")
            found = {state.id: state for state in states}
        except DifyNotFoundError as error:
            if not api.document_is_missing(error):
                raise
        if not found and not self._states:
            raise DifyIndexingError(
                f"Dify knows no document of batch {self.batch} in knowledge base {self.dataset_id}. Check both ids. "
                "Its documents may have been deleted or updated since. An update can change the batch: wait for them "
                "by id instead (document_ids)."
            )
        # An update moves a document to another batch; a deletion removes it from its batch.
        found.update((yield from self._read_by_id([i for i in self._states if i not in found])))
        return found

    def _read_asked(self) -> Flow[dict[str, IndexingState]]:
        seen = self._states
        return (yield from self._read_by_id([i for i in self._asked if i not in seen or not seen[i].completed]))

    def _read_by_id(self, ids: list[str]) -> Flow[dict[str, IndexingState]]:
        documents = yield from read_documents(self.dataset_id, ids)
        self._refuse_gone([i for i in ids if i not in documents])
        states = {i: IndexingState.of(documents[i]) for i in ids}
        growing = [i for i, state in states.items() if state.status == "splitting" and state.total_segments is None]
        for document_id in growing[:_MOST_SINGLE_READS]:
            states[document_id], _ = yield from self._read_closely(document_id)
        return states

    def _read_closely(self, document_id: str) -> Flow[tuple[IndexingState, float]]:
        try:
            return (yield from api.document_indexing(self.dataset_id, document_id))
        except DifyNotFoundError as error:
            if api.document_is_missing(error):
                self._refuse_gone([document_id])
            raise

    def _refuse_gone(self, ids: list[str]) -> None:
        if not ids:
            return
        known = [self._states.get(i, IndexingState(i, "unknown")) for i in ids]
        raise DifyIndexingError(
            f"Cannot wait for {self}: {number_of(len(ids))} {if_one(len(ids), 'is', 'are')} not in this knowledge "
            f"base. Deleted in the meantime, or given by a wrong id: {first_of(known)}.",
            dict.fromkeys(ids, "not in this knowledge base"),
        )

    def _check_broken_off(self) -> Flow[None]:
        """Raise an error if a document will not continue by itself."""
        # The state of a batch contains no names. Reading the documents also shows what somebody has resumed meanwhile.
        unnamed = [state.id for state in self._states.values() if state.broken_off and state.name is None]
        for document_id, state in (yield from self._read_by_id(unnamed)).items():
            # A document that was paused while it waited does not show that by itself.
            still_paused = self._states[document_id].status == "paused" and not state.completed
            self._states[document_id] = replace(state, status="paused") if still_paused else state
        broken = [state for state in self._states.values() if state.broken_off]
        if broken:
            raise DifyIndexingError(
                f"Indexing of {self} cannot complete: {number_of(len(broken))} failed or "
                f"{if_one(len(broken), 'is', 'are')} paused. Resume paused ones in Dify; fix and update failed ones, "
                f"or delete and create them again: {first_of(broken, what_is_wrong)}.",
                {state.id: what_is_wrong(state) for state in broken},
            )

    def _check_stalled(self, deadline: Deadline) -> Flow[None]:
        """Raise an error if there was no progress for too long, by what was read and by Dify's timestamps."""
        limit = self._stall_timeout
        if limit is None or deadline.elapsed - self._moved <= limit:
            return
        age = yield from self._age_of_last_step(limit)
        if age <= limit:
            self._moved = deadline.elapsed - max(0.0, age)
            return
        raise DifyIndexingStalled(
            f"Indexing of {self} stands still: nothing has moved for more than {limit:.0f} s. Dify's worker is down, "
            "is busy, or was killed. After a kill, delete the documents and create them again; if the queue is just "
            f"long, raise stall_timeout. {self._progress_text()}; not completed: {first_of(self._open(), status)}.",
            {state.id: state.status for state in self._open()},
        )

    def _age_of_last_step(self, enough: float) -> Flow[float]:
        """Return the seconds since the last step by Dify's clock, or since any step that is recent enough."""
        states = self._states.values()
        known = [self._server_time - state.step_at for state in states if state.step_at is not None]
        youngest = min(known, default=float("inf"))
        # Start with those that are or were being processed: the others have less to show.
        for state in sorted((state for state in states if state.step_at is None), key=lambda s: s.status == "waiting"):
            if youngest <= enough:
                break
            seen, now = yield from self._read_closely(state.id)
            youngest = min(youngest, now - (seen.step_at or 0))
        return youngest

    def _open(self) -> list[IndexingState]:
        return [state for state in self._states.values() if not state.completed]

    def report(self) -> IndexingReport:
        """Return what is known about the documents."""
        return IndexingReport(self.dataset_id, self.document_ids, self._sum(lambda state: state.total_segments))

    def _say(self, deadline: Deadline) -> Flow[None]:
        if self._progress is None:
            self._progress = Progress(deadline)
        text = self._progress_text()
        if self._progress.is_news(text):
            yield self._progress.status(text)

    def _progress_text(self) -> str:
        left = Counter(state.status for state in self._open())
        states = ", ".join(f"{count} {status}" for status, count in left.most_common())
        done, of = len(self._states) - left.total(), len(self._states)
        text = f"{self.whole.done + done:,} of {number_of(self.whole.of(of))} completed"
        text = f"{text} ({states})" if states else text
        some, total = self._sum(lambda state: state.completed_segments), self._sum(lambda state: state.total_segments)
        return text if some is None or total is None else f"{text}, {some:,} of {number_of(total, 'segment')}"

    def _sum(self, count: Callable[[IndexingState], int | None]) -> int | None:
        counts = [count(state) for state in self._states.values()]
        known = [number for number in counts if number is not None]
        return sum(known) if len(known) == len(counts) else None


def not_exactly_one(batch: object, document_ids: object) -> DifyInputError:
    """Return the error if there are both a batch and ids, or neither."""
    return DifyInputError(
        "Give exactly one of batch and document_ids, not "
        f"batch={inputs.show(batch)} and document_ids={inputs.show(document_ids)}."
    )


def _batch(value: object) -> str:
    given = inputs.as_text(value)
    text = given.strip() if isinstance(given, str) else ""
    if not re.fullmatch(r"[0-9]+", text):
        raise DifyInputError(
            f"batch is not the name of a batch: {inputs.show(value)}.{why(value)} Dify returns it when a document is "
            "created; it has 20 digits. For the id of a document, use document_ids."
        )
    return text


def _state_from(document_id: str, status: str, completed: int | None, total: int | None) -> IndexingState:
    return IndexingState(document_id, status, completed_segments=completed, total_segments=total)
