"""Sends a file as a form without holding it in memory."""

from __future__ import annotations

import json
import mimetypes
import secrets
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

from airflow_provider_dify.exceptions import DifySourceError
from airflow_provider_dify.knowledge.flow import Upload

if TYPE_CHECKING:
    from typing_extensions import Self


class Form:
    """A ``multipart/form-data`` body that requests reads piece by piece.

    Use it as a context manager: it opens the file.

    :param upload: What to send.
    """

    def __init__(self, upload: Upload) -> None:
        self._boundary = secrets.token_hex(16)
        fields = [*upload.fields, *([] if upload.data is None else [("data", json.dumps(upload.data))])]
        self._before = b"".join(self._part(name, value.encode()) for name, value in fields) + self._head(upload)
        self._after = f"\r\n--{self._boundary}--\r\n".encode()
        self._upload = upload
        self._file: BinaryIO | None = None
        self._pieces: list[BinaryIO] = []
        self._sent = 0

    def __enter__(self) -> Self:
        self._file = self._upload.content.open()
        self._pieces = [BytesIO(self._before), self._file, BytesIO(self._after)]
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return len(self._before) + self._upload.content.size + len(self._after)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that belong to it."""
        return {"Content-Type": f"multipart/form-data; boundary={self._boundary}"}

    def read(self, size: int = -1) -> bytes:
        """Return the next piece; nothing at the end.

        :raises DifySourceError: The file cannot be read, or its length differs from the announced one, which has been
            sent already.
        """
        while self._pieces:
            piece = self._pieces[0].read(size)
            if piece:
                self._sent += len(piece)
                if self._sent > len(self):
                    raise self._other_length()
                return piece
            self._pieces.pop(0)
        if self._sent < len(self):
            raise self._other_length()
        return b""

    def _other_length(self) -> DifySourceError:
        return DifySourceError(
            f"'{self._upload.name}' changed its size while it was being sent. Is it still being written?"
        )

    def _head(self, upload: Upload) -> bytes:
        from urllib3.fields import RequestField

        field = RequestField("file", b"", filename=upload.name)
        field.make_multipart(content_type=mimetypes.guess_type(upload.name)[0] or "application/octet-stream")
        return f"--{self._boundary}\r\n{field.render_headers()}".encode()

    def _part(self, name: str, value: bytes) -> bytes:
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
