"""Checks the shell commands that a reader types, without running them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from fnmatch import fnmatchcase
from importlib.metadata import metadata, version
from typing import Any

from airflow_provider_dify.hooks.connection import settings_from
from airflow_provider_dify.testing.program import parser
from tests.docs.blocks import ROOT

#: Options of make that a block may use, besides those that the Makefile names.
_VARIABLES = ("ARGS", "PYTHON")


def check(text: str) -> None:
    """Raise an error if a line of a block is not a command that works here."""
    command = ""
    for line in text.replace("\\\n", " ").splitlines():
        command += f"{line}\n"
        if command.count("'") % 2 == 0:  # otherwise the text in quotes continues on the next line
            if words := shlex.split(command, comments=True):
                _CHECKS.get(words[0], _unknown)(words[1:])
            command = ""
    assert not command, f"quotes that are not closed: {command}"


def _unknown(words: list[str]) -> None:
    raise AssertionError(f"nobody checks this command: {words}")


def _make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    options = [word for word in words if "=" in word]
    assert {word.partition("=")[0] for word in options} <= set(_VARIABLES), options
    assert set(words) - set(options) <= targets, words


def _pip(words: list[str]) -> None:
    action, *packages = words
    assert action == "install"
    for package in packages:
        match = re.fullmatch(r"(?P<name>[^\[\]]+)(?:\[(?P<extra>[a-z]+)\])?", package)
        assert match, package
        if match["name"].startswith("dist/"):  # built by `make build`
            wheel = f"dist/airflow_provider_dify-{version('airflow-provider-dify')}-py3-none-any.whl"
            assert fnmatchcase(wheel, match["name"]), package
            # A shell takes brackets after a star as part of the pattern.
            assert not (match["extra"] and "*" in match["name"]), package
        else:
            assert match["name"] == "airflow-provider-dify", package
        extras = metadata("airflow-provider-dify").get_all("Provides-Extra") or []
        assert match["extra"] is None or match["extra"] in extras, package


def _export(words: list[str]) -> None:
    (assignment,) = words
    name, _, value = assignment.partition("=")
    if name.startswith("AIRFLOW_CONN_"):
        _connection(json.loads(value))
    else:
        assert name in ("DIFY_BASE_URL", "DIFY_API_KEY", "DIFY_DATASET_ID"), name


def _connection(fields: dict[str, Any]) -> None:
    from airflow.models import Connection

    extra = dict(fields.pop("extra", {}))
    assert fields.pop("conn_type") == "dify"
    assert extra.pop("verify", "/ca.pem").endswith(".pem")  # the file is on the reader's machine
    settings = settings_from(Connection(conn_id="x", conn_type="dify", extra=json.dumps(extra), **fields))
    assert settings.base_url.endswith("/v1")


def _airflow(words: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    parsed = get_parser().parse_args(words)
    if words[:2] == ["connections", "add"]:
        _connection({"conn_type": parsed.conn_type, "host": parsed.conn_host, "password": parsed.conn_password})


def _python(words: list[str]) -> None:
    assert words[:2] == ["-m", "airflow_provider_dify.testing"], words
    parser().parse_args(words[2:])


def _script(name: str) -> Callable[[list[str]], None]:
    def check_script(words: list[str]) -> None:
        assert not words
        assert (ROOT / name).stat().st_mode & 0o100, f"{name} cannot be run"

    return check_script


_CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": _make,
    "pip": _pip,
    "python": _python,
    "export": _export,
    "airflow": _airflow,
    ".ci/run": _script(".ci/run"),
}
