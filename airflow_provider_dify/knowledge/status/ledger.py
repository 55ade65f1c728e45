"""The state of each document of a status change, and the outcome that follows from it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.knowledge.answers import Fields, a_list_of_whole_numbers, a_string
from airflow_provider_dify.knowledge.documents import Action, Document
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.status.proof import SearchCheck
from airflow_provider_dify.knowledge.status.report import Outcome
from airflow_provider_dify.knowledge.status.sender import PassResult
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.packing import pack_ids, pack_members, unpack_ids, unpack_members

_GONE = "It was deleted during the change."
_UNDONE = "Dify accepted the change, but its worker undid it."
_UNDONE_SINCE = "It was in the requested state, but no longer is: Dify's worker or somebody else undid it."
_ANSWER_LOST = "The answer was lost, and the document could not be read again: it may not have been changed."
_UNDER_WAY = "Its request was under way when the task was killed: it may not have been changed."
_HALFWAY = "The repair got stuck halfway: the document is in the opposite state."
_UNPROVEN = "Dify accepted the change, but the run ended before this was proven."
_UNSEEN = "The run ended before search was checked."
#: A character for the outcome of each document, to store them in a trigger.
_OPEN = "."
_CODES = {outcome: chr(ord("a") + number) for number, outcome in enumerate(Outcome)}
_OUTCOMES = {code: outcome for outcome, code in _CODES.items()}


@dataclass
class Sent:
    """What was sent for which documents."""

    #: Changed by this run, perhaps: the outcome of these is ``changed``, not ``unchanged``.
    by_us: set[str] = field(default_factory=set)
    #: Dify answered "success" to the last change.
    taken: set[str] = field(default_factory=set)
    #: The response to the last change was lost, and the document was not read since.
    unsure: set[str] = field(default_factory=set)
    #: Dify refused the last change because it holds its lock.
    busy: set[str] = field(default_factory=set)
    #: Repaired by sending the opposite action in between.
    driven: set[str] = field(default_factory=set)
    #: Disabled when they were first read.
    first_seen_disabled: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Handover:
    """The state of each document of a change. It contains no secrets.

    :param document_ids: The documents, in order, by their canonical ids.
    :param sent: What was sent for them.
    :param settled: The outcomes of those that have one.
    :param errors: Messages about single documents.
    """

    document_ids: tuple[str, ...]
    sent: Sent = field(default_factory=Sent)
    settled: Mapping[str, Outcome] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON, with less than 28 bytes for each document."""
        ids = self.document_ids
        sent = {name: pack_members(members, ids) for name, members in vars(self.sent).items() if members}
        by_text: dict[str, list[int]] = {}
        for number, document_id in enumerate(ids):
            if document_id in self.errors:
                by_text.setdefault(self.errors[document_id], []).append(number)
        return {
            "ids": pack_ids(ids),
            "settled": "".join(_CODES[self.settled[i]] if i in self.settled else _OPEN for i in ids).rstrip(_OPEN),
            "errors": by_text,
            "sent": sent,
        }

    @classmethod
    def from_json(cls, data: JSON) -> Handover:
        """Return the handover that :meth:`to_json` was called on."""
        state = Fields(data)
        ids, codes = unpack_ids(state.read("ids", a_string)), state.read("settled", a_string)
        settled = {i: _OUTCOMES[code] for i, code in zip(ids, codes, strict=False) if code != _OPEN}
        by_text = state.object("errors").each(a_list_of_whole_numbers)
        errors = {ids[number]: text for text, numbers in by_text.items() for number in numbers}
        sent = {name: set(unpack_members(text, ids)) for name, text in state.object("sent").each(a_string).items()}
        return cls(ids, Sent(**sent), settled, errors)


