"""Resolves the source of an ingestion to single contents: texts, files, folders, and patterns of files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow_provider_dify.encodings import check_encoding
from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.files import FileSource, TextSource
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.ingest.options import MAX_FILE_SIZE, ReadOptions
from airflow_provider_dify.knowledge.inputs import show, whole_number
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.knowledge.text.names import canonical
from airflow_provider_dify.storage import is_local, to_path

__all__ = ["MAX_FILE_SIZE", "FileSource", "ReadOptions", "Source", "TextSource", "resolve"]

_MAGIC = re.compile(r"[*?\[]")
_OTHER_NAME = 'Give it another name, {"path": ..., "name": ...}, or exclude it (exclude).'

Source = TextSource | FileSource


def resolve(
    source: object, options: ReadOptions | None = None, *, allow_empty: bool = True, parameter: str = "source"
) -> list[Source]:
    """Return the contents of a source. The files of a folder or a pattern are ordered by name.

    :param source: One or a list of: a path or URL, as ``ObjectStoragePath`` accepts it, of a file, of a folder (its
        files, without subfolders), or with wildcards (``**`` for subfolders); a path object; ``{"name": ..., "text":
        ...}``; ``{"path": ..., "name": ...}``. A string may also contain such a list as JSON.
    :param options: Which files are read, and how.
    :param allow_empty: Whether the source, or an item of a list, may have no contents.
    :raises DifyInputError: The source is something else, or has no contents.
    """
    resolver = _Resolver(inputs.given(options, ReadOptions, "reading"))
    items = _items(source)
    found = [list(resolver.one(item, f"{parameter}[{number}]")) for number, item in enumerate(items)]
    if not allow_empty:
        for item, contents in zip(items or [source], found or [[]], strict=True):
            if not contents:
                left_out = number_of(resolver.left_out, "file")
                why = f" Excluded: {left_out} (exclude={show(list(resolver.unwanted))})." if resolver.left_out else ""
                raise DifyInputError(
                    f"{show(item)} is empty: it has no file and no text.{why} If that is normal, set allow_empty=True."
                )
    return [content for contents in found for content in contents]


def _items(given: object) -> list[object]:
    source = inputs.literal(inputs.as_text(given))
    if isinstance(source, (str, Mapping, os.PathLike)) or hasattr(source, "open"):
        return [source]
    if isinstance(source, Iterable) and not isinstance(source, bytes):
        return list(source)
    raise DifyInputError(
        f"source must be a path, a text with a name, or a list of them, not {show(source)}.{why(source)}"
    )


class _Resolver:
    """Finds the contents of each item of a source.

    :param options: Which files are read, and how.
    """

    def __init__(self, options: ReadOptions) -> None:
        self.unwanted = patterns(options.exclude, "exclude")
        #: How many files were excluded.
        self.left_out = 0
        self._max_size = None if options.max_file_size is None else whole_number(options.max_file_size, "max_file_size")
        self._encoding = check_encoding(options.encoding)
        self._follow_links = inputs.flag(options.follow_links, "follow_links")

    def one(self, given: object, parameter: str) -> Iterator[Source]:
        """Yield the contents of an item."""
        item = inputs.as_text(given)
        if isinstance(item, Mapping):
            yield self._described(item, parameter)
        elif isinstance(item, str) and item.strip():
            # A template may leave blanks, and a file name may end with some.
            yield from self._found(item if item != item.strip() and _is(to_path(item), "exists") else item.strip())
        elif (path := _path_object(item)) is not None:
            yield from self._in_folder(path)
        else:
            raise DifyInputError(f"{parameter} must be a path, or a text with a name, not {show(item)}.{why(item)}")

    def _described(self, item: Mapping[Any, Any], parameter: str) -> Source:
        name = inputs.as_text(item.get("name"))
        if isinstance(name, str) and name.strip():
            text = inputs.as_text(item.get("text"))
            if set(item) == {"name", "text"} and isinstance(text, str):
                return TextSource(name, text)
            if set(item) == {"name", "path"}:
                path = inputs.as_text(item["path"])
                there = to_path(path) if isinstance(path, str) and path.strip() else _path_object(path)
                if there is not None:
                    return self._file(there, name)
        wanted = "{'name': ..., 'text': ...} or {'name': ..., 'path': ...}, with a name that is not empty"
        hint = next(filter(None, (why(one) for one in item.values())), "")
        raise DifyInputError(f"{parameter} must be {wanted}, not {show(dict(item))}.{hint}")

    def _found(self, text: str) -> Iterator[Source]:
        # A file may be named "report[1].md".
        if not _MAGIC.search(text) or _is(to_path(text), "exists"):
            yield from self._in_folder(to_path(text))
            return
        cut = _literal_part(inputs.pattern(text, "source"))
        base, pattern = to_path(text[:cut] or "."), text[cut:]
        yield from self._files(base, lambda: _glob(base, pattern))

    def _in_folder(self, path: Any) -> Iterator[Source]:
        if _is(path, "is_dir"):
            yield from self._files(path, path.iterdir)
        else:
            yield self._file(path)

    def _files(self, folder: Any, look: Callable[[], Iterable[Any]]) -> Iterator[Source]:
        try:
            found = sorted(look(), key=str)
        except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
            yield self._file(folder, error=error)
            return
        for path in found:
            # Not only files: a broken link is an error and not ignored.
            if _is(path, "is_dir"):
                continue
            if fits(path_below(folder, path), self.unwanted):
                self.left_out += 1
                continue
            outside = not self._follow_links and leads_out(folder, path)
            why = "It is a link that leads out of the source: set follow_links=True, or exclude it (exclude)."
            yield self._file(path, problem=why if outside else None)

    def _file(self, path: Any, name: str | None = None, **why: Any) -> FileSource:
        return FileSource(
            path,
            name,
            max_size=self._max_size,
            encoding=self._encoding,
            name_advice=_OTHER_NAME,
            **why,
        )


def patterns(value: object, parameter: str) -> tuple[str, ...]:
    """Return the patterns that a user gave: one, a list, or a text that contains a list.

    :raises DifyInputError: The value is something else.
    """
    found = inputs.literal(value)
    several = list(found) if isinstance(found, Iterable) and not isinstance(found, str) else [found]
    items = [inputs.as_text(one) for one in several]
    checked = tuple(item for item in items if isinstance(item, str) and item)
    if len(checked) < len(items) or isinstance(found, (bytes, Mapping)):
        raise DifyInputError(
            f"{parameter} must be a pattern such as '*.md', or a list of them, not {show(value)}.{why(value)}"
        )
    return tuple(canonical(inputs.pattern(one, parameter)) for one in checked)


def fits(path: str, wanted: Iterable[str]) -> bool:
    """Whether a path below a folder matches any of the patterns; a star also matches slashes."""
    path = canonical(path)
    return any(fnmatchcase(path, one) for one in wanted)


def fits_all_in(folder: str, wanted: Iterable[str]) -> bool:
    """Whether everything in a folder matches, whatever its name."""
    return fits(f"{folder}/", (one for one in wanted if one.endswith("*")))


def path_below(folder: Any, path: Any) -> str:
    """Return the path of a file below a folder, with slashes."""
    if is_local(folder):
        try:
            return Path(path).relative_to(folder).as_posix()
        except ValueError:
            return str(path.name)
    base = str(folder).rstrip("/")
    return str(path).removeprefix(base).lstrip("/") if str(path).startswith(base) else str(path.name)


def leads_out(folder: Any, path: Any) -> bool:
    """Whether a path in a folder is, or passes through, a link to something outside."""
    if not is_local(folder) or not is_local(path) or ".." in path.parts:
        return False
    try:
        return not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a link in a loop: reported when it is accessed
        return False


def _path_object(item: object) -> Any:
    """Return a path object that can be queried; ``None`` for anything else."""
    if hasattr(item, "open") and hasattr(item, "name"):
        return item
    try:
        return Path(os.fspath(item)) if isinstance(item, os.PathLike) else None
    except TypeError:  # its path is bytes
        return None


def _literal_part(text: str) -> int:
    """Return the length of a pattern's literal part: as many of its folders as exist under that name."""
    magic = _MAGIC.search(text)
    cut = text.rfind("/", 0, magic.start() if magic else len(text)) + 1
    while (end := text.find("/", cut)) >= 0 and _is(to_path(text[:end]), "is_dir"):
        cut = end + 1
    return cut


def _glob(base: Any, pattern: str) -> Iterable[Any]:
    if not is_local(base):
        # A storage would interpret brackets in the folder's path as a pattern, too.
        return _matching(base, pattern.split("/")) if _MAGIC.search(str(base)) else base.glob(pattern)
    try:
        return list(base.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise DifyInputError(f"source has a pattern that is not valid: {show(pattern)} ({error}).") from None


def _matching(folder: Any, parts: list[str]) -> Iterator[Any]:
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _matching(folder, rest or ["*"])
    for child in folder.iterdir():
        if first == "**":
            if child.is_dir():
                yield from _matching(child, parts)
        elif fnmatchcase(child.name, first):
            if not rest:
                yield child
            elif child.is_dir():
                yield from _matching(child, rest)


def _is(path: Any, what: str) -> bool:
    try:
        return bool(getattr(path, what)())
    except Exception:  # noqa: BLE001 - its error is reported when it is read as a file
        return False
