"""How many random examples a property test tries."""

from __future__ import annotations

import os

#: Set it to try all of them, as `make test-all` and CI do.
ALL = os.environ.get("EXAMPLES") == "all"


def examples(number: int) -> int:
    """Return the number of examples: all of them, or a quarter, which keeps `make test` short."""
    return number if ALL else number // 4
