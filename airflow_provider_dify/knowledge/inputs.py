"""What a user wrote, checked and put into canonical form before anything is sent."""

from __future__ import annotations

import ast
import json
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeVar

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.masks import without_url_secrets

E = TypeVar("E", bound=Enum)
_UUID = re.compile(
    r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}",
    re.IGNORECASE,
)
#: Easily taken for an id, as it begins with "dataset-". Dify's pages show the end of a key behind three dots.
_KEY = re.compile(
    r"(dataset-|app-|(?<![A-Za-z0-9])ds-)[A-Za-z0-9]{16,}"
    r"|((?<![A-Za-z0-9])(?:dat|ds-|app)[a-z-]*(?:\.{3}|\u2026))[A-Za-z0-9]{4,}"
)


def canonical_id(value: object, parameter: str) -> str:
    """Return a UUID in the form that Dify answers with: lower case, dashed.

    :raises DifyInputError: It is no UUID; Dify would answer a malformed id with a 500.
    """
    if isinstance(value, uuid.UUID):
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    if "knowledge-fs/" in text:
        raise DifyInputError(
            f"{parameter} is of a knowledge base for agents ('/knowledge-fs'): {show(value)}. That kind has an API of "
            "its own that this provider does not speak: give the id of a classic knowledge base."
        )
    if not _UUID.fullmatch(text):
        raise DifyInputError(
            f"{parameter} is not a UUID: {show(value)}. Take the id from the address of the page in Dify "
            "or from an API answer; it looks like 5cd7dc6a-e446-4696-ad00-30036e58194e."
        )
    return str(uuid.UUID(text))


def canonical_ids(value: object, parameter: str = "document_ids") -> tuple[str, ...]:
    """Return the ids that a list, one id, or a rendered template holds: canonical, without doubles, in order.

    A string may be one id, a JSON list, a Python list as Jinja prints one, or ids separated by commas or white space.

    :raises DifyInputError: There is no id, or something that is none.
    """
    items = _split(value, parameter) if isinstance(value, str) else _items(value, parameter)
    ids = tuple(dict.fromkeys(canonical_id(item, f"{parameter}[{n}]") for n, item in enumerate(items)))
    if not ids:
        raise DifyInputError(
            f"{parameter} holds no id: {show(value)}. Where a run without documents is normal, skip the task, "
            "for example with a short circuit before it."
        )
    return ids


def choice(value: object, options: type[E], parameter: str) -> E:
    """Return the member of an enumeration that a value names.

    :raises DifyInputError: It names none.
    """
    try:
        return options(value)
    except ValueError:
        names = ", ".join(str(option.value) for option in options)
        raise DifyInputError(f"{parameter} must be one of {names}, not {show(value)}.") from None


def choices(value: object, options: type[E], parameter: str) -> frozenset[E]:
    """Return the members that a collection, or one name, names.

    :raises DifyInputError: One of them is unknown.
    """
    items = [value] if isinstance(value, (str, Enum)) else _items(value, parameter)
    return frozenset(choice(item, options, parameter) for item in items)


def number(value: object, parameter: str, *, minimum: float = 0.0) -> float:
    """Return a finite number above a minimum.

    :raises DifyInputError: It is not one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value) or value <= minimum:
        raise DifyInputError(f"{parameter} must be a number above {minimum:g}, not {show(value)}.")
    return float(value)


def number_or_zero(value: object, parameter: str) -> float:
    """Return a finite number of at least 0.

    :raises DifyInputError: It is not one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value) or value < 0:
        raise DifyInputError(f"{parameter} must be a number of at least 0, not {show(value)}.")
    return float(value)


def whole_number(value: object, parameter: str, *, minimum: int = 1) -> int:
    """Return a whole number of at least a minimum.

    :raises DifyInputError: It is not one.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise DifyInputError(f"{parameter} must be a whole number of at least {minimum}, not {show(value)}.")
    return value


def flag(value: object, parameter: str) -> bool:
    """Return a truth value; a text such as "false" would count as true.

    :raises DifyInputError: It is none.
    """
    if not isinstance(value, bool):
        raise DifyInputError(f"{parameter} must be True or False, not {show(value)}.")
    return value


def is_finite(value: float) -> bool:
    """Whether a number is one that JSON can hold; a whole number may be too large for that."""
    return abs(value) <= sys.float_info.max


def is_storable(text: str) -> bool:
    """Whether Dify can store a text: its database takes no NUL, and no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def literal(value: object) -> object:
    """Return the list or mapping that a text holds as JSON or as Python prints one; anything else as it is.

    A template renders to a text, whatever it was made of.
    """
    if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            found: object = parse(value.strip())
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        return found
    return value


def _items(value: object, parameter: str) -> list[object]:
    if isinstance(value, uuid.UUID):
        return [value]
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        raise DifyInputError(f"{parameter} must be a list or a string, not {show(value)}.")
    return list(value)


def _split(text: str, parameter: str) -> list[object]:
    text = text.strip()
    if not text.startswith("["):
        return list(re.split(r"[\s,]+", text.strip(", \t\r\n"))) if text.strip(", \t\r\n") else []
    for parse in (json.loads, ast.literal_eval):
        try:
            return _items(parse(text), parameter)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
    raise DifyInputError(f"{parameter} looks like a list but is none: {show(text)}.")


def without_keys(text: str) -> str:
    """Return a text without what looks like an API key, and without the passwords and signatures of URLs in it."""
    return without_url_secrets(_KEY.sub(r"\1\2***", text))


def show(value: object) -> str:
    """Return a value for the text of an error: short, and without what looks like an API key."""
    text = without_keys(repr(value))
    return text if len(text) <= 100 else text[:100] + "…"
