"""What a user can write wrongly about a release, and the operator's errors before it has changed anything."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyError,
    DifyGuardError,
    DifyInputError,
    DifyNotFoundError,
    DifyReleaseFailed,
)
from airflow_provider_dify.testing import FakeDify
from tests.unit.conftest import patches
from tests.unit.release.release_scene import LIVE, Scene, World

ID = "5cd7dc6a-e446-4696-ad00-30036e58194e"
KEY = "dataset-Qm7tZk2Xw9Lr4VbN8yHc1JdF"

TABLE: list[tuple[str, dict[str, Any], type[DifyError], tuple[str, ...]]] = [
    ("no new document", {"document_ids": []}, DifyInputError, ("document_ids contains no id: [].",)),
    ("no id", {"document_ids": "page"}, DifyInputError, ("document_ids[0] is not a UUID: 'page'.",)),
    ("the key", {"document_ids": [KEY]}, DifyInputError, ("document_ids[0] is not a UUID: 'dataset-***'.",)),
    ("a mapping that is no report", {"document_ids": {"ids": [ID]}}, DifyInputError,
     ("document_ids is a mapping without 'document_ids'",)),
    ("not said what is replaced", {"replaces": None}, DifyInputError,
     ("replaces must say what the new documents replace: ids, filters, 'previous_release'", "Use an empty list")),
    ("an empty text is replaced", {"replaces": ""}, DifyInputError, ("replaces must say what",)),
    ("an id that is replaced is none", {"replaces": ["page"]}, DifyInputError, ("replaces[0] is not a UUID: 'page'.",)),
    ("an unknown filter", {"replaces": {"colour": "red"}}, DifyInputError, ("filters.colour is unknown",)),
    ("no condition", {"replaces": {}}, DifyInputError, ("filters has no condition",)),
    ("an unknown way to retire", {"retire": "hide"}, DifyInputError,
     ("retire must be one of archive, disable, delete, not 'hide'.",)),
    ("an unknown end", {"until": "archive"}, DifyInputError, ("until must be one of enable, retire, not 'archive'.",)),
    ("an unknown outcome", {"tolerate": ("busy",)}, DifyInputError, ("tolerate must be one of missing, not 'busy'.",)),
    ("a channel with a bar", {"channel": "a | b"}, DifyInputError, ("channel must be text of at most 250 char",)),
    ("no channel", {"channel": ""}, DifyInputError, ("channel must be text", "not ''.")),
    ("a release that is no text", {"release": None, "channel": True}, DifyInputError, ("channel must be", "not True.")),
    ("queries without end", {"queries": [{"query": ""}]}, DifyInputError, ("query",)),
    ("no time", {"timeout": 0}, DifyInputError, ("timeout must be a number above 0, not 0.",)),
    ("text as time", {"timeout": "soon"}, DifyInputError, ("timeout must be a number above 0, not 'soon'.",)),
    ("no pause", {"poll_interval": 0}, DifyInputError, ("poll_interval must be a number above 0, not 0.",)),
    ("no batch", {"batch_size": 0}, DifyInputError, ("batch_size must be a whole number of at least 1, not 0.",)),
    ("perhaps a dry run", {"dry_run": "yes"}, DifyInputError, ("dry_run must be True or False, not 'yes'.",)),
    ("perhaps a repair", {"repair": 1}, DifyInputError, ("repair must be True or False, not 1.",)),
    ("a share above all", {"max_share": 2}, DifyInputError, ("max_share must be a share of all documents",)),
    ("a name of a knowledge base", {"dataset_id": "handbook"}, DifyInputError, ("dataset_id is not a UUID: 'handb",)),
    # right in form
    ("an unknown knowledge base", {"dataset_id": ID}, DifyNotFoundError, ("Dataset not found.",)),
    ("more than allowed", {"max_documents": 1}, DifyGuardError, ("2 documents are selected, and max_documents all",)),
    ("more than a share", {"max_share": 0.1}, DifyGuardError, ("2 of 3 documents (66.7%) are selected, and max",)),
    ("an unknown old document", {"replaces": [ID]}, DifyReleaseFailed, ("1 document of release", ID, "tolerate")),
    ("an unknown new document", {"document_ids": [ID], "tolerate": "missing"}, DifyReleaseFailed, (ID,)),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "says"), [pytest.param(*row[1:], id=row[0]) for row in TABLE])
def test_what_is_wrong_is_said_before_anything_is_changed(
    dify: FakeDify, given: dict[str, Any], kind: type[DifyError], says: tuple[str, ...]
) -> None:
    scene = Scene(dify, World(new=[(False, False)], old=[LIVE, LIVE]))
    error = scene.release(**given)
    assert type(error) is kind
    text = str(error)
    assert all(part in text for part in says), text
    assert len(text) < 700
    assert KEY not in text
    assert {request.method for request in dify.requests} <= {"GET"}
    assert patches(dify) == []
    if kind is DifyInputError:
        assert dify.requests == []
    else:
        assert scene.report["state"] == "not_begun"
        assert not error.retryable
    assert scene.wholly_old


def test_a_new_document_that_is_an_old_one_is_refused(dify: FakeDify) -> None:
    scene = Scene(dify, World(new=[(False, False)], old=[LIVE]))
    error = scene.release(replaces=[scene.old[0].id, scene.new[0].id.upper()])
    assert type(error) is DifyInputError
    assert f"1 document is given both as new and as old, {scene.new[0].id}" in str(error)
    assert dify.requests == []


def test_old_ones_that_are_gone_can_be_tolerated(dify: FakeDify) -> None:
    scene = Scene(dify, World(new=[(False, False)], old=[LIVE]))
    assert scene.release(replaces=[ID, scene.old[0].id], tolerate="missing") is None
    assert scene.report["missing"] == [ID]
    assert scene.report["retired"] == [scene.old[0].id]
