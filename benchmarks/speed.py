"""Documents per second: this provider compared with clients that check nothing."""

from __future__ import annotations

from airflow_provider_dify.testing import MEASURED, Costs
from benchmarks import clients
from benchmarks.server import Setup, running
from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import Run, progress, run

#: Seconds for any read: one list request, measured alone.
FLAT_READ = 0.017
_FLAT = MEASURED.with_flat_reads(FLAT_READ)
_SDK_TIMEOUT = 30


def measure(sizes: Sizes) -> Section:
    """Archive the same documents in five ways."""
    number = f"{sizes.speed:,}"
    progress(f"archiving {number} documents with bare calls")
    bare = run(clients.bare_calls, Setup(sizes.speed, _FLAT))
    progress(f"archiving {number} documents with this provider, {FLAT_READ * 1000:.0f} ms a read")
    flat = run(clients.provider_flags, Setup(sizes.speed, _FLAT))
    progress(f"archiving {number} documents with this provider, reads priced by the row")
    by_row = run(clients.provider_flags, Setup(sizes.speed, MEASURED))
    progress(f"archiving {sizes.sample} documents one by one")
    single = run(clients.call_per_document, Setup(sizes.sample, _FLAT))
    progress(f"archiving {number} documents with dify-dataset-sdk")
    published = run(clients.published_client, Setup(sizes.speed, _FLAT))
    return Section(
        f"1. Speed: archiving {number} documents, {clients.BATCH} a call "
        f"({_FLAT.of('changed', clients.BATCH) * 1000:.0f} ms of Dify's time)",
        [
            _bare(bare),
            *_provider(bare, flat, by_row),
            *_single(bare, flat, single),
            _published(published),
        ],
    )


def _bare(bare: Run) -> Line:
    return Line(
        "bare_calls",
        "(a) bare PATCH calls",
        bare.per_second,
        "documents/s",
        f"{_sent(bare)}: what any client must send. Nothing is read, nothing is checked.",
    )


def _provider(bare: Run, flat: Run, by_row: Run) -> list[Line]:
    return [
        Line(
            "provider",
            f"(b) this provider, flags proven, {FLAT_READ * 1000:.0f} ms a read",
            flat.per_second,
            "documents/s",
            f"{_sent(flat)}: each id is read before and after the change, on pages of 100.",
        ),
        Line(
            "provider_to_bare",
            "    share of (a)'s speed that is left",
            flat.per_second / bare.per_second,
            "of (a)",
            "What proof leaves of it. Who reads each id once before and once after can have "
            f"{_ceiling(_FLAT):.2f} at most.",
            Bound("at least", 0.8),
        ),
        Line(
            "provider_reads_by_row",
            "(b) the same, reads priced by the row",
            by_row.per_second,
            "documents/s",
            f"{_sent(by_row)}, at {MEASURED.of('page', 100) * 1000:.0f} ms for a page of 100 rows, as recorded.",
        ),
        Line(
            "provider_reads_by_row_to_bare",
            "    share of (a)'s speed that is left",
            by_row.per_second / bare.per_second,
            "of (a)",
            f"For information. Two pages for each call take Dify {2 * MEASURED.of('page', 100) * 1000:.0f} ms beside "
            f"its {MEASURED.of('changed', 100) * 1000:.0f} ms: who reads each id once before and once after can have "
            f"{_ceiling(MEASURED):.2f} at most, and Dify has no cheaper read than pages of 100.",
        ),
    ]


def _single(bare: Run, flat: Run, single: Run) -> list[Line]:
    return [
        Line(
            "call_per_document",
            f"(c) a call and a connection per document, {single.documents} of them",
            single.per_second,
            "documents/s",
            f"{_sent(single)}. A sample: the speed does not depend on the number. Nothing is checked.",
        ),
        Line(
            "provider_to_call_per_document",
            "    (b) against (c)",
            flat.per_second / single.per_second,
            "times as fast",
            f"What batches bring. (a), which reads nothing, is {bare.per_second / single.per_second:.1f} times as fast "
            f"as (c): a call takes Dify {_FLAT.of('changed', 100) * 1000:.0f} ms for 100 documents, "
            f"{_FLAT.of('changed', 1) * 1000:.0f} ms for 1, and {_FLAT.new_connection * 1000:.0f} ms more over a new "
            "connection.",
            Bound("at least", 10),
        ),
    ]


def _published(published: Run) -> Line:
    with running(Setup(1, costs=None)) as dify:
        said = clients.published_client_on_unknown_id(dify.target)
    at_once = _FLAT.of("changed", published.documents)
    too_long = f" (all ids at once would take {at_once:.0f} s by the model, and it gives up after {_SDK_TIMEOUT} s)"
    return Line(
        "published_client",
        "(d) dify-dataset-sdk",
        published.per_second,
        "documents/s",
        f"{_sent(published)}. It sends a list as it is, so the caller cuts it"
        f"{too_long if at_once > _SDK_TIMEOUT else ''}. It checks the HTTP status and nothing else: asked to archive a "
        f"document that does not exist, it says '{said}'. It does not try again.",
    )


def _sent(one: Run) -> str:
    tally = one.tally
    reads = tally.requests - tally.changes
    return (
        f"{tally.changes:,} changes and {reads:,} reads over {tally.connections:,} connection"
        f"{'' if tally.connections == 1 else 's'} in {one.seconds:.1f} s"
    )


def _ceiling(costs: Costs) -> float:
    """The share of bare calls' speed that remains for a client without any work of its own."""
    change, page = costs.of("changed", clients.BATCH), costs.of("page", 100)
    return change / (change + 2 * page)
