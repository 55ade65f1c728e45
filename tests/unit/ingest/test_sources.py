"""Sources of an ingestion: odd files, odd names, and invalid values."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyIngestFailed, DifyInputError
from airflow_provider_dify.operators.ingest import DifyDocumentIngestOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import Ingest, names, text


@pytest.mark.parametrize(
    "name",
    ["ünï 😀.md", "  spaced .md", "UPPER.MD", ".leading.md", "per%20_%.md", "semi;colon='.md", "x" * 197 + ".md"],
)
def test_odd_names_arrive_as_they_are(kb: Dataset, ingest: Ingest, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hello")
    assert ingest(tmp_path / name).outcomes == {name: "created"}
    assert names(kb) == {name: 1}
    assert ingest(tmp_path / name).outcomes == {name: "skipped"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ('a"b.md', "'\"'"),
        ("a\nb.md", "'\\n'"),
        ("a\\b.md", "'\\\\'"),
        ("a:b.md", "':'"),
        # It would arrive as a"b.md (Dify 1.16.0, file 26).
        ("a%22b.md", "'%22'"),
        ("x" * 198 + ".md", "201 characters"),
        (os.fsdecode(b"bad\xff.md"), "not valid text"),
    ],
)
def test_names_that_would_not_arrive_are_refused(
    kb: Dataset, ingest: Ingest, tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / name).write_text("hello")
    result = ingest([tmp_path / name, text("other"), {"path": tmp_path / name, "name": "better.md"}])
    assert [entry["outcome"] for entry in result.report["documents"]] == ["invalid", "created", "created"]
    assert says in result.report["documents"][0]["error"]
    assert isinstance(result.error, DifyIngestFailed)
    assert names(kb) == {"other": 1, "better.md": 1}
    json.dumps(result.report, ensure_ascii=False).encode()  # as a database would interpret it


@pytest.mark.parametrize("name", ["x" * 201, "half \ud800", "nul \0"])
def test_names_of_texts_that_would_not_arrive_are_refused(kb: Dataset, ingest: Ingest, name: str) -> None:
    result = ingest([text(name), text("other")])
    assert [entry["outcome"] for entry in result.report["documents"]] == ["invalid", "created"]
    assert "\0" not in str(result.report)
    json.dumps(result.report, ensure_ascii=False).encode()


def test_a_version_must_not_get_too_long_a_name(kb: Dataset, ingest: Ingest) -> None:
    name = "x" * 190
    assert list(ingest(text(name), if_exists="new_version").outcomes.values()) == ["invalid"]
    assert ingest(text(name)).outcomes == {name: "created"}


def test_a_backslash_hides_no_namesake(kb: Dataset, ingest: Ingest) -> None:
    kb.add_documents(1050)
    old = kb.add_document("docs\\archive\\page", text="old", archived=True)
    assert ingest(text("docs\\archive\\page")).outcomes == {"docs\\archive\\page": "refused"}
    assert old.text == "old"


def test_links(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "file.md").write_text("hello")
    (tmp_path / "link.md").symlink_to(tmp_path / "file.md")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "nowhere.md").symlink_to(tmp_path / "not there.md")
    (tmp_path / "itself.md").symlink_to(tmp_path / "itself.md")
    wanted = {"file.md": "created", "link.md": "created", "nowhere.md": "unreadable", "itself.md": "unreadable"}
    assert ingest(tmp_path).outcomes == wanted
    assert ingest(f"{tmp_path}/**/*.md").outcomes.keys() == wanted.keys()


class Closed:
    """A folder without read permission."""

    name = "closed"

    def is_dir(self) -> bool:
        return True

    def iterdir(self) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied", "closed")

    def open(self, mode: str) -> None:
        raise AssertionError(mode)

    def __str__(self) -> str:
        return "closed"


def test_a_folder_that_must_not_be_looked_into(kb: Dataset, ingest: Ingest) -> None:
    result = ingest([Closed(), text("other")])
    assert result.outcomes == {"closed": "unreadable", "other": "created"}
    assert "Permission denied" in result.entry("closed")["error"]


def test_a_name_may_look_like_a_pattern(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "report[1].md").write_text("hello")
    assert ingest(f"{tmp_path}/report[1].md").outcomes == {"report[1].md": "created"}


def test_a_pattern_that_fits_nothing_is_no_success(dify: FakeDify, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("hello")
    source = [f"{tmp_path}/*.md", f"{tmp_path}/*.pdf"]
    result = ingest(source)
    assert isinstance(result.error, DifyInputError)
    assert "*.pdf" in str(result.error)
    assert dify.requests == []
    assert ingest(source, allow_empty=True).outcomes == {"page.md": "created"}


class Replaced(type(Path())):  # type: ignore[misc]  # Path itself cannot be derived from before Python 3.12
    """A file that is replaced by a longer one after it was checked."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        Path(self).write_text("a longer text")
        return Path(self).open(*args, **kwargs)


