"""What holds for every sync, whatever exists before and whatever goes wrong meanwhile."""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.folders import list_folder
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.ingest.options import HASH_FIELD
from airflow_provider_dify.knowledge.sync.options import SyncOptions
from airflow_provider_dify.knowledge.sync.plan import Move, Planned, Retire, WantedFile, make_plan
from airflow_provider_dify.knowledge.sync.survey import SOURCE_FIELD
from airflow_provider_dify.knowledge.sync.sync import Sync
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.examples import examples
from tests.unit.sync.syncing import abandoned, changing, run_sync, write

NAMES = ("a.md", "b.md", "c.md")
CONTENTS = ("walrus", "seal", "otter")
KINDS = ("reset_before", "reset_after", "status", "status_after", "page_after", "truncated", "plan_limit", "latency")
STATES = ("completed", "completed", "completed", "error", "indexing")


@st.composite
def listed(draw: st.DrawFn) -> tuple[tuple[Document, ...], frozenset[str]]:
    """Documents of a knowledge base, and the ids of those that the sync created."""
    documents = []
    for number in range(draw(st.integers(0, 7))):
        digest = draw(st.sampled_from((*CONTENTS, None)))
        documents.append(
            Document(
                id=str(number),
                name=draw(st.sampled_from((*NAMES, "d.md", "e.md"))),
                indexing_status=draw(st.sampled_from(STATES)),
                display_status="",
                enabled=draw(st.booleans()),
                archived=draw(st.booleans()),
                error=None,
                created_at=0,
                word_count=None,
                hit_count=0,
                metadata={HASH_FIELD: digest} if digest else {},
            )
        )
    ours = draw(st.sets(st.sampled_from([d.id for d in documents]))) if documents else set()
    return tuple(documents), frozenset(ours)


wanted_files = st.dictionaries(st.sampled_from(NAMES), st.sampled_from((*CONTENTS, None)), min_size=1)


@settings(max_examples=examples(500), deadline=None)
@given(there=listed(), files=wanted_files, retire=st.sampled_from(Retire), unproven=st.booleans())
def test_a_plan_leads_to_what_is_wanted(
    there: tuple[tuple[Document, ...], frozenset[str]], files: dict[str, str | None], retire: Retire, unproven: bool
) -> None:
    documents, ours = there
    wanted = [WantedFile(name, digest, None if digest else "unreadable") for name, digest in files.items()]
    plan = make_plan(wanted, documents, ours, retire=retire, unproven=unproven)

    # One entry for each file, in order; no document is in two; only those of the sync are touched.
    assert [planned.name for planned in plan[: len(wanted)]] == list(files)
    about = [planned.document.id for planned in plan if planned.document]
    assert max(Counter(about).values(), default=1) == 1
    touched = [p.document.id for p in plan if p.document and p.move not in (Move.HOLD, Move.REFUSE)]
    assert {*touched, *(i for planned in plan for i in planned.clear)} <= ours

    after = _carried_out(plan, documents, ours, files, retire)
    theirs = [document for document in documents if document.id not in ours]
    assert [document for document in after if document in theirs] == theirs
    mine = [document for document in after if document not in theirs]
    for planned in plan[: len(wanted)]:
        live = [d for d in mine if d.name == planned.name and d.belongs_in_search]
        if planned.move is Move.HOLD:
            assert live == [d for d in documents if d.id in ours and d.name == planned.name and d.belongs_in_search]
        elif planned.move is not Move.REFUSE and retire is not Retire.KEEP:
            assert [d.metadata[HASH_FIELD] for d in live if not d.failed] == [files[planned.name]]
    if retire is not Retire.KEEP:
        assert all(d.failed for d in mine if d.belongs_in_search and d.name not in files)


def _carried_out(
    plan: tuple[Planned, ...],
    documents: tuple[Document, ...],
    ours: frozenset[str],
    files: dict[str, Any],
    retire: Retire,
) -> list[Document]:
    """The documents as Dify has them after a plan was carried out in the order of a sync."""
    rows = {document.id: document for document in documents}
    for document_id in (document_id for planned in plan for document_id in planned.clear):
        rows[document_id] = replace(rows[document_id], enabled=False)
    for planned in plan:
        if planned.move.sends:
            _send(planned, files[planned.name], rows, ours)
    for document, move in ((planned.document, planned.move) for planned in plan if planned.document):
        if move is Move.RESTORE:
            rows[document.id] = replace(document, enabled=True, archived=False)
        elif move is Move.RETIRE and retire.action:
            rows[document.id] = retire.action.applied_to(document)
        elif move is Move.RETIRE:
            del rows[document.id]
    return list(rows.values())


