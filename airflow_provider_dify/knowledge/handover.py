"""What a change of status has to remember where it goes on in another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from airflow_provider_dify.knowledge.flow import JSON


@dataclass
class Sent:
    """What was sent for which documents."""

    #: Changed by us, or perhaps: for these the outcome is ``changed`` and not ``unchanged``.
    ours: set[str] = field(default_factory=set)
    #: Dify said "success" to the last change.
    taken: set[str] = field(default_factory=set)
    #: The answer to the last change was lost, and the document was not seen since.
    unsure: set[str] = field(default_factory=set)
    #: Dify refused the last change, as it holds its lock.
    busy: set[str] = field(default_factory=set)
    #: Driven through the opposite action to repair them.
    driven: set[str] = field(default_factory=set)
    #: Switched off when they were first seen.
    were_off: set[str] = field(default_factory=set)

    def of(self, ids: set[str]) -> Sent:
        """Return the part that is about some documents."""
        return Sent(**{name: members & ids for name, members in vars(self).items()})


@dataclass(frozen=True)
class Handover:
    """The documents that are not settled, and what was sent for them. Nothing in it is secret.

    :param document_ids: The documents, in order.
    :param sent: What was sent for them.
    """

    document_ids: tuple[str, ...]
    sent: Sent

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON; empty sets are left out, as there may be many documents."""
        sent = {name: sorted(members) for name, members in asdict(self.sent).items() if members}
        return {"document_ids": list(self.document_ids), **sent}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Handover:
        """Return what :meth:`to_json` was made of."""
        sent = {name: set(members) for name, members in data.items() if name != "document_ids"}
        return cls(tuple(data["document_ids"]), Sent(**sent))
