"""What reports have in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import TypeVar

_O = TypeVar("_O", bound=Enum)


def by_name(outcomes: Mapping[str, _O], kind: type[_O]) -> dict[str, tuple[str, ...]]:
    """Return the documents that ended so, by the name of each outcome, in the order of the mapping."""
    lists: dict[_O, list[str]] = {outcome: [] for outcome in kind}
    for document_id, outcome in outcomes.items():
        lists[outcome].append(document_id)
    return {outcome.value: tuple(ids) for outcome, ids in lists.items()}


def tolerated(
    failing: Mapping[_O, tuple[str, ...]],
    tolerate: Collection[_O],
    names: Mapping[str, str],
    errors: Mapping[str, str],
) -> list[str]:
    """Return a line for each document whose outcome would be a failure if it were not tolerated."""
    lines = []
    for outcome in (outcome for outcome in failing if outcome in tolerate):
        lines += [f"{outcome.value}: {len(failing[outcome])} (tolerated)", *lines_of(failing[outcome], names, errors)]
    return lines


def lines_of(ids: Sequence[str], names: Mapping[str, str], errors: Mapping[str, str], limit: int = 20) -> list[str]:
    """Return a line for each document, at most so many, with its name and what there is to say of it."""
    lines = []
    for document_id in ids[:limit]:
        name = f" '{names[document_id]}'" if document_id in names else ""
        error = errors.get(document_id)
        lines.append(f"  {document_id}{name}{': ' + error if error else ''}")
    return lines + ([f"  and {len(ids) - limit} more"] if len(ids) > limit else [])


def some_of(ids: tuple[str, ...], limit: int = 3) -> str:
    """Return the first of some ids, and how many more there are."""
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more
