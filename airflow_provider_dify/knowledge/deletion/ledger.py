"""The state of each document in a deletion, and of those that had to be un-archived first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_dify.knowledge.deletion.report import DeleteOutcome
from airflow_provider_dify.knowledge.documents import Action, Document
from airflow_provider_dify.knowledge.text.counts import number_of

_ANSWER_LOST = "The answer to its deletion was lost, and the document could not be read again: it may be deleted."
_UN_ARCHIVED = "It was un-archived for the deletion, and could not be archived again."
_SWITCHED_OFF = "It was disabled for the deletion, so that un-archiving it does not bring it back into search."


class DeleteLedger:
    """The state of each document in a deletion: it is *open* until it has its outcome.

    :param ids: The documents, in order.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        self.documents: dict[str, Document] = {}
        self.outcomes: dict[str, DeleteOutcome] = {}
        self._errors: dict[str, str] = {}
        self._asked: set[str] = set()
        self._busy: set[str] = set()
        self._switched_off: set[str] = set()
        self._un_archived: dict[str, None] = {}

    @property
    def open(self) -> list[str]:
        """The documents without an outcome."""
        return [document_id for document_id in self.ids if document_id not in self.outcomes]

    @property
    def gone(self) -> list[str]:
        """The documents that Dify says do not exist (any more)."""
        return [i for i, outcome in self.outcomes.items() if outcome.good]

    @property
    def names(self) -> dict[str, str]:
        """The names of the documents read so far."""
        return {document_id: document.name for document_id, document in self.documents.items()}

    @property
    def deletable(self) -> list[str]:
        """The open documents that Dify would delete now."""
        return [document_id for document_id in self.open if not self.documents[document_id].archived]

    @property
    def to_disable(self) -> list[str]:
        """The open documents that un-archiving would bring into search. Only indexed documents can be disabled."""
        return [i for i in self._archived() if self.documents[i].enabled and self.documents[i].indexed]

    @property
    def to_un_archive(self) -> list[str]:
        """The open documents that can be un-archived, busy ones last."""
        off = set(self.to_disable)
        return sorted((i for i in self._archived() if i not in off), key=self._busy.__contains__)

    @property
    def to_put_back(self) -> list[str]:
        """The documents that were un-archived and still exist."""
        return [i for i in self._un_archived if i in self.documents and not self._is_gone(i)]

    def seen(self, asked: Iterable[str], found: Mapping[str, Document]) -> None:
        """Record what Dify shows of documents."""
        for document_id in asked:
            if document_id in found:
                self.documents[document_id] = found[document_id]
                self._asked.discard(document_id)
            else:
                self.not_there(document_id)

    def asking(self, document_id: str) -> None:
        """Record that the deletion of a document was requested. Until Dify responds, it may or may not
        have happened.
        """
        self._asked.add(document_id)

    def not_asked(self, document_id: str) -> None:
        """Record that Dify has certainly not deleted it."""
        self._asked.discard(document_id)

    def not_there(self, document_id: str) -> None:
        """Record that a document is gone: deleted by this run if an earlier request got no response."""
        self.settle(document_id, DeleteOutcome.DELETED if document_id in self._asked else DeleteOutcome.MISSING)

    def archived_meanwhile(self, document_id: str) -> None:
        """Record that somebody has archived a document."""
        self.documents[document_id] = Action.ARCHIVE.applied_to(self.documents[document_id])

    def applied(self, action: Action, taken: Iterable[str], unsure: Iterable[str], busy: Iterable[str]) -> None:
        """Record a status change.

        :param taken: Documents for which Dify accepted it.
        :param unsure: Documents for which Dify may have accepted it.
        :param busy: Documents for which Dify refused it.
        """
        taken = list(taken)
        changed = [*taken, *unsure]
        if action is Action.DISABLE:
            self._switched_off.update(changed)
        elif action is Action.UN_ARCHIVE:
            self._un_archived.update(dict.fromkeys(changed))
        else:
            self._un_archived = {i: None for i in self._un_archived if i not in set(taken)}
        for document_id in taken:
            self.documents[document_id] = action.applied_to(self.documents[document_id])
        self._busy.update(busy)

    def settle(self, document_id: str, outcome: DeleteOutcome, error: str | None = None) -> None:
        """Give a document its outcome."""
        self.outcomes[document_id] = outcome
        self._asked.discard(document_id)
        if error:
            self._errors[document_id] = error

    def all_outcomes(self) -> dict[str, DeleteOutcome]:
        """Return the outcome of each document; for open ones, what it would be if the run ended now."""
        return {document_id: self.outcomes.get(document_id, DeleteOutcome.NOT_ATTEMPTED) for document_id in self.ids}

    def errors(self) -> dict[str, str]:
        """Return the messages about single documents, for a report made now."""
        left = ((document_id, self._remarks(document_id)) for document_id in self.ids if not self._is_gone(document_id))
        return {document_id: " ".join(remarks) for document_id, remarks in left if remarks}

    def plan(self) -> str:
        """Describe what will be done."""
        gone, archived = len(self.gone), len(self._archived())
        parts = [f"{len(self.open)} to delete"]
        parts += [f"{archived} of them archived, to be un-archived first"] if archived else []
        parts += [f"{gone} gone already"] if gone else []
        return f"Of {number_of(len(self.ids))}: {', '.join(parts)}."

    def awaits(self) -> str:
        """Describe what the deletion waits for."""
        names = ", ".join(f"'{self.documents[document_id].name}'" for document_id in self.open[:3])
        more = " and others" if len(self.open) > 3 else ""
        return f"Dify to release its lock on {number_of(len(self.open), 'archived document')} ({names}{more})"

    def _archived(self) -> list[str]:
        return [document_id for document_id in self.open if self.documents[document_id].archived]

    def _is_gone(self, document_id: str) -> bool:
        return document_id in self.outcomes and self.outcomes[document_id].good

    def _remarks(self, document_id: str) -> list[str]:
        remarks = [self._errors[document_id]] if document_id in self._errors else []
        remarks += [_ANSWER_LOST] if document_id in self._asked else []
        remarks += [_UN_ARCHIVED] if document_id in self._un_archived else []
        remarks += [_SWITCHED_OFF] if document_id in self._switched_off else []
        return remarks
