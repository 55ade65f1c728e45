"""Every sentence in the source of the package, read from its syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import airflow_provider_dify

PACKAGE = Path(airflow_provider_dify.__file__).parent
#: These have other texts: of another Dify, of the documentation, and of forms.
_ELSEWHERE = {"testing", "exceptions.py", "get_provider_info.py"}
#: Fewer words are not a sentence.
_FEWEST_WORDS = 4
#: Arguments of these are for the log, or for Dify.
_NOT_SAID_IN_ERRORS = {
    "debug", "info", "warning", "error", "exception", "log", "log_table", "say", "note", "pause", "Note", "Pause",
    "Request", "Fact", "encode", "compile",
}  # fmt: skip
#: These describe what a run is about, or its progress.
_TELLING = {"plan", "_plan", "awaits", "_awaits", "describe", "_preview", "test_connection", "checking_again"}


def sentences() -> dict[str, str]:
    """Return the sentences that may be in an error, with ``{}`` for what is filled in, and where each is."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        if not set(name.parts) & _ELSEWHERE:
            for text, line in _sentences_in(ast.parse(path.read_text())):
                found.setdefault(text, f"{name}:{line}")
    return found


def says(text: str, sentence: str) -> bool:
    """Whether a text contains a sentence, whatever is filled in."""
    place = 0
    for part in sentence.split("{}"):
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _sentences_in(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.Call) and _name_of(node.func) in _NOT_SAID_IN_ERRORS:
        return
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in _TELLING:
        return
    if isinstance(node, ast.ClassDef) and "ReportOutcome" in map(_name_of, node.bases):
        return  # the advice about outcomes is in the tables of the operators' pages
    if isinstance(node, ast.Assign) and all(_name_of(target) in _TELLING for target in node.targets):
        return
    if isinstance(node, ast.keyword) and node.arg in _TELLING:
        return
    text = _text(node)
    words = [word for word in text.replace("{}", " ").split() if any(map(str.isalpha, word))]
    if len(words) >= _FEWEST_WORDS:
        yield text, getattr(node, "lineno", 0)
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)):
            yield from _sentences_in(child)


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
    return ""
