"""Tables for the log, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: An item of a table of outcomes: its name, its id, and its message.
Row = tuple[str, str, str]
_HEAD = ("outcome", "name", "id", "remark")


def of_outcomes(groups: Mapping[str, Sequence[Row]], limit: int = 20) -> list[str]:
    """Return the lines of a table of outcomes; empty if there are no items.

    :param groups: The items by outcome. Those with a message come first.
    :param limit: How many to show of each group.
    """
    rows: list[tuple[str, ...]] = []
    for outcome, items in groups.items():
        shown = sorted(items, key=lambda row: not row[-1])[:limit]
        rows += [(outcome, *row) for row in shown]
        if len(items) > limit:
            rows.append((outcome, f"and {len(items) - limit:,} more", "", ""))
    filled = [number for number in range(4) if any(row[number] for row in rows)]
    return aligned([tuple(row[n] for n in filled) for row in (_HEAD, *rows)]) if rows else []


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table: a head, a rule, and the rows."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
