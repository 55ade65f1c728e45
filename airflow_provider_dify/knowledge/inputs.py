"""Checks what a user wrote, and converts it to canonical form before anything is sent."""

from __future__ import annotations

import ast
import json
import re
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from enum import Enum
from typing import Any, TypeVar

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.text.hints import did_you_mean, is_a_name, why
from airflow_provider_dify.knowledge.text.masks import without_url_secrets

E = TypeVar("E", bound=Enum)
T = TypeVar("T")
_UUID = re.compile(
    r"\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}",
    re.IGNORECASE,
)
#: A key is easily mistaken for an id because it begins with "dataset-". Dify's pages show the end of a key after three
#: dots.
_KEY = re.compile(
    r"(dataset-|app-|(?<![A-Za-z0-9])ds-)[A-Za-z0-9]{16,}"
    r"|((?<![A-Za-z0-9])(?:dat|ds-|app)[a-z-]*(?:\.{3}|\u2026))[A-Za-z0-9]{4,}"
)
_DECIMAL = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,3})?", re.IGNORECASE | re.ASCII)
#: A template that is nothing but an expression.
_EXPRESSION = re.compile(r"\{\{[^{}]*\}\}")
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
#: Maximum length of a path on Linux.
_LONGEST_PATTERN = 4096
_TRUTHS = {"true": True, "false": False}
#: An id without its dashes has 32 characters, which may all be digits.
_SMALLEST_ID = 10**31


def canonical_id(value: object, parameter: str) -> str:
    """Return a UUID in the form that Dify uses: lower case, with dashes.

    :raises DifyInputError: It is not a UUID. Dify would answer a malformed id with a 500.
    """
    if isinstance(value, uuid.UUID):
        return str(value)
    given = as_text(value)
    text = given.strip() if isinstance(given, str) else ""
    if "knowledge-fs/" in text:
        raise DifyInputError(
            f"{parameter} belongs to a knowledge base for agents ('/knowledge-fs'): {show(value)}. That kind has "
            "another API, which this provider does not support. Use the id of a classic knowledge base."
        )
    if not _UUID.fullmatch(text):
        raise DifyInputError(f"{parameter} is not a UUID: {show(value)}.{_advice(value, text, parameter)}")
    return str(uuid.UUID(text))


def _advice(value: object, text: str, parameter: str) -> str:
    """Return advice about an invalid id."""
    if hint := why(value):
        return hint
    if not is_a_name(text) or without_keys(text) != text:
        return (
            " Take the id from the address of the page in Dify or from the API; it looks like "
            "5cd7dc6a-e446-4696-ad00-30036e58194e."
        )
    if parameter == "dataset_id":
        return f" To find a knowledge base by name, use dataset_name={show(text)}."
    return f' To find documents by name, use filters={{"name": {show(text)}}}, here or in DifyListDocumentsOperator.'


def canonical_ids(value: object, parameter: str = "document_ids") -> tuple[str, ...]:
    """Return the ids in a list, a single id, or a rendered template: canonical, without duplicates, in order.

    A string may be one id, a JSON list, a Python list as printed by Jinja, or ids separated by commas or white space.

    :raises DifyInputError: There is no id, or one is invalid.
    """
    items = _split(value, parameter) if isinstance(value, str) else _items(value, parameter)
    ids = tuple(dict.fromkeys(canonical_id(item, f"{parameter}[{n}]") for n, item in enumerate(items)))
    if not ids:
        raise DifyInputError(
            f"{parameter} contains no id: {show(value)}.{why(value)} If a run without documents is normal, skip the "
            "task, for example with a short circuit before it."
        )
    return ids


def choice(value: object, options: type[E], parameter: str) -> E:
    """Return the member of an enumeration that a value names.

    :raises DifyInputError: There is no such member.
    """
    if isinstance(value, (str, options)):
        try:
            return options(value)
        except ValueError:
            pass
    names = [str(option.value) for option in options]
    hint = did_you_mean(value, names) or why(value)
    raise DifyInputError(f"{parameter} must be one of {', '.join(names)}, not {show(value)}.{hint}")


