"""Lists all files of a folder or bucket, or raises an error if the list may be incomplete."""

from __future__ import annotations

from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import Any

from airflow_provider_dify.encodings import check_encoding
from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.files import FileSource
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.ingest.contents import LONGEST_NAME
from airflow_provider_dify.knowledge.ingest.options import HIDDEN, FolderOptions
from airflow_provider_dify.knowledge.inputs import show, without_keys
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.sources import fits, fits_all_in, leads_out, patterns
from airflow_provider_dify.storage import folder_path, is_local, unreadable

__all__ = ["HIDDEN", "SEPARATOR", "FolderOptions", "list_folder", "open_folder", "patterns"]

#: Joins the folders of a path in the name of a document: Dify allows no slash there.
SEPARATOR = "__"
#: Longer paths are not repeated in messages.
_LONG = 60
_LONGEST_PATH = 1000


def _prefix(value: object, parameter: str) -> str:
    prefix = inputs.as_text(value)
    if not isinstance(prefix, str) or not inputs.is_storable(prefix):
        raise DifyInputError(f"{parameter} must be text, not {show(value)}.{why(value)}")
    if len(prefix) >= LONGEST_NAME:
        raise DifyInputError(
            f"{parameter} has {len(prefix):,} characters, {show(prefix)}. Dify keeps only {LONGEST_NAME} of a name."
        )
    return prefix


def list_folder(source: object, options: FolderOptions | None = None) -> list[FileSource]:
    """Return the files of a folder, ordered by name.

    A file in a subfolder is named by its path: ``guide/setup.md`` becomes ``guide__setup.md``. Everything that is not a
    folder counts as a file, even if it cannot be read: its :attr:`FileSource.problem` says so.

    :param source: A path, a URL that ``ObjectStoragePath`` opens, or a path object.
    :param options: Which files are read, and how.
    :raises DifyInputError: The arguments are invalid, or a link leads out of the source.
    :raises DifySourceError: It is missing or empty, it or a subfolder cannot be listed, or a link is broken.
    """
    how = inputs.given(options, FolderOptions, "reading")
    prefix = _prefix(how.name_prefix, "name_prefix")
    encoding = check_encoding(how.encoding)
    limit = how.max_file_size
    most = None if limit is None else inputs.whole_number(limit, "max_file_size")
    tree = _Tree(
        open_folder(source),
        patterns(how.include, "include"),
        patterns(how.exclude, "exclude"),
        recursive=inputs.flag(how.recursive, "recursive"),
        follow_links=inputs.flag(how.follow_links, "follow_links"),
    )
    files = [
        FileSource(
            path,
            prefix + below.replace("/", SEPARATOR),
            max_size=most,
            encoding=encoding,
            name_advice=_advice(below),
        )
        for below, path in tree.files()
    ]
    if not files:
        raise tree.empty()
    return sorted(files, key=lambda file: file.name)


def _advice(below: str) -> str:
    pattern = f"add {escape(below)!r} to exclude" if len(below) < _LONG else "exclude it (exclude)"
    return f"Rename the file, or {pattern}."


def open_folder(given: object) -> Any:
    """Return the path of a folder that must exist.

    :param given: A path, a URL that ``ObjectStoragePath`` opens, or a path object.
    :raises DifyInputError: It is a file, or nothing that can be a folder.
    :raises DifySourceError: It does not exist, or cannot be accessed.
    """
    root = folder_path(given, "source")
    try:
        if root.is_dir():
            return root
        there = bool(root.exists())
    except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
        raise unreadable(str(root), error) from None
    shown = without_keys(str(root))[:_LONGEST_PATH]
    if there:
        raise DifyInputError(
            f"source must be a folder, but {shown} is a file. DifyDocumentIngestOperator accepts files."
        )
    raise DifySourceError(f"The folder {shown} does not exist. Nothing was changed, because it may come back.")


class _Tree:
    """A folder and the files in it that match.

    :param root: The folder.
    :param wanted: Patterns of which a file has to match at least one.
    :param unwanted: Patterns of which it must match none.
    :param recursive: Whether to include subfolders.
    :param follow_links: Whether links may lead out of it.
    """

    def __init__(
        self,
        root: Any,
        wanted: tuple[str, ...],
        unwanted: tuple[str, ...],
        *,
        recursive: bool,
        follow_links: bool,
    ) -> None:
        self._root = root
        self._wanted = wanted
        self._unwanted = unwanted
        self._recursive = recursive
        self._follow_links = follow_links

    def files(self) -> Iterator[tuple[str, Any]]:
        """Yield each matching file with its path below the root."""
        yield from self._walk(self._root, "", ())

    def empty(self) -> DifySourceError:
        """Return the error that no file matches."""
        root, usual = without_keys(str(self._root)), FolderOptions()
        chosen = f"recursive={self._recursive}"
        chosen += f", include={show(list(self._wanted))}" if self._wanted != (usual.include,) else ""
        chosen += f", exclude={show(list(self._unwanted))}" if self._unwanted != usual.exclude else ""
        is_empty = not any(child.name for child in self._root.iterdir())
        why = f"The folder {root} is empty" if is_empty else f"No file in {root} matches ({chosen})"
        return DifySourceError(f"{why}. Nothing was changed: an empty source does not empty a knowledge base.")

    def _walk(self, folder: Any, below: str, ancestors: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        """Yield files. A folder that cannot be listed is an error, because the list would be incomplete."""
        try:
            here = folder.resolve() if is_local(folder) else folder
            # A storage may list a folder itself among its children, without a name.
            children = [(child, bool(child.is_dir())) for child in sorted(folder.iterdir(), key=str) if child.name]
        except Exception as error:  # noqa: BLE001 - as above
            raise unreadable(str(folder), error) from None
        if here in ancestors:
            raise DifySourceError(
                f"{without_keys(str(folder))} leads back to a folder above it: its links form a loop. Nothing was "
                "changed."
            )
        for child, is_folder in children:
            path = below + child.name
            if not self._counts(path, child, is_folder=is_folder):
                continue
            if is_local(child) and child.is_symlink():
                self._check_link(child)
            if is_folder:
                yield from self._walk(child, f"{path}/", (*ancestors, here))
            else:
                yield path, child

    def _counts(self, path: str, child: Any, *, is_folder: bool) -> bool:
        if fits_all_in(path, self._unwanted) if is_folder else fits(path, self._unwanted):
            return False
        if is_folder:
            return self._recursive
        return fits(path, self._wanted) or (self._recursive and _is_dead(child))

    def _check_link(self, link: Path) -> None:
        """Check a link: a target that is missing today, such as a disk, must not count as deleted."""
        if self._recursive and _is_dead(link):  # it may have been a folder, whose files would seem to be deleted
            raise DifySourceError(
                f"The link {link} is broken or leads to itself. Nothing was changed, because its target may come "
                "back. Otherwise remove the link, or add it to exclude."
            )
        if not self._follow_links and leads_out(self._root, link):
            raise DifyInputError(
                f"The link {link} leads out of the source. Nothing was changed. Set follow_links=True to follow it, "
                "or add it to exclude."
            )


def _is_dead(path: Any) -> bool:
    """Whether a path is a link to nothing, to itself, or to something inaccessible."""
    if not is_local(path) or not path.is_symlink():
        return False
    try:
        path.resolve(strict=True)
    except (OSError, RuntimeError):
        return True
    return False
