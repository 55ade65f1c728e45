"""What an ingestion is given, resolved to single contents: texts, files, folders, and patterns of files."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.knowledge.inputs import show

if TYPE_CHECKING:
    from typing_extensions import Self

#: Dify takes no larger files unless it is set so (UPLOAD_FILE_SIZE_LIMIT).
MAX_FILE_SIZE = 15 * 1024 * 1024
_PIECE = 1024 * 1024
_MAGIC = re.compile(r"[*?\[]")


class TextSource:
    """A text with a name."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text: str | None = text
        self.place = "text"
        self.problem = None if text.strip() else "It is empty: Dify would make a document of it that nobody can find."
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
    """

    def __init__(self, path: Any, name: str | None = None, *, max_size: int | None = MAX_FILE_SIZE) -> None:
        self._path = path
        self.name: str = name or path.name
        self.text: str | None = None
        self.place = str(path)
        self.size = 0
        self._digest: str | None = None
        self.problem = self._look(max_size)

    def open(self) -> BinaryIO:
        """Open it for reading from its beginning.

        :raises DifySourceError: It cannot be read, now or while it is being read.
        """
        try:
            return _Reading(self, self._path.open("rb"))  # type: ignore[return-value]  # as much of one as is needed
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            raise _unreadable(self.place, error) from None

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
            return _unreadable(self.place, error).message
        if not self.size:
            return "It is empty: Dify would make a document of it that nobody can find."
        if max_size is not None and self.size > max_size:
            return f"It has {self.size:,} bytes, more than the {max_size:,} that Dify takes (max_file_size)."
        if not re.search(r"[^.]\.[^.]+$", self.name):
            return "Its name has no extension, by which Dify tells the type of a file."
        return "Its name has a slash, which Dify refuses." if "/" in self.name else None


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
            raise _unreadable(self._source.place, error) from None
        self._hash.update(piece)
        if not piece:
            self._source.was_read(self._hash.hexdigest())
        return piece

    def close(self) -> None:
        self._file.close()


Source = TextSource | FileSource


def resolve(source: object, *, max_file_size: int | None = MAX_FILE_SIZE, parameter: str = "source") -> list[Source]:
    """Return the contents that a source stands for, files of a folder or a pattern in the order of their names.

    :param source: One or a list of: a path or an URL as ``ObjectStoragePath`` takes it, of a file, of a folder (its
        files, not those in folders below), or with wildcards (``**`` for folders below); a path object;
        ``{"name": ..., "text": ...}``; ``{"path": ..., "name": ...}``. A string may also hold such a list as JSON.
    :param max_file_size: Bytes above which a file is not even tried; ``None``: no limit.
    :raises DifyInputError: Something of this is none of that.
    """
    items = _items(source)
    return [found for number, item in enumerate(items) for found in _one(item, max_file_size, f"{parameter}[{number}]")]


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
        return FileSource(_path(path) if isinstance(path, str) else path, name, max_size=max_size)
    wanted = "{'name': ..., 'text': ...} or {'name': ..., 'path': ...}, with a name that is not empty"
    raise DifyInputError(f"{parameter} must be {wanted}, not {show(dict(item))}.")


def _found(text: str, max_size: int | None) -> Iterator[Source]:
    magic = _MAGIC.search(text)
    if not magic:
        yield from _in_folder(_path(text), max_size)
        return
    cut = text.rfind("/", 0, magic.start()) + 1
    base = _path(text[:cut] or ".")
    for path in sorted(base.glob(text[cut:]), key=str):
        if path.is_file():
            yield FileSource(path, max_size=max_size)


def _in_folder(path: Any, max_size: int | None) -> Iterator[Source]:
    if not _is_folder(path):
        yield FileSource(path, max_size=max_size)
        return
    for child in sorted(path.iterdir(), key=str):
        if child.is_file():
            yield FileSource(child, max_size=max_size)


def _is_folder(path: Any) -> bool:
    try:
        return bool(path.is_dir())
    except Exception:  # noqa: BLE001 - what is wrong with it is found out, and told, when it is looked at as a file
        return False


def _path(text: str) -> Any:
    if "://" not in text:
        return Path(text).expanduser()
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    return ObjectStoragePath(text)


def _unreadable(place: str, error: Exception) -> DifySourceError:
    if isinstance(error, DifySourceError):
        return error
    return DifySourceError(f"{place} cannot be read: {type(error).__name__}: {error}.")
