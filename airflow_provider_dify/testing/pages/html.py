"""HTML that is always valid: everything except markup is escaped."""

from __future__ import annotations

from html import escape


class Html(str):
    """A text that already is markup."""

    __slots__ = ()


Content = Html | str | int | None


def tag(element: str, /, *content: Content, **attributes: str | int | None) -> Html:
    """An element. Texts in it are escaped.

    :param content: Its content; ``None`` is left out.
    :param attributes: A trailing underscore of a name is removed; ``None`` is left out.
    """
    given = "".join(
        f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{element}{given}>{join(*content)}</{element}>")


def void(element: str, /, **attributes: str | int | None) -> Html:
    """An element without content and end tag."""
    return Html(tag(element, **attributes).removesuffix(f"</{element}>"))


def join(*content: Content) -> Html:
    """Join pieces; texts are escaped."""
    pieces = (one if isinstance(one, Html) else escape(str(one)) for one in content if one is not None)
    return Html("".join(pieces))


def table(columns: list[str], rows: list[list[Content]]) -> Html:
    """A table. Columns with a heading that begins with ``#`` contain numbers."""
    numbers = [name.startswith("#") for name in columns]
    kinds = ["number" if one else None for one in numbers]
    head = (tag("th", name.removeprefix("#"), class_=kind) for name, kind in zip(columns, kinds, strict=True))
    body = (tag("tr", *(tag("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True))) for row in rows)
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", whole, class_="scroll")
