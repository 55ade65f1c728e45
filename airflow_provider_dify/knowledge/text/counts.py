"""Numbers of things, for logs and errors."""

from __future__ import annotations


def if_one(count: int, one: str, more: str) -> str:
    """Return what fits a number: ``if_one(1, "is", "are")`` is ``is``."""
    return one if count == 1 else more


def number_of(count: int, noun: str = "document", plural: str = "") -> str:
    """Return a number of documents, or of other things, in words: ``1 document``, ``2 documents``."""
    return f"{count:,} {if_one(count, noun, plural or f'{noun}s')}"


def part_of(count: int, total: int, noun: str = "document", plural: str = "") -> str:
    """Return a part in words: ``1 of 3 documents``. The first number decides about its verb: ``is``."""
    return f"{count:,} of {number_of(total, noun, plural)}"


def duration(seconds: float) -> str:
    """Return a time in seconds, or in days if that is long: ``900 s``, ``7 days``."""
    return f"{round(seconds, 1):g} s" if seconds < 172_800 else f"{seconds / 86_400:.3g} days"
