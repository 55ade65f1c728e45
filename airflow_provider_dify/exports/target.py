"""The folder that an export is written to: on this machine, or in a storage that Airflow opens."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifyStorageError
from airflow_provider_dify.knowledge.export.manifest import StoredFile
from airflow_provider_dify.knowledge.inputs import without_keys
from airflow_provider_dify.storage import folder_path, is_local, unreadable

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
_PIECE = 1024 * 1024
#: The end of the name of a file that is still being written.
_PARTIAL = ".partial"
_NOT_THERE = (FileNotFoundError, NotADirectoryError)


def open_target(given: object) -> FolderTarget:
    """Return the folder that a parameter stands for. It need not exist.

    :raises DifyInputError: It is not a folder, or no installed package can open it.
    :raises DifyStorageError: The storage cannot be read.
    """
    root = folder_path(given, "target")
    if not is_local(root) and getattr(root, "protocol", None) in ("file", "local"):
        root = Path(root.path)  # so that files are replaced in one step
    folder = FolderTarget(root)
    if folder.is_file():
        raise DifyInputError(f"target must be a folder, but {folder.place} is a file.")
    return folder


class FolderTarget:
    """A folder to write to.

    :param root: Its path.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        #: Its path, for people.
        self.place = without_keys(str(root))

    def is_file(self) -> bool:
        """Whether it is a file instead of a folder."""
        return self._do("read", self._root, lambda: bool(self._root.exists() and not self._root.is_dir()))

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in one of its folders; none if the folder does not exist."""
        path = self._root / folder
        nothing: list[str] = []
        found = self._do("read", path, lambda: sorted(str(child.name) for child in path.iterdir()), missing=nothing)
        return [name for name in found if name and not name.endswith(_PARTIAL)]

    def sizes(self, folder: str) -> Mapping[str, int | None]:
        """Return the size of each file in a folder below, by its name, from one listing; ``None``: unknown."""
        path = self._root / folder
        nothing: dict[str, int | None] = {}
        return self._do("read", path, lambda: _sizes(path), missing=nothing)

    def read(self, path: str) -> bytes | None:
        """Return a small file; ``None`` if it does not exist."""
        place = self._root / path
        return self._do("read", place, lambda: _read(place), missing=None)

    def check(self, path: str) -> StoredFile | None:
        """Read a file to its end, and return its size and checksum; ``None`` if it does not exist."""
        place = self._root / path
        return self._do("read", place, lambda: _measured(place), missing=None)

    def save(self, path: str, pieces: Iterable[bytes]) -> StoredFile:
        """Write a file. As far as the storage allows, it appears as a whole or not at all."""
        place = self._root / path
        if is_local(place):
            self._do("written", place, lambda: place.parent.mkdir(parents=True, exist_ok=True))
            partial = place.with_name(place.name + _PARTIAL)
            saved = self._write(partial, pieces)
            self._do("written", place, lambda: partial.replace(place))
            return saved
        # In a bucket, a file appears once it is closed, even if pieces are missing. So get all of them first.
        with self.scratch() as whole:
            for piece in pieces:
                whole.write(piece)
            whole.seek(0)
            return self._upload(place, whole)

    def delete(self, path: str) -> None:
        """Delete a file. It is no error if it does not exist."""
        place = self._root / path
        self._do("written", place, place.unlink, missing=None)
        if is_local(place):
            with suppress(OSError):  # its folder usually has other files
                place.parent.rmdir()

    def scratch(self) -> BinaryIO:
        """Open an empty temporary file on this machine. It is deleted when it is closed."""
        with self._errors("written", tempfile.gettempdir()):
            return cast("BinaryIO", _Scratch(tempfile.TemporaryFile()))

    def _upload(self, place: Any, whole: BinaryIO) -> StoredFile:
        try:
            return self._write(place, iter(lambda: whole.read(_PIECE), b""))
        except FileNotFoundError:  # some storages have folders
            self._do("written", place, lambda: place.parent.mkdir(parents=True, exist_ok=True))
            whole.seek(0)
            try:
                return self._write(place, iter(lambda: whole.read(_PIECE), b""))
            except FileNotFoundError as error:
                raise _failure(str(place), "written", error) from None

    def _write(self, place: Any, pieces: Iterable[bytes]) -> StoredFile:
        """Write a file.

        :raises FileNotFoundError: The storage has no such folder.
        """
        digest, size = hashlib.sha256(), 0
        with self._errors("written", place, FileNotFoundError):
            file = place.open("wb")
        try:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                with self._errors("written", place):
                    file.write(piece)
        except BaseException:
            with suppress(Exception):
                file.close()
            raise
        with self._errors("written", place):
            file.close()
        return StoredFile(size, digest.hexdigest())

    def _do(self, verb: str, place: Any, act: Callable[[], T], **missing: T) -> T:
        """Do something with the storage.

        :param missing: What to return if it does not exist.
        """
        try:
            with self._errors(verb, place, *(_NOT_THERE if missing else ())):
                return act()
        except _NOT_THERE:
            return missing["missing"]

    @contextmanager
    def _errors(self, verb: str, place: Any, *raised: type[Exception]) -> Iterator[None]:
        """Turn an error of a storage into one that says what failed. Each kind of storage has its own errors."""
        try:
            yield
        except raised:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            raise _failure(str(place), verb, error) from None


class _Scratch:
    """A temporary file whose errors name its folder. Otherwise they could be taken for errors of a connection."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._file.close()

    def write(self, piece: bytes) -> int:
        """Write a piece, and flush it."""
        try:
            written = int(self._file.write(piece))
            self._file.flush()
        except OSError as error:
            place = f"The temporary folder {tempfile.gettempdir()}"
            raise _failure(place, "written", error) from None
        return written


def _failure(place: str, verb: str, error: Exception) -> DifyError:
    found = unreadable(place, error, kind=DifyStorageError, verb=verb, parameter="target")
    if isinstance(found, DifyStorageError) and found is not error:
        found.add("Check the permissions of the workers there, and the free space.")
    return found


def _sizes(folder: Any) -> dict[str, int | None]:
    if is_local(folder):
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
    if not hasattr(folder, "fs"):
        return {child.name: child.stat().st_size for child in folder.iterdir()}
    folder.fs.invalidate_cache()  # it may list what is gone
    return {str(info["name"]).rpartition("/")[2]: info.get("size") for info in folder.fs.ls(folder.path, detail=True)}


def _read(place: Any) -> bytes:
    with place.open("rb") as file:
        return bytes(file.read())


def _measured(place: Any) -> StoredFile:
    digest, size = hashlib.sha256(), 0
    with place.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return StoredFile(size, digest.hexdigest())
