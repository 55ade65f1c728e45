"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of documents, and of repetitions.

    :param speed: Documents that are archived in batches.
    :param sample: Documents that are archived one by one: all of them would take too long.
    :param proof: Documents that search has to follow.
    :param memory: Documents that have to fit into memory.
    :param imports: How often the import is measured.
    :param files: Files that are ingested.
    :param synced: Files of a folder that a knowledge base follows.
    :param waits: Documents that are waited for at once.
    :param wait_seconds: For how long.
    """

    speed: int
    sample: int
    proof: int
    memory: int
    imports: int
    files: int
    synced: int
    waits: int
    wait_seconds: float


FULL = Sizes(
    speed=10_000,
    sample=300,
    proof=1_000,
    memory=100_000,
    imports=5,
    files=1_000,
    synced=2_000,
    waits=1_000,
    wait_seconds=35.0,
)
#: To see that everything works; these are too small to judge by.
QUICK = Sizes(speed=300, sample=30, proof=50, memory=1_000, imports=1, files=20, synced=20, waits=50, wait_seconds=5.0)
