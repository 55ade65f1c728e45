"""The first scene in the built-in Dify: the pages of a handbook are replaced by newer ones."""

from __future__ import annotations

from airflow_provider_dify.testing import Document, FakeDify, VirtualClock
from scripts.demo.show import Show, outcomes

DAG = "dify_archive_after_ingestion"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def state(document: Document, dify: FakeDify, query: str) -> str:
    """Return the state of a document in a word or two, as Dify and its search see it now."""
    if document.indexing_status != "completed":
        return "being indexed"
    if document.name in dify.search(document.dataset, query):
        return f"in search, locked for {document.lock_seconds:.0f} s" if document.lock_seconds else "in search"
    if document.archived:
        return "archived"
    return "-" if document.enabled else "disabled"


def switch(show: Show) -> bool:
    """Show the scene; return whether it ended as it should."""
    from airflow_provider_dify.transport.clock import using

    show.scene(
        "Replace version 1 of a handbook with version 2",
        DAG,
        "One new page is still being indexed, Dify holds a lock on an old page for 10 minutes, and one id is wrong.",
        "Dify would refuse a plain API call for all pages because of the lock. To a wrong id it answers 'success'.",
    )
    with FakeDify(clock=VirtualClock()) as dify, using(dify.clock):
        kb = dify.add_dataset("Handbook")
        new = [
            kb.add_document("v2 travel", text="travel rules of version two", enabled=False),
            kb.add_document("v2 sick leave", text="sick leave in version two", indexing_status="indexing"),
        ]
        new[1].finish_indexing(after=40)
        old = [
            kb.add_document("v1 travel", text="travel rules of version one"),
            kb.add_document("v1 sick leave", text="sick leave in version one"),
            kb.add_document("v1 parking", text="parking in version one", enabled=False),
            kb.add_document("v1 canteen", text="canteen in version one", archived=True),
        ]
        old[1].lock(600)
        documents = [*new, *old]
        before = [state(document, dify, "version") for document in documents]
        ids = [document.id for document in documents]
        conf = {"dataset_id": kb.id, "new_document_ids": ids[:2], "old_document_ids": [*ids[2:], UNKNOWN_ID]}
        run = show.run(DAG, dify.airflow_connection(), conf)
        after = [state(document, dify, "version") for document in documents]
        became = outcomes(run.reports, [*ids, UNKNOWN_ID])
        names = [*(document.name for document in documents), "(the wrong id)"]
        rows = zip(names, [*before, "-"], [*after, "-"], became, strict=True)
        show.table(["document", "before", "after", "report of the task"], list(rows))
        found = set(dify.search(kb, "version"))
        return show.verdict(
            "Search has version 2 and nothing of version 1. "
            f"The tasks waited {sum(dify.clock.slept):.0f} s on Dify's clock.",
            run,
            good=run.state == "success" and found == {document.name for document in new},
        )
