"""The knowledge base that documents are sent to: whether it accepts any, and in which form."""

from __future__ import annotations

import logging

from airflow_provider_dify.exceptions import DifyInputError, DifyKnowledgeBaseFailed
from airflow_provider_dify.knowledge import api, inputs, versions
from airflow_provider_dify.knowledge.documents import Dataset, DocumentForm
from airflow_provider_dify.knowledge.flow import Flow, Note
from airflow_provider_dify.knowledge.ingest.options import DocumentOptions, makes_parents


def read_target(dataset_id: str, options: DocumentOptions) -> Flow[tuple[Dataset, DocumentOptions]]:
    """Read a knowledge base, and check that it accepts documents with these options.

    :return: The knowledge base, and the options including what it determines.
    :raises DifyInputError: It is external, or the options do not fit it.
    :raises DifyKnowledgeBaseFailed: Its embedding model is not available.
    """
    dataset = yield from api.get_dataset(dataset_id)
    check_accepts(dataset)
    ready = options.for_dataset(dataset)
    if dataset.made_by_pipeline:
        text = (
            f"Knowledge base {dataset.id} was created by a knowledge pipeline. Documents that are sent through the API "
            f"bypass the pipeline: Dify splits them by its process rule instead."
        )
        yield Note(text, logging.WARNING)
    return dataset, ready


def check_accepts(dataset: Dataset) -> None:
    """Check that Dify can index documents in a knowledge base.

    :raises DifyInputError: It is external.
    :raises DifyKnowledgeBaseFailed: Its embedding model is not available.
    """
    if dataset.external:
        raise DifyInputError(
            f"Knowledge base {dataset.id} is an external one, so Dify keeps no documents in it. Add them to the "
            "system that it is connected to, or use another dataset_id."
        )
    if dataset.embedding_available is False:
        raise DifyKnowledgeBaseFailed(
            f"The embedding model of knowledge base {dataset.id} is not available, so Dify can index nothing there. "
            "Nothing was sent. Check Settings > Model Provider in Dify, or give the knowledge base another model.",
            status=None,
            server_version=dataset.server_version,
        )


def check_latest_rule(dataset: Dataset, options: DocumentOptions) -> Flow[None]:
    """Check that a knowledge base with parent-child chunks has a rule that creates them, if its rule will be used.

    Sending ``{"mode": "automatic"}`` once removes that rule (1.16.0, file 22).

    :raises DifyInputError: It has another rule: Dify would create documents without chunks.
    """
    if options.process_rule is not None or options.doc_form != DocumentForm.HIERARCHICAL.value:
        return
    rule = yield from api.latest_rule(dataset.id)
    if rule is None or makes_parents(rule):
        return
    raise DifyInputError(
        f"The latest process rule of knowledge base {dataset.id} has no parent_mode (its mode is "
        f"{inputs.show(rule.get('mode'))}), so Dify would create no chunks, and search would find nothing. Nothing "
        "was sent. Set process_rule to {'mode': 'hierarchical', 'rules': {'parent_mode': 'paragraph', ...}}."
    )


def check_replacing(dataset: Dataset, names: list[str], alternatives: str) -> None:
    """Check that this version of Dify can replace contents in place.

    :param names: The documents whose content would be replaced.
    :param alternatives: What to do instead.
    :raises DifyInputError: It cannot: it would accept the content, and hang.
    """
    version = versions.parse(dataset.server_version)
    if not names or version is None or not versions.REPLACING_HANGS.holds(dataset.server_version):
        return
    raise DifyInputError(
        f"Dify {versions.show(version)} hangs when the content of a document is replaced: the document stays in "
        f"indexing, and out of search. Nothing was sent. Upgrade Dify, or {alternatives} It concerns {len(names)} "
        f"document{'s' if len(names) > 1 else ''}: "
        f"{', '.join(inputs.show(name) for name in names[:5])}{' and others' if len(names) > 5 else ''}."
    )
