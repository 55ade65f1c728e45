"""The methods of the hook that search a knowledge base."""

from __future__ import annotations

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge.retrieval import search as retrieval
from airflow_provider_dify.knowledge.retrieval.search import Hit


class RetrievalVerbs(FlowHook):
    """Searches knowledge bases."""

    def retrieve(
        self,
        dataset_id: str,
        query: str,
        *,
        top_k: int = 5,
        search_method: str | None = None,
        score_threshold: float | None = None,
    ) -> tuple[Hit, ...]:
        """Search a knowledge base with its own settings, except those given here.

        https://docs.dify.ai/api-reference/knowledge-bases/retrieve-chunks-from-a-knowledge-base-test-retrieval

        :param dataset_id: UUID of the knowledge base.
        :param query: What to search for, at most 250 characters.
        :param top_k: How many segments to return, at most 100. Several can belong to one document.
        :param search_method: ``keyword_search`` (the only one of an economy knowledge base), ``semantic_search``,
            ``full_text_search`` or ``hybrid_search``; ``None``: as set in the knowledge base.
        :param score_threshold: Only segments with at least this score, from 0 to 1; ``None``: as set in the knowledge
            base.
        :return: The segments, best first, each with its document.
        :raises DifyInputError: The arguments are invalid.
        :raises DifyNotFoundError: The key cannot access such a knowledge base.
        """
        return self.run(
            retrieval.retrieve(
                dataset_id, query, top_k=top_k, search_method=search_method, score_threshold=score_threshold
            )
        )
