"""The code blocks that a reader sees: in the README, in CONTRIBUTING, on the pages of docs/, and in docstrings."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|:{3,})(?P<info>[^`]*)$")
_IN_DOCSTRING = re.compile(
    r"^(?P<indent> *)\.\. code-block:: (?P<kind>\w+)\n\n(?P<text>(?:\1 +.*\n|\n)+)", re.MULTILINE
)
#: Before a block: it is a copy of the lines between two marks in a file.
_COPIED = re.compile(r"<!-- copied from (?P<path>\S+): (?P<mark>\w+) -->")
#: Before a block: its lines are in a file, in the same order; ``...`` stands for lines that it leaves out.
_EXCERPT = re.compile(r"<!-- excerpt of (?P<path>\S+) -->")


@dataclass(frozen=True)
class Block:
    """One block.

    :param kind: The text after the fence: ``python``, or ``{literalinclude} ../a/file.py``.
    :param copied: The file, and the mark in it, that it says it is a copy of.
    :param excerpt: The file that it shows lines of.
    """

    path: Path
    line: int
    kind: str
    text: str
    copied: tuple[str, str] | None = None
    excerpt: str | None = None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def name(self) -> str:
        """The kind without the arguments of a directive."""
        return self.kind.split(" ")[0]


def pages() -> list[Path]:
    """Every page that a reader sees."""
    docs = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *docs]


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, including nested ones."""
    return list(_blocks(page, page.read_text().splitlines(), 1))


def _blocks(page: Path, lines: list[str], first: int) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        match = _FENCE.match(lines[number])
        if match:
            end = next(n for n in range(number + 1, len(lines)) if lines[n].strip() == match["fence"])
            inner = lines[number + 1 : end]
            text = textwrap.dedent("\n".join(inner)) + "\n"
            before = lines[number - 1] if number else ""
            copied, excerpt = _COPIED.search(before), _EXCERPT.search(before)
            yield Block(
                page,
                first + number,
                match["info"].strip(),
                text,
                copied=(copied["path"], copied["mark"]) if copied else None,
                excerpt=excerpt["path"] if excerpt else None,
            )
            if match["fence"].startswith(":"):
                yield from _blocks(page, inner, first + number + 1)
            number = end
        number += 1


def blocks_in_docstrings() -> Iterator[Block]:
    """The blocks in docstrings of the package, which the pages show too."""
    for path in sorted((ROOT / "airflow_provider_dify").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                for match in _IN_DOCSTRING.finditer(f"{ast.get_docstring(node) or ''}\n"):
                    yield Block(path, getattr(node, "lineno", 1), match["kind"], textwrap.dedent(match["text"]))


def missing_from(path: str, excerpt: str) -> list[str]:
    """The lines of an excerpt that a file does not have, in the order of the excerpt."""
    lines = iter([line.strip() for line in (ROOT / path).read_text().splitlines()])
    shown = [line.strip() for line in excerpt.splitlines()]
    return [line for line in shown if line not in ("", "...") and line not in lines]


def marked(path: str, mark: str) -> str:
    """What stands between two marks in a file."""
    pattern = re.compile(rf"# \[START {mark}\]\n(.*?)^ *# \[END {mark}\]", re.DOTALL | re.MULTILINE)
    match = pattern.search((ROOT / path).read_text())
    assert match, f"{path} has no marks {mark}"
    return textwrap.dedent(match[1]).rstrip() + "\n"