def _send(planned: Planned, content: str, rows: dict[str, Document], ours: frozenset[str]) -> None:
    """Do what Dify does with a content."""
    metadata = {HASH_FIELD: content}
    if planned.document and not planned.document.failed:
        document = rows[planned.document.id]
        assert document.belongs_in_search, "Dify updates no document that is out of use"
        rows[document.id] = replace(document, name=planned.name, metadata=metadata)
        return
    # It overwrites an enabled document of the same name, archived or not.
    namesakes = [document for document in rows.values() if document.name == planned.name and document.enabled]
    assert all(d.id in ours and d.failed and not d.archived for d in namesakes), "Dify would overwrite another one"
    document = namesakes[0] if namesakes else replace(_blank(planned.name), id=f"new {planned.name}")
    rows[document.id] = replace(document, indexing_status="completed", metadata=metadata)


def _blank(name: str) -> Document:
    return Document("", name, "completed", "available", True, False, None, 0, None, 0)


hand_made = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from((*NAMES, "by hand")),
            "text": st.sampled_from(CONTENTS),
            "enabled": st.booleans(),
            "archived": st.booleans(),
            "metadata": st.sampled_from(({}, {"sync_source": "another"}, {"team": "docs"})),
        }
    ),
    max_size=2,
)
sources = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CONTENTS), min_size=1)
flips = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("archived", "enabled"))), max_size=2)
faults = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.sampled_from(["create-by", "update-by", "documents$", "metadata", "documents/", "status/"]),
        st.integers(0, 4),
        st.integers(1, 6),
    ),
    max_size=3,
)


def accident(kb: Dataset, folder: Path, retire: str, after: int) -> None:
    """A run that may be killed after this many requests, or fail before."""
    options = SyncOptions("economy", retire=retire)
    with DifyHook() as hook:
        sync = Sync(kb.id, list_folder(folder), options, sync_source="mine")
        with suppress(DifyError):
            hook.run(abandoned(sync.flow(hook.deadline(300), hook.retries), after))


@pytest.mark.parametrize("retire", ["archive", "disable", "delete"])
@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    others=hand_made,
    first=sources,
    second=sources,
    flipped=flips,
    accidents=faults,
    killed=st.lists(st.integers(0, 40), min_size=1, max_size=2),
)
def test_the_knowledge_base_equals_the_source_and_what_others_made_is_untouched(
    dify: FakeDify,
    retire: str,
    others: list[dict[str, Any]],
    first: dict[str, str],
    second: dict[str, str],
    flipped: list[tuple[int, str]],
    accidents: list[tuple[Any, str, int, int]],
    killed: list[int],
) -> None:
    kb = dify.add_dataset(f"kb {len(dify.world.datasets)}")
    theirs = [kb.add_document(**fields) for fields in others]
    before = [(d.name, d.text, d.enabled, d.archived, d.in_search, dict(d.metadata)) for d in theirs]
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), first)
        run_sync(kb, str(folder), sync_source="mine", retire=retire)
        ours = [document for document in kb.documents if document not in theirs]
        for number, change in flipped:
            if number < len(ours):
                ours[number].set(archived=change == "archived", enabled=change != "enabled", in_search=False)
        write(folder, second)
        dify.faults.add(*(Fault(kind, path=path, after=after, times=times) for kind, path, after, times in accidents))
        for after in killed:
            accident(kb, folder, retire, after)
        dify.faults.clear()
        result = run_sync(kb, str(folder), sync_source="mine", retire=retire)
        start = len(dify.requests)
        again = run_sync(kb, str(folder), sync_source="mine", retire=retire)

    assert [(d.name, d.text, d.enabled, d.archived, d.in_search, dict(d.metadata)) for d in theirs] == before
    # A file is refused if, and only if, a document of somebody else is in the way.
    in_the_way = {document.name for document in theirs if document.enabled}
    assert set(result.names("refused")) <= in_the_way
    live = [document for document in kb.documents if document.in_search and document not in theirs]
    expected = {name: text for name, text in second.items() if name not in result.names("refused")}
    assert sorted((document.name, document.text) for document in live) == sorted(expected.items())
    assert {document.metadata[SOURCE_FIELD] for document in live} <= {"mine"}
    assert (result.error is None) is (not result.names("refused"))
    # There is nothing left to do.
    assert changing(dify.requests[start:]) == []
    assert {*again.names("kept"), *again.names("refused")} == set(second)
