"""When two names are the same: Unicode writes "ü" in two ways that look equal.

Linux, S3 and keyboards write one character (NFC), macOS stores two (NFD). To Dify, these are different names. Here each
name is converted to NFC when it comes in: from a file, a parameter or a response of Dify.
"""

from __future__ import annotations

import unicodedata


def canonical(name: str) -> str:
    """Return the canonical form of a name, in which names are sent, compared and shown."""
    return unicodedata.normalize("NFC", name)


def forms(name: str) -> tuple[str, ...]:
    """Return the forms in which Dify may have stored a name, the canonical one first: its filters distinguish them."""
    return tuple(dict.fromkeys((canonical(name), unicodedata.normalize("NFD", name))))


def same_in_all_forms(text: str) -> str | None:
    """Return the longest part of a text that is written in only one way, so that Dify finds all forms of it.

    :return: ``None`` if there is no such part.
    """
    runs = "".join(char if _has_one_form(char) else "\0" for char in canonical(text)).split("\0")
    return max(runs, key=len) or None


def _has_one_form(char: str) -> bool:
    return unicodedata.normalize("NFD", char) == char and not unicodedata.combining(char)
