"""What it costs to wait until search reflects a change, and to prove it."""

from __future__ import annotations

from airflow_provider_dify.testing import MEASURED
from benchmarks import clients
from benchmarks.server import SECONDS_PER_JOB, Setup
from benchmarks.sizes import Sizes
from benchmarks.table import Bound, Line, Section
from benchmarks.timing import progress, run


def measure(sizes: Sizes) -> Section:
    """Archive the same documents without and with the proof of search."""
    documents = sizes.proof
    setup = Setup(documents, MEASURED)
    progress(f"archiving {documents:,} documents, flags proven")
    flags = run(clients.provider_flags, setup)
    work = documents * SECONDS_PER_JOB
    progress(f"archiving {documents:,} documents until search follows; Dify's worker alone takes {work:.0f} s")
    search = run(clients.provider_search, setup)
    if search.tally.out_of_search != documents:
        raise RuntimeError(f"Search still finds {documents - search.tally.out_of_search} documents after the proof.")
    requests = search.tally.requests - flags.tally.requests
    beyond = search.ended_at - search.tally.worker_through_at
    return Section(
        f"2. Proof of search: {documents:,} documents, until search follows "
        f"(worker: {SECONDS_PER_JOB:g} s a document; reads priced by the row)",
        [
            Line(
                "reads_per_document",
                "reads that it adds",
                requests / documents,
                "per document",
                f"{requests:,} reads more than with proof of the flags alone, {search.tally.segments:,} of them of "
                "segments. One for each document is needed; the others looked before the worker was through.",
                Bound("at most", 1.25),
            ),
            Line(
                "seconds_added",
                "seconds that it adds",
                search.seconds - flags.seconds,
                "s",
                f"{search.seconds:.1f} s instead of {flags.seconds:.1f} s. The worker's own time is {work:.1f} s.",
            ),
            Line(
                "seconds_beyond_worker",
                "seconds between the worker's end and the proof",
                beyond,
                "s",
                "The rest of the wait between two looks (10 s at most), one read for each document that became ready "
                "in it, and the flags once more: a worker that fails undoes them late.",
            ),
        ],
    )
