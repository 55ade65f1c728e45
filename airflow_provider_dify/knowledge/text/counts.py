"""Numbers of things, for the log."""

from __future__ import annotations


def number_of(count: int, thing: str = "document") -> str:
    """Return a number of documents, or of other things, in words: ``1 document``, ``2 documents``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
