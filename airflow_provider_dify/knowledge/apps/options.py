"""How a run is awaited, and when another one may be started."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.apps.report import RunOutcome


class Rerun(str, Enum):
    """When a try starts another run, although an earlier try has started one."""

    #: If it failed or was stopped.
    FAILED = "failed"
    #: Each try starts one of its own, however those of earlier tries ended.
    ALWAYS = "always"
    #: Never.
    NEVER = "never"
    #: If it failed or was stopped, and also if nobody knows whether it was started, or if it is stalled.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RunOptions:
    """How a run is awaited, and when another one may be started.

    :param poll_interval: Seconds between two checks; the first checks come sooner.
    :param stall_timeout: Seconds without a sign of life after which a run counts as stalled; ``None``: never.
    :param appear_timeout: Seconds to wait for a run to appear in the log of the app, if the answer to its start was
        lost.
    :param rerun: When a new try starts another run: ``failed``, ``always``, ``never`` or ``unknown``.
    :param tolerate: Outcomes that are no failure.
    :raises DifyInputError: A value makes no sense.
    """

    poll_interval: float = 5.0
    stall_timeout: float | None = 1800.0
    appear_timeout: float = 120.0
    rerun: str = Rerun.FAILED.value
    tolerate: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the values, and put them into canonical form."""
        inputs.settle(
            self,
            poll_interval=inputs.number,
            stall_timeout=inputs.or_none(inputs.number),
            appear_timeout=inputs.number_or_zero,
            rerun=inputs.one_of(Rerun),
            tolerate=inputs.some_of(RunOutcome),
        )
