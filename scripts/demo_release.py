"""The last part of the demo: a version is released and rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scripts.demo_ingest import Folder, newer_folder

#: What both versions answer.
ASKED = "price"
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
