"""Sensors that wait for documents of a Dify knowledge base.

This module imports almost nothing, because each parse of a DAG file loads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import unwrap
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.exceptions import DifyError, DifyIndexingTimeout
from airflow_provider_dify.knowledge.status.options import STALL_TIMEOUT, ProofOptions
from airflow_provider_dify.knowledge.text.counts import duration, number_of
from airflow_provider_dify.tasks.base import KnowledgeBaseTask
from airflow_provider_dify.tasks.running import hand_over, patience, read_event

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import Deadline
    from airflow_provider_dify.knowledge.indexing.wait import IndexingWait

#: A trigger checks no more often than this, however small the ``poke_interval``: many triggers share a triggerer and a
#: Dify.
_SHORTEST_INTERVAL = 1.0
_UNKNOWN = "The trigger fired {}, which this sensor does not know. Clear the task to retry."
#: How many seconds before Airflow the sensor reports a timeout, because it can say what is left.
_MARGIN = 1.0


class DifyDocumentIndexingSensor(KnowledgeBaseTask, BaseSensorOperator):
    """Wait until all documents of an indexing batch, or of a list of ids, are indexed and search returns them.

    Dify responds to the creation of a document at once and indexes it later. The sensor checks first, so nothing is
    deferred or rescheduled for documents that are indexed already. See ``prove_by`` for documents that are enabled;
    others only have to be indexed.

    It fails at once, and without retries, if waiting longer cannot help: the indexing of a document failed or was
    paused, or a document was deleted. An update removes a document from its batch; the sensor then reads the document
    itself, if it has seen it in the batch.

    It also fails if there is no progress for ``stall_timeout`` seconds, counted from its first check at the earliest:
    the documents of a killed worker remain as they are forever. Progress is a step (``waiting``, ``parsing``,
    ``cleaning``, ``splitting``, ``indexing``) or a new segment of any of the documents. While Dify indexes the segments
    of one document, or works on other documents before these, it shows no progress: allow the time that your longest
    document, and your queue, need.

    * With ``mode="poke"`` and ``deferrable=True``, all progress between two checks is seen. The triggerer may be
      restarted meanwhile.
    * With ``mode="reschedule"``, nothing is remembered between checks, and progress is measured by the times that Dify
      shows for the steps, against Dify's own clock. A document whose splitting takes longer than ``stall_timeout``
      seems to make no progress, although its segments grow. Documents that have left the batch since the last check
      cannot be followed: if the whole batch is gone, the sensor fails; if a part of it is, the sensor waits for, and
      returns, the rest. If documents are updated or deleted meanwhile, wait by ``document_ids``, or in one of the other
      modes.

    ``soft_fail`` skips the task on a timeout, if there is no progress, and if a document failed, is paused or is gone,
    in every mode. If requests to Dify failed, the task fails and may be retried.

    .. seealso:: https://docs.dify.ai/api-reference/documents/get-document-indexing-status

    :param batch: The batch that Dify returned when the documents were created, a text of 20 digits.
    :param document_ids: UUIDs of the documents, instead of a batch: a list, one id, the output of another task, or a
        string that renders to a JSON list or to ids separated by commas or white space.
    :param stall_timeout: Seconds without any progress after which it fails; ``None``: never.
    :param prove_by: What proves, when all are indexed, that enabled documents have entered search. ``search``: search
        returned them. A search appears among Dify's recent queries, costs an embedding in a high-quality knowledge
        base, and counts against the request limit of Dify Cloud. ``segments``: their segments are enabled, which Dify
        also shows for documents whose keywords it has lost.
    :param deferrable: Whether to wait in the triggerer instead of on the worker. Its first checks come sooner than
        ``poke_interval``.
    :return: The UUIDs of the documents, as a list: in the requested order, or as Dify lists the batch.
    :raises DifyInputError: The parameters are invalid; nothing was sent.
    :raises DifyIndexingError: A document failed, is paused, is gone, or is not returned by search; the error's
        ``documents`` says which.
    :raises DifyIndexingStalled: There was no progress for too long.
    :raises DifyIndexingTimeout: They were not indexed within ``timeout`` seconds.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = ("dify_conn_id", "dataset_id", "dataset_name", "batch", "document_ids")
    ui_color = "#d6e4ff"
    described_by = (ProofOptions,)
    batch: Any
    document_ids: Any
    deferrable: bool
    stall_timeout: float | None
    prove_by: str
    writes = False

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        batch: str | None = None,
        document_ids: Iterable[str] | str | None = None,
        dify_conn_id: str = DEFAULT_CONN_ID,
        stall_timeout: float | None = STALL_TIMEOUT,
        prove_by: str = "search",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (batch is None) == (document_ids is None):
            from airflow_provider_dify.knowledge.indexing.wait import not_exactly_one

            raise not_exactly_one(batch, document_ids)
        self.take(locals())
        self._waiting: tuple[IndexingWait, Deadline] | None = None

    def execute(self, context: Context) -> Any:
        """Wait. If Airflow finds that the time is up, say what is left."""
        try:
            # Without its wrapper: Airflow 2 takes a call of super().execute for one from outside, and warns or fails.
            return unwrap(BaseSensorOperator.execute)(self, context)
        except AirflowSensorTimeout as error:
            if isinstance(error, DifyError) or self._waiting is None:
                raise
            wait, deadline = self._waiting
            raise wait.timed_out(deadline) from None

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once. If not everything is indexed and the sensor is deferrable, continue in the triggerer.

        This is here, not in an ``execute`` of its own, so that Airflow's ``soft_fail`` covers the first check, too.
        """
        try:
            return self._look(context)
        except DifyError as error:
            self._explain(error)
            raise

    def execute_complete(self, context: Context, event: dict[str, Any] | None) -> list[str]:
        """Return and raise what the sensor would without deferring.

        :param event: The trigger's event.
        """
        from airflow_provider_dify.transport.clock import current

        report, _, error = read_event(event, _UNKNOWN)
        document_ids: list[str] = report["document_ids"]
        self.open_hook(context, report["dataset_id"], document_ids)  # for its links: there is nothing left to request
        if error:
            self._explain(error)
            raise error
        self._say_done(len(document_ids), current().time() - (event or {})["started"])
        return document_ids

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue after the trigger, and with ``soft_fail`` skip if the sensor would without deferring.

        Airflow itself skips a deferred sensor for any error, and a direct one only for final errors.
        """
        # The error if the trigger does not end by itself: the triggerer is down.
        no_answer = next_method == "__fail__" and "timeout" in str((next_kwargs or {}).get("error", "")).lower()
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSkipException as skip:
            cause = skip.__cause__
            final = no_answer or isinstance(cause, (AirflowFailException, AirflowSensorTimeout))
            if self.soft_fail and isinstance(cause, AirflowException) and not final:
                raise cause from None
            raise
        except AirflowException as error:
            if not no_answer:
                raise
            raise DifyIndexingTimeout(
                "The triggerer did not answer until long after the timeout of the sensor. Check that a triggerer "
                "runs, or set deferrable=False."
            ) from error

    def _look(self, context: Context) -> PokeReturnValue:
        first = self._waiting is None and not (self.reschedule and _first_poke(self, context))
        self._waiting = self._waiting or self._begin(context)
        wait, deadline = self._waiting
        # Not kept open: Dify closes a connection that is idle for two seconds, and has only ten.
        with self.open_hook(context, wait.dataset_id, wait.document_ids) as hook:
            look = wait.look(deadline)
            if first:
                plan = f"Waiting for {wait.what} to be indexed, for up to {duration(self.timeout)}."
                look = self.introduced(hook, look, wait.dataset_id, plan)
            report = hook.run(look, deadline)
        if report is not None:
            self._say_done(len(report.document_ids), deadline.elapsed)
            return PokeReturnValue(is_done=True, xcom_value=list(report.document_ids))
        if self.deferrable:
            self._defer(wait, deadline)
        if deadline.remaining < _MARGIN:
            raise wait.timed_out(deadline)
        return PokeReturnValue(is_done=False)

    def _say_done(self, number: int, seconds: float) -> None:
        from airflow_provider_dify.knowledge.status.proof import ProvenBy

        by_search = self.prove_by == ProvenBy.SEARCH.value
        self.log.info(
            "All is indexed, and %s what is enabled: %s, %.0f s",
            *("search returns" if by_search else "Dify has enabled the segments of", number_of(number), seconds),
        )

    def _explain(self, error: DifyError) -> None:
        if self.soft_fail or self.never_fail:  # otherwise Airflow's log would not show why it skips
            self.log.warning("%s", error)

    def _begin(self, context: Context) -> tuple[IndexingWait, Deadline]:
        from airflow_provider_dify.knowledge.indexing.wait import IndexingWait

        deadline = self._deadline(context)  # first: Airflow's time runs already
        wait = self.in_knowledge_base(
            lambda dataset_id: IndexingWait(
                dataset_id,
                batch=self.batch,
                document_ids=self.document_ids,
                stall_timeout=self.stall_timeout,
                prove_by=self.prove_by,
                poll_interval=max(self.poke_interval, _SHORTEST_INTERVAL),
            )
        )
        return wait, deadline

    def _deadline(self, context: Context) -> Deadline:
        from airflow_provider_dify.knowledge.flow import Deadline
        from airflow_provider_dify.transport.clock import current

        if self.deferrable:
            return Deadline(self.timeout, current().time)
        if self.reschedule:
            first = _first_poke(self, context)
            return Deadline(self.timeout, current().time, first.timestamp() if first else None)
        return Deadline(self.timeout, current().monotonic)

    def _defer(self, wait: IndexingWait, deadline: Deadline) -> None:
        from airflow_provider_dify.transport.clock import current

        self.log.info("The triggerer continues to wait, for up to %s.", duration(deadline.remaining))
        began = current().time() - deadline.elapsed
        hand_over(self, wait, began, patience(deadline.remaining, len(wait.document_ids)))


def _first_poke(sensor: BaseSensorOperator, context: Context) -> datetime | None:
    """Return when a rescheduled sensor checked for the first time; ``None`` if this is the first time."""
    task_instance: Any = context["ti"]
    if hasattr(task_instance, "get_first_reschedule_date"):
        first: datetime | None = task_instance.get_first_reschedule_date(context)
        return first
    # Airflow 2 only has this; its own sensors use it.
    from airflow.sensors.base import _orig_start_date  # type: ignore[import-not-found,unused-ignore]

    first = _orig_start_date(
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        map_index=task_instance.map_index,
        try_number=(task_instance.max_tries or 0) - (sensor.retries or 0) + 1,
    )
    return first  # noqa: RET504 - it has no type
