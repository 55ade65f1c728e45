"""Opens files on this machine or in a storage that Airflow supports, with errors that help."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeGuard

from airflow_provider_dify.exceptions import DifyError, DifyInputError, DifySourceError
from airflow_provider_dify.knowledge.inputs import as_text, show, without_keys
from airflow_provider_dify.knowledge.text.hints import why
from airflow_provider_dify.knowledge.text.masks import url_secrets, without_secrets_of

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_NOT_INSTALLED = re.compile(r"no filesystem registered|unsupported filesystem|protocol not known", re.IGNORECASE)
#: Maximum length of an error: a text that somebody took for a path may be long.
_LONGEST_TEXT = 1000
#: The intended scheme, and the package that opens it.
_AMAZON = ("s3", "apache-airflow-providers-amazon[s3fs]")
_GOOGLE = ("gs", "apache-airflow-providers-google")
_AZURE = ("abfs", "apache-airflow-providers-microsoft-azure")
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a", "s3n", "minio", "aws"), _AMAZON),
    **dict.fromkeys(("gs", "gcs", "google"), _GOOGLE),
    **dict.fromkeys(("abfs", "abfss", "adl", "adls", "az", "azure", "wasb", "wasbs"), _AZURE),
    **dict.fromkeys(("sftp", "ssh"), ("sftp", "apache-airflow-providers-sftp")),
}


def to_path(text: str, parameter: str = "source") -> Any:
    """Return the path that a text stands for: a local one, or a URL that ``ObjectStoragePath`` opens.

    :param parameter: The parameter that it comes from, for errors.
    :raises DifyInputError: It is neither, or no installed package can open it.
    """
    if text and (hint := why(text)):
        raise DifyInputError(
            f"{parameter} must be a path or a URL, not {show(text)}.{hint} If it really has this name, pass a path "
            "object."
        )
    if "\0" in text:
        raise DifyInputError(f"{parameter} contains a NUL character, which no path can have: {show(text)}.")
    scheme = _SCHEME.match(text)
    if not scheme and ("://" not in text or text.startswith(("/", ".", "~"))):
        try:
            return Path(text).expanduser()
        except RuntimeError as error:  # unknown user
            raise DifyInputError(f"{parameter} is not a path on this machine: {show(text)} ({error}).") from None
    if not scheme:
        raise DifyInputError(f"{parameter} is neither a path nor a URL: {show(text)}.")
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    _mask_in_logs(text)
    text = text[: scheme.end()].lower() + text[scheme.end() :]
    try:
        path = ObjectStoragePath(text)
    except Exception as error:  # noqa: BLE001 - it depends on the storage
        raise _not_installed(scheme[1], error, parameter) or _no_url(text, error, parameter) from None
    try:
        _ = path.fs
    except (ImportError, ValueError) as error:
        if found := _not_installed(scheme[1], error, parameter):
            raise found from None
    except Exception:  # noqa: BLE001, S110 - reported when the path is used, and may be temporary
        pass
    return path


def folder_path(given: object, parameter: str) -> Any:
    """Return the path of a folder that a parameter stands for. It need not exist.

    :param given: A path, a URL that ``ObjectStoragePath`` opens, or a path object.
    :param parameter: The parameter, for errors.
    :raises DifyInputError: It is something else, or no installed package can open it.
    """
    folder = as_text(given)
    if isinstance(folder, str) and folder.strip():
        return to_path(folder.strip(), parameter)
    if hasattr(folder, "iterdir"):
        return folder
    if isinstance(folder, os.PathLike):
        return Path(folder)
    raise DifyInputError(
        f"{parameter} must be a folder: a path, a URL, or a path object, not {show(folder)}.{why(folder)}"
    )


def is_local(path: object) -> TypeGuard[Path]:
    """Whether a path is local. On Airflow 2, an ``ObjectStoragePath`` is a ``pathlib.Path``, too."""
    return isinstance(path, Path) and not hasattr(type(path), "fs")


def unreadable(
    place: str,
    error: Exception,
    *,
    kind: type[DifyError] = DifySourceError,
    verb: str = "read",
    parameter: str = "source",
) -> DifyError:
    """Return the error that something cannot be read or written, without the secrets in its URL.

    :param place: Its path or URL.
    :param kind: The class of the error.
    :param verb: What cannot be done.
    :param parameter: The parameter that it comes from, for the error.
    """
    if isinstance(error, DifyError):
        return error
    scheme = _SCHEME.match(place)
    if scheme and (found := _not_installed(scheme[1], error, parameter)):
        return found
    reason = getattr(error, "strerror", None) or error  # without the path, which is named already
    text = without_keys(without_secrets_of(place, f"{place} cannot be {verb}: {type(error).__name__}: {reason}."))
    return kind(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…")


def _not_installed(scheme: str, error: Exception, parameter: str = "source") -> DifyInputError | None:
    """Return the error that no package for a scheme is installed, if that is the cause."""
    if not isinstance(error, ImportError) and not _NOT_INSTALLED.search(str(error)):
        return None
    scheme = scheme.lower()
    meant, package = _PACKAGES.get(scheme, (scheme, ""))
    installed = [one for one in _installed() if one != scheme]
    have = f" (it opens {', '.join(f'{one}://' for one in installed)})" if installed else ""
    advice = f"Install {package}" if package else "Install a provider that opens it"
    if meant != scheme:
        advice += f", and start the {parameter} with {meant}://"
    reason = f" {type(error).__name__}: {error}" if isinstance(error, ImportError) else ""
    return DifyInputError(without_keys(f"{parameter}: this Airflow cannot open {scheme}://{have}. {advice}.{reason}"))


def _no_url(text: str, error: Exception, parameter: str) -> DifyInputError:
    cause = without_secrets_of(text, str(error))
    return DifyInputError(without_keys(f"{parameter} is not a URL that Airflow can open: {show(text)} ({cause})."))


def _installed() -> list[str]:
    """Return the schemes that this Airflow can open, as far as it says."""
    for module in ("airflow.sdk.io.fs", "airflow.io"):
        with suppress(Exception):
            return sorted(import_module(module)._register_filesystems())  # noqa: SLF001 - only for a list in an error
    return []


def _mask_in_logs(url: str) -> None:
    """Let Airflow mask the secrets of a URL in its logs: libraries may log them."""
    secrets = url_secrets(url)
    if not secrets:
        return
    with suppress(ImportError, AttributeError):
        from airflow.providers.common.compat.sdk import mask_secret

        for secret in secrets:
            mask_secret(secret)
