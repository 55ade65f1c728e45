"""Lays out the docstring of a class for reading: what it does, its parameters, and what it returns and raises.

What Airflow's base classes add is left out: it would bury the package's own parameters.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, is_dataclass
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

_FIELD = re.compile(r":(?P<kind>param|return|raises)(?: (?P<name>\w+))?: ?(?P<text>.*)")
_LINK = re.compile(r"(?:\.\. seealso:: )?(?P<url>https://docs\.dify\.ai/\S*/(?P<page>\S+))")
_TEMPLATED = re.compile(r"\s*\(templated\)")
#: Defaults that follow an Airflow setting.
_BY_SETTING = "default_deferrable"


@dataclass
class Docstring:
    """A docstring, split into its parts."""

    body: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    fields: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def parse(cls, lines: list[str]) -> Docstring:
        """Split a docstring; a field continues as long as its lines are indented."""
        found = cls()
        for line in lines:
            if match := _FIELD.fullmatch(line):
                found.fields.append((match["kind"], match["name"] or "", match["text"]))
            elif found.fields and line.startswith(" "):
                kind, name, text = found.fields[-1]
                found.fields[-1] = (kind, name, f"{text}\n{line.strip()}")
            elif _LINK.fullmatch(line):
                found.links.append(_named(line))
            elif line.strip() or not found.fields:
                found.body.append(line)
        return found

    def of_kind(self, kind: str) -> list[tuple[str, str]]:
        """Names and texts of the fields of a kind."""
        return [(name, text) for own, name, text in self.fields if own == kind]


def _named(line: str) -> str:
    """Replace a line that only has a link to Dify's reference by a link with words."""
    match = _LINK.fullmatch(line)
    return f"Dify's reference: `{match['page'].replace('-', ' ')} <{match['url']}>`__" if match else line


@dataclass
class Parameters:
    """The parameters of a class, as its constructor has them."""

    of: type

    def __post_init__(self) -> None:
        self._signature = inspect.signature(self.of.__init__).parameters
        self._source = inspect.getsource(self.of)

    def about(self, name: str, *, templated: bool) -> str:
        """The type and the default of a parameter."""
        known = self._signature.get(name)
        notes = []
        if known is not None:
            notes = [f"``{known.annotation}``" if isinstance(known.annotation, str) else "", self._default(known)]
        return " · ".join(filter(None, [*notes, "templated" if templated else ""]))

    def _default(self, parameter: inspect.Parameter) -> str:
        if parameter.default is inspect.Parameter.empty:
            return "" if is_dataclass(self.of) else "required"
        if repr(parameter.default) == "<factory>":
            return ""
        if _BY_SETTING in self._source_of_default(parameter.name):
            return f"default by ``[operators] {_BY_SETTING}``"
        value = parameter.default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        number = isinstance(value, int) and not isinstance(value, bool) and value >= 10_000
        return f"default ``{value:_}``" if number else f"default ``{value!r}``"

    def _source_of_default(self, name: str) -> str:
        match = re.search(
            rf"^ +{name}: [^\n]*?= (.*?),\n(?= +(?:\w+:|\*\*|\)))", self._source, re.MULTILINE | re.DOTALL
        )
        return match[1] if match else ""


def _definitions(what: str, terms: list[tuple[str, str]]) -> Iterator[str]:
    if not terms:
        return
    yield from ("", f".. rubric:: {what}", "", ".. container:: definitions", "")
    for term, text in terms:
        yield f"    {term}"
        yield from textwrap.indent(text, " " * 8).splitlines()
        yield ""


def _described(kind: type, found: Docstring) -> list[tuple[str, str]]:
    """The parameters of a class, including those of the options that it builds on."""
    if not is_dataclass(kind):
        return found.of_kind("param")
    known: dict[str, str] = {}
    for base in reversed(kind.__mro__[1:]):
        known |= Docstring.parse(inspect.cleandoc(base.__doc__ or "").splitlines()).of_kind("param")
    known |= found.of_kind("param")
    return [(name, known[name]) for name in inspect.signature(kind).parameters if name in known]


def _laid_out(kind: type, found: Docstring) -> Iterator[str]:
    parameters = Parameters(kind)
    described = []
    for name, text in _described(kind, found):
        templated = _TEMPLATED.search(text) is not None
        described.append((f"**{name}** {parameters.about(name, templated=templated)}", _TEMPLATED.sub("", text)))
    yield from found.body
    yield from _definitions("Fields" if is_dataclass(kind) else "Parameters", described)
    for _, text in found.of_kind("return"):
        yield from ("", ".. rubric:: Returns", "", *text.splitlines(), "")
    yield from _definitions("Raises", [(f":py:exc:`{name}`", text) for name, text in found.of_kind("raises")])
    for link in found.links:
        yield from ("", link, "")


def lay_out(_app: Sphinx, what: str, _name: str, obj: Any, _options: Any, lines: list[str]) -> None:
    """Rewrite the docstring of a class with parameters; elsewhere, give links a text."""
    if _has_parameters(what, obj):
        lines[:] = list(_laid_out(obj, Docstring.parse(lines)))
    else:
        lines[:] = map(_named, lines)


def without_signature(
    _app: Sphinx, what: str, _name: str, _obj: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Leave out the signature of a class whose parameters are laid out below."""
    return ("", None) if what in ("class", "exception") else (signature, returns)


def _has_parameters(what: str, obj: Any) -> bool:
    return what in ("class", "exception") and ":param " in (obj.__doc__ or "")


def by_last_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, inner: nodes.Element) -> nodes.Element | None:
    """Resolve a reference that names a class of this package without its module, as docstrings do."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target.startswith("Dify"):
        return None
    objects = env.domains.python_domain.objects
    found = [name for name in objects if name.endswith(f".{target}")]
    if len(found) != 1:
        return None
    entry = objects[found[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, inner, found[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it with Sphinx."""
    app.connect("autodoc-process-docstring", lay_out)
    app.connect("autodoc-process-signature", without_signature)
    app.connect("missing-reference", by_last_name)
    return {"parallel_read_safe": True}
