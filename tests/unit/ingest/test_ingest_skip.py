"""``if_exists="skip"``: documents of a killed try are completed, all others are left unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import DifyAuthenticationError
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Document as Listed
from airflow_provider_dify.testing import Dataset, FakeDify, Fault
from tests.unit.conftest import Ingest, text

CONTENT = "Über Pinguine."
DIGEST = hashlib.sha256(CONTENT.encode()).hexdigest()


@pytest.mark.parametrize("kind", ["text", "file"])
def test_it_completes_what_a_killed_try_made(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "a.md").write_text(CONTENT)
    source: Any = tmp_path if kind == "file" else text("a.md", CONTENT)
    dify.faults.add(Fault("status", method="POST", path="metadata", status=401, times=None))
    assert isinstance(ingest(source, if_exists="skip", metadata={"team": "x"}).error, DifyAuthenticationError)
    dify.faults.clear()
    assert [document.metadata for document in kb.documents] == [{}]
    assert ingest(source, if_exists="skip", metadata={"team": "x"}).outcomes == {"a.md": "skipped"}
    assert [document.metadata for document in kb.documents] == [{"team": "x", "content_sha256": DIGEST}]
    assert ingest(source).outcomes == {"a.md": "skipped"}


@pytest.mark.parametrize("other", [{"text": "Longer than that."}, {"text": CONTENT, "metadata": {"a": "b"}}])
def test_it_leaves_what_others_made(dify: FakeDify, kb: Dataset, ingest: Ingest, other: dict[str, Any]) -> None:
    document = kb.add_document("a.md", **other)
    before = dict(document.metadata)
    assert ingest(text("a.md", CONTENT), if_exists="skip", metadata={"team": "x"}).outcomes == {"a.md": "skipped"}
    assert document.metadata == before
    assert not any(request.changes for request in dify.requests)


def test_what_came_from_the_console_is_known() -> None:
    item: dict[str, Any] = {"id": "i", "name": "a", "indexing_status": "completed", "enabled": True, "archived": False}
    file = {"data_source_detail_dict": {"upload_file": {"size": 5}}}
    assert not Listed.read(Fields({**item, "created_from": "web"})).by_api
    assert Listed.read(Fields({**item, "created_from": "api", **file})).by_api
    assert Listed.read(Fields({**item, **file})).size == 5
    odd: Any
    for odd in (None, [], {"upload_file": None}, {"upload_file": {"size": "5"}}, {"website": {}}):
        assert Listed.read(Fields({**item, "data_source_detail_dict": odd})).size is None
