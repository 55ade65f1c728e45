"""Checks the outputs of an app, and writes large ones to a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_provider_dify.exceptions import DifyInputError, DifyStorageError
from airflow_provider_dify.knowledge.inputs import name, show, without_keys
from airflow_provider_dify.knowledge.text.schemas import check_schema, misfit, objection, short

if TYPE_CHECKING:
    from airflow_provider_dify.knowledge.flow import JSON

#: A JSON schema, or a function that returns ``False`` or raises if outputs are wrong.
Expectation: TypeAlias = Mapping[str, Any] | Callable[[Any], object]


def check_expectation(expect: Expectation | None) -> None:
    """Check an expectation before anything is sent.

    :raises DifyInputError: It is invalid, or not a valid JSON schema.
    """
    if expect is None or callable(expect):
        return
    if not isinstance(expect, Mapping):
        raise DifyInputError(f"expect must be a JSON schema or a function, not {show(expect)}.")
    check_schema(expect, "expect")


def problem_of(outputs: JSON, expect: Expectation | None) -> str:
    """Return why outputs are not as expected; empty if they are."""
    if expect is None:
        return ""
    return objection(expect, outputs) if callable(expect) else misfit(outputs, expect)


def write(outputs: JSON, path: str, run_id: str) -> str:
    """Write outputs to a file as JSON, and return its path.

    :param path: The file; if it ends in a slash, a folder in which the file is named by the run.
    :raises DifyStorageError: It cannot be written.
    """
    from airflow_provider_dify.storage import to_path

    path = name(path, "output_path", "a path or a URL")  # as it was checked
    target = to_path(path + f"{run_id}.json" if path.endswith("/") else path, "output_path")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.write(json.dumps(outputs, ensure_ascii=False).encode(errors="replace"))
    except Exception as error:  # noqa: BLE001 - each kind of storage has its own errors
        text = without_keys(f"{target} cannot be written: {type(error).__name__}: {short(error).rstrip('.')}.")
        raise DifyStorageError(
            f"{text} Check output_path, and the permissions and the free space there. The run itself has ended: a "
            "retry reads its result."
        ) from None
    return str(target)
