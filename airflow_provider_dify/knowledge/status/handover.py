"""What a change of status has to remember where it goes on in another process."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.text.packing import pack_ids, unpack_ids


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

    :param document_ids: The documents, in order, by their canonical ids.
    :param sent: What was sent for them.
    """

    document_ids: tuple[str, ...]
    sent: Sent

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON, of few bytes for each document."""
        sent = {name: _members(members, self.document_ids) for name, members in asdict(self.sent).items() if members}
        return {"count": len(self.document_ids), "ids": pack_ids(self.document_ids), **sent}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Handover:
        """Return what :meth:`to_json` was made of."""
        ids = unpack_ids(data["ids"])
        sent = {name: _chosen(text, ids) for name, text in data.items() if name not in ("count", "ids")}
        return cls(ids, Sent(**sent))


def _members(members: Collection[str], ids: Collection[str]) -> str:
    """Return a bit for each id that tells whether it is a member."""
    bits = "".join("1" if document_id in members else "0" for document_id in ids)
    return b64encode(int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")).decode()


def _chosen(text: str, ids: Collection[str]) -> set[str]:
    bits = f"{int.from_bytes(b64decode(text), 'little'):b}"[::-1]
    return {document_id for document_id, bit in zip(ids, bits, strict=False) if bit == "1"}
