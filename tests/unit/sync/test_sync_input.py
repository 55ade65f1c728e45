"""What a user can write wrongly about a sync, and the operator's errors before it has sent anything."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.sync.syncing import run_sync, write

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"
RETIRE = "retire must be one of archive, disable, delete, keep, not "
PATTERN = "must be a pattern such as '*.md', or a list of them, not "

TABLE: dict[str, tuple[str, Any, str]] = {
    "no source": ("source", None, "source must be a folder: a path, a URL, or a path object, not None."),
    "an empty source": ("source", " ", "source must be a folder: a path, a URL, or a path object, not ' '."),
    "a truth as source": ("source", True, "source must be a folder: a path, a URL, or a path object, not True."),
    "a list of folders": ("source", ["/a", "/b"], "not ['/a', '/b']."),
    "a text as source": ("source", {"name": "a", "text": "b"}, "not {'name': 'a', 'text': 'b'}."),
    "a file as source": ("source", __file__, f"source must be a folder, but {__file__} is a file."),
    "a name of a knowledge base": ("dataset_id", "handbook", "dataset_id is not a UUID: 'handbook'."),
    "an empty name of the sync": ("sync_source", " ", "sync_source must be a name that is not empty, not ' '."),
    "a truth as name of the sync": (
        "sync_source",
        True,
        "sync_source must be a name that is not empty, not True",
    ),
    "the key as name of the sync": ("sync_source", KEY, "what looks like an API key: 'dataset-***'."),
    "an unknown end": ("retire", "remove", f"{RETIRE}'remove'."),
    "an end in upper case": ("retire", "ARCHIVE", f"{RETIRE}'ARCHIVE'."),
    "no end": ("retire", None, f"{RETIRE}None."),
    "text for recursive": ("recursive", "no", "recursive must be True or False, not 'no'."),
    "text for adopt": ("adopt", "no", "adopt must be True or False, not 'no'."),
    "text for dry_run": ("dry_run", "no", "dry_run must be True or False, not 'no'."),
    "a truth to include": ("include", True, f"include {PATTERN}True."),
    "nothing to exclude": ("exclude", None, f"exclude {PATTERN}None."),
    "a dict to include": ("include", {"*.md": 1}, f"include {PATTERN}{{'*.md': 1}}."),
    "an empty pattern": ("include", ["*.md", ""], f"include {PATTERN}['*.md', '']."),
    "no prefix": ("name_prefix", None, "name_prefix must be text, not None."),
    "no documents at all": ("max_documents", 0, "max_documents must be a whole number of at least 1, not 0."),
    "no share at all": ("max_share", 0, "max_share must be a number above 0, not 0."),
    "more than all": ("max_share", 1.5, "max_share must be a share of all documents, at most 1, not 1.5."),
    "none at a time": ("max_active", 0, "max_active must be a whole number of at least 1, not 0."),
    "no time": ("timeout", 0, "timeout must be a number above 0, not 0."),
    "no pause": ("poll_interval", 0, "poll_interval must be a number above 0, not 0."),
    "no time to stall": ("stall_timeout", 0, "stall_timeout must be a number above 0, not 0."),
    "a size with its unit": (
        "max_file_size",
        "15 MB",
        "max_file_size must be a whole number of at least 1, not '15 MB'.",
    ),
    "a size that is no number": ("max_file_size", {}, "max_file_size must be a whole number of at least 1, not {}."),
    "no bytes": ("max_file_size", -1, "max_file_size must be a whole number of at least 1, not -1."),
    "a text for follow_links": ("follow_links", "no", "follow_links must be True or False, not 'no'."),
    "an encoding of names": ("encoding", "idna", "encoding must be an encoding such as 'utf-8'"),
    "an unknown encoding": ("encoding", "no such", "encoding must be an encoding such as 'utf-8'"),
    "a list as metadata": ("metadata", [1], "metadata must map names of metadata fields to values, not [1]."),
    "a text as metadata": ("metadata", "team", "metadata must map names of metadata fields to values, not 'team'."),
    "a truth as name of metadata": (
        "metadata",
        {True: 2},
        "metadata contains something that is not the name of a metadata field",
    ),
    "a truth as metadata": ("metadata", {"draft": True}, "metadata['draft'] must be text, a finite number, or a dat"),
    "a list in metadata": ("metadata", {"a": ["b"]}, "metadata['a'] must be text, a finite number, or a datetime"),
    "a time without its zone": ("metadata", {"at": datetime(2026, 1, 1)}, "Give it a time zone."),  # noqa: DTZ001
    "rendered metadata": ("metadata", '{"draft": true}', "metadata['draft'] must be text, a finite number"),
    "a built-in field": ("metadata", {"source": "x"}, "metadata names 'source', a built-in field"),
    "the field of the sync": (
        "metadata",
        {"sync_source": "x"},
        "metadata names 'sync_source', which keeps the name of",
    ),
    "the field of digests": (
        "metadata",
        {"content_sha256": "x"},
        "metadata names 'content_sha256', which keeps the dig",
    ),
    "a text as rule": ("process_rule", "automatic", "process_rule must be a mapping"),
    "an unknown outcome": ("tolerate", ["missing"], "tolerate must be one of created, updated, renamed, restored, "),
}


@pytest.mark.parametrize("wrong", TABLE)
def test_what_is_wrong_is_said_before_anything_is_sent(dify: FakeDify, kb: Dataset, tmp_path: Path, wrong: str) -> None:
    parameter, value, says = TABLE[wrong]
    write(tmp_path, {"a.md": "A"})
    result = run_sync(kb, **{"source": str(tmp_path), parameter: value})
    assert type(result.error) is DifyInputError
    assert isinstance(result.error, AirflowFailException)
    assert says in str(result.error)
    assert KEY not in str(result.error)
    assert dify.requests == []


def test_templates_render_to_texts(kb: Dataset, tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "About penguins."})
    result = run_sync(kb, tmp_path, metadata='{"team": "docs"}', process_rule="{'mode': 'automatic'}")
    assert result.error is None
    assert kb.documents[0].metadata["team"] == "docs"


def test_metadata_that_does_not_fit_is_told_before_there_are_documents(
    dify: FakeDify, kb: Dataset, tmp_path: Path
) -> None:
    kb.add_document("old", metadata={"team": "hr"})
    result = run_sync(kb, write(tmp_path, {"a.md": "A"}), metadata={"team": 5})
    assert isinstance(result.error, DifyInputError)
    assert "Metadata field 'team' has values of type string" in str(result.error)
    assert [request.method for request in dify.requests if request.method != "GET"] == []
    assert len(kb.documents) == 1


def test_an_empty_knowledge_base_wants_a_technique(dify: FakeDify, tmp_path: Path) -> None:
    kb = dify.add_dataset("empty", indexing_technique=None)  # type: ignore[arg-type]
    result = run_sync(kb, str(write(tmp_path, {"a.md": "A"})), indexing_technique=None)
    assert "indexing_technique" in str(result.error)
    assert [request.method for request in dify.requests] == ["GET"]
