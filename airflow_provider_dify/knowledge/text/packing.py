"""Stores ids in few bytes: MySQL keeps at most 64 kB for a trigger, and encryption by Airflow adds a third."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable

_UUID_DIGITS = 32


def pack_ids(ids: Iterable[str]) -> str:
    """Return UUIDs as one text, 22 bytes each."""
    return b64encode(bytes.fromhex("".join(ids).replace("-", ""))).decode()


def unpack_ids(text: str) -> tuple[str, ...]:
    """Return the UUIDs that :func:`pack_ids` was given, as Dify writes them."""
    digits = b64decode(text).hex()
    return tuple(_dashed(digits[start : start + _UUID_DIGITS]) for start in range(0, len(digits), _UUID_DIGITS))


def pack_members(members: Collection[str], ids: Collection[str]) -> str:
    """Return one bit for each id: whether it is a member."""
    bits = "".join("1" if document_id in members else "0" for document_id in ids)
    return b64encode(int(bits[::-1] or "0", 2).to_bytes(-(-len(bits) // 8), "little")).decode()


def unpack_members(text: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Return the members that :func:`pack_members` was given, in the order of the ids."""
    bits = f"{int.from_bytes(b64decode(text), 'little'):b}"[::-1]
    return tuple(document_id for document_id, bit in zip(ids, bits, strict=False) if bit == "1")


def _dashed(digits: str) -> str:
    """Return a UUID as Dify writes it. Python's own type takes ten times as long, in an event loop."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