def choices(value: object, options: type[E], parameter: str) -> frozenset[E]:
    """Return the members that a collection names, or a text: one name, or a rendered collection.

    :raises DifyInputError: One of them is unknown.
    """
    found = literal(value)
    if isinstance(found, str) and found.strip().startswith("("):
        found = literal(f"[{found.strip()[1:-1]}]")
    if isinstance(found, str) and not isinstance(found, Enum):
        found = [part.strip() for part in found.split(",") if part.strip()] or [found]
    items = [found] if isinstance(found, Enum) else _items(found, parameter)
    return frozenset(choice(item, options, parameter) for item in items)


def number(value: object, parameter: str) -> float:
    """Return a finite number above 0. A template may have rendered it as text.

    :raises DifyInputError: The value is something else.
    """
    found = _number(value)
    if found is None or found <= 0:
        raise DifyInputError(f"{parameter} must be a number above 0, not {show(value)}.{why(value)}")
    return found


def number_or_zero(value: object, parameter: str) -> float:
    """Return a finite number of at least 0. A template may have rendered it as text.

    :raises DifyInputError: The value is something else.
    """
    found = _number(value)
    if found is None or found < 0:
        raise DifyInputError(f"{parameter} must be a number of at least 0, not {show(value)}.{why(value)}")
    return found


def _number(value: object) -> float | None:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
        return None
    return float(value)


def whole_number(value: object, parameter: str, *, minimum: int = 1) -> int:
    """Return a whole number of at least a minimum. A template may have rendered it as text.

    :raises DifyInputError: The value is something else.
    """
    found = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else value
    if isinstance(found, bool) or not isinstance(found, int) or not minimum <= found <= sys.maxsize:
        raise DifyInputError(
            f"{parameter} must be a whole number of at least {minimum}, not {show(value)}.{why(value)}"
        )
    return found


def flag(value: object, parameter: str) -> bool:
    """Return a boolean. A template may have rendered it as ``True`` or ``false``.

    :raises DifyInputError: The value is something else.
    """
    found = _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise DifyInputError(f"{parameter} must be True or False, not {show(value)}.{why(value)}")
    return found


def settle(options: object, **readers: Callable[[Any, str], object]) -> None:
    """Check the fields of a frozen dataclass, and convert them to canonical form.

    :param readers: How to read each field: a function of this module, or one that such a function returns.
    :raises DifyInputError: A value is invalid.
    """
    for name, read in readers.items():
        object.__setattr__(options, name, read(getattr(options, name), name))


def given(value: object, kind: type[T], parameter: str) -> T:
    """Return an object of a class, or a new one for ``None``.

    :raises DifyInputError: It has another class.
    """
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise DifyInputError(f"{parameter} must be {kind.__name__}, not {show(value)}.")
    return value


def one_of(kind: type[Enum]) -> Callable[[object, str], str]:
    """Return a reader for the value of a member."""
    return lambda value, parameter: choice(value, kind, parameter).value


def some_of(kind: type[Enum]) -> Callable[[object, str], tuple[object, ...]]:
    """Return a reader for the values of some members, sorted."""
    return lambda value, parameter: tuple(sorted(one.value for one in choices(value, kind, parameter)))


def or_none(read: Callable[[Any, str], T]) -> Callable[[Any, str], T | None]:
    """Return a reader that also accepts ``None``."""
    return lambda value, parameter: None if value is None else read(value, parameter)


def as_text(value: object) -> object:
    """Return a value as the text that it was before Airflow rendered templates as native objects.

    Native rendering turns "2024" into a number. Anything except a number, a date or a UUID is returned unchanged.
    """
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, float, uuid.UUID)) and not isinstance(value, (bool, Enum)):
        try:
            return str(value)
        except ValueError:  # it has so many digits that Python does not show it
            return value
    return value


