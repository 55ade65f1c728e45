"""Reads the parameters of operators on apps; loaded when a task runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.files import FileSource
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps.requesting import AppFile, LocalFile, RemoteFile
from airflow_provider_dify.knowledge.apps.tries import Tries, tries_of
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.storage import to_path

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


def named(value: object, parameter: str) -> dict[str, Any]:
    """Return values by name. A template may have rendered them as text.

    :raises DifyInputError: They are something else.
    """
    found = inputs.literal(value)
    if found is None or found == "":
        return {}
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise DifyInputError(f"{parameter} must be a mapping of names to values, not {inputs.show(value)}.{why(value)}")
    return dict(found)


def files_of(chosen: Mapping[str, Any]) -> dict[str, list[AppFile]]:
    """Return files by the name of their input: paths, URLs, or lists of them.

    :raises DifyInputError: One of them cannot be a file.
    """
    return {name: [_file(name, one) for one in _listed(value)] for name, value in chosen.items()}


def tries_in(context: Context, prefix: str) -> Tries:
    """Return the names of the tries of a task in Dify."""
    task = context["ti"]
    place = getattr(task, "map_index", -1)
    return tries_of(prefix, task.dag_id, task.task_id, task.run_id, -1 if place is None else place, task.try_number)


def _listed(value: Any) -> list[Any]:
    found = inputs.literal(value)
    if isinstance(found, (list, tuple)):
        if not found:
            raise DifyInputError("files has an empty list. Leave the input out if it has no file.")
        return list(found)
    return [found]


def _file(name: str, value: Any) -> AppFile:
    if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        return RemoteFile(value)
    if not hasattr(value, "open") and (not isinstance(value, str) or not value.strip()):
        raise DifyInputError(f"files['{name}'] is not a path or URL: {inputs.show(value)}.{why(value)}")
    source = FileSource(to_path(value) if isinstance(value, str) else value, max_size=None)
    if source.problem:
        raise DifyInputError(f"files['{name}']: {source.place}: {source.problem}")
    return LocalFile(source.name, source)
