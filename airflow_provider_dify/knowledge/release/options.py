"""How a release is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import Enum

from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.flow import JSON
from airflow_provider_dify.knowledge.indexing.wait import STALL_TIMEOUT
from airflow_provider_dify.knowledge.release.switch import Pace
from airflow_provider_dify.knowledge.status.proof import ProvenBy


class Retire(str, Enum):
    """What becomes of old documents."""

    ARCHIVE = "archive"
    DISABLE = "disable"
    DELETE = "delete"


class Until(str, Enum):
    """How far a release goes."""

    #: The new documents are in search, beside the old ones.
    ENABLE = "enable"
    #: The old ones are retired.
    RETIRE = "retire"


class Tolerable(str, Enum):
    """What need not fail a release or a rollback."""

    #: Old documents that are not in the knowledge base.
    MISSING = "missing"


@dataclass(frozen=True)
class ReleaseOptions:
    """How a release is done.

    :param retire: ``archive``, ``disable`` or ``delete`` the old documents.
    :param until: ``retire``: all of it; ``enable``: only bring in the new documents.
    :param queries: What search has to bring before old documents leave (see :func:`expectations.questions`).
    :param tolerate: ``("missing",)``: old documents that are not there fail nothing.
    :param dry_run: Whether to look and to plan only.
    :param stall_timeout: Seconds in which no indexing moves, after which it fails; ``None``: never.
    :param batch_size: How many documents one request names at most.
    :param poll_interval: Seconds between two looks while waiting.
    :param repair: Whether to queue again the jobs that Dify seems to have lost.
    :param prove_by: What proves that documents have entered search: ``search``, or only their ``segments``.
    :raises DifyInputError: Something of this makes no sense.
    """

    retire: str = Retire.ARCHIVE.value
    until: str = Until.RETIRE.value
    queries: JSON = None
    tolerate: Iterable[str] = ()
    dry_run: bool = False
    stall_timeout: float | None = STALL_TIMEOUT
    batch_size: int = 100
    poll_interval: float = 10.0
    repair: bool = True
    prove_by: str = ProvenBy.SEARCH.value

    def __post_init__(self) -> None:
        inputs.choice(self.retire, Retire, "retire")
        inputs.choice(self.until, Until, "until")
        tolerate = tuple(sorted(one.value for one in inputs.choices(self.tolerate, Tolerable, "tolerate")))
        object.__setattr__(self, "tolerate", tolerate)
        object.__setattr__(self, "dry_run", inputs.flag(self.dry_run, "dry_run"))
        if isinstance(self.queries, Iterable) and not isinstance(self.queries, (str, bytes, Mapping)):
            object.__setattr__(self, "queries", list(self.queries))

    @property
    def pace(self) -> Pace:
        """How changes are sent."""
        return Pace(self.batch_size, self.poll_interval, self.repair, self.prove_by)

    def to_json(self) -> dict[str, JSON]:
        """Return them as plain JSON."""
        return {**asdict(self), "tolerate": list(self.tolerate)}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> ReleaseOptions:
        """Return what :meth:`to_json` was made of."""
        return cls(**data)