def text(value: object, parameter: str, what: str = "text that is not empty") -> str:
    """Return a text that Dify can store. A template may have rendered it as a number or date.

    :param what: What it should be, for the error.
    :raises DifyInputError: The value is something else.
    """
    found = as_text(value)
    if not isinstance(found, str) or not found.strip() or not is_storable(found):
        raise DifyInputError(f"{parameter} must be {what}, not {show(value)}.{why(value)}")
    return found


def name(value: object, parameter: str, what: str = "text that is not empty") -> str:
    """Return a text that names something, without blanks around it. It is not what a template leaves of nothing.

    :param what: What it should be, for the error.
    :raises DifyInputError: The value is something else.
    """
    found = text(value, parameter, what).strip()
    if hint := why(found):
        raise DifyInputError(f"{parameter} must be {what}, not {show(value)}.{hint}")
    return found


def question(value: object, parameter: str) -> str:
    """Return a text for an app, unchanged: it may be about templates. But it is not what a template leaves of nothing.

    :raises DifyInputError: The value is something else, or a template that was not rendered.
    """
    found = text(value, parameter)
    if "{" not in found or _EXPRESSION.fullmatch(found.strip()):
        name(found, parameter)
    return found


def by_name(value: object, parameter: str) -> dict[str, Any]:
    """Return values by name; empty for ``None``. A template may have rendered them as text.

    :raises DifyInputError: They are something else.
    """
    found = literal(value)
    if found is None or found == "":
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise DifyInputError(f"{parameter} must be a mapping of names to values, not {show(value)}.{why(value)}")
    return dict(found)


def pattern(text: str, parameter: str) -> str:
    """Return a pattern for names or paths.

    :raises DifyInputError: It is longer than any path. Reading one with many brackets could take minutes.
    """
    if len(text) > _LONGEST_PATTERN:
        raise DifyInputError(f"{parameter} has {len(text):,} characters, more than any path: {show(text)}.")
    return text


def is_json(value: object) -> bool:
    """Whether a value can be sent as JSON."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def is_finite(value: float) -> bool:
    """Whether JSON can hold a number; a whole number may be too large."""
    return abs(value) <= sys.float_info.max


def is_storable(text: str) -> bool:
    """Whether Dify can store a text: its database accepts no NUL and no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def literal(value: object) -> object:
    """Return the list or mapping that a text contains as JSON or Python; anything else unchanged.

    Templates are rendered to text, whatever their source.
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
    if isinstance(value, int) and _SMALLEST_ID <= value < 10 * _SMALLEST_ID:
        return [value]
    if isinstance(value, (bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        hint = " Use its 'document_ids'." if isinstance(value, Mapping) and "document_ids" in value else why(value)
        raise DifyInputError(f"{parameter} must be a list or a string, not {show(value)}.{hint}")
    return list(value)


def _split(text: str, parameter: str) -> list[object]:
    text = text.strip()
    if not text.startswith("["):
        return list(re.split(r"[\s,]+", text.strip(", \t\r\n"))) if text.strip(", \t\r\n") else []
    found = literal(text)
    if not isinstance(found, list):
        raise DifyInputError(f"{parameter} looks like a list, but is not: {show(text)}.")
    return found


def without_keys(text: str) -> str:
    """Return a text without anything that may be an API key, and without the passwords and signatures of URLs."""
    return without_url_secrets(_KEY.sub(r"\1\2***", text))


def show(value: object) -> str:
    """Return a value for an error text: short, and without anything that may be an API key."""
    try:
        shown = repr(value)
    except Exception:  # noqa: BLE001 - too deep, too many digits, or any error of a user's object
        shown = f"<{type(value).__name__}>"
    text = without_keys(shown)
    return text if len(text) <= 100 else text[:100] + "…"
