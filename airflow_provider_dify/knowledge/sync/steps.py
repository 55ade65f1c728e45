"""What follows from the plan of a sync: the entries of its report, the contents to send, and the changes at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from airflow_provider_dify.knowledge.documents import Action
from airflow_provider_dify.knowledge.ingest.contents import Source
from airflow_provider_dify.knowledge.ingest.namesakes import Decision, Verb
from airflow_provider_dify.knowledge.ingest.report import IngestOutcome
from airflow_provider_dify.knowledge.ingest.sender import Item
from airflow_provider_dify.knowledge.sync.changes import Change
from airflow_provider_dify.knowledge.sync.plan import Move, Planned, Retire
from airflow_provider_dify.knowledge.sync.report import DONE, SyncEntry, SyncOutcome


def first_entry(planned: Planned, *, readable: bool) -> SyncEntry:
    """Return the entry for what is planned before anything is done.

    :param readable: Whether its file can be read.
    """
    document, move = planned.document, planned.move
    ended = DONE[move] if readable or move is not Move.HOLD else SyncOutcome.UNREADABLE
    return SyncEntry(
        move,
        planned.name,
        ended if move in (Move.KEEP, Move.LEAVE, Move.REFUSE, Move.HOLD) else SyncOutcome.NOT_ATTEMPTED,
        document.id if document else None,
        document.name if document and move is Move.RENAME else None,
        planned.why if move in (Move.REFUSE, Move.HOLD) else None,
    )


def item_of(planned: Planned, source: Source) -> Item:
    """Return what to send."""
    document = planned.document
    # A failed document is replaced by creating it again: Dify does not update it.
    verb = Verb.UPDATE if planned.replaces else Verb.CREATE
    known = {one.id: one for one in (*planned.namesakes, *([document] if document else []))}
    return Item(source, list(known.values()), Decision(verb, planned.name, document))


def changes_of(plan: Sequence[Planned], retire: Retire, *, restores: bool) -> Iterator[Change]:
    """Yield the changes to make when all contents are in Dify: documents are restored, then others are retired.

    :param restores: Whether an earlier run was killed while it restored documents: search may not reflect that.
    """
    back = [one.document for one in plan if one.move is Move.RESTORE and one.document]
    unproven = [one.document for one in plan if one.move is Move.KEEP and one.document and restores]
    off = [one.document for one in plan if one.move is Move.RETIRE and one.document]
    enable = [d for d in back if not d.enabled] + [d for d in unproven if d.indexed]
    steps = [(Action.UN_ARCHIVE, [d for d in back if d.archived]), (Action.ENABLE, enable), (retire.action, off)]
    for action, documents in steps:
        if documents:
            yield Change(action, tuple(document.id for document in documents))


def so_far(
    entry: SyncEntry,
    item: Item | None,
    bad: Mapping[str, tuple[IngestOutcome, str]],
    results: Mapping[str, str | None],
) -> SyncEntry:
    """Return an entry with what has become of it.

    :param entry: The entry as it was at first.
    :param item: What was sent for it, if anything.
    :param bad: Outcome and reason of the documents that are not in the expected state after that, by id.
    :param results: See :attr:`Changes.results`.
    """
    if item and item.outcome:
        document_id = item.document_id or entry.document_id
        outcome = _outcome(entry.move, item.outcome)
        entry = replace(entry, outcome=outcome, document_id=document_id, error=item.error)
    document_id = entry.document_id or ""
    if document_id in bad and entry.outcome.good:
        ended, error = bad[document_id]
        return replace(entry, outcome=SyncOutcome(ended.value), error=error)
    if found := results.get(document_id):
        return replace(entry, outcome=SyncOutcome.FAILED, error=found)
    if document_id in results and entry.move in (Move.RETIRE, Move.RESTORE):
        return replace(entry, outcome=DONE[entry.move], error=None)
    return entry


def _outcome(move: Move, outcome: IngestOutcome) -> SyncOutcome:
    if outcome is IngestOutcome.UPDATED and move is Move.RENAME:
        return SyncOutcome.RENAMED
    # Such a document was not there when the sync planned. The next run may deal with it.
    return SyncOutcome.FAILED if outcome is IngestOutcome.REFUSED else SyncOutcome(outcome.value)
