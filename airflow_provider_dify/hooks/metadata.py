"""The methods of the hook for the metadata of documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_dify.hooks.base import FlowHook
from airflow_provider_dify.knowledge import inputs
from airflow_provider_dify.knowledge.metadata.fields import (
    MetadataField,
    Value,
    check_name,
    list_fields,
    rename_field,
)
from airflow_provider_dify.knowledge.metadata.report import MetadataReport
from airflow_provider_dify.knowledge.metadata.update import BATCH_SIZE, MetadataChange


class MetadataVerbs(FlowHook):
    """Sets and clears metadata, and lists and renames its fields."""

    def list_metadata_fields(self, dataset_id: str) -> tuple[MetadataField, ...]:
        """List the metadata fields of a knowledge base, without the built-in ones.

        https://docs.dify.ai/api-reference/metadata/list-metadata-fields

        :param dataset_id: UUID of the knowledge base.
        :return: The fields, each with its type and the number of documents that have a value.
        :raises DifyNotFoundError: The key cannot access such a knowledge base.
        """
        return self.run(list_fields(inputs.canonical_id(dataset_id, "dataset_id")))

    def rename_metadata_field(self, dataset_id: str, field_id: str, name: str) -> MetadataField:
        """Rename a metadata field. Documents keep their values.

        Filters have to use the new name. Do not rename the fields of a sync, such as ``sync_source``: it finds its
        documents by them.

        https://docs.dify.ai/api-reference/metadata/update-metadata-field

        :param dataset_id: UUID of the knowledge base.
        :param field_id: UUID of the field, from :meth:`list_metadata_fields`.
        :param name: Its new name, at most 255 characters. If the field has it already, nothing is changed.
        :return: The field, read back.
        :raises DifyInputError: The name is invalid, or that of a built-in field; nothing was sent.
        :raises DifyNotFoundError: The key cannot access such a knowledge base, or it has no such field.
        :raises DifyRequestError: Another field has this name, or somebody else is changing the fields.
        """
        return self.run(
            rename_field(
                inputs.canonical_id(dataset_id, "dataset_id"),
                inputs.canonical_id(field_id, "field_id"),
                check_name(name, "name"),
            )
        )

    def set_document_metadata(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | str,
        values: Mapping[str, Value],
        *,
        batch_size: int = BATCH_SIZE,
        timeout: float = 300.0,
        tolerate: Iterable[str] = (),
    ) -> MetadataReport:
        """Give documents the same metadata values, and confirm that they have them. Their other values stay.

        https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents.
        :param values: The values by field name: text, numbers, or datetimes with a time zone, which Dify keeps in whole
            seconds; ``None`` removes a value. Missing fields are created with the type of their value.
        :param batch_size: Maximum number of documents in one request.
        :param timeout: Seconds to wait for documents whose metadata somebody else is changing.
        :param tolerate: Outcomes that should not raise, such as ``missing``.
        :return: The outcome of each document.
        :raises DifyInputError: The arguments are invalid, or do not fit the existing fields; nothing was changed.
        :raises DifyMetadataError: Documents do not have the values.
        :raises DifyError: A request to Dify failed; the error's ``report`` says how far it got.
        """
        change = MetadataChange.same_for_all(dataset_id, document_ids, values, batch_size=batch_size, tolerate=tolerate)
        return self._change_metadata(change, timeout)

    def set_metadata_of_documents(
        self,
        dataset_id: str,
        values_by_id: Mapping[str, Mapping[str, Value]],
        *,
        batch_size: int = BATCH_SIZE,
        timeout: float = 300.0,
        tolerate: Iterable[str] = (),
    ) -> MetadataReport:
        """Give each document its own metadata values, and confirm that it has them. Its other values stay.

        https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param values_by_id: Values as for :meth:`set_document_metadata`, by document UUID.
        :param batch_size: Maximum number of documents in one request.
        :param timeout: Seconds to wait for documents whose metadata somebody else is changing.
        :param tolerate: Outcomes that should not raise, such as ``missing``.
        :return: The outcome of each document.
        :raises DifyError: As for :meth:`set_document_metadata`.
        """
        change = MetadataChange(dataset_id, values_by_id, batch_size=batch_size, tolerate=tolerate)
        return self._change_metadata(change, timeout)

    def clear_document_metadata(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | str,
        names: Iterable[str] | str,
        *,
        batch_size: int = BATCH_SIZE,
        timeout: float = 300.0,
        tolerate: Iterable[str] = (),
    ) -> MetadataReport:
        """Remove metadata values from documents, and confirm that they are gone. The fields and other values stay.

        https://docs.dify.ai/api-reference/metadata/update-document-metadata-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents.
        :param names: Names of the fields.
        :param batch_size: Maximum number of documents in one request.
        :param timeout: Seconds to wait for documents whose metadata somebody else is changing.
        :param tolerate: Outcomes that should not raise, such as ``missing``.
        :return: The outcome of each document; documents without such a value are ``unchanged``.
        :raises DifyError: As for :meth:`set_document_metadata`.
        """
        change = MetadataChange.same_for_all(
            dataset_id, document_ids, clear=names, batch_size=batch_size, tolerate=tolerate
        )
        return self._change_metadata(change, timeout)

    def _change_metadata(self, change: MetadataChange, timeout: float) -> MetadataReport:
        return self.run(*self._within(change, inputs.number(timeout, "timeout")))
