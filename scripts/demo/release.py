"""The third scene: a version is released and rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scripts.demo.folder import Folder, newer_folder
from scripts.demo.show import Show

DAG = "dify_release"
_OLD = {
    "bus.md": "The price of a bus ticket is two.",
    "train.md": "The price of a train ticket is nine.",
}
_NEW = {
    "bus.md": "The price of a bus ticket is three.",
    "train.md": "The price of a train ticket is ten.",
    "ferry.md": "The price of the ferry is one.",
}
_QUESTIONS = {"bus": "bus three", "train": "train ten", "ferry": "ferry one"}


@contextmanager
def price_list() -> Iterator[Folder]:
    """Make the scene: a price list, one page of which was archived long ago, and a folder with a newer list."""
    with newer_folder(_OLD, _NEW, _QUESTIONS) as folder:
        folder.kb.add_document("plane.md", text="The price of a flight is ninety.", archived=True)
        yield folder


def release_and_roll_back(show: Show) -> bool:
    """Show the scene; return whether it ended as it should."""
    show.scene(
        "Release a new price list, then take it back",
        DAG,
        "A release replaces all documents or none. Its report is all that a rollback needs (dify_rollback.py).",
    )
    with price_list() as folder:
        before = folder.states
        released = show.run(DAG, folder.connection, folder.conf)
        between = folder.states
        manifest = released.reports["release"]
        rolled_back = show.run("dify_rollback", folder.connection, {"manifest": manifest})
        after = folder.states
        rows = [[name, before.get(name, "-"), between.get(name, "-"), now] for name, now in after.items()]
        show.table(["document", "before", "after the release", "after the rollback"], rows)
        restored = {name: after[name] for name in before} == before
        return show.verdict(
            "Everything is as before the release. plane.md was not in use, and still is not.",
            released,
            rolled_back,
            good=restored and (released.state, rolled_back.state) == ("success", "success"),
        )
