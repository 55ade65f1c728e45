"""Names of files and documents: they arrive unchanged, or an error says why not; forms of Unicode do not matter."""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_dify.exceptions import DifyInputError, DifySyncFailed
from airflow_provider_dify.files import problem_of_name
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.text.names import canonical, forms, same_in_all_forms
from airflow_provider_dify.operators.retrieval import DifyRetrievalCheckOperator
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import Change, Ingest, TaskInstance, names, text
from tests.unit.sync.syncing import in_search, run_sync, write

NFC = unicodedata.normalize("NFC", "Gebühren Müller.md")
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(
    "name",
    [
        "ACME Inc..pdf",
        "To be continued...md",
        "a.b.c.md",
        "..a.md",
        "  spaced .md",
        "x.MD",
        "per%20cent 100%.md",
        "a\u200fb.md",
    ],
)
def test_names_that_dify_takes_are_taken(kb: Dataset, ingest: Ingest, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"%PDF hello")
    assert ingest(tmp_path / name).outcomes == {name: "created"}
    assert names(kb) == {name: 1}
    assert ingest(tmp_path / name, if_exists="new_version").error is None
    assert run_sync(kb, tmp_path, name_prefix="s-", exclude=()).names("created") == [f"s-{name}"]


REFUSED = {
    "no extension": ("LICENSE", "Its name has no extension"),
    "a dot at the end": ("page.", "Its name has no extension"),
    "a dot at the beginning": (".md", "Its name has no extension"),
    "only dots": ("...", "Its name has no extension"),
    "dots before the type": ("....md", "Its name has no extension"),
    "a colon": ("a: b.md", "Its name contains ':'"),
    "a quotation mark that is escaped": (
        "a%22b.md",
        ("Its name contains '%22', which Dify would turn into a quotation mark."),
    ),
    "a mark that nobody sees": ("page.md\u200f", "Its name ends in '.md\\u200f', which is not a file extension."),
    "no type": ("page.md~", "Its name ends in '.md~', which is not a file extension."),
    "a long name": ("x" * 198 + ".md", "Its name has 201 characters, and Dify keeps only 200."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_advice_for_other_names_works(kb: Dataset, ingest: Ingest, tmp_path: Path, case: str) -> None:
    name, says = REFUSED[case]
    write(tmp_path, {name: "hello", "good.md": "hello"})
    # An ingestion: another name, or exclude.
    result = ingest(tmp_path, exclude=())
    assert result.outcomes == {name: "invalid", "good.md": "created"}
    error = result.entry(name)["error"]
    assert error.startswith(says)
    assert '{"path": ..., "name": ...}, or exclude it (exclude)' in error
    assert len(error) < 200
    assert ingest({"path": str(tmp_path / name), "name": "other.md"}).outcomes == {"other.md": "created"}
    assert ingest(tmp_path, exclude=[name]).outcomes == {"good.md": "skipped"}
    # A sync: exclude.
    other = run_sync(kb, tmp_path, sync_source="s", name_prefix="p-", exclude=())
    bad = [one for one in other.names("invalid") if one != "p-good.md"]
    if bad:  # with a prefix, some have an extension
        assert isinstance(other.error, DifySyncFailed)
        advice = f"or add {name!r} to exclude" if len(name) < 60 else "or exclude it (exclude)"
        assert advice in other.error_of(bad[0])
        assert '"path"' not in other.error_of(bad[0])
    assert run_sync(kb, tmp_path, sync_source="s", name_prefix="p-", exclude=[name]).error is None


def test_blanks_at_the_end_of_a_file_name_do_not_hide_its_type(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "page.md \u3000").write_text("hello")
    assert ingest(tmp_path).outcomes == {"page.md": "created"}
    assert ingest({"path": str(tmp_path / "page.md \u3000"), "name": "b.md  "}).outcomes == {"b.md": "created"}
    (tmp_path / "page.md").write_text("other")
    assert sorted(ingest(tmp_path).outcomes.values()) == ["invalid"]  # one entry for each, of the same name
    error = run_sync(kb, tmp_path, name_prefix="s-").error
    assert isinstance(error, DifyInputError)
    assert "would both become the document 's-page.md'" in str(error)


def test_a_path_may_have_blanks_around_it(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("hello")
    assert ingest(f" {tmp_path}/page.md\n").outcomes == {"page.md": "created"}
    assert ingest(f"\n  {tmp_path}/*.md ", if_exists="skip").outcomes == {"page.md": "skipped"}
    assert run_sync(kb, f" {tmp_path}\n", name_prefix="s-").error is None
    (tmp_path / " page.md ").write_text("another one")
    assert ingest(f"{tmp_path}/ page.md ").outcomes == {" page.md": "created"}


@pytest.mark.parametrize("filler", [0, 1050])
def test_an_update_finds_a_name_in_its_other_form(kb: Dataset, ingest: Ingest, filler: int) -> None:
    kb.add_documents(filler)
    old = kb.add_document(NFD, text="fees of 2025")
    assert ingest(text(NFC, "fees of 2026")).outcomes == {NFC: "updated"}
    assert (old.name, old.text) == (NFC, "fees of 2026")
    assert ingest(text(NFD, "fees of 2026")).outcomes == {NFC: "skipped"}


def test_nfc_is_sent(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    write(tmp_path, {NFD: "fees"})
    assert ingest([str(tmp_path), text("Ü" + NFD)]).outcomes == {NFC: "created", "Ü" + NFC: "created"}
    assert names(kb) == {NFC: 1, "Ü" + NFC: 1}


def test_two_forms_in_one_source_are_the_same_name(dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    result = ingest([text(NFC, "walrus"), text(NFD, "seal")])
    assert [entry["outcome"] for entry in result.report["documents"]] == ["created", "invalid"]
    dify.requests.clear()
    error = run_sync(kb, write(tmp_path, {NFC: "walrus", NFD: "seal"})).error
    assert isinstance(error, DifyInputError)
    assert "would both become the document" in str(error)
    assert dify.requests == []


def test_a_sync_takes_a_file_for_the_same_in_its_other_form(kb: Dataset, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"fees of 2025").hexdigest()
    kb.add_document(NFD, text="fees of 2025", metadata={"sync_source": "s", "content_sha256": digest})
    assert run_sync(kb, write(tmp_path, {NFD: "fees of 2025"}), sync_source="s").outcomes == {"kept": [NFC]}
    assert run_sync(kb, write(tmp_path, {NFD: "fees of 2026"}), sync_source="s").outcomes == {"updated": [NFC]}
    assert in_search(kb) == {NFC: "fees of 2026"}


@pytest.mark.parametrize(
    "filters", [{"name": NFC}, {"name": NFD}, {"name": "*Müller*"}, {"keyword": NFC}, {"keyword": "ü"}]
)
@pytest.mark.parametrize("name", [NFC, NFD])
def test_filters_find_both_forms(kb: Dataset, hook: DifyHook, filters: dict[str, str], name: str) -> None:
    document = kb.add_document(name)
    kb.add_document("Mull.md")
    assert [one.id for one in hook.select_documents(kb.id, filters)] == [document.id]


@pytest.mark.parametrize("expected", [NFC, NFD, "*Müller*"])
@pytest.mark.parametrize("name", [NFC, NFD])
def test_expectations_find_both_forms(kb: Dataset, name: str, expected: str) -> None:
    kb.add_document(name, text="fees of 2025")
    queries = [{"query": "fees", "expect": {"name": expected}}]
    task = DifyRetrievalCheckOperator(task_id="check", dataset_id=kb.id, queries=queries)
    assert task.execute({"ti": TaskInstance()})["passed"]  # type: ignore[typeddict-item]


def test_a_busy_document_is_known_in_its_other_form(kb: Dataset, change: Change) -> None:
    documents = [kb.add_document(NFD), kb.add_document("other.md")]
    documents[0].lock(30)
    assert change("archive", documents).changed == [NFD, "other.md"]


@given(st.text())
def test_the_part_that_is_the_same_is_in_all_forms(name: str) -> None:
    part = same_in_all_forms(name)
    assert canonical(name) in forms(name)
    assert part is None or all(part in form for form in forms(name))


@given(st.text(max_size=30))
def test_no_name_breaks_the_check(name: str) -> None:
    found = problem_of_name(name)
    assert found is None or len(found) < 120
