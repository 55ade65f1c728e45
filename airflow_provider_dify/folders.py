"""A folder or a bucket as a whole: each of its files, and an error where it cannot be said which these are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.knowledge.contents import LONGEST_NAME
from airflow_provider_dify.knowledge.inputs import flag, literal, show, without_keys
from airflow_provider_dify.sources import MAX_FILE_SIZE, FileSource, to_path, unreadable

#: What stands between the folders of a path in the name of a document: Dify takes no slash there.
SEPARATOR = "__"
#: Files and folders whose names begin with a dot.
HIDDEN = (".*", "*/.*")


def list_folder(
    source: object,
    *,
    recursive: bool = False,
    include: object = "*",
    exclude: object = HIDDEN,
    name_prefix: str = "",
    max_file_size: int | None = MAX_FILE_SIZE,
) -> list[FileSource]:
    """Return the files of a folder, in the order of their names.

    A file in a folder below is called by its path, ``guide/setup.md`` is ``guide__setup.md``. What is no folder counts
    as a file, also where it cannot be read: its :attr:`FileSource.problem` says so.

    :param source: A path, an URL that ``ObjectStoragePath`` opens, or a path object.
    :param recursive: Whether folders below count.
    :param include: Only files whose path below the source fits one of these patterns, such as ``*.md``. A star also
        stands for slashes.
    :param exclude: No files whose path below the source fits one of these, what is hidden unless said otherwise.
    :param name_prefix: What the name of each document begins with.
    :param max_file_size: Bytes above which a file cannot become a document; ``None``: no limit.
    :raises DifyInputError: Something of this makes no sense.
    :raises DifySourceError: It is missing or empty, or it, or a folder below, cannot be listed.
    """
    wanted, unwanted = patterns(include, "include"), patterns(exclude, "exclude")
    if not isinstance(name_prefix, str):
        raise DifyInputError(f"name_prefix must be a text, not {show(name_prefix)}.")
    root = _root(source)
    files = []
    for below, path in _walk(root, "", recursive=flag(recursive, "recursive"), ancestors=()):
        if _fits(below, wanted) and not _fits(below, unwanted):
            files.append(_file(path, name_prefix + below.replace("/", SEPARATOR), max_file_size))
    if not files:
        chosen = f"recursive={recursive}, include={show(list(wanted))}, exclude={show(list(unwanted))}"
        raise DifySourceError(
            f"There is no file in {without_keys(str(root))} that counts ({chosen}). Nothing was changed: an empty "
            "source empties no knowledge base."
        )
    return sorted(files, key=lambda file: file.name)


def patterns(value: object, parameter: str) -> tuple[str, ...]:
    """Return the patterns that a user gave: one, a list, or a text that renders to a list.

    :raises DifyInputError: They are something else.
    """
    found = literal(value)
    items = [found] if isinstance(found, str) or not isinstance(found, Iterable) else list(found)
    checked = tuple(item for item in items if isinstance(item, str) and item)
    if len(checked) < len(items) or isinstance(found, (bytes, Mapping)):
        raise DifyInputError(f"{parameter} must be a pattern such as '*.md', or a list of them, not {show(value)}.")
    return checked


def _root(source: object) -> Any:
    if isinstance(source, str) and source.strip():
        root = to_path(source.strip())
    elif isinstance(source, os.PathLike) or hasattr(source, "iterdir"):
        root = Path(source) if isinstance(source, os.PathLike) and not hasattr(source, "iterdir") else source
    else:
        raise DifyInputError(f"source must be a folder: a path, an URL, or a path object, not {show(source)}.")
    try:
        if root.is_dir():
            return root
        there = bool(root.exists())
    except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
        raise unreadable(str(root), error) from None
    shown = without_keys(str(root))
    if there:
        raise DifyInputError(f"source must be a folder, and {shown} is a file. DifyDocumentIngestOperator takes files.")
    raise DifySourceError(f"There is no folder {shown}. Nothing was changed: what is missing now may come back.")


def _walk(folder: Any, below: str, *, recursive: bool, ancestors: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Give each file with its path below the root; an error where a folder cannot be listed, as then nobody knows."""
    try:
        here = folder.resolve() if isinstance(folder, Path) else folder
        # A store may show a folder itself among what is in it, without a name.
        children = [(child, bool(child.is_dir())) for child in sorted(folder.iterdir(), key=str) if child.name]
    except Exception as error:  # noqa: BLE001 - as above
        raise unreadable(str(folder), error) from None
    if here in ancestors:
        raise DifySourceError(f"{folder} leads back to a folder above it: a link goes round in a circle.")
    for child, is_folder in children:
        if not is_folder:
            yield below + child.name, child
        elif recursive:
            yield from _walk(child, f"{below}{child.name}/", recursive=True, ancestors=(*ancestors, here))


def _file(path: Any, name: str, max_size: int | None) -> FileSource:
    file = FileSource(path, name, max_size=max_size)
    if not file.problem and len(file.name) > LONGEST_NAME:
        file.problem = f"Its name has {len(file.name)} characters, and Dify keeps only {LONGEST_NAME} of them."
    return file


def _fits(path: str, wanted: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in wanted)
