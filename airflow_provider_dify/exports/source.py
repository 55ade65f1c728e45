"""Opens an export as the source of a sync: its manifest and its contents."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.files import FileSource
from airflow_provider_dify.folders import open_folder
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.export.manifest import (
    FOLDER,
    FORMAT,
    MANIFEST,
    ExportedDocument,
    ExportManifest,
    Kind,
    StoredContent,
)
from airflow_provider_dify.knowledge.export.target import JOURNAL
from airflow_provider_dify.knowledge.ingest.contents import LONGEST_NAME, Source
from airflow_provider_dify.knowledge.ingest.options import FolderOptions
from airflow_provider_dify.knowledge.sync.promotion_plan import Exported
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.sources import leads_out
from airflow_provider_dify.storage import unreadable

#: How much of a manifest is read to recognize it.
_HEAD = 1000
#: The name of a content in an export; see ``file_of``.
_CONTENT = re.compile(r".+-[0-9a-f]{16}\.[0-9a-z]{1,10}(\.partial)?")
_NOT_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
#: The parameters that choose files, or change how they are read.
_CHOICES = ("recursive", "include", "exclude", "name_prefix", "encoding")


def open_export(source: object, reading: FolderOptions, *, adopt: bool) -> Exported | None:
    """Return the export in a folder; ``None`` if the folder contains something else.

    :param source: A path, a URL that ``ObjectStoragePath`` opens, or a path object.
    :param reading: How files are read.
    :param adopt: Whether the sync should take over documents.
    :raises DifyInputError: The export is not complete, its manifest is broken, or a parameter does not fit an export.
    :raises DifySourceError: The folder is missing, or cannot be read.
    """
    root = open_folder(source)
    if not hasattr(root, "__truediv__"):  # such as an object that can only be listed
        return None
    place = inputs.without_keys(str(root))
    path = root / MANIFEST
    if FORMAT.encode() not in (_read(path, _HEAD) or b"") and not _holds_contents(root):
        return None
    _check_parameters(reading, adopt=adopt)
    content = _read(path)
    if content is None:
        raise DifyInputError(
            f"{place} contains an export without {MANIFEST}: the export has not finished, or somebody deleted the "
            "manifest. Nothing was sent. Run DifyExportOperator again."
        )
    manifest = ExportManifest.from_bytes(content, f"{place}/{MANIFEST}")
    contents = {entry.id: (entry, entry.content) for entry in manifest.entries if entry.content}
    _check_files(root, place, {one.path for _, one in contents.values()}, follow_links=reading.follow_links)
    limit = reading.max_file_size
    most = None if limit is None else inputs.whole_number(limit, "max_file_size")
    return Exported(manifest, {i: _source(root / one.path, entry, one, most) for i, (entry, one) in contents.items()})


def _holds_contents(root: Any) -> bool:
    """Whether a folder without a valid manifest contains an export nevertheless."""
    try:
        if not (root / FOLDER).is_dir():
            return False
        others = any(child.name and child.name not in (FOLDER, JOURNAL, MANIFEST) for child in root.iterdir())
        names = set() if others else _names(root / FOLDER)
    except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
        raise unreadable(str(root), error) from None
    return bool(names) and all(map(_CONTENT.fullmatch, names))


def _check_parameters(reading: FolderOptions, *, adopt: bool) -> None:
    default = FolderOptions()
    given = [name for name in _CHOICES if getattr(reading, name) != getattr(default, name)] + ["adopt"] * adopt
    if given:
        raise DifyInputError(
            f"{given[0]} does not apply to an export, which is always recreated as a whole. Remove it, or use another "
            "source."
        )


def _check_files(root: Any, place: str, paths: Collection[str], *, follow_links: bool) -> None:
    """Check that an export has all of its files and, unless links are followed, that none leads out of it."""
    try:
        there = _names(root / FOLDER) if paths else set()
    except Exception as error:  # noqa: BLE001 - as above
        raise unreadable(str(root / FOLDER), error) from None
    if missing := sorted(path for path in paths if path.partition("/")[2] not in there):
        raise DifyInputError(
            f"The export in {place} is not complete: {number_of(len(missing), 'file')} of its manifest "
            f"{'is' if len(missing) == 1 else 'are'} missing, such as {missing[0]}. Nothing was sent. Run "
            "DifyExportOperator again."
        )
    for path in paths if not follow_links else ():
        if leads_out(root, root / path):
            raise DifyInputError(
                f"{path} leads out of the export in {place}. Nothing was sent. Set follow_links=True to follow links, "
                "or run DifyExportOperator again."
            )


def _names(folder: Any) -> set[str]:
    try:
        return {str(child.name) for child in folder.iterdir() if child.name}
    except _NOT_THERE:
        return set()


def _read(path: Any, most: int = -1) -> bytes | None:
    """Read a file, or its beginning; ``None`` if it does not exist."""
    try:
        with path.open("rb") as file:
            return bytes(file.read(most))
    except _NOT_THERE:
        return None
    except Exception as error:  # noqa: BLE001 - as above
        raise unreadable(str(path), error) from None


def _source(path: Any, entry: ExportedDocument, content: StoredContent, most: int | None) -> Source:
    if content.kind is Kind.FILE:
        advice = "Rename the document where it was exported, and export it again."
        return FileSource(path, entry.name, max_size=most, name_advice=advice)
    return ExportedText(path, entry.name, max_size=most)


class ExportedText(FileSource):
    """A text of an export. It is read when it is sent.

    :param path: Its path.
    :param name: Name of the document. It need not be a file name.
    :param max_size: Maximum size in bytes; ``None``: no limit.
    """

    def __init__(self, path: Any, name: str, *, max_size: int | None) -> None:
        super().__init__(path, "text.txt", max_size=max_size)  # a name that has no problem
        self.name = name

    @property
    def problem(self) -> str | None:
        """Why it cannot become a document."""
        too_long = f"Its name has {len(self.name)} characters, and Dify keeps only {LONGEST_NAME}."
        return super().problem or (too_long if len(self.name) > LONGEST_NAME else None)

    @property
    def text(self) -> str:
        """Its text. It is read each time, because an export may have many.

        :raises DifySourceError: It cannot be read, or is not UTF-8.
        """
        with self.open() as file:
            content = file.read()
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise DifySourceError(f"{self.place} is not UTF-8 text: {error}. Export it again.") from None