def test_a_file_may_be_replaced_after_it_was_looked_at(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("short")
    result = ingest(Replaced(tmp_path / "page.md"))
    assert result.outcomes == {"page.md": "unreadable"}
    assert "Is it still being written?" in result.entry("page.md")["error"]
    assert kb.documents == []
    assert result.error is not None
    assert not isinstance(result.error, AirflowFailException)  # a retry reads it again, completely
    assert ingest(tmp_path / "page.md").outcomes == {"page.md": "created"}


class Deleted(type(Path())):  # type: ignore[misc]
    """A file that is deleted after it was checked."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        Path(self).unlink(missing_ok=True)
        return Path(self).open(*args, **kwargs)


def test_a_file_may_be_deleted_after_it_was_looked_at(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_text("hello")
    result = ingest([Deleted(tmp_path / "one.md"), tmp_path / "two.md"])
    assert result.outcomes == {"one.md": "unreadable", "two.md": "created"}
    assert "cannot be read" in result.entry("one.md")["error"]
    assert result.error is not None
    assert not isinstance(result.error, AirflowFailException)  # a retry checks again, and finds one file


def test_options_may_be_rendered(kb: Dataset, ingest: Ingest) -> None:
    result = ingest(text("a"), metadata='{"team": "docs"}', process_rule="{'mode': 'automatic'}")
    assert result.error is None
    assert kb.documents[0].metadata["team"] == "docs"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"source": True}, "source must be"),
        ({"source": [{"name": "a"}]}, "source[0]"),
        ({"source": [text("")]}, "source[0]"),
        ({"source": [None]}, "source[0]"),
        ({"source": []}, "empty: it"),
        ({"source": "nowhere/nothing-*.like-this"}, "empty: it"),
        ({"if_exists": "replace"}, "if_exists"),
        ({"indexing": "later"}, "indexing"),
        ({"max_active": 0}, "max_active"),
        ({"timeout": -1}, "timeout"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"stall_timeout": 0}, "stall_timeout"),
        ({"tolerate": ["no such"]}, "tolerate"),
        ({"dataset_id": "handbook"}, "dataset_id"),
        ({"max_file_size": "15 MB"}, "max_file_size"),
        ({"metadata": "team"}, "metadata"),
        ({"metadata": {"team": ["docs"]}}, "metadata['team']"),
        ({"metadata": {"public": True}}, "metadata['public']"),
        ({"metadata": {"source": "crm"}}, "built-in"),
        ({"metadata": {"x" * 256: 1}}, "256 characters"),
        ({"metadata": {"content_sha256": "0"}}, "hash_field"),
        ({"hash_field": ""}, "hash_field"),
        ({"process_rule": "automatic"}, "process_rule"),
        ({"process_rule": ["automatic"]}, "process_rule"),
        ({"doc_form": "book"}, "doc_form"),
        ({"doc_language": 7}, "doc_language"),
        ({"indexing_technique": "cheap"}, "indexing_technique"),
    ],
)
def test_bad_input_is_told_before_anything_is_sent(
    dify: FakeDify, ingest: Ingest, arguments: dict[str, Any], part: str
) -> None:
    result = ingest(**{"source": text("a"), **arguments})
    assert isinstance(result.error, DifyInputError)
    assert part in str(result.error)
    assert dify.requests == []


def test_metadata_that_does_not_fit_is_told_before_there_are_documents(kb: Dataset, ingest: Ingest) -> None:
    ingest(text("first"), metadata={"version": 1})
    result = ingest([text("a"), text("b")], metadata={"version": "one"})
    assert isinstance(result.error, DifyInputError)
    assert set(result.outcomes.values()) == {"not_attempted"}
    assert names(kb) == {"first": 1}


def test_a_text_with_braces_can_be_kept_from_jinja(kb: Dataset) -> None:
    from airflow.providers.common.compat.sdk import literal

    texts = [text("plain.md", "Now {{ word }}."), {"name": "literal.md", "text": literal("Now {{ word }}.")}]
    operator = DifyDocumentIngestOperator(task_id="ingest", dataset_id=kb.id, source=texts)
    operator.render_template_fields({"word": "seals"})  # type: ignore[typeddict-unknown-key]
    assert [one["text"] for one in operator.source] == ["Now seals.", "Now {{ word }}."]
