"""How an app run ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_dify.exceptions import DifyRunError, DifyRunFailed, DifyRunUnknown
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.report import FINAL, Report, ReportOutcome, known_fields
from airflow_provider_dify.knowledge.text.counts import number_of
from airflow_provider_dify.knowledge.text.tables import Row

if TYPE_CHECKING:
    from typing_extensions import Self

_LONGEST_QUOTE = 300


class RunOutcome(ReportOutcome):
    """How a run ended. Statuses of Dify have Dify's names."""

    SUCCEEDED = "succeeded"
    #: A node failed, and its error strategy covered it.
    PARTIAL = (
        "partial-succeeded",
        "A node failed, and its error strategy covered it. If that is good enough, tolerate 'partial-succeeded'",
        FINAL,
    )
    FAILED = "failed", "See the log of the app in Dify. A retry starts over"
    STOPPED = (
        "stopped",
        "If it needed more time, raise the timeout; a person or Dify may have stopped it, too. A retry starts again",
    )
    #: It waits for a person.
    PAUSED = (
        "paused",
        "It is waiting for a person: raise the timeout, or tolerate 'paused'. A retry waits for it again",
    )
    #: It is running, but no worker is processing it.
    STALLED = (
        "stalled",
        "No worker is processing it. A retry waits for it again; rerun='unknown' lets a retry start over",
    )
    UNKNOWN = (
        "unknown",
        "Check the log of the app in Dify. A retry looks for it again; only rerun='unknown' lets it start over",
    )
    #: It had not ended when the task did.
    RUNNING = "running", "A retry waits for it again"
    NOT_STARTED = "not_started", "Nothing was started"


@dataclass(frozen=True)
class RunReport(Report[RunOutcome, str]):
    """How a run ended, and what it returned.

    :param outcome: The outcome.
    :param run_id: Id of the run; empty if unknown.
    :param task_id: Id for stopping it; empty if unknown.
    :param user: Its name in Dify: that of the try that started it.
    :param app_id: The app; empty if unknown.
    :param workflow_id: Which published version ran.
    :param outputs: What it returned; ``None`` if that is stored elsewhere.
    :param error: Why it failed or was stopped, as Dify says.
    :param elapsed_time: How long it ran, in seconds.
    :param total_tokens: How many tokens its models used.
    :param total_steps: How many nodes ran.
    :param joined: Whether an earlier try had started it.
    :param output_path: The file that contains the outputs, if requested.
    """

    kind = RunOutcome
    measured_as = "runs"
    raises = DifyRunError, DifyRunFailed

    outcome: RunOutcome
    run_id: str = ""
    task_id: str = ""
    user: str = ""
    app_id: str = ""
    workflow_id: str = ""
    outputs: Mapping[str, JSON] | None = field(default_factory=dict, repr=False)
    error: str | None = None
    elapsed_time: float = 0.0
    total_tokens: int = 0
    total_steps: int = 0
    joined: bool = False
    output_path: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Its outcome with a count of one, like in other reports."""
        return {self.outcome.value: 1}

    def of(self, outcome: RunOutcome) -> tuple[str, ...]:
        """Return the run, if it has this outcome."""
        return (self.run_id or "-",) if outcome is self.outcome else ()

    def describe(self) -> str:
        """Describe how it ended, for the log."""
        name = f"Run {self.run_id}" if self.run_id else "The run"
        used = f" after {self.elapsed_time:.1f} s, {number_of(self.total_steps, 'step')}" if self.total_steps else ""
        used += f" and {number_of(self.total_tokens, 'token')}" if used and self.total_tokens else ""
        return f"{name}: {self.outcome.value}{used}."

    def raise_for_outcomes(self, tolerate: Iterable[str] = (), *, final: bool | None = None) -> None:
        """Raise an error if its outcome is not tolerated.

        :param tolerate: Outcomes that are not a failure.
        :param final: Whether a retry cannot fix it; by default, as the outcome says.
        :raises DifyRunUnknown: Dify cannot say whether it was started.
        :raises DifyRunFailed: A retry cannot fix it.
        :raises DifyRunError: It ended in another way.
        """
        if self.outcome.good or self.outcome in tolerate:
            return
        text = f"{self._problem(1)} {self.outcome.advice}."
        if self.outcome is RunOutcome.UNKNOWN:
            raise DifyRunUnknown(text, self)
        raise (DifyRunFailed if (self.outcome.final if final is None else final) else DifyRunError)(text, self)

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        plain = {name: value for name, value in asdict(self).items() if name != "outputs"}
        outputs = None if self.outputs is None else dict(self.outputs)
        return {**plain, "outcome": self.outcome.value, "counts": self.counts, "outputs": outputs}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Return the report that :meth:`to_json` was called on."""
        known = known_fields(cls, data)
        return cls(**{**known, "outcome": RunOutcome(known["outcome"]), "outputs": data.get("outputs")})

    def _problem(self, count: int) -> str:  # noqa: ARG002 - there is only one
        name = f"Run {self.run_id} of the app" if self.run_id else "The run of the app"
        ended = {
            RunOutcome.UNKNOWN: "may or may not have started: Dify did not confirm it, and its log does not show it",
            RunOutcome.RUNNING: "has not ended",
            RunOutcome.STALLED: "is stalled",
        }.get(self.outcome, f"ended as {self.outcome.value}")
        text = " ".join((self.error or "").split())
        quoted = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"
        if not quoted:
            return f"{name} {ended}."
        return f'{name} {ended}: "{quoted}"' + ("" if quoted.endswith(".") else ".")

    def _label(self, item: str) -> str:
        return item

    def _row(self, item: str, names: Mapping[str, str]) -> Row:  # noqa: ARG002 - as called
        return "", item, self.error or ""


@dataclass(frozen=True)
class ChatReport(RunReport):
    """How a question to a chat app ended, and what it answered.

    :param answer: The answer.
    :param conversation_id: The conversation, to continue it with the same ``user``.
    :param message_id: The message.
    :param citations: The segments that were used, each with its document.
    :param usage: Tokens, price and seconds.
    """

    answer: str = ""
    conversation_id: str = ""
    message_id: str = ""
    citations: tuple[Mapping[str, JSON], ...] = ()
    usage: Mapping[str, JSON] = field(default_factory=dict)

    def describe(self) -> str:
        """Describe how it ended, for the log."""
        used = f", {number_of(len(self.citations), 'citation')}" if self.citations else ""
        return f"Answer: {self.outcome.value}, {number_of(len(self.answer), 'character')}{used}."

    def to_json(self) -> dict[str, JSON]:
        """Return the report as plain JSON."""
        plain = super().to_json()
        return {name: value for name, value in plain.items() if name not in _NOT_OF_CHATS} | {
            "citations": [dict(one) for one in self.citations],
            "usage": dict(self.usage),
        }

    def _problem(self, count: int) -> str:
        return super()._problem(count).replace("The run of the app", "The question").replace("Run ", "The run ", 1)


_NOT_OF_CHATS = ("outputs", "output_path", "workflow_id", "total_steps", "elapsed_time", "total_tokens")
