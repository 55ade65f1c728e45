"""Links between pages lead to files that exist, and to headings that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, pages

#: Pages that only include another file, and one that is included and never shown by itself.
INCLUDES = {"docs/contributing.md": "CONTRIBUTING.md", "docs/changelog.md": "CHANGELOG.md"}
PAGES = [page for page in pages() if str(page.relative_to(ROOT)) not in {*INCLUDES, "docs/benchmarks/results.md"}]


def links(text: str) -> list[str]:
    """The targets of the links and pictures of a page that lead to another place in the repository."""
    text = re.sub(r"^ *(```+)(?!\{image)[^\n]*\n.*?^ *\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^```\{image\} (\S+)", text, re.MULTILINE)
    return [link for link in found if not re.match(r"https?://", link)]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub and Sphinx make them."""
    page = ROOT / INCLUDES.get(str(page.relative_to(ROOT)), str(page))
    text = re.sub(r"^ *(```+)[^\n]*\n.*?^ *\1$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead(page: Path) -> list[str]:
    """The broken links of a page."""
    found = []
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n[one](#a-page) [two](#b) [three](no.md) [four](https://example.com)\n")
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("tests.docs.test_links.ROOT", tmp_path)
        assert dead(page) == ["#b", "no.md"]
