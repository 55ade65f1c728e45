"""Uploaded files: which of them Dify accepts, and what it reads from their content."""

from __future__ import annotations

import codecs
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

LARGEST_FILE = 15 * 1024 * 1024
#: Longer names are cut off.
LONGEST_NAME = 200

#: What Dify reads unless it is configured with Unstructured.
EXTENSIONS = frozenset(
    ("txt", "markdown", "md", "mdx", "pdf", "html", "htm", "xlsx", "xls", "docx", "csv", "vtt", "properties")
)
_FORBIDDEN = frozenset('/\\:*?"<>|')
#: Below this number of bytes, the encoding is guessed wrong.
_SHORT = 16
#: How binary files begin, and the error about one that does not. The paths are those of Dify's server.
_BEGINNINGS = {
    "pdf": (b"%PDF", "Failed to load document (PDFium: Data format error)."),
    "docx": (b"PK", "Package not found at '/tmp/tmp0a1b2c3d/upload.docx'"),
    "xlsx": (b"PK", "File is not a zip file"),
}


@dataclass(frozen=True)
class Upload:
    """One file, as uploaded.

    :param field: Name of its part of the form.
    :param name: Its name, including the extension; empty if the part has none.
    """

    field: str
    name: str
    content: bytes
    mime_type: str

    @classmethod
    def of(cls, name: str, text: str) -> Upload:
        """A file with this text."""
        return cls("file", name, text.encode(), mimetypes.guess_type(name)[0] or "application/octet-stream")

    @property
    def extension(self) -> str:
        """The part after the last dot of the name, in lower case."""
        return PurePosixPath(self.name).suffix.removeprefix(".").lower()

    @property
    def text(self) -> str:
        """The text by which search will find it; empty if Dify finds no text in it (1.16.0, file 26)."""
        text = decoded(self.content)
        lines = [line for line in text.splitlines() if line.strip()]
        nothing = {
            "csv": len(lines) < 2,
            "html": not re.sub(r"<[^>]*>", "", text).strip(),
            "md": all(re.fullmatch(r"\s*#+\s*", line) for line in lines),
        }
        kind = {"htm": "html", "markdown": "md", "mdx": "md"}.get(self.extension, self.extension)
        return "" if nothing.get(kind, False) else text

    @property
    def forbidden_name(self) -> bool:
        """Whether its name contains characters that Dify does not allow."""
        # A quotation mark is accepted as %22, which is how a form writes it (1.16.0, file 26).
        return not _FORBIDDEN.isdisjoint(self.name.replace('"', ""))

    @property
    def supported(self) -> bool:
        """Whether Dify accepts files of this kind."""
        return self.extension in EXTENSIONS

    @property
    def too_large(self) -> bool:
        """Whether it is above Dify's limit."""
        return len(self.content) > LARGEST_FILE

    @property
    def flaw(self) -> str | None:
        """Why the worker will not be able to read it."""
        if self.extension in _BEGINNINGS:
            beginning, error = _BEGINNINGS[self.extension]
            return None if self.content.startswith(beginning) else error
        # Other encodings are guessed, and that fails if the file is not text at all.
        if _unicode(self.content) is None and b"\0" in self.content:
            return f"Could not detect encoding for /tmp/tmp0a1b2c3d/upload.{self.extension}"
        return None


def decoded(content: bytes) -> str:
    """A file as Dify reads it: UTF-8 and UTF-16 correctly, everything else by a guess that never fails.

    Recorded guesses (1.16.0, file 26): GBK was taken for Big5, and 14 bytes of Latin-1 for UTF-16. So here a text that
    is mostly not ASCII counts as Big5, a very short one as UTF-16, and any other as Latin-1, which is right.
    """
    text = _unicode(content)
    if text is not None:
        return text
    strange = sum(byte > 127 for byte in content)
    if strange * 2 >= len(content):
        return content.decode("big5", errors="replace")
    if len(content) < _SHORT and len(content) % 2 == 0:
        return content.decode("utf-16-be", errors="replace")
    return content.decode("latin-1")


def _unicode(content: bytes) -> str | None:
    """A file in UTF-8, or in UTF-16 with a mark."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class Form:
    """The contents of a ``multipart/form-data`` request."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()

    @property
    def file_fields(self) -> set[str]:
        """Names of the parts with files; two with the same name count as one."""
        return {one.field for one in self.files}
