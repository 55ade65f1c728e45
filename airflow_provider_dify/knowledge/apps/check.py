"""Asks an app golden questions, a few at a time, and checks its answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from airflow_provider_dify.exceptions import DifyAnswerCheckFailed, DifyInputError
from airflow_provider_dify.knowledge.apps.chat import ChatMessage
from airflow_provider_dify.knowledge.apps.expectations import GoldenQuestion
from airflow_provider_dify.knowledge.apps.options import CheckOptions, Rerun, RunOptions
from airflow_provider_dify.knowledge.apps.requesting import ChatRequest, read_form, require_chat_app
from airflow_provider_dify.knowledge.apps.tries import LONGEST_USER, Tries
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Measure, Note, Together
from airflow_provider_dify.knowledge.report import NO_NAMES
from airflow_provider_dify.knowledge.retries import Retries, patiently
from airflow_provider_dify.knowledge.text.counts import if_one, part_of

#: Maximum number of characters of an answer in the table.
_WIDTH = 200


@dataclass(frozen=True)
class CheckedAnswer:
    """The answer to a golden question.

    :param query: The question.
    :param problems: Everything that is wrong with the answer.
    :param answer: The answer.
    :param citations: The names of the documents that it cites.
    :param expected: The expected answer, in words.
    """

    query: str
    problems: tuple[str, ...]
    answer: str = ""
    citations: tuple[str, ...] = ()
    expected: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is as expected."""
        return not self.problems


@dataclass(frozen=True)
class AnswerReport:
    """The answers to all golden questions.

    :param answers: The answers, in the order of the questions.
    :param total: Number of questions; if the task was interrupted, there are fewer answers.
    :param app_id: The app, if it is known.
    """

    answers: tuple[CheckedAnswer, ...]
    total: int
    app_id: str = ""

    @property
    def failing(self) -> tuple[CheckedAnswer, ...]:
        """The answers that are not as expected."""
        return tuple(one for one in self.answers if not one.passed)

    @property
    def passed(self) -> bool:
        """Whether there is an answer to each question, and all are as expected."""
        return not self.failing and len(self.answers) == self.total

    @property
    def counts(self) -> dict[str, int]:
        """The number of answers by result."""
        failed = len(self.failing)
        return {
            "passed": len(self.answers) - failed,
            "failed": failed,
            "not_asked": self.total - len(self.answers),
        }

    def measures(self) -> list[Measure]:
        """Return the number of answers by result, for the metrics."""
        return [Measure(f"answers.{outcome}", count) for outcome, count in self.counts.items() if count]

    def table(self) -> str:
        """Return each question with the expected and the actual answer, for the log."""
        passed = self.counts["passed"]
        lines = [f"{part_of(passed, self.total, 'answer')} {if_one(passed, 'is', 'are')} as expected."]
        for one in self.answers:
            answer = " ".join(one.answer.split())
            got = answer if len(answer) <= _WIDTH else answer[: _WIDTH - 1] + "…"
            cited = f" (cites {', '.join(one.citations)})" if one.citations else ""
            lines += [
                f"{'passed' if one.passed else 'FAILED'}  {one.query}",
                f"        expected: {one.expected}",
                f"        got:      {got or 'nothing'}{cited}",
                *(f"        problem:  {problem}" for problem in one.problems),
            ]
        return "\n".join(lines)

    def raise_for_failures(self) -> None:
        """Raise an error if an answer is not as expected.

        :raises DifyAnswerCheckFailed: An answer is not as expected.
        """
        if self.passed:
            return
        first, failed = self.failing[0], len(self.failing)
        raise DifyAnswerCheckFailed(
            f"{part_of(failed, self.total, 'answer')} {if_one(failed, 'is', 'are')} not as expected. '{first.query}': "
            f"{'; '.join(first.problems)}. The report has all of them.",
            self,
        )

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        rows = [{**asdict(one), "passed": one.passed} for one in self.answers]
        for row in rows:
            row.update(problems=list(row["problems"]), citations=list(row["citations"]))
        return {
            "passed": self.passed,
            "counts": self.counts,
            "total": self.total,
            "app_id": self.app_id,
            "answers": rows,
        }


class AnswerCheck:
    """Golden questions to an app. Each is a separate conversation.

    :param user: The name under which Dify shows the questions.
    :param questions: The questions, and the expected answers.
    :param options: How they are asked.
    """

    #: An app is not a knowledge base.
    dataset_id = ""
    names = NO_NAMES

    def __init__(
        self, user: str, questions: tuple[GoldenQuestion, ...], *, options: CheckOptions | None = None
    ) -> None:
        self._user = user
        self._questions = questions
        self._options = options or CheckOptions()
        #: By the number of the question.
        self._answers: dict[int, CheckedAnswer] = {}
        self._active: dict[int, ChatMessage] = {}
        self._app_id = ""
        #: Those of each question, in the types that the app needs, once they are checked.
        self._inputs: tuple[dict[str, JSON], ...] = ()

    def __len__(self) -> int:
        return len(self._questions)

    def report(self) -> AnswerReport:
        """Return the answers so far."""
        answers = tuple(self._answers[number] for number in sorted(self._answers))
        return AnswerReport(answers, len(self._questions), self._app_id)

    def flow(self, deadline: Deadline, retries: Retries | None = None) -> Flow[AnswerReport]:  # noqa: ARG002 - as called
        """Ask all questions.

        :param deadline: How long to wait.
        :param retries: Not needed: reads are retried anyway, and a question never is.
        :raises DifyInputError: The app is not a chat app, or the inputs of a question do not fit. Nothing was asked.
        :raises DifyError: A request to Dify failed.
        """
        yield from patiently(deadline, self.prepare)
        flows = [self._ask(number, deadline) for number in range(len(self._questions))]
        yield Together(flows, self._options.max_active_questions)
        return self.report()

    def prepare(self) -> Flow[None]:
        """Check the app, and the inputs of all questions.

        :raises DifyInputError: The app is not a chat app, or the inputs of a question do not fit.
        """
        if self._inputs:
            return
        yield from require_chat_app()
        form = yield from read_form()
        found = []
        for number, question in enumerate(self._questions, 1):
            try:
                found.append(form.check(question.inputs, {}))
            except DifyInputError as error:
                raise DifyInputError(f"Question {number}: {error.message}") from None
        self._inputs = tuple(found)

    def when_killed(self) -> Flow[None]:
        """Stop the answers that are being written."""
        for message in list(self._active.values()):
            yield from message.when_killed()

    def _ask(self, number: int, deadline: Deadline) -> Flow[None]:
        question, timeout = self._questions[number], self._options.answer_timeout
        # A question may be asked again: that changes nothing except the bill.
        options = RunOptions(rerun=Rerun.ALWAYS.value, appear_timeout=min(30.0, timeout))
        tries = Tries(f"{self._user[: LONGEST_USER - 10]}/q{number + 1}")
        request = ChatRequest(question.query, self._inputs[number], is_checked=True)
        message = ChatMessage(tries, request, options=options)
        self._active[number] = message
        answer = yield from message.flow(deadline.within(timeout))
        del self._active[number]
        cited = tuple(dict.fromkeys(str(one.get("document_name")) for one in answer.citations))
        self._app_id = self._app_id or answer.app_id
        problems = question.problems(answer)
        self._answers[number] = CheckedAnswer(question.query, problems, answer.answer, cited, question.expected)
        done = f"Answer {len(self._answers)} of {len(self._questions)}"
        yield Note(f"{done}: question {number + 1} {'passed' if not problems else 'failed: ' + '; '.join(problems)}.")
