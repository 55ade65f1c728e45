"""Which files of a folder count: patterns for their paths, and files that are never content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.inputs import as_text, literal, pattern, show
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.knowledge.text.names import canonical
from airflow_provider_dify.storage import is_local


def patterns(value: object, parameter: str) -> tuple[str, ...]:
    """Return the patterns that a user gave: one, a list, or a text that contains a list.

    :raises DifyInputError: The value is something else.
    """
    found = literal(value)
    several = list(found) if isinstance(found, Iterable) and not isinstance(found, str) else [found]
    items = [as_text(one) for one in several]
    checked = tuple(item for item in items if isinstance(item, str) and item)
    if len(checked) < len(items) or isinstance(found, (bytes, Mapping)):
        raise DifyInputError(
            f"{parameter} must be a pattern such as '*.md', or a list of them, not {show(value)}.{why(value)}"
        )
    return tuple(canonical(pattern(one, parameter)) for one in checked)


def fits(path: str, wanted: Iterable[str]) -> bool:
    """Whether a path below a folder matches any of the patterns; a star also matches slashes."""
    path = canonical(path)
    return any(fnmatchcase(path, one) for one in wanted)


def fits_all_in(folder: str, wanted: Iterable[str]) -> bool:
    """Whether everything in a folder matches, whatever its name."""
    return fits(f"{folder}/", (one for one in wanted if one.endswith("*")))


def path_below(folder: Any, path: Any) -> str:
    """Return the path of a file below a folder, with slashes."""
    if is_local(folder):
        try:
            return Path(path).relative_to(folder).as_posix()
        except ValueError:
            return str(path.name)
    base = str(folder).rstrip("/")
    return str(path).removeprefix(base).lstrip("/") if str(path).startswith(base) else str(path.name)
