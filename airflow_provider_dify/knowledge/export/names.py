"""File names for documents: safe on every storage, and no two the same."""

from __future__ import annotations

import hashlib

from airflow_provider_dify.knowledge.text.names import canonical

#: The folder of the contents, below the target.
FOLDER = "files"
_LONGEST_STEM = 60
_LONGEST_TYPE = 10
_DIGITS = 16
_KEPT = "-_."


def file_of(name: str, extension: str, *identity: str) -> str:
    """Return the path of a content below the target, such as ``files/Annual_report-3f2a91c04be77d10.pdf``.

    Another content gets another path: a file that is complete is never written again.

    :param name: Name of the document, for people.
    :param extension: Of its file; of another kind of content, ``txt``.
    :param identity: What tells the content from all others.
    """
    stem = "".join(
        char if char.isalnum() or char in _KEPT else "_" for char in canonical(name).removesuffix(f".{extension}")
    )
    while len(stem.encode()) > _LONGEST_STEM:  # names are limited by their bytes
        stem = stem[:-1]
    kind = "".join(char for char in extension.lower() if char.isascii() and char.isalnum())[:_LONGEST_TYPE] or "bin"
    digest = hashlib.sha256("\n".join(identity).encode()).hexdigest()[:_DIGITS]
    return f"{FOLDER}/{stem.strip(_KEPT) or 'document'}-{digest}.{kind}"
