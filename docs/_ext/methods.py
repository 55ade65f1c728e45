"""The directive ``hook-methods``: a table of the methods of the hook, by subject."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from airflow_provider_dify.hooks.dify import DifyHook

#: What the methods do that are in the class itself.
_OF_ITSELF = "reads knowledge bases, and checks the connection"


def table() -> Iterator[str]:
    """Return the lines of the table: what each class that the hook consists of does, and its methods."""
    yield from ("| The hook | Methods |", "|---|---|")
    for kind in DifyHook.__mro__:
        names = [name for name, one in vars(kind).items() if inspect.isfunction(one) and not name.startswith("_")]
        if kind is DifyHook or kind.__name__.endswith("Verbs"):
            does = _OF_ITSELF if kind is DifyHook else (kind.__doc__ or "").partition(".")[0]
            methods = ", ".join(f"{{py:meth}}`DifyHook.{name}`" for name in names)
            yield f"| {does[:1].lower()}{does[1:]} | {methods} |"


class Methods(SphinxDirective):
    """Inserts the table."""

    def run(self) -> list[nodes.Node]:
        """Return its nodes."""
        parent = nodes.Element()
        self.state.nested_parse(StringList(list(table()), source=__file__), self.content_offset, parent)
        return parent.children


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it with Sphinx."""
    app.add_directive("hook-methods", Methods)
    return {"parallel_read_safe": True}
