"""All endpoints and their handlers."""

from __future__ import annotations

from airflow_provider_dify.testing.api import (
    creating,
    metadata,
    reading,
    searching,
    segments,
    status,
    writing,
)
from airflow_provider_dify.testing.api.bases import datasets, models, pipelines, tags
from airflow_provider_dify.testing.api.call import Route, open_route, route

ROUTES: list[Route] = [
    route("/datasets", get=reading.list_datasets, post=datasets.create_dataset),
    route(
        "/datasets/{dataset}",
        get=reading.get_dataset,
        patch=datasets.update_dataset,
        delete=datasets.delete_dataset,
    ),
    route(
        "/datasets/tags",
        get=tags.list_tags,
        post=tags.create_tag,
        patch=tags.rename_tag,
        delete=tags.delete_tag,
    ),
    route("/datasets/tags/binding", post=tags.bind_tags),
    route("/datasets/tags/unbinding", post=tags.unbind_tags),
    route("/datasets/{dataset}/tags", get=tags.tags_of_dataset),
    route("/datasets/{dataset}/pipeline/datasource-plugins", get=pipelines.plugins),
    route("/workspaces/current/models/model-types/{type}", get=models.list_models),
    route("/datasets/{dataset}/retrieve", post=searching.retrieve),
    route("/datasets/{dataset}/hit-testing", post=searching.retrieve),
    route("/datasets/{dataset}/document/create-by-text", post=creating.create_by_text),
    route("/datasets/{dataset}/document/create_by_text", post=creating.create_by_text),
    route("/datasets/{dataset}/document/create-by-file", post=creating.create_by_file),
    route("/datasets/{dataset}/document/create_by_file", post=creating.create_by_file),
    route("/datasets/{dataset}/documents/download-zip", post=reading.download_zip),
    route("/datasets/{dataset}/documents/{document}/download", get=reading.download),
    open_route("/files/{file}/file-preview", get=reading.file_preview),
    route("/datasets/{dataset}/documents", get=reading.list_documents),
    route("/datasets/{dataset}/documents/retry", post=writing.retry_documents),
    route("/datasets/{dataset}/documents/status/{action}", patch=status.change_status),
    route("/datasets/{dataset}/documents/{batch}/indexing-status", get=reading.indexing_status),
    route(
        "/datasets/{dataset}/documents/{document}",
        get=reading.get_document,
        patch=creating.update_by_file,
        delete=writing.delete_document,
    ),
    route("/datasets/{dataset}/documents/{document}/update-by-text", post=creating.update_by_text),
    route("/datasets/{dataset}/documents/{document}/update_by_text", post=creating.update_by_text),
    route("/datasets/{dataset}/documents/{document}/update-by-file", post=creating.update_by_file),
    route("/datasets/{dataset}/documents/{document}/update_by_file", post=creating.update_by_file),
    route("/datasets/{dataset}/documents/{document}/segments", get=segments.list_segments, post=segments.add_segments),
    route(
        "/datasets/{dataset}/documents/{document}/segments/{segment}",
        get=segments.get_segment,
        post=segments.update_segment,
        delete=segments.delete_segment,
    ),
    route(
        "/datasets/{dataset}/documents/{document}/segments/{segment}/child_chunks",
        get=segments.list_children,
        post=segments.add_child,
    ),
    route(
        "/datasets/{dataset}/documents/{document}/segments/{segment}/child_chunks/{child}",
        patch=segments.update_child,
        delete=segments.delete_child,
    ),
    route("/datasets/{dataset}/documents/metadata", post=metadata.assign),
    route("/datasets/{dataset}/metadata", get=metadata.list_fields, post=metadata.create_field),
    route("/datasets/{dataset}/metadata/{field}", patch=metadata.rename_field, delete=metadata.delete_field),
    route("/datasets/{dataset}/metadata/built-in", get=metadata.built_in_fields),
    route("/datasets/{dataset}/metadata/built-in/{action}", post=metadata.switch_built_in),
]
