"""Checks the types of the fields in Dify's responses once, when they are read.

A gateway may change responses, and something other than Dify may send them. A wrong type must not lead to a wrong
decision (``"enabled": "false"`` counts as true in Python) or to a Python error far away.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias, TypeGuard, TypeVar

from airflow_provider_dify.knowledge.flow import JSON

Plain: TypeAlias = str | int | float | bool | None
T = TypeVar("T")
#: Tells whether a value is of some kind. The name of the function says which.
Kind: TypeAlias = Callable[[JSON], TypeGuard[T]]

#: An id becomes part of paths, so it must not lead anywhere else.
_ID = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,99}")
_LONGEST_TEXT = 65_536
_MOST_LEVELS = 8
#: Limit of a whole number in a database.
_LARGEST = 2**63
#: Limit of any number: larger ones cannot be converted.
_LARGEST_VALUE = 1e308


def an_id(value: JSON) -> TypeGuard[str]:
    """Whether a value can be an id."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def a_string(value: JSON) -> TypeGuard[str]:
    """Whether a value is a text of any length and content."""
    return isinstance(value, str)


def a_text(value: JSON) -> TypeGuard[str]:
    """Whether a value is a text that can be shown and sent."""
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def a_text_or_nothing(value: JSON) -> TypeGuard[str | None]:
    """Whether a value is a text, or null."""
    return value is None or a_text(value)


def a_flag(value: JSON) -> TypeGuard[bool]:
    """Whether a value is true or false."""
    return isinstance(value, bool)


def a_number(value: JSON) -> TypeGuard[int | float]:
    """Whether a value is a number that a database can hold."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST


def a_number_or_nothing(value: JSON) -> TypeGuard[int | float | None]:
    """Whether a value is a number that a database can hold, or null."""
    return value is None or a_number(value)


def a_whole_number(value: JSON) -> TypeGuard[int]:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def a_plain_value(value: JSON) -> TypeGuard[Plain]:
    """Whether a value is a text, a finite number, a truth value, or null. Metadata may be larger than a database's
    numbers.
    """
    if isinstance(value, (int, float)):
        return -_LARGEST_VALUE < value < _LARGEST_VALUE
    return a_text_or_nothing(value)


def a_list(value: JSON) -> TypeGuard[list[JSON]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def a_list_of_texts(value: JSON) -> TypeGuard[list[str]]:
    """Whether a value is a list of texts."""
    return isinstance(value, list) and all(map(a_text, value))


def a_list_of_whole_numbers(value: JSON) -> TypeGuard[list[int]]:
    """Whether a value is a list of whole numbers."""
    return isinstance(value, list) and all(map(a_whole_number, value))


def a_list_or_nothing(value: JSON) -> TypeGuard[list[JSON] | None]:
    """Whether a value is a list, or null."""
    return value is None or isinstance(value, list)


def an_object_or_nothing(value: JSON) -> TypeGuard[dict[str, JSON] | None]:
    """Whether a value is a JSON object of few levels that can be sent again, or null."""
    return value is None or (isinstance(value, dict) and _is_shallow(value, _MOST_LEVELS))


class Fields:
    """The fields of a JSON object, which are checked when they are read. A missing field counts as null.

    All methods raise ``ValueError`` if a field has another type. The text names the field, and does not show the value.

    :param value: The object.
    """

    __slots__ = ("values",)

    def __init__(self, value: JSON) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"a {type(value).__name__} instead of an object")  # noqa: TRY004 - as for what is in it
        #: All fields, unchecked.
        self.values: dict[str, JSON] = value

    def read(self, name: str, kind: Kind[T]) -> T:
        """Return a field of some kind."""
        value = self.values.get(name)
        if kind(value):
            return value
        wanted = kind.__name__.replace("_", " ").strip()
        raise ValueError(f"'{name}' is not {wanted} but a {type(value).__name__}")

    def get(self, name: str, default: JSON = None) -> JSON:
        """Return a field of any kind."""
        return self.values.get(name, default)

    def id(self, name: str = "id") -> str:
        """Return an id."""
        return self.read(name, an_id)

    def text(self, name: str) -> str:
        """Return a text."""
        return self.read(name, a_text)

    def maybe_text(self, name: str) -> str | None:
        """Return a text, or ``None``."""
        return None if self.values.get(name) is None else self.read(name, a_text_or_nothing)

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        return self.read(name, a_flag)

    def maybe_flag(self, name: str) -> bool | None:
        """Return a truth value, or ``None``."""
        return None if self.values.get(name) is None else self.flag(name)

    def number(self, name: str) -> float:
        """Return a number; 0 for null."""
        return 0.0 if self.values.get(name) is None else float(self.read(name, a_number))

    def count(self, name: str) -> int:
        """Return a whole number; 0 for null."""
        return 0 if self.values.get(name) is None else int(self.read(name, a_number))

    def maybe_count(self, name: str) -> int | None:
        """Return a whole number, or ``None``."""
        return None if self.values.get(name) is None else int(self.read(name, a_number))

    def items(self, name: str) -> list[Fields]:
        """Return a list of objects. An empty text or object is no empty list."""
        return list(map(Fields, self.read(name, a_list)))

    def maybe_items(self, name: str) -> list[Fields]:
        """Return a list of objects; empty for null."""
        return list(map(Fields, self.read(name, a_list_or_nothing) or ()))

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        return self.read(name, a_list_of_texts)

    def object(self, name: str) -> Fields:
        """Return an object."""
        return Fields(self.values.get(name))

    def maybe_object(self, name: str) -> Fields:
        """Return an object; empty for null."""
        value = self.values.get(name)
        return Fields({} if value is None else value)

    def each(self, kind: Kind[T]) -> dict[str, T]:
        """Return the fields, if each is of some kind."""
        return {name: self.read(name, kind) for name in self.values}

    def plain(self) -> dict[str, Plain]:
        """Return the fields, if each is a plain value."""
        return self.each(a_plain_value)


def _is_shallow(value: JSON, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return a_plain_value(value)
    if levels == 0:
        return False
    if isinstance(value, dict):
        return all(map(a_text, value)) and all(_is_shallow(one, levels - 1) for one in value.values())
    return all(_is_shallow(one, levels - 1) for one in value)
