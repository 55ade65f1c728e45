"""What Dify can do since which version, and what is broken in which.

Each response has the version (``X-Version``). A server that does not send it is assumed to be fine. The table in
``docs/compatibility.md`` shows the same facts; a test compares them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

#: Major, minor and patch.
Version: TypeAlias = tuple[int, int, int]

_NUMBERS = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?![\d])")


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact about some versions of Dify.

    :param what: The fact, for people.
    :param first: The first version that it applies to.
    :param end: The first later version that it no longer applies to; ``None``: it still applies.
    :param source: How it is known: ``measured`` on a server, or ``read`` in Dify's source.
    """

    what: str
    first: Version
    end: Version | None = None
    source: str = "measured"

    def holds(self, version: str | None) -> bool | None:
        """Whether it applies to a version, as Dify writes it; ``None`` if the version is unknown."""
        known = parse(version)
        if known is None:
            return None
        return self.first <= known and (self.end is None or known < self.end)

    def describe(self) -> str:
        """Return the versions that it applies to, for people."""
        if self.end is None:
            return f"{show(self.first)} and newer"
        if self.end == (*self.first[:1], self.first[1] + 1, 0):
            return f"{self.first[0]}.{self.first[1]}.x"
        return f"{show(self.first)} to before {show(self.end)}"


def parse(version: str | None) -> Version | None:
    """Read a version as Dify writes it, such as ``1.16.0`` or ``1.16.0-rc1``; ``None`` if it is invalid."""
    match = _NUMBERS.match((version or "").strip())
    if match is None:
        return None
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch or 0)


def show(version: Version) -> str:
    """Write a version with dots."""
    return ".".join(str(part) for part in version)


CHANGE_STATUS = Fact("The status of documents can be changed", (1, 5, 0), source="read")
FILTER_BY_STATUS = Fact("Lists of documents can be filtered by status", (1, 10, 1), source="read")
DOWNLOAD = Fact("The contents of documents can be downloaded", (1, 13, 1), source="read")
FIRST_TEXT_WITHOUT_RULE = Fact("A text can be the first document without a process rule", (1, 16, 0))

REPLACING_HANGS = Fact("Replacing the content of a document in place hangs for good", (1, 12, 0), (1, 13, 0))
METADATA_SILENT = Fact("Metadata for unknown documents is dropped without an error", (1, 12, 0), (1, 13, 0))
NEW_DOCUMENT_500 = Fact("Reading a document right after its creation can fail with a 500", (1, 15, 0), (1, 16, 0))
KEYWORDS_LOST = Fact("In economy, parallel jobs of the worker lose each other's keywords", (1, 16, 0))

#: What Dify can do, since when.
ABILITIES = (CHANGE_STATUS, FILTER_BY_STATUS, DOWNLOAD, FIRST_TEXT_WITHOUT_RULE)
#: What is broken, and in which versions.
FAULTS = (REPLACING_HANGS, METADATA_SILENT, NEW_DOCUMENT_500, KEYWORDS_LOST)
