"""Every code block that a reader sees is run, parsed, or included from a tested file."""

from __future__ import annotations

import ast
import json
import re
from configparser import ConfigParser
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import conf

from airflow_provider_dify.testing import FakeDify
from airflow_provider_dify.testing.pytest_plugin import DifyFactory
from tests.docs import commands
from tests.docs.blocks import ROOT, Block, blocks_in_docstrings, blocks_of, marked, missing_from, pages
from tests.docs.running import AIRFLOW, Page

#: Checked by Sphinx when it builds the pages, where a warning is an error.
DIRECTIVES = {
    "{eval-rst}", "{figure}", "{hook-methods}", "{image}", "{include}", "{list-table}", "{note}", "{toctree}",
    "{warning}",
}  # fmt: skip
#: Folders of tested files that pages include.
TESTED = ("example_dags", "tests/docs/examples")
#: Pages whose blocks use features that this Airflow does not have.
NEEDS = {"docs/retry-policy.md": (3, 3)}
PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages() if blocks_of(page)]


@pytest.fixture
def dify(dify_factory: DifyFactory) -> FakeDify:
    """One on which everything works that is on a page."""
    return dify_factory(version="1.18.0")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page(page: Path, dify: FakeDify, tmp_path: Path) -> None:
    if NEEDS.get(str(page.relative_to(ROOT)), AIRFLOW) > AIRFLOW:
        pytest.skip("needs a newer Airflow")
    shared = Page(dify, tmp_path)
    for block in blocks_of(page):
        check(block, shared)


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in blocks_in_docstrings()])
def test_every_block_in_a_docstring(block: Block, dify: FakeDify, tmp_path: Path) -> None:
    shared = Page(dify, tmp_path)
    shared.names |= names_for_docstrings(shared.names["HANDBOOK"])
    check(block, shared)


def names_for_docstrings(dataset_id: str) -> dict[str, Any]:
    """Names that a block in a docstring does not import, or has from somewhere else."""
    import requests

    from airflow_provider_dify.operators.apps import (
        DifyAnswerCheckOperator,
        DifyChatMessageOperator,
        DifyWorkflowRunOperator,
    )
    from airflow_provider_dify.operators.documents import DifyDocumentStatusOperator
    from airflow_provider_dify.operators.listing import DifyListDocumentsOperator
    from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator

    apps = (DifyAnswerCheckOperator, DifyChatMessageOperator, DifyWorkflowRunOperator)
    operators = (DifyDocumentStatusOperator, DifyListDocumentsOperator, DifyRetrievalCheckOperator, *apps)
    others = {"requests": requests, "FakeDify": FakeDify, "KB": dataset_id}
    return {**others, **{kind.__name__: kind for kind in operators}}


def check(block: Block, shared: Page) -> None:
    """Check one block according to its kind."""
    if block.copied:
        assert block.text == marked(*block.copied), f"{block} differs from what it says to be a copy of"
    elif block.excerpt:
        assert missing_from(block.excerpt, block.text) == [], f"{block} shows what {block.excerpt} does not have"
    elif block.kind == "python":
        shared.run(block.text, str(block))
    elif block.kind == "json":
        json.loads(block.text)
    elif block.kind == "yaml":
        assert yaml.safe_load(block.text)
    elif block.kind == "ini":
        check_configuration(block.text)
    elif block.kind == "sh":
        commands.check(block.text)
    elif block.name == "{literalinclude}":
        check_included(block)
    else:
        assert block.name in DIRECTIVES, f"{block}: nobody checks blocks of kind {block.kind!r}"


def check_configuration(text: str) -> None:
    """Airflow knows each option."""
    parser = ConfigParser()
    parser.read_string(text)
    assert parser.sections()
    for section in parser.sections():
        for option in parser.options(section):
            assert conf.has_option(section, option), f"[{section}] {option}"


def check_included(block: Block) -> None:
    """The file is tested, and there is something between the marks."""
    path = (block.path.parent / block.kind.split(" ")[1]).resolve()
    assert any(path.is_relative_to(ROOT / folder) for folder in TESTED), f"{block}: {path} is not tested"
    text = path.read_text()
    for mark in re.findall(r"^:(?:start|end)-\w+: (.+)$", block.text, re.MULTILINE):
        assert text.count(ast.literal_eval(mark)) == 1, f"{block}: {mark}"


def test_what_blocks_define_is_run(dify: FakeDify, tmp_path: Path) -> None:
    shared = Page(dify, tmp_path)
    (page,) = (page for page in pages() if page.name == "list.md")
    for block in blocks_of(page):
        check(block, shared)
    assert shared.ran == (["guides", "label"] if AIRFLOW >= (3, 0) else [])


def test_what_the_events_on_the_page_of_assets_say(dify: FakeDify, tmp_path: Path) -> None:
    if AIRFLOW < (3, 0):
        pytest.skip("tasks of blocks are run on Airflow 3")
    shared = Page(dify, tmp_path)
    (page,) = (page for page in pages() if page.name == "assets-and-links.md")
    for block in blocks_of(page):
        check(block, shared)
    handbook, ids = shared.names["handbook"], shared.names["document_ids"]
    told = shared.events[handbook].extra
    assert shared.ran == ["archive_old", "disable_old", "tell_of_failure", "bring_back"]
    assert (told["action"], told["changed"]) == ("disable", ids)
    (event,) = (event for accessor in shared.events.values() for event in accessor.asset_alias_events)
    assert event.dest_asset_key.uri.endswith(f"/datasets/{shared.names['HANDBOOK']}")
    assert (event.extra["action"], event.extra["changed"]) == ("un_archive", ids)


@pytest.mark.parametrize(
    "text",
    [
        "pip install airflow-provider-difi",
        "pip install 'airflow-provider-dify[test]'",
        "pip install dist/airflow-provider-dify-*.whl",
        "pip install 'dist/airflow_provider_dify-*.whl[testing]'",
        "pip install 'dist/airflow_provider_dify-0.1.0-py3-none-any.whl[test]'",
        "make everything",
        "rm -rf /",
        "airflow connections ad x",
        """export AIRFLOW_CONN_X='{"conn_type": "dify", "host": "ftp://x", "password": "k"}'""",
    ],
)
def test_a_wrong_command_is_found(text: str) -> None:
    with pytest.raises((AssertionError, SystemExit, ValueError)):
        commands.check(text)


def test_lines_that_an_excerpt_invents_are_found() -> None:
    path = "tests/docs/blocks.py"
    assert missing_from(path, "import ast\n...\nROOT = Path(__file__).resolve().parents[2]\n") == []
    assert missing_from(path, "import ast\nimport invented\n") == ["import invented"]


def test_texts_in_troubleshooting_are_texts_of_this_package() -> None:
    headings = re.findall(r"^### `(.+)`$", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    texts = "\n".join(_texts())
    missing = [part for heading in headings for part in heading.split("…") if part.strip() not in texts]
    assert len(headings) > 40
    assert missing == []


def _texts() -> list[str]:
    """The texts in the package, with … for the parts that are filled in."""
    found = []
    for path in (ROOT / "airflow_provider_dify").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[\w.]+", "…", node.value))
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(map(str, parts)))
    return found


def test_the_text_on_a_package_index_has_no_links_into_the_repository() -> None:
    text = str(metadata("airflow-provider-dify").json["description"])
    assert "## The first DAG" in text
    assert [link for link in re.findall(r"\]\((.+?)\)", text) if not link.startswith("https://")] == []
    assert "<!--" not in text
