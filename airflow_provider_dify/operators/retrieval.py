"""Operators that check the results of searches in a Dify knowledge base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_dify import DEFAULT_CONN_ID
from airflow_provider_dify.tasks.running import CheckingTask

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_dify.knowledge.flow import JSON
    from airflow_provider_dify.knowledge.retrieval.check import RetrievalCheck
    from airflow_provider_dify.knowledge.retrieval.report import RetrievalReport


class DifyRetrievalCheckOperator(CheckingTask, BaseOperator):
    """Search a knowledge base, and check that the results contain the expected documents, and no unwanted ones.

    The report is the task's return value and, even if it fails, in XCom under the key ``report``. A table in the log
    shows each query, what was expected, and what was found.

    .. seealso:: https://docs.dify.ai/api-reference/knowledge-bases/retrieve-chunks-from-a-knowledge-base-test-retrieval

    .. code-block:: python

        DifyRetrievalCheckOperator(
            task_id="check",
            dataset_id="{{ var.value.handbook }}",
            queries=[
                {"query": "How do I reset my password?", "expect": {"name": "password*", "first": 3}},
                {"query": "holiday", "expect": "{{ ti.xcom_pull('ingest')['document_ids'][0] }}"},
                {"query": "price list", "expect_not": {"metadata": {"stage": "draft"}}, "top_k": 20},
            ],
        )

    :param queries: What to search for: a list of texts of at most 250 characters, or of mappings with ``query`` and any
        of ``expect``, ``expect_not``, ``top_k`` and ``min_score``; or a string that renders to such a list. An
        expectation is an id, or a mapping with any of ``id``, ``name`` (a pattern such as ``guide*``) and ``metadata``
        (values by name), all of which have to match, and ``first``: it has to be among this many first documents. A
        list of them is possible: all of ``expect`` have to be found, none of ``expect_not``.
    :param expect: What queries without their own expectation should return.
    :param top_k: How many segments each query returns, at most 100. Several can belong to one document.
    :param min_score: Results with a lower score, from 0 to 1, do not count. An economy knowledge base has no scores.
    :param search_method: ``keyword_search``, ``semantic_search``, ``full_text_search`` or ``hybrid_search``; ``None``:
        as set in the knowledge base.
    :param timeout: Seconds in which failed queries are repeated, because search may lag behind a change; 0: run them
        once.
    :param poll_interval: Seconds between two checks; the first checks come sooner.
    :return: The report as plain JSON: ``dataset_id``, ``passed``, ``counts`` (``passed`` and ``failed``),
        ``failed_documents`` (ids of documents that should have been found, if they were named by id, and of those that
        should not; also separately as ``missing_documents`` and ``unwanted_documents``), and ``queries``, each with
        ``query``, ``passed``, ``verdict``, ``found``, ``missing``, ``unwanted`` and ``documents`` (everything that was
        found, with ``document_id``, ``document_name``, ``rank`` and ``score``).
    :raises DifyInputError: The parameters are invalid.
    :raises DifyRetrievalCheckFailed: A query did not return the expected documents; ``result`` says which.
    :raises DifyError: A request to Dify failed.
    """

    template_fields: Sequence[str] = (
        "dify_conn_id", "dataset_id", "dataset_name", "queries", "expect", "search_method", "timeout",
    )  # fmt: skip
    template_fields_renderers = {"queries": "json", "expect": "json"}  # noqa: RUF012 - as Airflow has it
    ui_color = "#d6e4ff"
    queries: Any
    expect: Any
    top_k: int
    min_score: float | None
    search_method: str | None
    poll_interval: float
    writes = False
    # The timeout is for search to catch up: a failed request is retried even if it is 0.
    limits_retries = False

    def __init__(
        self,
        *,
        dataset_id: str | None = None,
        dataset_name: str | None = None,
        queries: Iterable[str | Mapping[str, Any]] | str,
        expect: Iterable[str | Mapping[str, Any]] | Mapping[str, Any] | str | None = None,
        top_k: int = 5,
        min_score: float | None = None,
        search_method: str | None = None,
        dify_conn_id: str = DEFAULT_CONN_ID,
        timeout: float = 0.0,
        poll_interval: float = 10.0,
        on_failure: str = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.take(locals())

    def execute(self, context: Context) -> dict[str, JSON]:
        """Run the queries, and return the report."""
        from airflow_provider_dify.knowledge import inputs
        from airflow_provider_dify.knowledge.text.counts import number_of

        self.read_on_failure()
        self.timeout = inputs.number_or_zero(self.timeout, "timeout")
        check = self.in_knowledge_base(self._check)
        return self.converse(context, check, plan=f"Asking {number_of(len(check), 'golden question')}.")

    def _check(self, dataset_id: str) -> RetrievalCheck:
        from airflow_provider_dify.knowledge.retrieval.check import RetrievalCheck

        return RetrievalCheck(
            dataset_id,
            self.queries,
            expect=self.expect,
            top_k=self.top_k,
            min_score=self.min_score,
            search_method=self.search_method,
            poll_interval=self.poll_interval,
        )

    def publish(self, report: RetrievalReport, names: Mapping[str, str], context: Context) -> None:  # noqa: ARG002 - as called
        """Log a report, and leave it for downstream tasks."""
        from airflow_provider_dify.knowledge.text.counts import part_of

        passed = len(report.answers) - len(report.failing)
        say = self.log.info if report.passed else self.log.warning
        say("%s returned the expected documents.", part_of(passed, len(report.answers), "query", "queries"))
        self.log_table("Queries and what they returned", report.table())
        self.publish_report(context, report.to_json(), action="retrieve")
