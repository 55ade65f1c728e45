"""The interface of every job with Dify, so that one runner and one trigger can run them all.

The whole state of a conversation is in its object, not in its generator. So its report is correct at any moment, even
if its task is killed halfway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, runtime_checkable

from airflow_provider_dify.exceptions import AnyReport
from airflow_provider_dify.knowledge.flow import JSON, Deadline, Flow, Pause
from airflow_provider_dify.knowledge.retries import Retries

if TYPE_CHECKING:
    from typing_extensions import Self

R_co = TypeVar("R_co", bound=AnyReport, covariant=True)

#: Pauses of up to this many seconds happen in the same process: moving to another takes longer.
SHORT = 1.0


class Conversation(Protocol[R_co]):
    """A job with a knowledge base or an app."""

    #: The knowledge base; empty for an app.
    dataset_id: str

    @property
    def names(self) -> Mapping[str, str]:
        """The names of the documents seen so far, by id; for the log."""

    def flow(self, deadline: Deadline, retries: Retries) -> Flow[R_co]:
        """Do the job.

        :param deadline: How long to wait.
        :param retries: How failed requests are retried.
        :return: The report.
        :raises DifyError: It failed; :meth:`report` says what was done.
        """

    def report(self) -> R_co:
        """Return what has been done so far, complete and consistent at any moment."""


class Movable(Conversation[R_co], Protocol[R_co]):
    """A conversation that can continue in another process, such as the triggerer."""

    #: The trigger finds the class by this name.
    kind: ClassVar[str]

    def leaves_at(self, pause: Pause) -> bool:
        """Whether to continue elsewhere instead of waiting here."""

    def to_json(self) -> dict[str, JSON]:
        """Return everything needed to continue, as plain JSON: a few bytes for each document, and no secrets."""

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Self:
        """Return a conversation that continues where :meth:`to_json` was called."""


@runtime_checkable
class Stoppable(Protocol):
    """A conversation about something that runs in Dify by itself and must be stopped if its task is killed."""

    def when_killed(self) -> Flow[object]:
        """Stop it, and check that it has stopped."""


def is_long(pause: Pause) -> bool:
    """Whether a pause is long enough to continue in another process."""
    return pause.seconds > SHORT
