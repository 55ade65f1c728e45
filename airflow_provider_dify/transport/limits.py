"""Limits the size of responses: a server or proxy is not trusted to stop sending."""

from __future__ import annotations

import zlib

#: Maximum size of a decoded body, in bytes. Dify's longest responses have a few million.
MOST_BYTES = 64 * 2**20
#: The only encoding that is accepted.
ACCEPTED = "gzip"
_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):  # noqa: N818 - never leaves this folder
    """A response is larger than any response of Dify.

    :param status: Its HTTP status; ``None`` if even the headers were too large.
    """

    def __init__(self, status: int | None = None) -> None:
        super().__init__(f"more than {MOST_BYTES // 2**20} MB")
        self.status = status


class Undecodable(Exception):  # noqa: N818 - never leaves this folder
    """A body is not encoded as its headers say, or has an encoding that was not requested."""


class Body:
    """Collects a body piece by piece, and never decodes more than the limit.

    HTTP libraries decode a whole piece at once: 64 kB may contain 64 MB, and far more if encoded twice.

    :param encoding: The header ``Content-Encoding``; empty if there is none.
    :param status: The HTTP status of the response.
    :raises Undecodable: The encoding was not requested.
    """

    def __init__(self, encoding: str, status: int) -> None:
        name = encoding.strip().lower()
        if name not in ("", "identity", "gzip", "x-gzip"):
            raise Undecodable(f"its body has the encoding '{name[:50]}', which was not asked for")
        self._status = status
        self._gzip = "gzip" in name
        self._content = bytearray()
        #: The member of the gzip file that is being read; a file may have several. ``None`` before the first.
        self._member: zlib._Decompress | None = None
        self._members = 0

    def add(self, piece: bytes) -> None:
        """Add the next piece as received.

        :raises TooLarge: The body is larger than :data:`MOST_BYTES`.
        :raises Undecodable: It is not encoded as its headers say.
        """
        if not self._gzip:
            self._take(piece)
        while self._gzip and piece:
            piece = self._decode(piece)

    @property
    def so_far(self) -> bytes:
        """What has arrived so far."""
        return bytes(self._content)

    def content(self) -> bytes:
        """Return the whole body.

        :raises Undecodable: It is cut off.
        """
        if self._member:
            raise Undecodable("its encoded body is cut off")
        return bytes(self._content)

    def _decode(self, piece: bytes) -> bytes:
        """Decode a piece, and return what follows the gzip member that ends in it."""
        if self._members and not self._member and not piece.startswith(b"\x1f"):
            return b""  # padding after the end of the file
        self._member = self._member or zlib.decompressobj(_GZIP)
        try:
            decoded = self._member.decompress(piece, MOST_BYTES - len(self._content) + 1)
        except zlib.error as error:
            raise Undecodable(f"its encoded body is broken: {error}") from None
        self._take(decoded)
        if not self._member.eof:
            return b""
        rest = self._member.unused_data
        self._member, self._members = None, self._members + 1
        return rest

    def _take(self, decoded: bytes) -> None:
        self._content += decoded
        if len(self._content) > MOST_BYTES:
            raise TooLarge(self._status)
