"""The pages: all knowledge bases and apps, one knowledge base with a search, and one document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode

from airflow_provider_dify.testing.api.call import UUID
from airflow_provider_dify.testing.api.searching import LONGEST_QUERY, Hit, search
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.model.chunks import Chunk
from airflow_provider_dify.testing.model.documents import Dataset, Document
from airflow_provider_dify.testing.pages.apps import APP_PATH, app_page, listed_apps
from airflow_provider_dify.testing.pages.html import Content, Html, join, table, tag, void
from airflow_provider_dify.testing.pages.parts import badge, date, empty, page
from airflow_provider_dify.testing.work.world import World

#: Documents on a page.
PAGE_SIZE = 100
#: Default number of chunks in a search result.
TOP_K = 5
MOST = 1000

_PATH = re.compile(rf"/datasets/(?P<dataset>{UUID})/documents(?:/(?P<document>{UUID}))?/?")
_KINDS = {"economy": "economy", "high_quality": "high quality", None: "not decided yet"}


def find_page(world: World, apps: Sequence[App], path: str, query_string: str) -> tuple[int, Html] | None:
    """The HTTP status and the page at a path; ``None`` if the path does not belong to a page."""
    match, of_app = _PATH.fullmatch(path), APP_PATH.fullmatch(path)
    if match is None and of_app is None and path != "/":
        return None
    world.tick()
    if of_app is not None:
        return app_page(world, apps, of_app["app"], of_app["run"]) or (404, _missing(world, "app or run"))
    if match is None:
        return 200, _all(world, apps)
    dataset = world.datasets.get(match["dataset"].lower())
    if dataset is None:
        return 404, _missing(world, "knowledge base")
    if match["document"] is None:
        return 200, _one(dataset, dict(parse_qsl(query_string)))
    row = dataset.get(match["document"].lower())
    return (404, _missing(world, "document")) if row is None else (200, _document(Document(dataset, row)))


def _missing(world: World, what: str) -> Html:
    back = tag("a", "All knowledge bases", href="/")
    return page(world, "Not found", tag("h1", f"There is no such {what}"), tag("p", "It may have been deleted."), back)


def _all(world: World, apps: Sequence[App]) -> Html:
    rows: list[list[Content]] = [
        [
            join(_link(one), tag("code", one.id, class_="id")),
            _kind(one),
            len(one),
            one.available(),
            badge("off", "bad") if not one.api_enabled else badge("on", "good"),
        ]
        for one in world.datasets.values()
    ]
    columns = ["Name", "Indexing", "#Documents", "#Available", "API"]
    listed = table(columns, rows) if rows else empty("There are none yet. Create one with POST /v1/datasets.")
    about = tag("p", _jobs(world), class_="quiet")
    return page(world, "Knowledge bases", tag("h1", "Knowledge bases"), about, listed, *listed_apps(apps))


def _jobs(world: World) -> str:
    jobs = world.worker.pending
    number = "1 job" if jobs == 1 else f"{jobs} jobs"
    if not world.worker.alive:
        return f"The worker is down. Waiting: {number}."
    return f"The worker has {number} to do." if jobs else "The worker is idle."


def _one(dataset: Dataset, query: Mapping[str, str]) -> Html:
    asked, top_k = query.get("query", "").strip(), _number(query.get("top_k"), TOP_K)
    number, last = _number(query.get("page"), 1), max(1, -(-len(dataset) // PAGE_SIZE))
    number = min(number, last)
    shown = dataset.in_order()[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    rows = [_listed(Document(dataset, row)) for row in shown]
    columns = ["Name", "Indexing", "Enabled", "Archived", "Search finds it", "#Chunks"]
    return page(
        dataset.world,
        dataset.name,
        tag("nav", tag("a", "Knowledge bases", href="/")),
        tag("h1", dataset.name),
        tag("p", _kind(dataset), " ", tag("code", dataset.id)),
        _search_form(asked, top_k),
        _found(dataset, asked, top_k) if asked else None,
        tag("h2", f"{len(dataset)} document{'' if len(dataset) == 1 else 's'}"),
        table(columns, rows) if rows else empty("There are none yet."),
        _other_pages(number, last),
    )


def _search_form(asked: str, top_k: int) -> Html:
    box = void(
        "input", name="query", value=asked, placeholder="Search like /retrieve", maxlength=LONGEST_QUERY,
        type="search",
    )  # fmt: skip
    how_many = void("input", name="top_k", value=top_k, type="number", min=1, max=MOST)
    return tag("form", box, tag("label", "top_k", how_many), tag("button", "Search"), method="get")


def _found(dataset: Dataset, asked: str, top_k: int) -> Html:
    hits = search(dataset, asked[:LONGEST_QUERY], top_k=top_k)
    hint = None if dataset.has_vectors else "Keywords are case-sensitive."
    heading = tag("h2", f"{len(hits)} chunk{'' if len(hits) == 1 else 's'} found")
    if not hits:
        return join(heading, empty(join("Search finds nothing. ", hint)))
    return join(heading, *(_hit(dataset, hit) for hit in hits))


def _hit(dataset: Dataset, hit: Hit) -> Html:
    document = Document(dataset, hit.document)
    score = tag("span", f"score {hit.score:.3f}", class_="quiet") if dataset.has_vectors else None
    text = tag("div", hit.segment.content, class_="text")
    return tag("div", tag("div", _document_link(document), score, class_="top"), text, class_="card")


def _listed(document: Document) -> list[Content]:
    return [
        join(_document_link(document), tag("code", document.id, class_="id")),
        *_states(document).values(),
        document.segments,
    ]


def _states(document: Document) -> dict[str, Html]:
    indexing = {"completed": "good", "error": "bad"}.get(document.indexing_status, "odd")
    status = f"{document.indexing_status}, paused" if document.paused else document.indexing_status
    wrong = _disagreement(document)
    found = "bad" if wrong else ("good" if document.in_search else "off")
    locked = tag("div", f"locked for {document.lock_seconds:.0f} s", class_="quiet") if document.locked else None
    return {
        "Indexing": join(badge(status, indexing), locked),
        "Enabled": badge("yes", "good") if document.enabled else badge("no"),
        "Archived": badge("yes", "odd") if document.archived else badge("no"),
        "Search finds it": join(
            badge("yes" if document.in_search else "no", found), tag("div", wrong, class_="quiet") if wrong else None
        ),
    }


def _disagreement(document: Document) -> str | None:
    """Why search does not match the flags; ``None`` if it does."""
    should = document.enabled and not document.archived and document.indexing_status == "completed"
    if document.in_search == should:
        return None
    if document.in_search:
        return "still, or although it should not"
    if not document.chunks:
        return "there is no text in it"
    return "not yet, or its keywords are lost"


def _document(document: Document) -> Html:
    dataset, error = document.dataset, document.error
    facts: dict[str, Content] = {
        "Id": tag("code", document.id),
        **_states(document),
        "Created": date(document.created_at),
        "Made of": f"a file of {len(document.content):,} bytes" if document.is_file else "a text",
    }
    facts |= {"Error": error} if error else {}
    facts |= {f"Metadata: {name}": str(value) for name, value in document.metadata.items()}
    listed = join(*(join(tag("dt", name), tag("dd", value)) for name, value in facts.items()))
    chunks = document.chunks
    return page(
        dataset.world,
        document.name,
        tag("nav", tag("a", "Knowledge bases", href="/"), " / ", _link(dataset)),
        tag("h1", document.name),
        tag("dl", listed),
        tag("h2", f"{len(chunks)} chunk{'' if len(chunks) == 1 else 's'}"),
        *(_chunk(number, one, vectors=dataset.has_vectors) for number, one in enumerate(chunks, 1)),
        None if chunks else empty("Dify has found no text in it, or has not split it yet."),
    )


def _chunk(number: int, chunk: Chunk, *, vectors: bool) -> Html:
    state = badge("enabled", "good") if chunk.enabled else badge("disabled")
    lost = badge("search does not find it", "bad") if chunk.enabled and not chunk.in_search else None
    top = tag("div", tag("span", f"#{number}", class_="quiet"), state, lost, class_="top")
    words = None if vectors else tag("div", f"Keywords: {', '.join(chunk.keywords) or 'none'}", class_="quiet")
    return tag("div", top, tag("div", chunk.text, class_="text"), words, class_="card")


def _other_pages(number: int, last: int) -> Html | None:
    if last == 1:
        return None

    def to(page: int, text: str) -> Html | None:
        return tag("a", text, href=f"?{urlencode({'page': page})}") if 1 <= page <= last else None

    return tag("div", to(number - 1, "Newer"), f"Page {number} of {last}", to(number + 1, "Older"), class_="pages")


def _kind(dataset: Dataset) -> Html:
    return badge(_KINDS.get(dataset.indexing_technique, str(dataset.indexing_technique)))


def _link(dataset: Dataset) -> Html:
    return tag("a", dataset.name, href=f"/datasets/{dataset.id}/documents")


def _document_link(document: Document) -> Html:
    name = document.name.strip() or "(no name)"
    return tag("a", name, href=f"/datasets/{document.dataset.id}/documents/{document.id}")


def _number(text: str | None, default: int) -> int:
    return min(int(text[:9]), MOST) or default if text and text.isdecimal() else default
