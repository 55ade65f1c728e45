"""HTML that cannot be broken: whatever is no markup is escaped."""

from __future__ import annotations

from html import escape


class Html(str):
    """A text that is markup already."""

    __slots__ = ()


Content = Html | str | int | None


def tag(element: str, /, *content: Content, **attributes: str | int | None) -> Html:
    """An element. Texts in it are escaped.

    :param content: What is in it; ``None`` is left out.
    :param attributes: An underscore at the end of a name is dropped; one that is ``None`` is left out.
    """
    given = "".join(
        f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{element}{given}>{join(*content)}</{element}>")


def void(element: str, /, **attributes: str | int | None) -> Html:
    """An element that has no content, and no end."""
    return Html(tag(element, **attributes).removesuffix(f"</{element}>"))


def join(*content: Content) -> Html:
    """Pieces one after the other; texts are escaped."""
    pieces = (one if isinstance(one, Html) else escape(str(one)) for one in content if one is not None)
    return Html("".join(pieces))


def table(columns: list[str], rows: list[list[Content]]) -> Html:
    """A table; columns whose heading begins with ``#`` hold numbers."""
    numbers = [name.startswith("#") for name in columns]
    kinds = ["number" if one else None for one in numbers]
    head = (tag("th", name.removeprefix("#"), class_=kind) for name, kind in zip(columns, kinds, strict=True))
    body = (tag("tr", *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows)
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", whole, class_="scroll")
