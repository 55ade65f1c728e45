"""The content of a future document: a text, or a file from anywhere."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_dify.encodings import Conversion, NotText, check, is_text
from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.knowledge.ingest.contents import LONGEST_NAME, printable
from airflow_provider_dify.knowledge.ingest.options import MAX_FILE_SIZE
from airflow_provider_dify.knowledge.inputs import without_keys
from airflow_provider_dify.knowledge.text.names import canonical
from airflow_provider_dify.storage import unreadable

if TYPE_CHECKING:
    from typing_extensions import Self

_PIECE = 1024 * 1024
_log = logging.getLogger(__name__)
_EMPTY = "It is empty. Dify would create a document that search never returns."
#: Dify rejects these in file names. A line break or control character would change the name.
_NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_TYPE = re.compile(r"\.[0-9A-Za-z]+")


class TextSource:
    """A text with a name."""

    #: A text can always be read.
    readable = True

    def __init__(self, name: str, text: str) -> None:
        self.name = canonical(printable(name))
        self.text: str | None = text
        self.place = "text"
        self.problem = None if text.strip() else _EMPTY
        if printable(name) != name:
            self.problem = "Its name is not valid text."
        try:
            self._bytes = text.encode()
        except UnicodeEncodeError as error:
            self._bytes = b""
            self.problem = f"It is not valid text: {error}."

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self._bytes)

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return BytesIO(self._bytes)

    def digest(self) -> str:
        """Return its SHA-256."""
        return hashlib.sha256(self._bytes).hexdigest()


class FileSource:
    """A file from anywhere. It is read piece by piece, and only when necessary.

    A text file is read once before it is sent, to check its encoding; it is converted to UTF-8 while it is sent.

    :param path: A ``pathlib.Path``, or an ``ObjectStoragePath`` of Airflow.
    :param name: Name of the document; by default, the file's own. Trailing blanks are removed, because Dify takes the
        file type from the end.
    :param max_size: Maximum size in bytes; larger files are not sent.
    :param encoding: The encoding of a text, or ``detect``; ``None``: send it unchanged.
    :param name_advice: What to do about a name that Dify does not accept.
    :param problem: Why it cannot become a document, if known.
    :param error: Why the file or folder could not be accessed.
    :raises DifyInputError: No installed package can open it.
    """

    def __init__(
        self,
        path: Any,
        name: str | None = None,
        *,
        max_size: int | None = MAX_FILE_SIZE,
        encoding: str | None = None,
        name_advice: str = "Give it another name.",
        problem: str | None = None,
        error: Exception | None = None,
    ) -> None:
        self._path = path
        self._max_size = max_size
        given: str = name or path.name
        self.name = canonical(printable(given)).rstrip()
        self.place = without_keys(printable(str(path)))
        #: Whether it could be accessed. If not, that may be temporary.
        self.readable = True
        self._encoding = encoding if is_text(self.name) else None
        self._conversion: Conversion | None = None
        self._size = 0
        self._digest: str | None = None
        self._problem = problem or (self._look() if error is None else self._not_readable(error))
        if self._problem is None and (about_name := problem_of_name(given)):
            self._problem = f"{about_name} {name_advice}"

    @property
    def text(self) -> str | None:
        """``None``: it is sent as a file."""
        return None

    @property
    def problem(self) -> str | None:
        """Why it cannot become a document. A text is read once to find out."""
        self._check()
        return self._problem

    @property
    def size(self) -> int:
        """How many bytes will be sent."""
        self._check()
        return self._size

    def open(self) -> BinaryIO:
        """Open the content to send, from its beginning.

        :raises DifySourceError: It cannot be read, now or later.
        """
        self._check()
        return _Reading(self, self._open(), self._conversion)  # type: ignore[return-value]  # it has the needed methods

    def digest(self) -> str:
        """Return the SHA-256 of the content to send, as of the last complete read.

        :raises DifySourceError: It cannot be read.
        """
        self._check()
        if self._digest is None:
            with self.open() as file:
                while file.read(_PIECE):
                    pass
        return self._digest or ""

    def was_read(self, digest: str) -> None:
        """Keep the digest of what was read."""
        self._digest = digest

    def _open(self) -> Any:
        try:
            return self._path.open("rb")
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            raise unreadable(str(self._path), error) from None

    def read_from(self, file: Any, size: int) -> bytes:
        """Read from the open file.

        :raises DifySourceError: It cannot be read.
        """
        try:
            return bytes(file.read(size))
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            raise unreadable(str(self._path), error) from None

    def _check(self) -> None:
        """Read a text, unless that was done already: its encoding and its length as UTF-8 have to be known."""
        encoding, self._encoding = self._encoding, None
        if encoding is None or self._problem:
            return
        try:
            checked = check(self._pieces, self.name, encoding)
        except NotText as error:
            self._problem = str(error)
            return
        except DifySourceError as error:
            self._problem = self._not_readable(error)
            return
        if checked.read != self._size:
            self.readable = False
            self._problem = f"'{self.name}' changed its size while it was being read. Is it still being written?"
        if checked.conversion.detected:
            _log.info("%s is read as %s.", self.place, checked.conversion.encoding)
        self._conversion, self._size, self._digest = checked.conversion, checked.size, checked.digest
        self._problem = self._problem or self._problem_of_size(" as UTF-8")

    def _pieces(self) -> Iterator[bytes]:
        file = self._open()
        try:
            while piece := self.filled(file):
                yield piece
        finally:
            file.close()

    def filled(self, file: Any) -> bytes:
        """Read a whole piece: a storage may return less, and the first bytes show the encoding."""
        piece = b""
        while len(piece) < _PIECE and (more := self.read_from(file, _PIECE - len(piece))):
            piece += more
        return piece

    def _look(self) -> str | None:
        try:
            if self._path.is_dir():
                return "It is a folder."
            self._size = int(self._path.stat().st_size)
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            return self._not_readable(error)
        return self._problem_of_size()

    def _problem_of_size(self, what: str = "") -> str | None:
        if not self._size:
            return _EMPTY
        if self._max_size is not None and self._size > self._max_size:
            return f"It has {self._size:,} bytes{what}, more than the limit of {self._max_size:,} (max_file_size)."
        return None

    def _not_readable(self, error: Exception) -> str:
        found = unreadable(str(self._path), error)
        if isinstance(found, DifyInputError):
            raise found from None
        self.readable = False
        return found.message


def problem_of_name(name: str) -> str | None:
    """Return why Dify would change or reject a file name; ``None`` if it would not."""
    if printable(name) != name:
        return "Its name is not valid text."
    name = canonical(name).rstrip()
    if found := _NOT_IN_FILE_NAMES.search(name):
        return f"Its name contains {found[0]!r}, which Dify does not allow in file names."
    if "%22" in name:  # 1.16.0, file 26
        return "Its name contains '%22', which Dify would turn into a quotation mark."
    extension = os.path.splitext(name)[1]  # noqa: PTH122 - like Dify; pathlib treats leading dots differently
    if not extension.strip("."):
        return "Its name has no extension, and Dify needs one to tell the file type."
    if not _TYPE.fullmatch(extension):
        return f"Its name ends in {ascii(extension)[:50]}, which is not a file extension."
    if len(name) > LONGEST_NAME:
        return f"Its name has {len(name)} characters, and Dify keeps only {LONGEST_NAME}."
    return None


class _Reading:
    """A file that is read once from beginning to end; then its digest is known."""

    def __init__(self, source: FileSource, file: Any, conversion: Conversion | None) -> None:
        self._source = source
        self._file = file
        self._hash = hashlib.sha256()
        self._converted = conversion.apply(self._raw_pieces()) if conversion else None
        self._now = BytesIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read_from(self._file, size) if self._converted is None else self._next(size)
        self._hash.update(piece)
        if not piece:
            self._source.was_read(self._hash.hexdigest())
        return piece

    def close(self) -> None:
        self._file.close()

    def _next(self, size: int) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self._next(_PIECE), b""))
        while not (piece := self._now.read(size)):
            try:
                self._now = BytesIO(next(self._converted or iter(())))
            except StopIteration:
                break
            except NotText as error:
                raise DifySourceError(f"{self._source.place} changed after it was checked. {error}") from None
        return piece

    def _raw_pieces(self) -> Iterator[bytes]:
        while piece := self._source.filled(self._file):
            yield piece
