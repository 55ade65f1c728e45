"""What users expect of values: JSON schemas and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError

_LONGEST_TEXT = 300


def check_schema(schema: Mapping[str, Any], parameter: str) -> None:
    """Check a JSON schema.

    :raises DifyInputError: It is not valid.
    """
    try:
        _validator(schema).check_schema(schema)
    except DifyInputError:
        raise
    except Exception as error:  # noqa: BLE001 - a schema may be wrong in many ways
        raise DifyInputError(f"{parameter} is not a valid JSON schema: {short(error)}") from None


def misfit(value: object, schema: Mapping[str, Any]) -> str:
    """Return why a value does not fit a schema; empty if it does."""
    error = next(iter(_validator(schema)(schema).iter_errors(value)), None)
    if error is None:
        return ""
    where = "/".join(map(str, error.absolute_path))
    return f"{f'{where}: ' if where else ''}{short(error.message)}"


def objection(check: Callable[[Any], object], value: object) -> str:
    """Return why a function of a user does not accept a value; empty if it does. It returns ``False`` or raises."""
    try:
        passed = check(value)
    except Exception as error:  # noqa: BLE001 - from the user's function
        return f"{type(error).__name__}: {short(error)}" if str(error) else type(error).__name__
    return f"{name_of(check)} returned False" if passed is False else ""


def name_of(check: object) -> str:
    """Return the name of a user's function."""
    return str(getattr(check, "__name__", "check"))


def short(error: object) -> str:
    """Return the text of an error on one line of limited length."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"


def _validator(schema: Mapping[str, Any]) -> Any:
    try:
        validators: Any = import_module("jsonschema.validators")  # it comes with Airflow
    except ImportError:
        raise DifyInputError("A JSON schema needs the package jsonschema. Install it, or give a function.") from None
    return validators.validator_for(schema, default=validators.Draft202012Validator)
