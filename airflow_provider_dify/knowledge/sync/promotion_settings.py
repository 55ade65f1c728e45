"""The settings that a knowledge base gets from an export, if nobody has chosen any yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.bases.options import KnowledgeBaseOptions
from airflow_provider_dify.knowledge.bases.provision import Provision
from airflow_provider_dify.knowledge.bases.settings import Technique, whole_search
from airflow_provider_dify.knowledge.documents import Dataset
from airflow_provider_dify.knowledge.export.manifest import ExportManifest
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.ingest.options import DocumentOptions
from airflow_provider_dify.knowledge.retries import Retries


def document_options(manifest: ExportManifest, options: DocumentOptions, dataset: Dataset) -> DocumentOptions:
    """Return how documents are sent: what neither the user nor the knowledge base determines is as in the export.

    :raises DifyInputError: The knowledge base cuts documents in another form.
    """
    settings: Mapping[str, Any] = manifest.settings  # whatever it has: the options check it
    technique = options.indexing_technique or dataset.indexing_technique or settings.get("indexing_technique")
    exported = settings.get("doc_form")
    if options.doc_form is None and dataset.doc_form and exported and dataset.doc_form != exported:
        raise DifyInputError(
            f"Knowledge base {dataset.id} has the form {dataset.doc_form}, and the export has {inputs.show(exported)}. "
            f"Nothing was sent. Use an empty knowledge base, or set doc_form to '{dataset.doc_form}' to accept that "
            "Dify cuts the documents differently."
        )
    form = options.doc_form or dataset.doc_form or exported
    # It only stands for the rules of the export, which are sent with the documents that they belong to.
    rule = options.process_rule or next(iter(manifest.rules.values()), None)
    return replace(options, indexing_technique=technique, doc_form=form, process_rule=rule)


def set_up(
    manifest: ExportManifest, options: DocumentOptions, dataset: Dataset, deadline: Deadline, retries: Retries
) -> Flow[None]:
    """Give a knowledge base the settings of the exported one, and read them back.

    One that has an indexing technique keeps its settings: somebody has chosen them.

    :raises DifySetupFailed: Dify cannot apply them; nothing was sent.
    """
    settings: Mapping[str, Any] = manifest.settings  # whatever it has: the options check it
    technique = settings.get("indexing_technique")
    if dataset.indexing_technique or not technique or options.indexing_technique not in (None, technique):
        return
    vectors = technique == Technique.HIGH_QUALITY.value
    wanted = KnowledgeBaseOptions(
        description=settings.get("description") or None,
        indexing_technique=technique,
        embedding_model=settings.get("embedding_model") or None if vectors else None,
        embedding_model_provider=settings.get("embedding_model_provider") or None if vectors else None,
        retrieval_model=whole_search({}, settings.get("retrieval_model_dict") or {}, technique),
    )
    yield from Provision(None, wanted, dataset_id=dataset.id).flow(deadline, retries)
