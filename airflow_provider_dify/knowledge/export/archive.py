"""The archive in which Dify sends the files of several documents.

Its members have the names of the uploaded files, with a number if a name is taken, and the order of the requested ids
(1.16.0, from its source: api/services/file_service.py). Both are checked, because contents must not be mixed up.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from os.path import splitext
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from airflow_provider_dify.knowledge.export.listing import UploadedFile

_PIECE = 256 * 1024
#: What reading a file raises if it is broken, or is not an archive.
_BROKEN = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


class BrokenArchive(Exception):  # noqa: N818 - never leaves this room
    """Dify sent a broken archive, or something else."""


class Archive:
    """An archive that has arrived completely.

    :param file: The archive.
    :param files: The files that were requested, in order.
    :raises BrokenArchive: It is not an archive, or has a different number of members.
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
        """The size of a member in bytes, as stated in the archive."""
        return self._members[number].file_size

    def pieces(self, number: int) -> Iterator[bytes]:
        """Yield the content of a member, piece by piece.

        :raises BrokenArchive: It is broken, for example according to its checksum.
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
        stem, kind = splitext(name)  # noqa: PTH122 - like Dify; pathlib treats leading dots differently
        number = 0
        while name in names:
            number += 1
            name = f"{stem} ({number}){kind}"
        names[name] = None
    return list(names)
