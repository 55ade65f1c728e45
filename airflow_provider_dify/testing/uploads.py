"""Files that come with a request, which of them Dify takes, and what it makes of their content."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

LARGEST_FILE = 15 * 1024 * 1024
#: Of a longer name the beginning is kept.
LONGEST_NAME = 200

#: What Dify reads unless it is set up with Unstructured.
EXTENSIONS = frozenset(
    ("txt", "markdown", "md", "mdx", "pdf", "html", "htm", "xlsx", "xls", "docx", "csv", "vtt", "properties")
)
_FORBIDDEN = frozenset('/\\:*?"<>|')
#: How files begin that are more than a text, and what is said of one that does not. The paths are of Dify's server.
_BEGINNINGS = {
    "pdf": (b"%PDF", "Failed to load document (PDFium: Data format error)."),
    "docx": (b"PK", "Package not found at '/tmp/tmp0a1b2c3d/upload.docx'"),
    "xlsx": (b"PK", "File is not a zip file"),
}


@dataclass(frozen=True)
class Upload:
    """One file, as it came.

    :param field: Name of its part of the form.
    :param name: Its name, extension included; empty where the part gives none.
    """

    field: str
    name: str
    content: bytes
    mime_type: str

    @classmethod
    def of(cls, name: str, text: str) -> Upload:
        """A file with this text in it."""
        return cls("file", name, text.encode(), mimetypes.guess_type(name)[0] or "application/octet-stream")

    @property
    def extension(self) -> str:
        """What stands behind the last dot of the name, in small letters."""
        return PurePosixPath(self.name).suffix.removeprefix(".").lower()

    @property
    def text(self) -> str:
        """What search will find it by."""
        return self.content.decode(errors="replace")

    @property
    def forbidden_name(self) -> bool:
        """Whether there are characters in its name that Dify does not take."""
        return not _FORBIDDEN.isdisjoint(self.name)

    @property
    def supported(self) -> bool:
        """Whether Dify takes files of this kind."""
        return self.extension in EXTENSIONS

    @property
    def too_large(self) -> bool:
        """Whether it is over Dify's limit."""
        return len(self.content) > LARGEST_FILE

    @property
    def flaw(self) -> str | None:
        """Why the worker will not be able to read it."""
        if self.extension in _BEGINNINGS:
            beginning, error = _BEGINNINGS[self.extension]
            return None if self.content.startswith(beginning) else error
        try:
            self.content.decode()
        except UnicodeDecodeError:
            # Other encodings are guessed, and that fails where the file is no text at all.
            binary = b"\0" in self.content
            return f"Could not detect encoding for /tmp/tmp0a1b2c3d/upload.{self.extension}" if binary else None
        return None


@dataclass(frozen=True)
class Form:
    """What a ``multipart/form-data`` request brings."""

    fields: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()

    @property
    def file_fields(self) -> set[str]:
        """Names of the parts that hold files; two of the same name count as one."""
        return {one.field for one in self.files}
