"""The second scene: a folder is ingested, checked, and takes the place of the old versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_provider_dify.testing import Dataset, FakeDify, VirtualClock
from scripts.demo.show import Show
from scripts.demo.switch import state

DAG = "dify_ingest_and_switch"
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
    def states(self) -> dict[str, str]:
        """The state of each document by its name, as a search for its subject shows it now."""
        documents = self.kb.documents
        return {one.name: state(one, self.dify, one.name.split(".")[0].split(" ")[0]) for one in documents}


@contextmanager
def newer_folder(
    old: Mapping[str, str] = _OLD, new: Mapping[str, str] = _NEW, questions: Mapping[str, str] = _QUESTIONS
) -> Iterator[Folder]:
    """Make the scene; the clock of the Dify is pushed wherever the provider waits.

    :param old: Texts of the documents in the knowledge base, by name.
    :param new: Texts of the files in the folder, by name.
    :param questions: What is asked to find each new document, by its name without what follows the dot.
    """
    from airflow_provider_dify.transport.clock import using

    with (
        TemporaryDirectory(prefix="dify-demo-handbook-") as folder,
        FakeDify(clock=VirtualClock()) as dify,
        using(dify.clock),
    ):
        kb = dify.add_dataset("Handbook")
        for name, text in old.items():
            kb.add_document(name, text=text)
        for name, text in new.items():
            Path(folder, name).write_text(text)
        queries = [{"query": words, "expect": {"name": f"{name} (*).md"}} for name, words in questions.items()]
        conf = {"dataset_id": kb.id, "source": folder, "queries": queries}
        yield Folder(dify, kb, dify.airflow_connection(), conf)


def ingest_folder(show: Show) -> bool:
    """Show the scene; return whether it ended as it should."""
    show.scene(
        "Ingest a folder, check that search finds it, then archive the old versions",
        DAG,
        "Two files are newer than their documents, and one is new. Search always has the old or the new version.",
    )
    with newer_folder() as folder:
        before = folder.states
        run = show.run(DAG, folder.connection, folder.conf)
        after = folder.states
        became = {one["name"]: f"ingest: {one['outcome']}" for one in run.reports["ingest"]["documents"]}
        became |= {folder.dify.document(i).name: "archive_old: changed" for i in run.reports["archive_old"]["changed"]}
        rows = [[name, before.get(name, "-"), now, became.get(name, "")] for name, now in after.items()]
        show.table(["document", "before", "after", "report of the task"], rows)
        passed = run.reports["check"]["counts"]["passed"]
        return show.verdict(
            f"{passed} of 3 test queries found the new versions before the old ones were archived.",
            run,
            good=run.state == "success" and [name for name in after if after[name] == "in search"] == list(after)[2:],
        )
