"""Checks that searches return the expected documents, allowing for search that lags behind a change."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.progress import Intervals, Progress
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.retrieval.expectations import questions, ranked
from airflow_provider_dify.knowledge.retrieval.report import QueryResult, RetrievalReport
from airflow_provider_dify.knowledge.retrieval.search import SearchSettings, check_method, search, search_settings
from airflow_provider_dify.knowledge.text.counts import part_of

_QUERY = ("query", "queries")


class RetrievalCheck:
    """A check of search results, from the first query to the last.

    Its whole state is in this object, not in the generator, so :meth:`report` is correct at any moment.

    :param dataset_id: UUID of the knowledge base.
    :param queries: What to search for (see :func:`expectations.questions`).
    :param expect: What queries without their own expectation should return.
    :param top_k: How many segments each query returns.
    :param min_score: Results with a lower score do not count.
    :param search_method: ``keyword_search``, ``semantic_search``, ``full_text_search`` or ``hybrid_search``; ``None``:
        as set in the knowledge base.
    :param poll_interval: Seconds between two tries of failed queries; the first ones come sooner.
    :raises DifyInputError: An argument is invalid.
    """

    def __init__(
        self,
        dataset_id: object,
        queries: object,
        *,
        expect: object = None,
        top_k: object = 5,
        min_score: object = None,
        search_method: object = None,
        poll_interval: float = 10.0,
    ) -> None:
        self.dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        self._method = check_method(search_method)
        self._waits = Intervals(longest=inputs.number(poll_interval, "poll_interval"))
        self._answers = [
            QueryResult(one) for one in questions(queries, expect=expect, top_k=top_k, min_score=min_score)
        ]

    def __len__(self) -> int:
        """The number of queries."""
        return len(self._answers)

    def report(self) -> RetrievalReport:
        """Return the results so far."""
        return RetrievalReport(self.dataset_id, tuple(self._answers))

    @property
    def names(self) -> dict[str, str]:
        """No names: the report has them."""
        return {}

    def flow(self, deadline: Deadline, retries: Retries | None = None) -> Flow[RetrievalReport]:  # noqa: ARG002 - as called
        """Run all queries; repeat those that fail until the deadline; at the end, repeat all of them once.

        :param deadline: How long search may lag behind.
        :param retries: Not needed: it only reads, and reads are retried anyway.
        :return: The report, whether the queries passed or not.
        :raises DifyInputError: The knowledge base cannot be searched in this way.
        :raises DifyError: A request to Dify failed; the report so far is its ``report``.
        """
        try:
            settings = yield from search_settings(self.dataset_id)
            # If the knowledge base cannot be searched in this way, fail before the first query.
            for answer in self._answers:
                settings.request(answer.question.top_k, self._method, answer.question.min_score)
            yield from self._ask(settings, deadline)
        except DifyError as error:
            error.report = self.report()
            raise
        return self.report()

    def _ask(self, settings: SearchSettings, deadline: Deadline) -> Flow[None]:
        progress = Progress(deadline)
        again: Sequence[int] = range(len(self))
        while True:
            yield from self._ask_once(again, settings, progress)
            left = len(self.report().failing)
            if not left and len(again) < len(self):
                # Queries that passed in an earlier round may fail now.
                again = range(len(self))
                continue
            if not left:
                return
            if deadline.passed:
                return
            wait = min(self._waits.next(), deadline.remaining)
            yield progress.pause(wait, f"{part_of(left, len(self), *_QUERY)} to return the expected documents")
            again = [number for number, answer in enumerate(self._answers) if not answer.passed]

    def _ask_once(self, numbers: Sequence[int], settings: SearchSettings, progress: Progress) -> Flow[None]:
        for number in numbers:
            question = self._answers[number].question
            # Lower scores are requested, too, so that the report shows how far off they are.
            hits = yield from search(
                self.dataset_id, question.query, settings.request(question.top_k, self._method, None)
            )
            self._answers[number] = QueryResult(question, ranked(hits))
            if len(numbers) == len(self):
                yield from progress.note("Asked", number + 1, len(self), *_QUERY)
