"""The archive in which Dify sends the files of many documents.

Dify names its members like the uploaded files, and adds a number if a name is taken. It writes them in the order of the
ids (1.16.0, read in its source: api/services/file_service.py). Both are checked: contents must not be mixed up.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from os.path import splitext
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from airflow_provider_dify.knowledge.export.listing import UploadedFile

_PIECE = 256 * 1024
#: What reading an archive raises if it is not one, or a broken one.
_BROKEN = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class BrokenArchive(Exception):  # noqa: N818 - never leaves this room
    """What came is no archive, or a broken one."""


class Archive:
    """An archive that has arrived.

    :param file: The whole of it.
    :param files: The files that were asked for, in order.
    :raises BrokenArchive: It is no archive, or does not have as many members.
    """

    def __init__(self, file: BinaryIO, files: Sequence[UploadedFile]) -> None:
        try:
            self._zip = ZipFile(file)
        except _BROKEN as error:
            raise BrokenArchive(str(error)) from None
        self._members = self._zip.infolist()
        if len(self._members) != len(files):
            raise BrokenArchive(f"it has {len(self._members)} files instead of {len(files)}")
        #: Whether it is certain which member is which file.
        self.certain = len(files) == 1 or [one.filename for one in self._members] == _member_names(files)

    def size(self, number: int) -> int:
        """How many bytes a member has, by its own account."""
        return self._members[number].file_size

    def pieces(self, number: int) -> Iterator[bytes]:
        """Give a member piece by piece.

        :raises BrokenArchive: It is broken, by its checksum.
        """
        member: ZipInfo = self._members[number]
        try:
            with self._zip.open(member) as opened:
                while piece := opened.read(_PIECE):
                    yield piece
        except _BROKEN as error:
            raise BrokenArchive(str(error)) from None


def _member_names(files: Sequence[UploadedFile]) -> list[str]:
    names: dict[str, None] = {}
    for file in files:
        name = (file.name.rpartition("/")[2].strip() or "file").replace("\\", "_")
        stem, kind = splitext(name)  # noqa: PTH122 - as Dify does; pathlib treats leading dots otherwise
        number = 0
        while name in names:
            number += 1
            name = f"{stem} ({number}){kind}"
        names[name] = None
    return list(names)
