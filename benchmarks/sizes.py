"""The sizes of the measurements."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Documents of a knowledge base that enter search.

    :param documents: How many the knowledge base has.
    :param segments: How many segments each has.
    :param changed: How many of the documents enter search.
    :param lost: The share of these that Dify loses.
    :param repaired: Whether these are repaired, too.
    """

    kind: str
    documents: int
    segments: int
    changed: int
    lost: float = 0.0
    repaired: bool = False

    @property
    def small(self) -> bool:
        """Whether search can return the whole knowledge base."""
        return self.documents * self.segments <= 5_000

    @property
    def key(self) -> str:
        """Its name in the JSON."""
        return f"{self.kind}_{self.changed}_of_{self.documents * self.segments}" + ("_lost" if self.lost else "")

    def __str__(self) -> str:
        lost = f", {self.lost:.0%} lost" if self.lost else ""
        kind = self.kind.replace("_", " ")
        return f"{kind}, {self.changed:,} in {self.documents * self.segments:,} segments{lost}"


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
    :param exported: Documents of a knowledge base that is exported and recreated.
    :param waits: Documents that are waited for at once.
    :param wait_seconds: For how long.
    :param searching: Documents that search has to return.
    """

    speed: int
    sample: int
    proof: int
    memory: int
    imports: int
    files: int
    synced: int
    exported: int
    waits: int
    wait_seconds: float
    searching: tuple[Case, ...]


def _cases(kinds: tuple[str, ...], sizes: tuple[tuple[int, int, int], ...], *, lost: float) -> tuple[Case, ...]:
    return tuple(
        Case(kind, documents, segments, changed, lost, repaired=changed <= 1_000)
        for kind in kinds
        for documents, segments, changed in sizes
    )


_BOTH = ("economy", "high_quality")
#: Documents of a knowledge base, segments of each, and documents that enter search.
_IN_5_000 = ((500, 10, 100), (1_000, 5, 1_000))
_IN_100_000 = ((10_000, 10, 100), (10_000, 10, 1_000), (10_000, 10, 10_000))
_QUICK = ((60, 5, 50), (600, 10, 50))

FULL = Sizes(
    speed=10_000,
    sample=300,
    proof=1_000,
    memory=100_000,
    imports=5,
    files=1_000,
    synced=2_000,
    exported=1_000,
    waits=1_000,
    wait_seconds=35.0,
    searching=(
        *_cases(_BOTH, _IN_5_000, lost=0.0),
        *_cases(_BOTH, _IN_5_000, lost=0.15),
        *_cases(_BOTH, _IN_100_000, lost=0.0),
        # Dify loses keywords; it was never seen to lose vectors.
        *_cases(("economy",), _IN_100_000, lost=0.15),
    ),
)
#: A check that everything works; too small to judge.
QUICK = Sizes(
    speed=300,
    sample=30,
    proof=50,
    memory=1_000,
    imports=1,
    files=20,
    synced=20,
    exported=20,
    waits=50,
    wait_seconds=5.0,
    searching=(*_cases(_BOTH, _QUICK, lost=0.0), *_cases(_BOTH, _QUICK, lost=0.15)),
)
