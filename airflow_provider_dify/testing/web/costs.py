"""How long each call takes in Dify's one API process, as measured, so that speed can be compared without a Dify."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

#: Pairs of (number of ids or rows, seconds), ascending.
Table = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Costs:
    """Seconds that the server spends on a call; it works on one call at a time.

    The defaults were measured on a Dify 1.14.1 with one API worker process, PostgreSQL and Redis on one machine. The
    cost is interpolated between two measured sizes, and extrapolated beyond the largest.
    """

    #: PATCH of the status by number of ids, if at least one document changes.
    changed: Table = ((1, 0.029), (10, 0.056), (100, 0.363), (500, 1.7), (1000, 3.3))
    #: PATCH of the status if no document changes.
    nothing: Table = ((1, 0.009), (10, 0.016), (100, 0.100), (500, 0.55), (1000, 1.05))
    #: PATCH of the status that is refused.
    refused: Table = ((1, 0.010), (10, 0.011), (100, 0.011), (500, 0.022), (1000, 0.045))
    #: One page of documents, by rows in the response.
    page: Table = ((0, 0.012), (5, 0.020), (10, 0.027), (20, 0.040), (100, 0.110))
    #: One document.
    document: Table = ((0, 0.013),)
    #: One page of segments, by rows in the response; only short responses were measured, the slope is that of ``page``.
    segments: Table = ((1, 0.015), (100, 0.115))
    #: State of the indexing of a batch, by documents in the response.
    indexing: Table = ((0, 0.010), (1, 0.012))
    #: A page of knowledge bases, or one of them.
    dataset: Table = ((0, 0.019), (1, 0.022))
    #: Creating a document, or deleting one.
    create: Table = ((0, 0.050),)
    #: Assigning metadata, by documents. Not measured: assumed to be like reading each.
    metadata: Table = ((0, 0.010), (1, 0.023))
    #: A search, by segments in the response.
    retrieve: Table = ((0, 0.032),)
    #: Everything that is refused before any work: a wrong key, an unknown path.
    other: Table = ((0, 0.005),)
    #: Additional cost of a change over a new connection: a call for one document took 41 ms then (median of 40 to 80),
    #: and 29 ms or less over a kept one.
    new_connection: float = 0.012
    #: Cost of each job that cannot be queued because the broker is down.
    broker_down: float = 0.65

    def of(self, kind: str, size: int) -> float:
        """Seconds for a call of this ``kind`` (a field's name) and ``size``."""
        table: Table = getattr(self, kind)
        return interpolate(table, size)

    def of_reply(self, kind: str, size: int, *, refused_jobs: int, new_connection: bool) -> float:
        """Seconds for a call, including the time that it waits for a broker which is down, and for its connection."""
        connecting = self.new_connection if new_connection and kind == "changed" else 0.0
        return self.of(kind, size) + self.broker_down * refused_jobs + connecting

    def with_flat_reads(self, seconds: float = 0.017) -> Costs:
        """The same, but every read costs the same, whatever its size (17 ms: one short list request,
        measured alone).
        """
        flat: Table = ((0, seconds),)
        return replace(self, page=flat, document=flat, segments=flat, indexing=flat, dataset=flat)


#: As measured.
MEASURED = Costs()
#: Measured on a Dify 1.16.0 with one API process of ten connections, four parallel jobs and pgvector; each is the
#: middle of the measured values. Segments of a document that has ten: 32 to 44 ms. A search for a document's own text:
#: 62 to 68 ms; one that returns 176 segments: 92 to 118 ms; 1,000: 340 to 390 ms; 2,540 to 3,000: 0.8 to 1.5 s. Changes
#: are those of an economy knowledge base. Longer pages of segments were not measured: the slope is that of 1.14.1.
#: Everything else is as on 1.14.1.
MEASURED_1_16_0 = Costs(
    changed=((1, 0.054), (10, 0.170), (100, 1.150)),
    segments=((10, 0.038), (100, 0.128)),
    retrieve=((10, 0.065), (176, 0.105), (1000, 0.365), (2770, 1.15)),
)


def interpolate(table: Table, size: int) -> float:
    """Interpolate ``table`` at ``size``: straight lines between the points, continued after the last two."""
    index = bisect_left([at for at, _ in table], size)
    if index == 0 or len(table) == 1:
        return table[0][1]
    index = min(index, len(table) - 1)
    (left, low), (right, high) = table[index - 1], table[index]
    return low + (high - low) * (size - left) / (right - left)
