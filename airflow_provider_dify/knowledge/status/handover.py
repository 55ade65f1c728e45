"""What a status change keeps when it continues in another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_provider_dify.knowledge.answers import Fields, a_list_of_whole_numbers, a_string
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.status.report import Outcome
from airflow_provider_dify.knowledge.text.packing import pack_ids, pack_members, unpack_ids, unpack_members

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
