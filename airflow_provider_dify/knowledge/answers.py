"""Checks the types of the fields in Dify's responses once, when they are read.

A gateway may change responses, and something other than Dify may send them. A wrong type must not lead to a wrong
decision (``"enabled": "false"`` counts as true in Python) or to a Python error far away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from airflow_provider_dify.knowledge.flow import JSON

#: Whether a value is of some kind.
Kind: TypeAlias = Callable[[JSON], bool]

#: An id becomes part of paths, so it must not lead anywhere else.
_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,99}")
_LONGEST_TEXT = 65_536
_MOST_LEVELS = 8
#: Limit of a whole number in a database.
_LARGEST = 2**63


def an_id(value: JSON) -> bool:
    """Whether a value can be an id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def a_text(value: JSON) -> bool:
    """Whether a value is a text that can be shown and sent."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def a_text_or_nothing(value: JSON) -> bool:
    """Whether a value is a text, or null."""
    return value is None or a_text(value)


def a_flag(value: JSON) -> bool:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def a_number_or_nothing(value: JSON) -> bool:
    """Whether a value is a number that a database can hold, or null."""
    if value is None:
        return True
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def a_plain_value(value: JSON) -> bool:
    """Whether a value is a text, a number, a truth value, or null."""
    return isinstance(value, bool) or a_text_or_nothing(value) or a_number_or_nothing(value)


def a_list_or_nothing(value: JSON) -> bool:
    """Whether a value is a list, or null."""
    return value is None or isinstance(value, list)


def an_object_or_nothing(value: JSON) -> bool:
    """Whether a value is a JSON object of few levels that can be sent again, or null."""
    return value is None or (isinstance(value, dict) and _is_shallow(value, _MOST_LEVELS))


def check(item: JSON, kinds: Mapping[str, Kind]) -> None:
    """Check the fields of an object. A missing field counts as null.

    :raises ValueError: A field has another type. The text names the field, and does not show the value.
    """
    if not isinstance(item, dict):
        raise ValueError(f"a {type(item).__name__} instead of an object")  # noqa: TRY004 - as for what is in it
    for name, of_kind in kinds.items():
        if not of_kind(item.get(name)):
            wanted = of_kind.__name__.replace("_", " ").strip()
            raise ValueError(f"'{name}' is not {wanted} but a {type(item.get(name)).__name__}")


def items(payload: Mapping[str, JSON], name: str) -> list[JSON]:
    """Return a list in a response.

    :raises ValueError: It is not a list. An empty text or object would look like an empty list.
    """
    value = payload[name]
    if not isinstance(value, list):
        raise ValueError(f"'{name}' is not a list but a {type(value).__name__}")  # noqa: TRY004
    return value


def _is_shallow(value: JSON, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return a_plain_value(value)
    if levels == 0:
        return False
    if isinstance(value, dict):
        return all(map(a_text, value)) and all(_is_shallow(one, levels - 1) for one in value.values())
    return all(_is_shallow(one, levels - 1) for one in value)
