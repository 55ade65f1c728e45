"""Parts of the pages."""

from __future__ import annotations

import time

from airflow_provider_dify.testing.model.site import Site
from airflow_provider_dify.testing.pages.html import Content, Html, join, tag, void
from airflow_provider_dify.testing.pages.style import STYLE


def page(site: Site, title: str, *content: Content) -> Html:
    """A whole page."""
    head = tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("link", rel="icon", href="data:,"),  # otherwise a browser requests one
        tag("title", f"{title} - built-in Dify"),
        tag("style", Html(STYLE)),
    )
    about = f"{site.version}, for tests. Its data is lost when it stops."
    top = tag("header", tag("div", tag("a", "Built-in Dify", href="/"), tag("span", about)))
    return join(Html("<!doctype html>\n"), tag("html", head, tag("body", top, tag("main", *content)), lang="en"))


def badge(text: str, kind: str = "off") -> Html:
    """A state: ``good``, ``bad``, ``odd`` or ``off``."""
    return tag("span", text, class_=f"badge {kind}")


def empty(text: Content) -> Html:
    """A placeholder if there is nothing to show."""
    return tag("div", text, class_="empty")


def date(at: float) -> str:
    """A time for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
