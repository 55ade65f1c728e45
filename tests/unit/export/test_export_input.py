"""What a user can write wrongly about an export: what the operator says, before it has asked Dify for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.export.exporting import run_export

TARGET = "target must be a folder: a path, a URL, or a path object, not "
#: What is wrong, and the beginning of what is said about it.
TABLE: dict[str, tuple[str, Any, str]] = {
    "no knowledge base": ("dataset_id", None, "Give dataset_id or dataset_name: dataset_id is None."),
    "a name of a knowledge base": ("dataset_id", "handbook", "dataset_id is not a UUID: 'handbook'."),
    "no target": ("target", None, f"{TARGET}None. It is missing, or an upstream task returned nothing."),
    "an empty target": ("target", " ", f"{TARGET}' '. A template rendered to nothing"),
    "a truth as target": ("target", True, f"{TARGET}True."),
    "a list of targets": ("target", ["/a", "/b"], f"{TARGET}['/a', '/b']."),
    "a file as target": ("target", __file__, f"target must be a folder, but {__file__} is a file."),
    "a target with NUL": ("target", "/srv/a\0b", "target contains a NUL character"),
    "a folder of nobody": ("target", "~nobody-has-this-name/x", "target is not a path on this machine"),
    "no scheme": ("target", "s3//:bucket://x", "target is neither a path nor a URL"),
    "an unknown scheme": ("target", "nosuch://bucket/x", "target: this Airflow cannot open nosuch://"),
    "no documents in an archive": ("batch_size", 0, "batch_size must be a whole number of at least 1, not 0."),
    "too many documents in an archive": ("batch_size", 101, "batch_size must be at most 100, not 101: Dify packs"),
    "a word for batch_size": ("batch_size", "all", "batch_size must be a whole number of at least 1, not 'all'."),
    "no time": ("timeout", 0, "timeout must be a number above 0, not 0."),
    "a time with its unit": ("timeout", "1h", "timeout must be a number above 0, not '1h'."),
    "an unknown outcome": ("tolerate", ["lost"], "tolerate must be one of downloaded, from_chunks, unchanged"),
    "a truth as outcome": ("tolerate", True, "tolerate "),
    "both an id and a name": ("dataset_name", "handbook", "Give dataset_id or dataset_name, not both"),
}


@pytest.mark.parametrize("case", TABLE)
def test_bad_input(dify: FakeDify, kb: Dataset, tmp_path: Path, case: str) -> None:
    parameter, value, expected = TABLE[case]
    result = run_export(kb, **{"target": str(tmp_path), parameter: value})
    assert isinstance(result.error, DifyInputError)
    assert isinstance(result.error, AirflowFailException)
    assert result.error.message.startswith(expected)
    assert not dify.requests
    assert not list(tmp_path.iterdir())


def test_what_templates_render(dify: FakeDify, kb: Dataset, tmp_path: Path) -> None:
    kb.add_document("page.md", text="Page.")
    result = run_export(kb, f" {tmp_path} ", batch_size="50", timeout="60", tolerate='["failed"]')
    assert result.error is None
    assert (tmp_path / "manifest.json").exists()
