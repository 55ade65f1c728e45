"""The results of a retrieval check."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_dify.exceptions import DifyRetrievalCheckFailed
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import JSON, Measure
from airflow_provider_dify.knowledge.retrieval.expectations import Expectation, FoundDocument, Question
from airflow_provider_dify.knowledge.text.counts import if_one, number_of, part_of
from airflow_provider_dify.knowledge.text.tables import aligned

_WIDEST = 60


@dataclass(frozen=True)
class QueryResult:
    """The result of a query, and what it means.

    :param question: The query.
    :param finds: The documents that were found, best first; ``None``: the query was not run.
    """

    question: Question
    finds: tuple[FoundDocument, ...] | None = None

    @property
    def passed(self) -> bool:
        """Whether it returned the expected documents."""
        return self.finds is not None and not self.missing and not self.unwanted

    @property
    def verdict(self) -> str:
        """The result in one or two words."""
        if self.finds is None:
            return "not asked"
        missing, unwanted = ("missing" if self.missing else ""), ("unwanted" if self.unwanted else "")
        return " and ".join(filter(None, (missing, unwanted))) or "passed"

    @property
    def found(self) -> dict[Expectation, FoundDocument]:
        """The first document that matches each expectation."""
        fitting = {expectation: self._fitting(expectation) for expectation in self.question.expect}
        return {expectation: finds[0] for expectation, finds in fitting.items() if finds}

    @property
    def missing(self) -> tuple[Expectation, ...]:
        """What should have been found but was not."""
        found = self.found
        return tuple(expectation for expectation in self.question.expect if expectation not in found)

    @property
    def unwanted(self) -> tuple[FoundDocument, ...]:
        """What should not have been found but was."""
        bad = {find.rank: find for unwanted in self.question.expect_not for find in self._fitting(unwanted)}
        return tuple(bad[rank] for rank in sorted(bad))

    def why(self, expectation: Expectation) -> str:
        """Say why an expectation failed."""
        for find in self.finds or ():
            if not expectation.fits(find):
                continue
            if not self._good_enough(find):
                return f"its score is {find.hit.score:g}, below {self.question.min_score:g}"
            return f"it is number {find.rank}"
        number = len(self.finds or ())
        where = if_one(number, "the 1 document", f"among the {number} documents")
        return f"not {where} found" if number else "nothing was found"

    def to_json(self) -> dict[str, JSON]:
        """Return it as plain JSON."""
        found = self.found
        return {
            "query": self.question.query,
            "passed": self.passed,
            "verdict": self.verdict,
            "found": [{"expected": wanted.describe(), **find.to_json()} for wanted, find in found.items()],
            "missing": [{"expected": e.describe(), "document_id": e.id, "why": self.why(e)} for e in self.missing],
            "unwanted": [find.to_json() for find in self.unwanted],
            "documents": [find.to_json() for find in self.finds or ()],
        }

    def _fitting(self, expectation: Expectation) -> list[FoundDocument]:
        finds = self.finds or ()
        return [f for f in finds if expectation.fits(f) and expectation.in_place(f) and self._good_enough(f)]

    def _good_enough(self, find: FoundDocument) -> bool:
        return self.question.min_score is None or find.hit.score >= self.question.min_score


@dataclass(frozen=True)
class RetrievalReport:
    """The result of each query.

    :param dataset_id: The knowledge base.
    :param answers: One for each query, in order.
    """

    dataset_id: str
    answers: tuple[QueryResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every query returned the expected documents."""
        return all(answer.passed for answer in self.answers)

    @property
    def failing(self) -> tuple[QueryResult, ...]:
        """The queries that failed or were not run."""
        return tuple(answer for answer in self.answers if not answer.passed)

    def measures(self) -> list[Measure]:
        """Return how many queries brought what they should, for the metrics."""
        failed = len(self.failing)
        counts = {"passed": len(self.answers) - failed, "failed": failed}
        return [Measure(f"queries.{outcome}", count) for outcome, count in counts.items() if count]

    @property
    def missing_documents(self) -> tuple[str, ...]:
        """Documents that should have been found but were not, as far as they were named by id."""
        asked = (answer for answer in self.answers if answer.finds is not None)
        return tuple(dict.fromkeys(e.id for answer in asked for e in answer.missing if e.id))

    @property
    def unwanted_documents(self) -> tuple[str, ...]:
        """Documents that should not have been found but were."""
        return tuple(dict.fromkeys(find.hit.document_id for answer in self.answers for find in answer.unwanted))

    def raise_for_failures(self) -> None:
        """Raise an error if a query failed.

        :raises DifyRetrievalCheckFailed: A query failed.
        """
        if not self.passed:
            raise DifyRetrievalCheckFailed(self._describe(), self)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        return {
            "dataset_id": self.dataset_id,
            "passed": self.passed,
            "counts": {"passed": len(self.answers) - len(self.failing), "failed": len(self.failing)},
            "failed_documents": list(dict.fromkeys([*self.missing_documents, *self.unwanted_documents])),
            "missing_documents": list(self.missing_documents),
            "unwanted_documents": list(self.unwanted_documents),
            "queries": [answer.to_json() for answer in self.answers],
        }

    def table(self, limit: int = 50) -> list[str]:
        """Return the lines of a table for the log, failed queries first, limited in number."""
        answers = sorted(self.answers, key=lambda answer: answer.passed)
        rows = [("verdict", "query", "expected", "found")]
        for answer in answers[:limit]:
            rows += _rows(answer)
        lines = aligned(rows)
        if len(answers) > limit:
            lines.append(f"and {number_of(len(answers) - limit, 'more query', 'more queries')}, see the report")
        return lines

    def _describe(self) -> str:
        failing = self.failing
        shown = "; ".join(f"{_short(repr(a.question.query))} ({a.verdict}: {_reason(a)})" for a in failing[:3])
        more = f"; and {len(failing) - 3} more" if len(failing) > 3 else ""
        queries = part_of(len(failing), len(self.answers), "query", "queries")
        return (
            f"{queries} to knowledge base {self.dataset_id} did not return the expected documents: {shown}{more}. "
            "The table in the log and the report show what was found."
        )


def _rows(answer: QueryResult) -> list[tuple[str, str, str, str]]:
    """Return the lines of one query: one for each expectation."""
    found = answer.found
    cells = [(e.describe(), _place(found[e]) if e in found else answer.why(e)) for e in answer.question.expect]
    if answer.question.expect_not:
        bad = answer.unwanted
        names = "; ".join(e.describe() for e in answer.question.expect_not)
        cells.append((f"not {names}", "; ".join(map(_place, bad)) or "as expected"))
    if answer.finds is None:
        cells = [(expected, "") for expected, _ in cells]
    heads = [(answer.verdict, answer.question.query), *[("", "")] * (len(cells) - 1)]
    return [
        (verdict, _short(query), _short(expected), _short(what))
        for (verdict, query), (expected, what) in zip(heads, cells, strict=True)
    ]


def _place(find: FoundDocument) -> str:
    score = f", score {find.hit.score:g}" if find.hit.score else ""  # an economy knowledge base has no scores
    return f"number {find.rank}{score}: '{find.hit.document_name}'"


def _reason(answer: QueryResult) -> str:
    if answer.missing:
        return _short(f"{answer.missing[0].describe()}, {answer.why(answer.missing[0])}")
    return _short(", ".join(map(_place, answer.unwanted))) if answer.unwanted else "the run ended first"


def _short(text: str) -> str:
    text = inputs.without_keys(" ".join(text.split()))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
