"""Which recorded exchanges are not replayed, and why. All others are replayed, or a test fails."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from tests.contract.recordings import Record, all_exchanges


@dataclass(frozen=True)
class LeftOut:
    """Exchanges that are not replayed.

    :param file: Start of the file's name.
    :param case: Regular expression for the case; found anywhere in it.
    :param version: Only of this version.
    """

    reason: str
    file: str
    case: str = ""
    version: str = ""
    method: str = ""

    def fits(self, record: Record) -> bool:
        return (
            record.file.startswith(self.file)
            and record.version.startswith(self.version)
            and record.method.startswith(self.method)
            and re.search(self.case, record.case) is not None
        )


OVERLAP = "requests that overlap inside Dify; the simulator carries out one after the other"
REDIS = "Redis itself is down: the simulator has a broker and locks, but no server that both live in; use a Fault"
POSTGRES = "PostgreSQL is down or restarting: use a Fault"
SETUP = "hangs on the recorded server's own setup (model provider, vector store)"
TENANT = "the workspace was archived in the database; the simulator has one workspace"
QUIRK = "answers of 1.12.1 to an incomplete retrieval model are not imitated"

NODES = "what loops write into a stream; an app of the simulator is one function"
SIGTERM = "the API refuses connections while it ends; stop() of the simulator kills it"
CONNECTIONS = "it waits for connections whose requests were not recorded; tests/testing/apps has such a case"

LEFT_OUT = (
    LeftOut(CONNECTIONS, "42_", r"^connections: GET /info while 10 others"),
    LeftOut(NODES, "40_", r"^a loop node: streaming"),
    LeftOut(SIGTERM, "41_", r"^N: a new request during the SIGTERM"),
    LeftOut(OVERLAP, "10_", r"the same 100|two actions at once"),
    LeftOut(REDIS, "11_", r"^Redis (down|just back)|^after Redis is back"),
    LeftOut(POSTGRES, "11_", r"^PostgreSQL"),
    LeftOut(SETUP, "08_", r"no retrieval_model in the request"),
    LeftOut(TENANT, "04_", r"workspace archived"),
    LeftOut(QUIRK, "08_", r"incomplete retrieval_model", version="1.12.1"),
)


def reason_left_out(record: Record) -> str | None:
    """Why an exchange is not replayed; ``None``: it is."""
    return next((one.reason for one in LEFT_OUT if one.fits(record)), None)


def summary() -> list[str]:
    """How many exchanges are covered, and what is not, by reason."""
    exchanges = all_exchanges()
    reasons = Counter(reason_left_out(record) for record in exchanges)
    covered = reasons.pop(None)
    lines = [f"{covered} of {len(exchanges)} recorded exchanges with a real Dify are replayed; not replayed:"]
    return lines + [f"  {number:4}  {reason}" for reason, number in reasons.most_common()]
