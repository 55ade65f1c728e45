"""Files for apps: paths, and URLs that Airflow or Dify opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.files import FileSource
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps.requesting import AppFile, LocalFile, RemoteFile
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.storage import to_path

#: Maximum number of characters of a path in an error.
_LONGEST_PATH = 500


def files_of(chosen: Mapping[str, Any]) -> dict[str, list[AppFile]]:
    """Return files by the name of their input: paths, URLs, or lists of them.

    :raises DifyInputError: One of them cannot be a file.
    """
    return {name: [_file(one, f"files['{name}']") for one in _listed(value)] for name, value in chosen.items()}


def local_file(value: object, parameter: str) -> LocalFile:
    """Return a file to upload: a path, a URL that Airflow opens, or a path object.

    :raises DifyInputError: It cannot be a file, or cannot be read.
    """
    if not hasattr(value, "open") and (not isinstance(value, str) or not value.strip()):
        raise DifyInputError(f"{parameter} is not a path or URL: {inputs.show(value)}.{why(value)}")
    source = FileSource(to_path(value, parameter) if isinstance(value, str) else value, max_size=None)
    if source.problem:
        raise DifyInputError(f"{parameter}: {source.place[:_LONGEST_PATH]}: {source.problem}")
    return LocalFile(source.name, source)


def _listed(value: object) -> list[Any]:
    found = inputs.literal(value)
    if isinstance(found, (list, tuple)):
        if not found:
            raise DifyInputError("files has an empty list. Leave the input out if it has no file.")
        return list(found)
    return [found]


def _file(value: object, parameter: str) -> AppFile:
    if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
        return RemoteFile(value)
    return local_file(value, parameter)
