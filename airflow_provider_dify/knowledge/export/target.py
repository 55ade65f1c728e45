"""Where an export goes, and what is already there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO, Protocol

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.export.manifest import MANIFEST, ExportManifest, StoredContent, StoredFile

#: The folder of the journal, below the target.
JOURNAL = "unfinished"


class Target(Protocol):
    """A folder in any storage. Paths are relative to it.

    Each method raises a ``DifyStorageError`` if the storage fails.
    """

    @property
    def place(self) -> str:
        """Its path, for people."""

    def names(self, folder: str) -> Sequence[str]:
        """Return the names in one of its folders; none if the folder does not exist."""

    def sizes(self, folder: str) -> Mapping[str, int | None]:
        """Return the size of each file in a folder below, by its name, from one listing; ``None``: unknown."""

    def read(self, path: str) -> bytes | None:
        """Return a small file; ``None`` if it does not exist."""

    def check(self, path: str) -> StoredFile | None:
        """Read a file to its end, and return its size and checksum; ``None`` if it does not exist."""

    def save(self, path: str, pieces: Iterable[bytes]) -> StoredFile:
        """Write a file. As far as the storage allows, it appears as a whole or not at all."""

    def delete(self, path: str) -> None:
        """Delete a file. It is no error if it does not exist."""

    def scratch(self) -> BinaryIO:
        """Open an empty temporary file on this machine. It is deleted when it is closed."""


class Inventory:
    """What a target holds, according to its manifest and to the journal of exports that broke off.

    The journal has a file for each batch of contents, because not every storage can append to a file.

    :param target: The target.
    :param dataset_id: The knowledge base to export.
    :raises DifyInputError: The target holds the export of another knowledge base, or something else.
    """

    def __init__(self, target: Target, dataset_id: str) -> None:
        self._target = target
        self._dataset_id = dataset_id
        self._manifest: bytes | None = target.read(MANIFEST)
        #: The manifest; ``None`` if there is none.
        self.before: ExportManifest | None = None
        self._known: dict[tuple[str, str], StoredContent] = {}
        self._notes = [f"{JOURNAL}/{name}" for name in target.names(JOURNAL)]
        if self._manifest is not None:
            self.before = ExportManifest.from_bytes(self._manifest, f"{target.place}/{MANIFEST}")
            self._see(self.before.dataset_id)
            self._keep((entry.id, entry.content) for entry in self.before.entries if entry.content)
        for note in self._notes:
            self._read_note(note)

    def known(self, document_id: str, source: str) -> StoredContent | None:
        """Return a content that an earlier run saved; ``None`` if none did."""
        return self._known.get((document_id, source))

    def note(self, contents: Iterable[tuple[str, StoredContent]]) -> None:
        """Note contents that were saved, each with the id of its document."""
        found = list(contents)
        if not found:
            return
        self._keep(found)
        data = {"dataset_id": self._dataset_id, "saved": [[i, content.to_json()] for i, content in found]}
        path = f"{JOURNAL}/{len(self._notes):06}.json"
        while path in self._notes:
            path = f"{JOURNAL}/1{path.removeprefix(f'{JOURNAL}/')}"
        self._target.save(path, [json.dumps(data).encode()])
        self._notes.append(path)

    def close(self, manifest: bytes, used: Iterable[str]) -> None:
        """Write the manifest, and delete the files that it does not name.

        :param used: Paths of the contents that it names.
        """
        if manifest != self._manifest:
            self._target.save(MANIFEST, [manifest])
        for path in {content.path for content in self._known.values()} - set(used):
            self._target.delete(path)
        for note in self._notes:
            self._target.delete(note)

    def _keep(self, contents: Iterable[tuple[str, StoredContent]]) -> None:
        self._known.update({(document_id, content.source): content for document_id, content in contents})

    def _read_note(self, path: str) -> None:
        content = self._target.read(path)
        try:
            data = json.loads(content or b"")
            dataset_id = data["dataset_id"]
            saved = [(i, StoredContent.from_json(one)) for i, one in data["saved"]]
        except (KeyError, TypeError, ValueError):
            return  # if a storage has kept only half of it, its contents are downloaded again
        self._see(dataset_id)
        self._keep(saved)

    def _see(self, dataset_id: str) -> None:
        if dataset_id != self._dataset_id:
            raise DifyInputError(
                f"target already holds the export of another knowledge base, {dataset_id}: {self._target.place}. "
                "Nothing was changed. Use another folder for each knowledge base."
            )
