"""Files that were uploaded for apps, and files as inputs (1.16.0, file 44)."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from airflow_provider_dify.testing.api.replies import InvalidParamError, Json
from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.text.uploads import Upload

_MEGABYTE = 1024 * 1024
_KINDS = {
    "image": ("jpg", "jpeg", "png", "webp", "gif", "svg"),
    "video": ("mp4", "mov", "mpeg", "webm"),
    "audio": ("mp3", "m4a", "wav", "amr", "mpga"),
    "document": (
        *("txt", "markdown", "md", "mdx", "pdf", "html", "htm", "xlsx", "xls", "vtt", "properties", "doc", "docx"),
        *("csv", "eml", "msg", "pptx", "ppt", "xml", "epub"),
    ),
}
#: Maximum size of each kind of file, in MiB.
LIMITS = {"image": 10, "video": 100, "audio": 50, "document": 15}


def kind_of(extension: str) -> str:
    """The kind of a file in Dify, by its extension without the dot."""
    return next((kind for kind, known in _KINDS.items() if extension in known), "custom")


def is_too_large(upload: Upload) -> bool:
    """Whether a file is above Dify's limit for its kind."""
    return len(upload.content) > LIMITS.get(kind_of(upload.extension), LIMITS["document"]) * _MEGABYTE


@dataclass(frozen=True)
class StoredFile:
    """A file that was uploaded.

    :param owner: Id of the end user who may use it.
    """

    id: str
    name: str
    content: bytes
    mime_type: str
    owner: str
    created_at: int

    @property
    def extension(self) -> str:
        """The part after the last dot of its name."""
        return PurePosixPath(self.name).suffix.removeprefix(".").lower()

    def described(self, world: Site) -> Json:
        """The response to its upload."""
        nothing = ("reference", "preview_url", "original_url", "user_id", "conversation_id", "file_key")
        return dict.fromkeys(nothing) | {
            "id": self.id,
            "name": self.name,
            "size": len(self.content),
            "extension": self.extension,
            "mime_type": self.mime_type,
            "created_by": self.owner,
            "created_at": self.created_at,
            "source_url": preview_url(self.id, self.created_at),
            "tenant_id": world.user_id,
        }


def preview_url(file_id: str, at: int) -> str:
    """A signed link to a file, which does not work here."""
    return f"http://127.0.0.1:5001/files/{file_id}/file-preview?timestamp={at}&nonce=0&sign=0"


class Files:
    """The files of a workspace."""

    def __init__(self, world: Site) -> None:
        self._world = world
        self._stored: dict[str, StoredFile] = {}

    def store(self, upload: Upload, owner: str) -> StoredFile:
        """Store a file for this end user."""
        mime = upload.mime_type or "application/octet-stream"
        at = int(self._world.clock.time())
        stored = StoredFile(self._world.new_id(), upload.name, upload.content, mime, owner, at)
        self._stored[stored.id] = stored
        return stored

    def read(self, value: Json, allowed: Sequence[str], owner: str) -> Json:
        """A file in the inputs of a run, as stored.

        :param allowed: Kinds of files that are allowed.
        :raises InvalidParamError: if Dify rejects it.
        """
        if value.get("transfer_method") == "remote_url":
            name = PurePosixPath(urlsplit(str(value.get("url", ""))).path).name
            found = self._remote(str(value.get("url", "")), name)
        else:
            stored = self._stored.get(str(value.get("upload_file_id", "")))
            if stored is None or stored.owner != owner:
                raise InvalidParamError("Invalid upload file")
            name, found = stored.name, self._local(stored)
        wanted = str(value.get("type", ""))
        kind = kind_of(PurePosixPath(name).suffix.removeprefix(".").lower())
        if wanted not in (kind, "custom"):
            raise InvalidParamError("Detected file type does not match the specified type. Please verify the file.")
        if wanted not in allowed:
            raise InvalidParamError(f"File validation failed for file: {name}")
        return found | {"type": wanted}

    def _local(self, stored: StoredFile) -> Json:
        record = json.dumps({"record_id": stored.id}, separators=(",", ":")).encode()
        return _file("local_file", stored.name, stored.mime_type, len(stored.content)) | {
            "remote_url": "",
            "reference": "dify-file-ref:" + base64.b64encode(record).decode(),
            "related_id": stored.id,
            "url": preview_url(stored.id, int(self._world.clock.time())),
        }

    def _remote(self, url: str, name: str) -> Json:
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return _file("remote_url", name, mime, -1) | {"remote_url": url, "related_id": None, "url": url}


def _file(method: str, name: str, mime_type: str, size: int) -> Json:
    return {
        "dify_model_identity": "__dify__file__",
        "id": None,
        "type": "",
        "transfer_method": method,
        "remote_url": "",
        "reference": None,
        "filename": name,
        "extension": PurePosixPath(name).suffix.lower(),
        "mime_type": mime_type,
        "size": size,
        "related_id": None,
        "url": "",
    }
