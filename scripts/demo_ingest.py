"""The second part of the demo: a folder is ingested, checked, and put in the place of the old versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_provider_dify.testing import Dataset, FakeDify, VirtualClock

_QUESTIONS = {"travel": "train first class", "parking": "bicycles cellar", "canteen": "canteen lunch"}
_OLD = {"travel.md": "Travel by train, second class.", "parking.md": "Parking of bicycles is in the yard."}
_NEW = {
    "travel.md": "Travel by train, first class from four hours on.",
    "parking.md": "Parking of bicycles is in the cellar.",
    "canteen.md": "The canteen serves lunch from noon.",
}


@dataclass(frozen=True)
class Folder:
    """A knowledge base, and a folder that is newer.

    :param connection: The Airflow connection, in its JSON form.
    :param conf: What the DAG is run with.
    """

    dify: FakeDify
    kb: Dataset
    connection: str
    conf: dict[str, Any]

    @property
    def names(self) -> dict[str, str]:
        """Names of documents by id."""
        return {document.id: document.name for document in self.kb.documents}

    columns = ("document", "enabled", "archived", "found by search for its subject")

    def look(self) -> list[list[str]]:
        """Return a row for each document, as Dify sees it now."""
        return [
            [
                document.name,
                "yes" if document.enabled else "no",
                "yes" if document.archived else "no",
                "yes"
                if document.name in self.dify.search(self.kb, document.name.split(".")[0].split(" ")[0])
                else "no",
            ]
            for document in self.kb.documents
        ]


@contextmanager
def newer_folder(
    old: Mapping[str, str] = _OLD, new: Mapping[str, str] = _NEW, questions: Mapping[str, str] = _QUESTIONS
) -> Iterator[Folder]:
    """Make the scene; the clock of the Dify is pushed wherever the provider waits.

    :param old: Texts of the documents in the knowledge base, by name.
    :param new: Texts of the files in the folder, by name.
    :param questions: What is asked to find each new document, by its name without what follows the dot.
    """
    from airflow_provider_dify.transport import clock

    with FakeDify(clock=VirtualClock()) as dify, TemporaryDirectory(prefix="dify-demo-handbook-") as folder:
        clock.clock = dify.clock
        kb = dify.add_dataset("Handbook")
        for name, text in old.items():
            kb.add_document(name, text=text)
        for name, text in new.items():
            Path(folder, name).write_text(text)
        queries = [{"query": words, "expect": {"name": f"{name} (*).md"}} for name, words in questions.items()]
        conf = {"dataset_id": kb.id, "source": folder, "queries": queries}
        yield Folder(dify, kb, dify.airflow_connection(), conf)
