"""The errors of a release."""

from __future__ import annotations

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyReleaseError,
    DifyReleaseFailed,
    DifyReleaseIncomplete,
    DifyReleaseUndone,
)
from airflow_provider_dify.knowledge.release.manifest import Manifest, ReleaseState
from airflow_provider_dify.knowledge.report import some_of


def not_released(cause: DifyError, manifest: Manifest) -> DifyReleaseError:
    """Return the error of a release of which a step failed.

    :param cause: The step's error.
    :param manifest: The current state.
    """
    failed = f"Release {manifest.release} failed at step '{manifest.step}'. {cause.message}"
    if manifest.state is ReleaseState.UNDONE:
        kind = DifyReleaseFailed if cause.final else DifyReleaseUndone
        error: DifyReleaseError = kind(f"{failed} All of it was undone: everything is as before.", manifest)
    elif manifest.state is ReleaseState.PARTLY_DELETED:
        left = tuple(i for i in manifest.old if i not in manifest.deleted and i not in manifest.missing)
        error = DifyReleaseIncomplete(
            f"{failed} The new version is in search and the old one is not, but {len(left)} of {len(manifest.old)} "
            f"old documents are not deleted ({some_of(left)}). That cannot be undone; a retry deletes the rest.",
            manifest,
        )
    else:
        left = manifest.not_undone
        error = DifyReleaseIncomplete(
            f"{failed} It could not be completely undone: {len(left)} documents are not as they were before "
            f"({some_of(left)}). The errors in the report say why. A retry continues from there, and so does "
            "DifyRollbackOperator with the report as its manifest.",
            manifest,
        )
    error.retry_after = cause.retry_after
    return error


def missing_documents(ids: tuple[str, ...], dataset_id: str, manifest: Manifest) -> DifyReleaseFailed:
    """Return the error for documents that do not exist."""
    return DifyReleaseFailed(
        f"{len(ids)} documents of release {manifest.release} are not in knowledge base {dataset_id} ({some_of(ids)}). "
        "Check the ids and the dataset id. If old documents may be gone, tolerate 'missing'.",
        manifest,
    )


def changed_meanwhile(ids: tuple[str, ...], manifest: Manifest) -> DifyReleaseError:
    """Return the error for documents that somebody has changed a moment ago."""
    return DifyReleaseError(
        f"{len(ids)} documents of knowledge base {manifest.dataset_id} are not as the release left them "
        f"({some_of(ids)}). Dify's worker or somebody else changed them in the meantime.",
        manifest,
    )
