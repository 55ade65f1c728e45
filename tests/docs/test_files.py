"""Files that people and programs expect in a repository are there, are linked, and say what is true."""

from __future__ import annotations

import importlib
import re
import shlex
from importlib.metadata import metadata
from xml.etree import ElementTree as ET

import pytest
import yaml

from airflow_provider_dify.get_provider_info import get_provider_info
from tests.docs.blocks import ROOT

INFO = get_provider_info()


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "LICENSE"])
def test_the_readme_leads_to_them(name: str) -> None:
    assert (ROOT / name).is_file()
    assert f"]({name})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md"])
def test_their_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_registry_lists_what_there_is() -> None:
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())
    assert registry["package-name"] == INFO["package-name"]
    assert registry["display-name"] == INFO["name"]
    assert registry["description"] == INFO["description"]
    for kind in ("operators", "sensors", "triggers", "hooks"):
        modules = {name for entry in INFO[kind] for name in entry["python-modules"]} - {
            "airflow_provider_dify.triggers.conversation"  # not for users
        }
        listed = [entry["module"].rpartition(".") for entry in registry[kind]]
        assert {module for module, _, _ in listed} == modules
    for entry in (entry for kind, entries in registry.items() if isinstance(entries, list) for entry in entries):
        module, _, name = entry["module"].rpartition(".")
        assert hasattr(importlib.import_module(module), name)
        assert entry["description"]


def test_the_registry_has_each_operator() -> None:
    registry = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())
    readme = (ROOT / "README.md").read_text()
    entries = [*registry["operators"], *registry["sensors"], *registry["triggers"]]
    listed = {entry["module"].rpartition(".")[2] for entry in entries}
    assert listed == set(re.findall(r"^\| \[`(Dify\w+)`\]", readme, re.MULTILINE))


def test_how_to_guides_are_pages() -> None:
    (integration,) = INFO["integrations"]
    assert integration["how-to-guide"]
    assert [page for page in integration["how-to-guide"] if not (ROOT / page.lstrip("/")).is_file()] == []


def test_the_logo_is_a_small_picture() -> None:
    logo = ROOT / "docs" / "images" / "logo.svg"
    root = ET.fromstring(logo.read_text())
    assert root.tag.endswith("svg")
    assert root.get("viewBox") == "0 0 64 64"
    assert logo.stat().st_size < 2_000


def test_hooks_of_pre_commit_run_what_is_there() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    assert {"ruff", "ruff-format", "mypy"} <= {hook["id"] for hook in hooks}
    for hook in hooks:
        program, *words = shlex.split(hook["entry"])
        assert program.startswith(".venv/bin/")
        assert [word for word in words if "/" in word and not (ROOT / word).exists()] == []


def test_classifiers_and_supported_pythons() -> None:
    pythons = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    matrix = (ROOT / "scripts" / "matrix.sh").read_text().partition("supported=(")[2].partition(")")[0]
    assert set(pythons) == set(re.findall(r":(3\.\d+)", matrix))
    assert "Framework :: Apache Airflow :: Provider" in (metadata("airflow-provider-dify").get_all("Classifier") or [])


def test_addresses_are_missing_in_one_place_only() -> None:
    """Nobody knows the address of the repository yet. Delete this test when it does."""
    text = (ROOT / "pyproject.toml").read_text()
    assert "# [project.urls]" in text
    assert "[project.urls]" in (ROOT / "CONTRIBUTING.md").read_text()
    assert metadata("airflow-provider-dify").get_all("Project-URL") is None