class Ledger:
    """The state of each document of a change.

    A document is *open* until it has the requested flags, then *awaited* until search reflects them, then *settled*.

    :param action: What is done.
    :param ids: The documents, in order.
    :param until_search_follows: Whether the requested flags alone are not enough.
    :param before: The state when the change continued in this process.
    """

    def __init__(
        self, action: Action, ids: Iterable[str], *, until_search_follows: bool, before: Handover | None = None
    ) -> None:
        self.open: dict[str, None] = dict.fromkeys(ids)
        self.awaited: dict[str, None] = {}
        self.settled: dict[str, Outcome] = {}
        self.errors: dict[str, str] = {}
        self.documents: dict[str, Document] = {}
        self._ids = tuple(self.open)
        if before:
            self.settled.update(before.settled)
            self.errors.update(before.errors)
            self.open = {i: None for i in self.open if i not in self.settled}
        self._action = action
        self._until_search_follows = until_search_follows
        self._seen_before = before is not None
        self._sent = before.sent if before else Sent()
        #: The pass that is not written down yet: a task may be killed, and report, in the middle of it.
        self._pass = PassResult()

    @property
    def done(self) -> bool:
        """Whether every document is settled."""
        return not self.open and not self.awaited

    @property
    def changed(self) -> list[str]:
        """The documents that are settled as changed."""
        return [document_id for document_id, outcome in self.settled.items() if outcome is Outcome.CHANGED]

    @property
    def good(self) -> list[str]:
        """The documents that are settled as in the requested state."""
        return [document_id for document_id, outcome in self.settled.items() if outcome.good]

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents read so far."""
        return {document_id: document.name for document_id, document in self.documents.items()}

    @property
    def to_read(self) -> list[str]:
        """The documents without an outcome, and those that are settled as in the requested state."""
        return [i for i in self._ids if i not in self.settled or self.settled[i].good]

    def is_settled(self, document_id: str) -> bool:
        """Whether a document has its outcome."""
        return document_id in self.settled

    def ready(self) -> list[str]:
        """Return the documents for which the change can be sent now, busy ones last."""
        ready = [document_id for document_id in self.open if self._can_be_sent(document_id)]
        return sorted(ready, key=self._sent.busy.__contains__)

    def seen(self, asked: Iterable[str], found: Mapping[str, Document]) -> None:
        """Record what Dify shows of documents."""
        for document_id in asked:
            document = found.get(document_id)
            if document is None:
                known = self._seen_before or document_id in self.documents
                self._settle(document_id, Outcome.MISSING, _GONE if known else None)
                continue
            if not (document.enabled or self._seen_before or document_id in self.documents):
                self._sent.first_seen_disabled.add(document_id)
            self.documents[document_id] = document
            self._sort(document_id, document)
            self._sent.unsure.discard(document_id)

    def begin(self) -> PassResult:
        """Return what to record one pass of changes in."""
        self._pass = PassResult()
        return self._pass

    def write_down(self) -> None:
        """Record the result of the pass."""
        result, sent = self._pass, self._sent
        sent.busy.update(result.busy)
        sent.unsure.update(result.unsure)
        sent.taken.update(result.taken)
        sent.busy.difference_update(result.taken)
        sent.by_us.update(i for ids in (result.taken, result.unsure) for i in ids if i not in sent.driven)
        if self._until_search_follows:
            for document_id in result.taken:
                self.documents[document_id] = self._action.applied_to(self.documents[document_id])
                self._await(document_id)
        self._pass = PassResult()

    def driven_back(self, ids: Iterable[str]) -> None:
        """Record that documents were sent through the opposite action: they have to be changed again."""
        for document_id in ids:
            self._sent.driven.add(document_id)
            self._sent.taken.discard(document_id)
            self.awaited.pop(document_id, None)
            self.open[document_id] = None

    def proven(self, check: SearchCheck) -> None:
        """Record the result of a check of search."""
        for document_id in check.followed:
            self._settle_good(document_id)
        for document_id in check.gone:
            self._settle(document_id, Outcome.MISSING, _GONE)
        for document_id, why in check.empty.items():
            self._settle(document_id, Outcome.NOT_SEARCHABLE, why)

    def not_returned(self, why: Mapping[str, str]) -> None:
        """Record that search does not return documents although the worker is done with them."""
        for document_id, text in why.items():
            self._settle(document_id, Outcome.LAGGING, text)

    def await_again(self, ids: Iterable[str]) -> None:
        """Record that search does not reflect documents any more."""
        for document_id in ids:
            self.settled.pop(document_id, None)
            self._await(document_id)

    def sent_by_us(self, ids: Iterable[str]) -> list[str]:
        """Return those documents that this run has changed."""
        return [document_id for document_id in ids if document_id in self._sent.by_us]

    def doubt_changed(self) -> None:
        """Record that changed documents may have been changed back since, as nobody can read them."""
        self.errors.update(dict.fromkeys(self.changed, _UNPROVEN))

    def time_is_up(self) -> None:
        """Give an outcome to all documents without one."""
        for document_id in [*self.awaited]:
            self._settle(document_id, Outcome.LAGGING)
        for document_id in [*self.open]:
            document = self.documents[document_id]
            if document_id in self._sent.driven:
                self._settle(document_id, Outcome.BUSY, _HALFWAY)
            elif document.indexed:
                self._settle(document_id, Outcome.BUSY)
            else:
                self._settle(document_id, Outcome.NOT_READY, f"It is still {document.indexing_status}.")

    def handover(self) -> Handover:
        """Return the state of each document, to continue in another process."""
        return Handover(self._ids, self._sent, dict(self.settled), dict(self.errors))

    def outcomes(self) -> dict[str, Outcome]:
        """Return the outcome of each document; for open ones, what it would be if the run ended now."""
        by_us = self._by_us
        return {i: self.settled.get(i) or self._so_far(i, by_us) for i in self._ids}

    def notes(self, *, in_doubt: bool) -> dict[str, str]:
        """Return the messages about single documents, for a report made now.

        :param in_doubt: Whether the run has ended, so that what is not proven yet remains unproven.
        """
        unseen = dict.fromkeys(self.awaited, _UNSEEN) if in_doubt else {}
        unproven = dict.fromkeys(self._by_us.difference(self.settled), _UNPROVEN) if in_doubt else {}
        lost = {document_id: _ANSWER_LOST for document_id in self._sent.unsure if document_id in self.open}
        halfway = {document_id: _HALFWAY for document_id in self._sent.driven if document_id in self.open}
        under_way = dict.fromkeys(self._pass.under_way, _UNDER_WAY)
        return {**self.errors, **unseen, **unproven, **lost, **under_way, **halfway}

    @property
    def _by_us(self) -> set[str]:
        """The documents that this run has changed, perhaps."""
        return self._sent.by_us.union(self._pass.taken, self._pass.unsure, self._pass.under_way)

    def _so_far(self, document_id: str, by_us: Container[str]) -> Outcome:
        if document_id in self._sent.driven and document_id in self.open:
            return Outcome.BUSY
        if document_id in by_us:
            return Outcome.CHANGED
        return Outcome.UNCHANGED if document_id in self.awaited else Outcome.NOT_ATTEMPTED

    def _can_be_sent(self, document_id: str) -> bool:
        document = self.documents[document_id]
        return document.indexed and not self._action.reached(document)

    def _sort(self, document_id: str, document: Document) -> None:
        """Determine the state of a document from what Dify shows now."""
        if document_id in self._sent.taken and self._is_undone(document_id, document):
            self._settle(document_id, Outcome.REVERTED, document.error or _UNDONE)
        elif document_id in self.settled:
            self._sort_settled(document_id, document)
        elif document_id in self.awaited and (document.failed or not self._action.reached(document)):
            self._settle(document_id, Outcome.REVERTED, document.error or _UNDONE_SINCE)
        elif harm := self._action.harm(document):
            self._settle(document_id, Outcome.REFUSED, harm)
        elif self._action.reached(document):
            self._sort_reached(document_id, document)
        elif document.failed or document.paused:
            self._settle_not_ready(document_id, document)
        elif document_id in self._sent.unsure and document_id not in self._sent.driven:
            self._sent.by_us.discard(document_id)  # the lost response was to a change that did not happen

    def _sort_settled(self, document_id: str, document: Document) -> None:
        """Determine whether a document is still in the requested state."""
        if not self.settled[document_id].good:
            return
        if not self._action.reached(document):
            self._settle(document_id, Outcome.REVERTED, document.error or _UNDONE_SINCE)
        elif self._until_search_follows and document.belongs_in_search and not document.indexed:
            self._settle_not_ready(document_id, document)

    def _sort_reached(self, document_id: str, document: Document) -> None:
        if document.paused or (document.failed and document.belongs_in_search):
            self._settle_not_ready(document_id, document)
        elif document.failed or not self._until_search_follows:
            self._settle_good(document_id)
        elif document.indexed:
            self._await(document_id)
        # A document that is still being indexed enters search at the end, whatever its flags: it stays open.

    def _is_undone(self, document_id: str, document: Document) -> bool:
        # A worker that fails to add a document disables it, even if only archived should change.
        archiving = self._action in (Action.ARCHIVE, Action.UN_ARCHIVE)
        switched = archiving and document.enabled is (document_id in self._sent.first_seen_disabled)
        return not self._action.reached(document) or document.failed or switched

    def _await(self, document_id: str) -> None:
        self.open.pop(document_id, None)
        self.awaited[document_id] = None

    def _settle_good(self, document_id: str) -> None:
        self._settle(document_id, Outcome.CHANGED if document_id in self._sent.by_us else Outcome.UNCHANGED)

    def _settle_not_ready(self, document_id: str, document: Document) -> None:
        why = document.error or f"Its indexing is {'paused' if document.paused else document.indexing_status}."
        self._settle(document_id, Outcome.NOT_READY, why)

    def _settle(self, document_id: str, outcome: Outcome, error: str | None = None) -> None:
        self.open.pop(document_id, None)
        self.awaited.pop(document_id, None)
        self.settled[document_id] = outcome
        if error:
            self.errors[document_id] = error

    def plan(self) -> str:
        """Describe what will be done."""
        there = len(self.awaited) + sum(outcome.good for outcome in self.settled.values())
        ready = len(self.ready())
        parts = [f"{ready} to {self._action.verb}", f"{there} already in that state"]
        if indexing := len(self.open) - ready:
            parts.append(f"{indexing} still being indexed")
        parts += [f"{count} {outcome.value}" for outcome, count in self._bad().items()]
        return f"Of {number_of(len(self._ids))}: {', '.join(parts)}."

    def awaits(self) -> str:
        """Describe what the change waits for."""
        busy = [document_id for document_id in self.open if document_id in self._sent.busy]
        blamed = ", ".join(f"'{self.documents[document_id].name}'" for document_id in busy[:3])
        parts = {
            f"Dify's lock on {blamed}{' and others' if len(busy) > 3 else ''}": len(busy),
            "indexing": len(self.open) - len(busy),
            "search to update": len(self.awaited),
        }
        return " and for ".join(f"{what}: {number_of(count)}" for what, count in parts.items() if count)

    def _bad(self) -> dict[Outcome, int]:
        outcomes = list(self.settled.values())
        return {outcome: outcomes.count(outcome) for outcome in Outcome if not outcome.good and outcome in outcomes}
