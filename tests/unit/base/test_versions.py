"""Versions of Dify: how they are read, and that nothing is sent that hangs in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge import versions
from airflow_provider_dify.knowledge.answers import Fields
from airflow_provider_dify.knowledge.documents import Dataset as KnowledgeBase
from airflow_provider_dify.knowledge.ingest.target import check_replacing
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.base.driving import DATASET
from tests.unit.conftest import Ingest, text
from tests.unit.sync.syncing import run_sync, write


def as_version(dify: FakeDify, version: str) -> FakeDify:
    """Let a Dify be of a version, and say so."""
    dify.version = dify.world.version = version
    return dify


@pytest.fixture
def used(kb: Dataset) -> Dataset:
    """A knowledge base with a document."""
    kb.add_document("there.md", text="About foxes.")
    return kb


class TestReplacing:
    """If Dify hangs when contents are replaced, nothing is sent that would replace one."""

    @pytest.fixture
    def old(self, dify: FakeDify) -> FakeDify:
        return as_version(dify, "1.12.1")

    def test_an_ingestion(self, old: FakeDify, used: Dataset, ingest: Ingest) -> None:
        result = ingest([text("new.md"), text("there.md", "About elephants.")])
        assert type(result.error) is DifyInputError
        assert str(result.error).startswith("Dify 1.12.1 hangs when the content of a document is replaced")
        assert "if_exists='new_version'" in str(result.error)
        assert "1 document: 'there.md'." in str(result.error)
        assert {request.method for request in old.requests} == {"GET"}
        assert result.outcomes == {"new.md": "not_attempted", "there.md": "not_attempted"}
        assert used.documents[0].in_search

    @pytest.mark.parametrize("if_exists", ["new_version", "for_release", "skip"])
    def test_another_way_to_ingest(self, old: FakeDify, used: Dataset, ingest: Ingest, if_exists: str) -> None:
        assert ingest([text("new.md"), text("there.md", "About elephants.")], if_exists=if_exists).error is None

    def test_an_ingestion_of_what_is_new_or_unchanged(self, old: FakeDify, ingest: Ingest) -> None:
        assert ingest(text("new.md")).error is None
        assert ingest([text("new.md"), text("more.md")]).outcomes == {"new.md": "skipped", "more.md": "created"}

    @pytest.mark.parametrize(
        "files", [{"a.md": "About dates instead."}, {"b.md": "About apples."}], ids=["update", "rename"]
    )
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_a_sync(self, old: FakeDify, kb: Dataset, tmp_path: Path, files: dict[str, str], dry_run: bool) -> None:
        assert run_sync(kb, str(write(tmp_path, {"a.md": "About apples."}))).error is None
        before = len(old.requests)
        result = run_sync(kb, str(write(tmp_path, files)), dry_run=dry_run)
        assert type(result.error) is DifyInputError
        assert "disable these documents first" in str(result.error)
        assert "1 document: 'a.md'." in str(result.error)
        assert {request.method for request in old.requests[before:]} == {"GET"}
        assert kb.documents[0].in_search

    def test_a_sync_does_what_the_error_says(self, old: FakeDify, kb: Dataset, tmp_path: Path) -> None:
        assert run_sync(kb, str(write(tmp_path, {"a.md": "About apples."}))).error is None
        kb.documents[0].set(enabled=False)
        assert run_sync(kb, str(write(tmp_path, {"a.md": "About dates instead."}))).outcomes == {"created": ["a.md"]}

    @pytest.mark.parametrize("version", [None, "", "unknown", "1.11.4", "1.13.0", "1.14.1", "1.16.0", "2.0.0"])
    def test_other_versions_and_unknown_ones_are_fine(self, version: str | None) -> None:
        check_replacing(replace(KnowledgeBase.read(Fields(DATASET)), server_version=version), ["there.md"], "wait.")

    def test_an_ingestion_with_another_version(self, dify: FakeDify, used: Dataset, ingest: Ingest) -> None:
        as_version(dify, "1.14.1")
        assert ingest(text("there.md", "About elephants.")).outcomes == {"there.md": "updated"}


@pytest.mark.parametrize(
    ("version", "parts"),
    [
        ("1.16.0", (1, 16, 0)),
        ("1.9", (1, 9, 0)),
        ("v1.12.1", (1, 12, 1)),
        (" 1.16.0-rc1 ", (1, 16, 0)),
        ("1.12.1+internal", (1, 12, 1)),
        ("main", None),
        ("1", None),
        ("", None),
        (None, None),
        ("1.1234567", None),
    ],
)
def test_versions_are_read_as_dify_writes_them(version: str | None, parts: versions.Version | None) -> None:
    assert versions.parse(version) == parts


@pytest.mark.parametrize("version", ["1.12.0", "1.12.1", "1.12.99", "v1.12.1-fix.1"])
def test_where_replacing_hangs(version: str) -> None:
    assert versions.REPLACING_HANGS.holds(version)
