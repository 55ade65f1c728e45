"""Sets the metadata of many documents, and confirms it.

Dify's "success" says little here, too: a document's other values are replaced, unknown fields are ignored, and a server
may silently skip documents. So the values are read before, sent completely, and read after.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from airflow_provider_dify.exceptions import DifyDocumentBusyError, DifyError, DifyInputError, DifyRequestError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.api import read_answer
from airflow_provider_dify.knowledge.documents import Document
from airflow_provider_dify.knowledge.errors import may_be_carried_out
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Note, Request
from airflow_provider_dify.knowledge.metadata.fields import (
    FieldType,
    MetadataField,
    Value,
    check_fit,
    check_names,
    check_values,
    create_missing,
    kinds_of,
    list_fields,
    native,
    plain,
    same,
)
from airflow_provider_dify.knowledge.metadata.report import MetadataOutcome, MetadataReport
from airflow_provider_dify.knowledge.progress import Intervals, Progress
from airflow_provider_dify.knowledge.reading import read_documents
from airflow_provider_dify.knowledge.report import by_name
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.hints import did_you_mean

#: Default number of documents in one request.
BATCH_SIZE = 50
#: Maximum number of seconds between two tries.
_LONGEST_WAIT = 10.0
#: How often the values of a document are sent if Dify answers "success" and then shows other values.
_MOST_TRIES = 8
#: After this many refusals, the rest of a pass waits for the next one.
_MOST_REFUSALS = 20
_DELETED_MEANWHILE = "It was deleted in the meantime."
_NOT_READ_BACK = "Its values were sent, but the run ended before they could be read back."


def assign(dataset_id: str, operations: Sequence[Mapping[str, JSON]]) -> Flow[None]:
    """Set metadata values, document by document, until one fails.

    If Dify refuses, the documents before the refused one have been changed.
    https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch
    """
    response = yield Request(
        "POST", f"/datasets/{dataset_id}/documents/metadata", json={"operation_data": operations}, repeatable=False
    )
    read_answer(response, lambda payload: payload.text("result"))


def set_values(
    dataset_id: str,
    values_by_id: Mapping[str, Mapping[str, Value]],
    *,
    deadline: Deadline,
    retries: Retries,
    tolerate: Iterable[str] = (),
) -> Flow[MetadataReport]:
    """Give each document its own metadata values; its other values stay.

    :param dataset_id: UUID of the knowledge base.
    :param values_by_id: Values by field name for each document UUID; ``None`` removes a value. Missing fields are
        created.
    :param deadline: How long to wait for documents whose metadata somebody else is changing.
    :param retries: How failed requests are retried.
    :param tolerate: Names of outcomes that should not raise, such as ``missing``.
    :return: The report; every document has the values, except for tolerated outcomes.
    :raises DifyInputError: The arguments are invalid; nothing was changed.
    :raises DifyMetadataError: Documents do not have the values.
    :raises DifyError: A request to Dify failed; the report so far is its ``report``.
    """
    change = MetadataChange(dataset_id, values_by_id, tolerate=tolerate)
    return (yield from change.flow(deadline, retries))


class MetadataChange:
    """A metadata change, from the first read to the confirmation.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment.

    :param dataset_id: UUID of the knowledge base.
    :param values_by_id: Values by field name for each document UUID; ``None`` removes a value.
    :param batch_size: Maximum number of documents in one request.
    :param tolerate: Names of outcomes that should not fail the change.
    :raises DifyInputError: An argument is invalid.
    """

    def __init__(
        self,
        dataset_id: object,
        values_by_id: object,
        *,
        batch_size: int = BATCH_SIZE,
        tolerate: Iterable[str] = (),
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self.values = _check_values_by_id(values_by_id)
        self.tolerate = inputs.choices(tolerate, MetadataOutcome, "tolerate")
        self._kinds = kinds_of(self.values.values())
        self._batch_size = inputs.whole_number(batch_size, "batch_size")
        self._fields: dict[str, MetadataField] = {}
        self._created: dict[str, None] = {}
        #: The documents without an outcome.
        self._open: dict[str, None] = dict.fromkeys(self.values)
        self._settled: dict[str, MetadataOutcome] = {}
        self._errors: dict[str, str] = {}
        self._documents: dict[str, Document] = {}
        #: How often values were sent for a document and may have arrived.
        self._sent: dict[str, int] = {}
        self._failures = 0
        #: The fields that should lose their values in all documents.
        self._cleared: tuple[str, ...] = ()
        #: The documents that were read last.
        self._read_last: frozenset[str] = frozenset()

    @classmethod
    def same_for_all(
        cls,
        dataset_id: object,
        document_ids: object,
        values: object = None,
        *,
        clear: object = (),
        batch_size: int = BATCH_SIZE,
        tolerate: Iterable[str] = (),
    ) -> MetadataChange:
        """Return a change that gives all documents the same values.

        :param document_ids: UUIDs (see :func:`inputs.canonical_ids`).
        :param values: The values by field name.
        :param clear: Names of fields whose values are removed.
        """
        wanted: dict[str, Value] = check_values(inputs.literal(values), "values") if values else {}
        for name in check_names(clear, "clear"):
            if name in wanted:
                raise DifyInputError(
                    f"{inputs.show(name)} is both in values and in clear. Should it have a value or not?"
                )
            wanted[name] = None
        if not wanted:
            raise DifyInputError("Nothing to change: set values or clear.")
        by_id = dict.fromkeys(inputs.canonical_ids(document_ids), wanted)
        change = cls(dataset_id, by_id, batch_size=batch_size, tolerate=tolerate)
        change._cleared = tuple(name for name, value in wanted.items() if value is None)
        return change

    def describe(self) -> str:
        """Describe the change of each document, without the values."""
        names = {name: value is None for values in self.values.values() for name, value in values.items()}
        given = ", ".join(inputs.show(name) for name, taken_away in names.items() if not taken_away)
        cleared = ", ".join(inputs.show(name) for name, taken_away in names.items() if taken_away)
        return " and ".join([*([f"set {given}"] if given else []), *([f"clear {cleared}"] if cleared else [])])

    @property
    def names(self) -> dict[str, str]:
        """The names of the documents seen so far, by id."""
        return {document_id: document.name for document_id, document in self._documents.items()}

    def report(self) -> MetadataReport:
        """Return the outcome of each document so far; complete and consistent at any moment."""
        outcomes = {i: self._settled.get(i) or self._so_far(i) for i in self.values}
        unread = {i: _NOT_READ_BACK for i in self._open if self._sent.get(i)}
        errors = {**unread, **self._errors}
        return MetadataReport(self.dataset_id, **by_name(outcomes), created_fields=tuple(self._created), errors=errors)

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[MetadataReport]:
        """Change the metadata.

        :param deadline: How long to wait for documents whose metadata somebody else is changing.
        :param retries: How failed requests are retried.
        :return: The report. Each requested id is in exactly one of its lists.
        :raises DifyInputError: Values do not fit the existing fields; nothing was changed.
        :raises DifyMetadataError: Documents have an outcome that is not tolerated.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        try:
            yield from self._read_fields()
            for name in self._cleared:
                if name not in self._fields:
                    hint = did_you_mean(name, self._fields)
                    yield Note(f"There is no metadata field {inputs.show(name)} to clear.{hint}", logging.WARNING)
            yield from self._look()
            yield Note(self._plan())
            if self._open:
                yield from self._carry_out(deadline, retries)
                yield from self._look_again()
        except DifyError as error:
            error.report = self.report()
            raise
        report = self.report()
        report.raise_for_outcomes(self.tolerate)
        return report

    def _carry_out(self, deadline: Deadline, retries: Retries) -> Flow[None]:
        waits = Intervals(longest=_LONGEST_WAIT)
        progress = Progress(deadline)
        while True:
            error = yield from self._send(progress)
            if error is not None:
                self._failures += 1
                if not (yield from retries.recover(self._failures, error, deadline, self._look)):
                    raise error
                continue
            yield from self._look()
            self._give_up(tries=0 if deadline.passed else _MOST_TRIES)
            if not self._open:
                return
            wait = min(waits.next(), deadline.remaining)
            yield progress.pause(wait, f"Dify to show the metadata that was sent: {number_of(len(self._open))}")
            yield from self._read_fields()  # somebody may have deleted one

    def _send(self, progress: Progress) -> Flow[DifyError | None]:
        """Send the values of all open documents; return a failure that is worth another try."""
        created = yield from create_missing(self.dataset_id, self._needed(), self._fields)
        self._created.update(dict.fromkeys(created))
        self._fields.update(created)
        # Documents that failed before come last, so that they do not block the others.
        left = deque(sorted(self._open, key=self._errors.__contains__))
        refusals = 0
        while left and refusals < _MOST_REFUSALS:
            batch = [left.popleft() for _ in range(min(self._batch_size, len(left)))]
            try:
                yield from self._send_batch(batch)
            except DifyError as error:
                if not _stopped_at_one(error):
                    if error.retryable:
                        return error
                    raise
                refusals += 1
                left.extendleft(reversed((yield from self._after_refusal(batch, error))))
            yield from progress.note("Sent the metadata of", len(self._sent), len(self.values))
        return None

    def _send_batch(self, batch: Sequence[str]) -> Flow[None]:
        for document_id in batch:
            self._sent[document_id] = self._sent.get(document_id, 0) + 1
            self._errors.pop(document_id, None)
        try:
            yield from assign(self.dataset_id, [self._operation(document_id) for document_id in batch])
        except BaseException as error:
            if not (may_be_carried_out(error) or _stopped_at_one(error)):
                self._not_sent(batch)
            raise
        self._failures = 0

    def _after_refusal(self, batch: Sequence[str], error: DifyError) -> Flow[list[str]]:
        """Find out how far Dify got with a batch; return the documents that it did not get to."""
        yield from self._look(batch)
        left = [document_id for document_id in batch if document_id in self._open]
        self._not_sent(left)
        if left:
            # Dify processes them in order: it stopped at the first one without its values.
            self._errors[left[0]] = error.message
        return left[1:]

    def _operation(self, document_id: str) -> dict[str, JSON]:
        """Return the operation for a document. Dify replaces all values, so it has the current and the new ones."""
        wanted = self.values[document_id]
        present = self._documents[document_id].metadata
        entries = [
            {"id": field.id, "name": name, "value": value}
            for name, field in self._fields.items()
            if (value := plain(wanted[name]) if name in wanted else native(field.type, present.get(name))) is not None
        ]
        # Sending all values is right on every server. If a server supports partial updates, these also keep what
        # somebody else sets at the same moment. But they cannot remove a value.
        removes = any(value is None and present.get(name) is not None for name, value in wanted.items())
        return {"document_id": document_id, "metadata_list": entries, "partial_update": not removes}

    def _read_fields(self) -> Flow[None]:
        self._fields = {field.name: field for field in (yield from list_fields(self.dataset_id))}
        for name, kind in self._kinds.items():
            if name in self._fields:
                check_fit(name, kind, self._fields[name])

    def _look(self, ids: Iterable[str] | None = None) -> Flow[None]:
        """Check which documents have their values."""
        asked = [*self._open] if ids is None else [document_id for document_id in ids if document_id in self._open]
        found = yield from read_documents(self.dataset_id, asked, with_metadata=True)
        self._read_last = frozenset(asked)
        for document_id in asked:
            document = found.get(document_id)
            if document is None:
                gone = document_id in self._documents
                why = _DELETED_MEANWHILE if gone else "It is not in this knowledge base."
                self._settle(document_id, MetadataOutcome.MISSING, why)
                continue
            self._documents[document_id] = document
            if not self._differences(document_id):
                sent = self._sent.get(document_id)
                self._settle(document_id, MetadataOutcome.CHANGED if sent else MetadataOutcome.UNCHANGED)

    def _look_again(self) -> Flow[None]:
        """At the end, check again that documents which had their values earlier still have them."""
        asked = [i for i, outcome in self._settled.items() if outcome.good and i not in self._read_last]
        found = yield from read_documents(self.dataset_id, asked, with_metadata=True)
        for document_id in asked:
            if document_id not in found:
                self._settled[document_id] = MetadataOutcome.MISSING
                self._errors[document_id] = _DELETED_MEANWHILE
                continue
            self._documents[document_id] = found[document_id]
            if fields := self._differences(document_id):
                self._settled[document_id] = MetadataOutcome.FAILED
                self._errors[document_id] = f"It had its values, but somebody changed {_shown(fields)} in the meantime."

    def _differences(self, document_id: str) -> list[str]:
        """Return the fields in which a document has a wrong value."""
        present = self._documents[document_id].metadata
        return [
            name
            for name, wanted in self.values[document_id].items()
            if not same(self._type(name), wanted, present.get(name))
        ]

    def _type(self, name: str) -> str:
        field = self._fields.get(name)
        return field.type if field else self._kinds[name].value if name in self._kinds else ""

    def _needed(self) -> dict[str, FieldType]:
        """Return the types of the fields that open documents need."""
        names = {name for i in self._open for name, value in self.values[i].items() if value is not None}
        return {name: kind for name, kind in self._kinds.items() if name in names}

    def _not_sent(self, ids: Iterable[str]) -> None:
        for document_id in ids:
            self._sent[document_id] -= 1

    def _give_up(self, *, tries: int) -> None:
        """Give an outcome to open documents whose values were sent this often."""
        for document_id in [*self._open]:
            times = self._sent.get(document_id, 0)
            if times < tries:
                continue
            if error := self._errors.get(document_id):
                self._settle(document_id, MetadataOutcome.FAILED, error)
            elif times:
                fields = _shown(self._differences(document_id))
                silent = f"Dify answered 'success' {times} times, but shows another value of {fields}."
                self._settle(document_id, MetadataOutcome.FAILED, silent)
            else:
                self._settle(document_id, MetadataOutcome.NOT_ATTEMPTED, "The time was up before its turn.")

    def _so_far(self, document_id: str) -> MetadataOutcome:
        tried = self._sent.get(document_id) or document_id in self._errors
        return MetadataOutcome.FAILED if tried else MetadataOutcome.NOT_ATTEMPTED

    def _plan(self) -> str:
        """Describe what will be done."""
        outcomes = list(self._settled.values())
        parts = [f"{len(self._open)} to change ({self.describe()})" if self._open else "0 to change"]
        parts += [f"{outcomes.count(outcome)} {outcome.value}" for outcome in MetadataOutcome if outcome in outcomes]
        new = [
            f"{inputs.show(name)} ({kind.value})" for name, kind in self._needed().items() if name not in self._fields
        ]
        create = f" Fields to create: {', '.join(new)}." if new else ""
        return f"Metadata of {number_of(len(self.values))}: {', '.join(parts)}.{create}"

    def _settle(self, document_id: str, outcome: MetadataOutcome, error: str | None = None) -> None:
        del self._open[document_id]
        self._errors.pop(document_id, None)
        self._settled[document_id] = outcome
        if error:
            self._errors[document_id] = error


def _shown(names: Iterable[str]) -> str:
    return ", ".join(map(inputs.show, names))


def _stopped_at_one(error: BaseException) -> bool:
    """Whether Dify refused one document after changing those before it."""
    if isinstance(error, DifyDocumentBusyError):
        return True
    return isinstance(error, DifyRequestError) and error.status == 400 and "document not found" in error.detail.lower()


def _check_values_by_id(value: object) -> dict[str, dict[str, Value]]:
    found = inputs.literal(value)
    if not isinstance(found, Mapping) or not found:
        raise DifyInputError(f"values must map ids of documents to values, not {inputs.show(value)}.")
    checked: dict[str, dict[str, Value]] = {}
    for given, values in found.items():
        document_id = inputs.canonical_id(given, "An id of values")
        if document_id in checked:
            raise DifyInputError(f"values contains document {document_id} twice.")
        checked[document_id] = check_values(values, f"values[{document_id}]")
    return checked
