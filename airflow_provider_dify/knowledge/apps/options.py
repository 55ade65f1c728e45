"""How to wait for a run, and when to start another one. Imports almost nothing, because every DAG file loads it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_dify.knowledge.flow import JSON


class Rerun(str, Enum):
    """When a try starts another run, although an earlier try has started one."""

    #: If it failed or was stopped.
    FAILED = "failed"
    #: Each try starts its own run, however those of earlier tries ended.
    ALWAYS = "always"
    #: Never.
    NEVER = "never"
    #: If it failed or was stopped, and also if nobody knows whether it was started, or if it is stalled.
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How to wait for a run, and when to start another one.

    :param timeout: Seconds to wait for the end of the run, which is then stopped.
    :param poll_interval: Seconds between two checks; the first checks come sooner.
    :param stall_timeout: Seconds without a sign of life after which a run counts as ``stalled``; ``None``: never.
    :param appear_timeout: Seconds to wait for a run to appear in the log of the app, if the response to its start was
        lost.
    :param rerun: When a retry starts another run: ``failed`` (if the earlier one failed or was stopped), ``always``,
        ``never``, or ``unknown`` (also if nobody knows whether there is one, or if it is stalled).
    :param tolerate: Outcomes that should not fail the task, such as ``("partial-succeeded",)``.
    :raises DifyInputError: A value is invalid.
    """

    timeout: float = 3600.0
    poll_interval: float = 5.0
    stall_timeout: float | None = 1800.0
    appear_timeout: float = 120.0
    rerun: str = Rerun.FAILED.value
    tolerate: Iterable[str] = ()

    def __post_init__(self) -> None:
        """Check the values, and convert them to canonical form."""
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.apps.report import RunOutcome

        inputs.settle(
            self,
            timeout=inputs.number,
            poll_interval=inputs.number,
            stall_timeout=inputs.or_none(inputs.number),
            appear_timeout=inputs.number_or_zero,
            rerun=inputs.one_of(Rerun),
            tolerate=inputs.some_of(RunOutcome),
        )

    def to_json(self) -> dict[str, JSON]:
        """Return them as plain JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: JSON) -> Self:
        """Return the options that :meth:`to_json` was called on."""
        from airflow_provider_dify.knowledge.answers import Fields

        given: dict[str, Any] = Fields(data).values  # whatever they are: they are checked as if a user gave them
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class ChatOptions(RunOptions):
    """How to wait for an answer, and when to ask a question again.

    :param timeout: Seconds to wait for the answer, which is then stopped.
    :param appear_timeout: Seconds to wait for the question to appear among the messages of the app, if there was no
        response.
    :param rerun: When a retry asks again: ``failed`` (if there was an error), ``always``, ``never``, or ``unknown``
        (also if nobody knows whether it was asked).
    """

    timeout: float = 600.0


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """How to ask golden questions.

    :param answer_timeout: Seconds to wait for each answer.
    :param max_active_questions: How many questions to ask at the same time. A process opens at most 4 connections to
        one Dify, so more has no effect.
    :raises DifyInputError: A value is invalid.
    """

    answer_timeout: float = 120.0
    max_active_questions: int = 4

    def __post_init__(self) -> None:
        """Check the values, and convert them to canonical form."""
        from airflow_provider_dify.knowledge import inputs

        inputs.settle(self, answer_timeout=inputs.number, max_active_questions=inputs.whole_number)
