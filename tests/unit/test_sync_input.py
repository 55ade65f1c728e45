"""What a user can write wrongly about a sync: what the operator says, before it has asked Dify for anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.syncing import run_sync, write

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"
RETIRE = "retire must be one of archive, disable, delete, keep, not "
PATTERN = "must be a pattern such as '*.md', or a list of them, not "

TABLE: dict[str, tuple[str, Any, str]] = {
    "no source": ("source", None, "source must be a folder: a path, an URL, or a path object, not None."),
    "an empty source": ("source", " ", "source must be a folder: a path, an URL, or a path object, not ' '."),
    "a number as source": ("source", 7, "source must be a folder: a path, an URL, or a path object, not 7."),
    "a list of folders": ("source", ["/a", "/b"], "not ['/a', '/b']."),
    "a text as source": ("source", {"name": "a", "text": "b"}, "not {'name': 'a', 'text': 'b'}."),
    "a file as source": ("source", __file__, f"source must be a folder, and {__file__} is a file."),
    "a name of a knowledge base": ("dataset_id", "handbook", "dataset_id is not a UUID: 'handbook'."),
    "an empty name of the sync": ("sync_source", " ", "sync_source must be a name, a text that is not empty, not ' '."),
    "a number as name of the sync": ("sync_source", 7, "sync_source must be a name, a text that is not empty, not 7."),
    "the key as name of the sync": ("sync_source", KEY, "what looks like an API key: 'dataset-***'."),
    "an unknown end": ("retire", "remove", f"{RETIRE}'remove'."),
    "an end in upper case": ("retire", "ARCHIVE", f"{RETIRE}'ARCHIVE'."),
    "no end": ("retire", None, f"{RETIRE}None."),
    "text for recursive": ("recursive", "false", "recursive must be True or False, not 'false'."),
    "text for adopt": ("adopt", "no", "adopt must be True or False, not 'no'."),
    "text for dry_run": ("dry_run", "no", "dry_run must be True or False, not 'no'."),
    "a number to include": ("include", 7, f"include {PATTERN}7."),
    "nothing to exclude": ("exclude", None, f"exclude {PATTERN}None."),
    "a dict to include": ("include", {"*.md": 1}, f"include {PATTERN}{{'*.md': 1}}."),
    "an empty pattern": ("include", ["*.md", ""], f"include {PATTERN}['*.md', '']."),
    "no prefix": ("name_prefix", None, "name_prefix must be a text, not None."),
    "no documents at all": ("max_documents", 0, "max_documents must be a whole number of at least 1, not 0."),
    "no share at all": ("max_share", 0, "max_share must be a number above 0, not 0."),
    "more than all": ("max_share", 1.5, "max_share must be a part of all documents, at most 1, not 1.5."),
    "none at a time": ("max_active", 0, "max_active must be a whole number of at least 1, not 0."),
    "no time": ("timeout", 0, "timeout must be a number above 0, not 0."),
    "no pause": ("poll_interval", 0, "poll_interval must be a number above 0, not 0."),
    "no time to stall": ("stall_timeout", 0, "stall_timeout must be a number above 0, not 0."),
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


def test_an_empty_knowledge_base_wants_a_technique(dify: FakeDify, tmp_path: Path) -> None:
    kb = dify.add_dataset("empty", indexing_technique=None)  # type: ignore[arg-type]
    result = run_sync(kb, str(write(tmp_path, {"a.md": "A"})), indexing_technique=None)
    assert "indexing_technique" in str(result.error)
    assert [request.method for request in dify.requests] == ["GET"]
