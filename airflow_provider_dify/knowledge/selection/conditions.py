"""The values of filters: converts what a user wrote or a template rendered into something to compare documents with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TypeAlias

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.inputs import as_text, is_finite, is_storable, literal, pattern, show, without_keys
from airflow_provider_dify.knowledge.text.hints import why

#: A point in time: an ISO text, an age such as ``90d``, an object, or seconds since the epoch.
Moment: TypeAlias = str | float | date | datetime | timedelta
#: A metadata value; ``None``: there is none.
MetadataValue: TypeAlias = str | float | None

_AGE = re.compile(r"(\d{1,5})\s*([wdhms])")
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].+)?")
#: Seconds since the epoch for 2000 and 2100. Other numbers are milliseconds, or a date without its dashes.
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800
#: The last second that a date can represent.
_END_OF_TIME = 253_402_300_799


@dataclass(frozen=True)
class Span:
    """A time range, in seconds since the epoch.

    :param after: Its beginning, inclusive; ``None``: it has none.
    :param before: Its end, exclusive, so that ranges can follow each other; ``None``: it has none.
    """

    after: float | None = None
    before: float | None = None

    def __contains__(self, at: float | None) -> bool:
        if at is None:
            return not self
        return (self.after is None or at >= self.after) and (self.before is None or at < self.before)

    def __bool__(self) -> bool:
        return self.after is not None or self.before is not None

    def describe(self, what: str) -> list[str]:
        """Describe the condition, with its times in UTC."""
        ends = (("since", self.after), ("before", self.before))
        return [f"{what} {word} {_utc(at).isoformat(sep=' ')}" for word, at in ends if at is not None]


#: A range without ends.
ALWAYS = Span()


def mapping(value: object, parameter: str) -> dict[str, object]:
    """Return a mapping, or the one that a text contains as JSON or Python.

    :raises DifyInputError: It is not a mapping, or one of its keys is not text.
    """
    found = literal(value)
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise DifyInputError(
            f"{parameter} must be a mapping such as {{'status': 'archived'}}, or text that contains one, not "
            f"{show(value)}.{why(value)}"
        )
    return dict(found)


def moment(value: object, now: float, parameter: str) -> float:
    """Return the point in time of a value, in seconds since the epoch.

    :param now: Reference time for ages, in seconds since the epoch.
    :raises DifyInputError: It is not a point in time.
    """
    try:
        at = _moment(value.strip() if isinstance(value, str) else value, now)
    except (ValueError, OverflowError):
        at = None
    if at is None:
        raise DifyInputError(
            f"{parameter} must be a date or time such as 2026-01-31 or 2026-01-31T12:00:00+01:00 (UTC by default), an "
            f"age such as 90d, 12h, 30m or 2w, or seconds since 1970, not {show(value)}.{why(value)}"
        )
    return min(max(0.0, at), _END_OF_TIME)


def span(after: object, before: object, now: float, parameter: str) -> Span:
    """Return the time range between two values; each may be ``None`` for no limit.

    :param parameter: Their name, without ``_after`` and ``_before``.
    :raises DifyInputError: One of them is not a point in time, or nothing is between them.
    """
    found = Span(
        None if after is None else moment(after, now, f"{parameter}_after"),
        None if before is None else moment(before, now, f"{parameter}_before"),
    )
    if found.after is not None and found.before is not None and found.after >= found.before:
        raise DifyInputError(
            f"Nothing can be between {parameter}_after and {parameter}_before: {show(after)} is not before "
            f"{show(before)}."
        )
    return found


def texts(value: object, parameter: str) -> tuple[str, ...]:
    """Return the texts in a list, or a single text. A template may have rendered them as numbers or dates.

    :raises DifyInputError: There is none, or one of them is empty or not a text that Dify can store.
    """
    items = [as_text(item) for item in _several(value)]
    found = tuple(item for item in items if isinstance(item, str) and item.strip() and is_storable(item))
    if not found or len(found) < len(items) or any("{{" in item for item in found):
        raise DifyInputError(
            f"{parameter} must be text that is not empty, or a list of texts, not {show(value)}.{why(value)}"
        )
    return tuple(pattern(item, parameter) for item in found)


def metadata(value: object, parameter: str) -> dict[str, tuple[MetadataValue, ...]]:
    """Return the values that each metadata field may have.

    :raises DifyInputError: There is no field, or a value has another type.
    """
    found = mapping(value, parameter)
    if not found or "" in found:
        raise DifyInputError(f"{parameter} must name at least one metadata field, not {show(value)}.")
    return {name: _metadata_values(wanted, f"{parameter}.{without_keys(name)[:50]}") for name, wanted in found.items()}


def is_one_of(found: object, wanted: tuple[MetadataValue, ...]) -> bool:
    """Whether a metadata value of a document is one of the wanted values.

    Dify's list shows all values as text, so numbers are compared by value.
    """
    return any(_is_same(found, one) for one in wanted)


def _is_same(found: object, wanted: MetadataValue) -> bool:
    if found is None or wanted is None:
        return found is wanted
    if isinstance(wanted, str):
        return str(found) == wanted
    try:
        return float(str(found)) == wanted
    except ValueError:
        return False


def _metadata_values(value: object, parameter: str) -> tuple[MetadataValue, ...]:
    wanted: list[MetadataValue] = []
    for one in _several(value):
        item = one if isinstance(one, (int, float)) else as_text(one)
        if not (item is None or isinstance(item, (str, int, float))) or isinstance(item, bool):
            break
        if isinstance(item, (int, float)) and not is_finite(item):
            break
        wanted.append(item)
    else:
        if wanted:
            return tuple(wanted)
    raise DifyInputError(
        f"{parameter} must be text, a number, null (no such value), or a list of these, not {show(value)}."
    )


def _several(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _moment(value: object, now: float) -> float | None:
    if isinstance(value, timedelta):
        return now - value.total_seconds() if value >= timedelta() else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc).timestamp()
    if isinstance(value, str):
        return _moment_of_text(value, now)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and _EARLIEST <= value <= _LATEST:
        return float(value)
    return None


def _moment_of_text(text: str, now: float) -> float | None:
    if age := _AGE.fullmatch(text):
        return now - int(age[1]) * _UNITS[age[2]]
    if _DATE.fullmatch(text):
        # Python 3.10 does not support the Z.
        return _moment(datetime.fromisoformat(re.sub("Z$", "+00:00", text)), now)
    return _moment(float(text), now)


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, timezone.utc)
