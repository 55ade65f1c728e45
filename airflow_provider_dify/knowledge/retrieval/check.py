"""Checking that searches bring what they should, although search may lag behind a change."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.progress import Progress, Waits
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.knowledge.retrieval.expectations import questions, ranked
from airflow_provider_dify.knowledge.retrieval.report import Answer, RetrievalReport
from airflow_provider_dify.knowledge.retrieval.search import SearchSettings, check_method, search, search_settings


class RetrievalCheck:
    """A check of what searches bring, from the first query to the last look.

    All that it knows is in here and not in the generator, so that :meth:`report` is right at any moment.

    :param dataset_id: UUID of the knowledge base.
    :param queries: What to ask (see :func:`expectations.questions`).
    :param expect: What queries without an expectation of their own should return.
    :param top_k: How many segments each query asks for.
    :param min_score: What has a lower score counts as not found.
    :param search_method: ``keyword_search``, ``semantic_search``, ``full_text_search`` or ``hybrid_search``; ``None``:
        the knowledge base's own.
    :param poll_interval: Seconds between two looks at what has failed; the first looks come sooner.
    :raises DifyInputError: Something of this makes no sense.
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
        self._waits = Waits(longest=inputs.number(poll_interval, "poll_interval"))
        self._answers = [Answer(one) for one in questions(queries, expect=expect, top_k=top_k, min_score=min_score)]

    def __len__(self) -> int:
        """How many queries there are."""
        return len(self._answers)

    def report(self) -> RetrievalReport:
        """Return what the queries have brought so far."""
        return RetrievalReport(self.dataset_id, tuple(self._answers))

    @property
    def names(self) -> dict[str, str]:
        """No names: the report has them."""
        return {}

    def flow(self, deadline: Deadline, retries: Retries | None = None) -> Flow[RetrievalReport]:  # noqa: ARG002 - as called
        """Ask all queries, and those that fail again until the deadline; at the end, all of them once more.

        :param deadline: Until when search may follow a change.
        :param retries: Not needed: it only reads, and reads are repeated for it.
        :return: The report, whether the queries brought what they should or not.
        :raises DifyInputError: The knowledge base cannot be searched so.
        :raises DifyError: Dify could not be asked; the report so far is its ``report``.
        """
        try:
            settings = yield from search_settings(self.dataset_id)
            # A knowledge base that cannot be searched so shall say it before the first query.
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
                # Those that passed in an earlier round may not pass any more.
                again = range(len(self))
                continue
            if not left:
                return
            if deadline.passed:
                return
            wait = min(self._waits.next(), deadline.remaining)
            yield progress.pause(wait, f"{left} of {len(self)} queries to return the expected documents")
            again = [number for number, answer in enumerate(self._answers) if not answer.passed]

    def _ask_once(self, numbers: Sequence[int], settings: SearchSettings, progress: Progress) -> Flow[None]:
        for number in numbers:
            question = self._answers[number].question
            # Lower scores are asked for too, so that the report shows how far off they are.
            hits = yield from search(
                self.dataset_id, question.query, settings.request(question.top_k, self._method, None)
            )
            self._answers[number] = Answer(question, ranked(hits))
            if len(numbers) == len(self):
                yield from progress.note("Asked", number + 1, len(self), "queries")
