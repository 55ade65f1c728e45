"""What an ingestion is given, resolved to single contents: texts, files, folders, and patterns of files."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.knowledge.contents import printable
from airflow_provider_dify.knowledge.inputs import show, whole_number, without_keys

if TYPE_CHECKING:
    from typing_extensions import Self

#: Dify takes no larger files unless it is set so (UPLOAD_FILE_SIZE_LIMIT).
MAX_FILE_SIZE = 15 * 1024 * 1024
_PIECE = 1024 * 1024
_MAGIC = re.compile(r"[*?\[]")
#: Dify refuses these in the name of a file. A line break or a control character would arrive as another name.
_NOT_IN_FILE_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


class TextSource:
    """A text with a name."""

    #: A text is there.
    readable = True

    def __init__(self, name: str, text: str) -> None:
        self.name = printable(name)
        self.text: str | None = text
        self.place = "text"
        self.problem = None if text.strip() else "It is empty: Dify would make a document of it that nobody can find."
        if self.name != name:
            self.problem = "Its name is no valid text."
        try:
            self._bytes = text.encode()
        except UnicodeEncodeError as error:
            self._bytes = b""
            self.problem = f"It is no valid text: {error}."

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
    """A file, wherever it is; it is read piece by piece, and not before it has to be.

    :param path: A ``pathlib.Path``, or an ``ObjectStoragePath`` of Airflow's.
    :param name: Name of the document; the file's own where there is none.
    :param max_size: Bytes above which it is not even tried.
    :param error: Why it, or the folder that it is, could not be looked at.
    """

    def __init__(
        self,
        path: Any,
        name: str | None = None,
        *,
        max_size: int | None = MAX_FILE_SIZE,
        error: Exception | None = None,
    ) -> None:
        self._path = path
        self._name: str = name or path.name
        self.name = printable(self._name)
        self.text: str | None = None
        self.place = printable(str(path))
        self.size = 0
        #: Whether it could be looked at: where it could not, that may pass.
        self.readable = True
        self._digest: str | None = None
        self.problem = self._look(max_size) if error is None else self._not_readable(error)

    def open(self) -> BinaryIO:
        """Open it for reading from its beginning.

        :raises DifySourceError: It cannot be read, now or while it is being read.
        """
        try:
            return _Reading(self, self._path.open("rb"))  # type: ignore[return-value]  # as much of one as is needed
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            raise unreadable(self.place, error) from None

    def digest(self) -> str:
        """Return the SHA-256 of its content, as it was when it was last read to its end.

        :raises DifySourceError: It cannot be read.
        """
        if self._digest is None:
            with self.open() as file:
                while file.read(_PIECE):
                    pass
        return self._digest or ""

    def was_read(self, digest: str) -> None:
        """Take the digest of what has been read."""
        self._digest = digest

    def _look(self, max_size: int | None) -> str | None:
        try:
            if self._path.is_dir():
                return "It is a folder."
            self.size = int(self._path.stat().st_size)
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            return self._not_readable(error)
        if not self.size:
            return "It is empty: Dify would make a document of it that nobody can find."
        if max_size is not None and self.size > max_size:
            return f"It has {self.size:,} bytes, more than the {max_size:,} that Dify takes (max_file_size)."
        return self._problem_of_name()

    def _problem_of_name(self) -> str | None:
        other = 'Give it another one: {"path": ..., "name": ...}.'
        if self.name != self._name:
            return f"Its name is no valid text. {other}"
        if found := _NOT_IN_FILE_NAMES.search(self.name):
            return f"Its name has the character {found[0]!r}, which Dify takes in no name of a file. {other}"
        if not re.search(r"[^.]\.[^.]+$", self.name):
            return f"Its name has no extension, by which Dify tells the type of a file. {other}"
        return None

    def _not_readable(self, error: Exception) -> str:
        self.readable = False
        return unreadable(self.place, error).message


class _Reading:
    """A file that is read once from its beginning to its end, and whose digest is known then."""

    def __init__(self, source: FileSource, file: Any) -> None:
        self._source = source
        self._file = file
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        try:
            piece: bytes = self._file.read(size)
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            raise unreadable(self._source.place, error) from None
        self._hash.update(piece)
        if not piece:
            self._source.was_read(self._hash.hexdigest())
        return piece

    def close(self) -> None:
        self._file.close()


Source = TextSource | FileSource


def resolve(
    source: object, *, max_file_size: int | None = MAX_FILE_SIZE, allow_empty: bool = True, parameter: str = "source"
) -> list[Source]:
    """Return the contents that a source stands for, files of a folder or a pattern in the order of their names.

    :param source: One or a list of: a path or an URL as ``ObjectStoragePath`` takes it, of a file, of a folder (its
        files, not those in folders below), or with wildcards (``**`` for folders below); a path object;
        ``{"name": ..., "text": ...}``; ``{"path": ..., "name": ...}``. A string may also hold such a list as JSON.
    :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit.
    :param allow_empty: Whether there may be nothing in the source, or in one of the list.
    :raises DifyInputError: Something of this is none of that, or there is nothing in it.
    """
    if max_file_size is not None:
        whole_number(max_file_size, "max_file_size")
    items = _items(source)
    found = [list(_one(item, max_file_size, f"{parameter}[{number}]")) for number, item in enumerate(items)]
    if not allow_empty:
        for item, contents in zip(items or [source], found or [[]], strict=True):
            if not contents:
                raise DifyInputError(
                    f"There is nothing in {show(item)}: no file, no text. Where that is normal, set allow_empty=True."
                )
    return [content for contents in found for content in contents]


def _items(source: object) -> list[object]:
    if isinstance(source, str) and source.lstrip()[:1] in ("[", "{"):
        for parse in (json.loads, ast.literal_eval):
            try:
                return _items(parse(source.strip()))
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    if isinstance(source, (str, Mapping, os.PathLike)) or hasattr(source, "open"):
        return [source]
    if isinstance(source, Iterable) and not isinstance(source, bytes):
        return list(source)
    raise DifyInputError(f"source must be a path, a text with a name, or a list of them, not {show(source)}.")


def _one(item: object, max_size: int | None, parameter: str) -> Iterator[Source]:
    if isinstance(item, Mapping):
        yield _described(item, max_size, parameter)
    elif isinstance(item, str) and item.strip():
        yield from _found(item.strip(), max_size)
    elif isinstance(item, os.PathLike) or hasattr(item, "open"):
        yield from _in_folder(item, max_size)
    else:
        raise DifyInputError(f"{parameter} must be a path, or a text with a name, not {show(item)}.")


def _described(item: Mapping[Any, Any], max_size: int | None, parameter: str) -> Source:
    name = item.get("name")
    if set(item) == {"name", "text"} and isinstance(item["text"], str) and isinstance(name, str) and name.strip():
        return TextSource(name, item["text"])
    if set(item) == {"name", "path"} and isinstance(name, str) and name.strip():
        path = item["path"]
        return FileSource(to_path(path) if isinstance(path, str) else path, name, max_size=max_size)
    wanted = "{'name': ..., 'text': ...} or {'name': ..., 'path': ...}, with a name that is not empty"
    raise DifyInputError(f"{parameter} must be {wanted}, not {show(dict(item))}.")


def _found(text: str, max_size: int | None) -> Iterator[Source]:
    magic = _MAGIC.search(text)
    # A file may be called "report[1].md".
    if not magic or _is(to_path(text), "exists"):
        yield from _in_folder(to_path(text), max_size)
        return
    cut = text.rfind("/", 0, magic.start()) + 1
    base = to_path(text[:cut] or ".")
    yield from _files(base, lambda: base.glob(text[cut:]), max_size)


def _in_folder(path: Any, max_size: int | None) -> Iterator[Source]:
    if _is(path, "is_dir"):
        yield from _files(path, path.iterdir, max_size)
    else:
        yield FileSource(path, max_size=max_size)


def _files(folder: Any, look: Callable[[], Iterable[Any]], max_size: int | None) -> Iterator[Source]:
    try:
        found = sorted(look(), key=str)
    except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
        yield FileSource(folder, max_size=max_size, error=error)
        return
    # Not only what is a file: a link that leads nowhere shall be told, and not be passed over.
    yield from (FileSource(path, max_size=max_size) for path in found if not _is(path, "is_dir"))


def _is(path: Any, what: str) -> bool:
    try:
        return bool(getattr(path, what)())
    except Exception:  # noqa: BLE001 - what is wrong with it is found out, and told, when it is looked at as a file
        return False


def to_path(text: str) -> Any:
    """Return the path that a text stands for: one of this machine, or an URL that ``ObjectStoragePath`` opens."""
    if "://" not in text:
        return Path(text).expanduser()
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(text)


def unreadable(place: str, error: Exception) -> DifySourceError:
    """Return the error that something cannot be read."""
    if isinstance(error, DifySourceError):
        return error
    return DifySourceError(without_keys(f"{place} cannot be read: {type(error).__name__}: {error}."))
