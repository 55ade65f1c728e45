"""Which files of a folder or pattern count: no hidden ones, no links that lead out; and no secret of
its URL is shown.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_dify.exceptions import DifyInputError, DifySourceError
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge.text.masks import url_secrets, without_url_secrets
from airflow_provider_dify.storage import unreadable
from airflow_provider_dify.testing import Dataset, FakeDify
from tests.unit.conftest import Ingest, names
from tests.unit.sync.syncing import in_search, run_sync, write

LITTER = (
    ".DS_Store", "._page.md", ".page.md", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini", "~$report.docx",
    ".~lock.report.odt#", ".git/config.md", "sub/.hidden.md", "sub/~$x.docx", "sub/Thumbs.db",
)  # fmt: skip


def test_what_is_no_content_is_left_out(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    write(tmp_path, {**dict.fromkeys(LITTER, "litter"), "page.md": "walrus", "sub/page.md": "seal"})
    assert ingest(tmp_path).outcomes == {"page.md": "created"}
    for pattern in ("*.md", "**/page.md", "*"):
        assert ingest(f"{tmp_path}/{pattern}").report["counts"]["invalid"] <= 1  # the other page.md
    assert names(kb) == {"page.md": 1}
    synced = run_sync(kb, tmp_path, recursive=True, name_prefix="s-")
    assert synced.outcomes == {"created": ["s-page.md", "s-sub__page.md"]}


def test_exclude_decides(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    write(tmp_path, {".page.md": "hidden", "page.md": "walrus", "draft.md": "seal"})
    assert ingest(f"{tmp_path}/*.md", exclude=["dr*"]).outcomes == {".page.md": "created", "page.md": "created"}
    assert ingest(tmp_path, exclude='["page.md", "draft.md"]').outcomes == {".page.md": "skipped"}
    assert ingest(tmp_path / ".page.md").outcomes == {".page.md": "skipped"}  # it is named
    error = ingest(f"{tmp_path}/.*").error
    assert isinstance(error, DifyInputError)
    assert "no file and no text. Excluded: 1 file (exclude=['.*'" in str(error)
    error = ingest(tmp_path, exclude=[["a"]]).error
    assert isinstance(error, DifyInputError)
    assert str(error).startswith("exclude must be a pattern")


@pytest.mark.parametrize("url", [False, True])
@pytest.mark.parametrize(
    ("folder", "pattern", "found"),
    [
        ("Reports [final]", "*.md", {"a.md", "b[1].md"}),
        ("Reports [final]", "[ab]*.md", {"a.md", "b[1].md"}),
        ("Reports [final]/x[2026]", "*", {"c.md"}),
        ("Reports [final]", "**/c.md", {"c.md"}),
        ("Reports [final]", "*/*.md", {"c.md"}),
        ("Reports [final]", "x[[]2026]/c.md", {"c.md"}),
        ("Reports [final]", "b[1].md", {"b[1].md"}),
        ("Reports [final]", "", {"a.md", "b[1].md"}),
        ("What?", "*.md", {"d.md"}),
    ],
)
def test_brackets_are_as_they_are_if_a_folder_is_called_so(
    kb: Dataset, ingest: Ingest, tmp_path: Path, folder: str, pattern: str, found: set[str], url: bool
) -> None:
    files = ("Reports [final]/a.md", "Reports [final]/b[1].md", "Reports [final]/x[2026]/c.md", "What?/d.md")
    # A pattern would find these.
    other = ("Reports f/e.md", "Reports f/x2/e.md", "Whats/e.md")
    write(tmp_path, dict.fromkeys((*files, *other), "text"))
    if url and "?" in folder:
        pytest.skip("An URL has a question mark for something else.")
    source = f"{'file://' if url else ''}{tmp_path}/{folder}/{pattern}"
    assert set(ingest(source).outcomes) == found
    assert set(names(kb)) == found


@pytest.mark.parametrize("kind", ["ingest", "sync"])
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("azure://handbook/pages", ("Install apache-airflow-providers-microsoft-azure, and start the source with "
                                   "abfs://.")),
        ("minio://handbook/pages", "Install apache-airflow-providers-amazon[s3fs], and start the source with s3://."),
        ("s3://handbook/pages/*.md", "Install apache-airflow-providers-amazon[s3fs]."),
        ("S3://handbook/pages", "source: this Airflow cannot open s3://"),
        ("gcs://handbook", "Install apache-airflow-providers-google, and start the source with gs://."),
        ("nothing://handbook", "source: this Airflow cannot open nothing:// (it opens file://"),
        ("S3A//x://y", "source is neither a path nor a URL: 'S3A//x://y'."),
        ("~nobody-here/x", "source is not a path on this machine: '~nobody-here/x'"),
        ("/srv/a\0b", "source contains a NUL character"),
        ("s3://[x", "'s3://[x'"),
    ],
)  # fmt: skip
def test_what_nothing_opens_is_told_before_anything_is_sent(
    dify: FakeDify, kb: Dataset, ingest: Ingest, kind: str, source: str, says: str
) -> None:
    error = ingest(source).error if kind == "ingest" else run_sync(kb, source).error
    assert isinstance(error, DifyInputError)
    assert isinstance(error, AirflowFailException)  # no retry is spent
    assert says in str(error)
    assert len(str(error)) < 200
    assert dify.requests == []


@pytest.mark.parametrize("item", [{"name": "a.md", "path": None}, {"name": "a.md", "path": True}, json, b"x"])
def test_what_is_no_path_is_told(dify: FakeDify, ingest: Ingest, item: Any) -> None:
    assert isinstance(ingest([item]).error, DifyInputError)
    assert dify.requests == []


def test_a_source_that_cannot_even_be_shown(dify: FakeDify, kb: Dataset, hook: DifyHook) -> None:
    source: list[Any] = []
    for _ in range(10_000):
        source = [source]
    with pytest.raises(DifyInputError, match="source must be a folder"):
        hook.sync_documents(kb.id, source)
    assert dify.requests == []


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with links out of it, to a file and to a folder."""
    write(tmp_path, {"out/secret.md": "secret", "in/page.md": "page", "in/sub/deep.md": "deep"})
    (tmp_path / "in/file.md").symlink_to(tmp_path / "out/secret.md")
    (tmp_path / "in/folder").symlink_to(tmp_path / "out")
    (tmp_path / "in/inside.md").symlink_to(tmp_path / "in/sub/deep.md")
    return tmp_path / "in"


def test_an_ingestion_follows_links_out_of_a_folder_only_if_told(kb: Dataset, ingest: Ingest, linked: Path) -> None:
    for source in (linked, f"{linked}/*"):
        result = ingest(source)
        assert result.outcomes.pop("file.md") == "invalid"
        assert "set follow_links=True, or exclude it (exclude)" in result.entry("file.md")["error"]
    assert ingest(f"{linked}/*/secret.md").outcomes == {"secret.md": "invalid"}
    assert "secret" not in {document.text for document in kb.documents}
    assert set(names(kb)) == {"page.md", "inside.md"}
    assert ingest(linked, follow_links=True).outcomes["file.md"] == "created"
    assert ingest(f"{linked}/*/secret.md", follow_links=True).outcomes == {"secret.md": "created"}
    assert ingest(linked / "file.md").error is None  # it is listed, so it does not lead out of anything
    assert isinstance(ingest(linked, follow_links="yes").error, DifyInputError)


def test_a_sync_follows_links_out_of_its_source_only_if_told(dify: FakeDify, kb: Dataset, linked: Path) -> None:
    for link, options in (("file.md", {}), ("folder", {"recursive": True, "exclude": ["file.md"]})):
        error = run_sync(kb, linked, **options).error
        assert isinstance(error, DifyInputError)
        assert f"The link {linked / link} leads out of the source. Nothing was changed. Set follow_links=True" in str(
            error
        )
    assert dify.requests == []
    wanted = {"page.md": "page", "inside.md": "deep"}
    assert run_sync(kb, linked, sync_source="s", exclude="file.md").error is None
    assert in_search(kb) == wanted
    everything = run_sync(kb, linked, sync_source="s", recursive=True, follow_links=True)
    assert everything.error is None
    assert in_search(kb) == {**wanted, "sub__deep.md": "deep", "file.md": "secret", "folder__secret.md": "secret"}


def test_a_source_may_be_a_link_itself(kb: Dataset, linked: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(linked)
    assert run_sync(kb, tmp_path / "current", exclude=["file.md"]).outcomes == {"created": ["inside.md", "page.md"]}


@pytest.mark.parametrize("what", ["dead", "to itself", "round", "up"])
@pytest.mark.parametrize("follow_links", [False, True])
def test_a_dead_link_or_a_loop_ends_a_sync_before_anything_is_retired(
    dify: FakeDify, kb: Dataset, tmp_path: Path, what: str, follow_links: bool
) -> None:
    out = tmp_path / "out"
    source = tmp_path / "in"
    pages = {f"page{number}.md": "page" for number in range(5)}
    write(tmp_path, {f"in/{name}": content for name, content in pages.items()} | {"out/deep.md": "deep"})
    (source / "sub").symlink_to(out)
    options: dict[str, Any] = {"sync_source": "s", "recursive": True}
    run_sync(kb, source, **options, follow_links=True)
    (source / "sub").unlink()
    if what == "dead":
        shutil.rmtree(out)
    targets: dict[str, Any] = {"dead": out, "to itself": "sub", "round": "other", "up": source}
    (source / "sub").symlink_to(targets[what])
    if what == "round":
        (source / "other").symlink_to("sub")
    dify.requests.clear()
    result = run_sync(kb, source, **options, follow_links=follow_links)
    assert type(result.error) is DifySourceError
    assert ("form a loop" if what == "up" else "is broken or leads to itself") in str(result.error)
    assert dify.requests == []
    assert in_search(kb) == {**pages, "sub__deep.md": "deep"}
    # If it does not count, the sync ignores it.
    assert run_sync(kb, source, **{**options, "exclude": ["sub", "sub/*", "other"]}).names("retired") == [
        "sub__deep.md"
    ]


URLS = {
    "ftp://bob:s3cretpw@host/x.md": "ftp://bob:***@host/x.md",
    "ftp:/bob:s3cretpw@host/x.md": "ftp:/bob:***@host/x.md",
    "sftp://:s3cretpw@host/x": "sftp://:***@host/x",
    "ftp://bob:s3cret/p@w@host/a@b.md": "ftp://bob:***@host/a@b.md",
    "s3://b/x?X-Amz-Credential=s3cretid&X-Amz-Signature=s3cretpw&v=1": (
        "s3://b/x?X-Amz-Credential=***&X-Amz-Signature=***&v=1"
    ),
    "abfs://c/x?sv=2026&sig=s3cretpw%3D": "abfs://c/x?sv=2026&sig=***",
    "https://h/x?token=s3cretpw#top": "https://h/x?token=***#top",
    "https://h/x?access_token=s3cretpw&a=1": "https://h/x?access_token=***&a=1",
    "gs://b/x?X-Goog-Signature=s3cretpw": "gs://b/x?X-Goog-Signature=***",
    "oss://b/x?OSSAccessKeyId=s3cretid&Signature=s3cretpw": "oss://b/x?OSSAccessKeyId=***&Signature=***",
    "s3://aws_default@bucket/x@2.md": "s3://aws_default@bucket/x@2.md",
    "https://host:8080/a@b.md": "https://host:8080/a@b.md",
    "http://[::1]:80/a@b.md?design=1&monkey=2": "http://[::1]:80/a@b.md?design=1&monkey=2",
    "/srv/12:30@noon.md": "/srv/12:30@noon.md",
}


@pytest.mark.parametrize("url", URLS)
def test_passwords_and_signatures_are_masked(url: str) -> None:
    assert without_url_secrets(f"see {url} there") == f"see {URLS[url]} there"
    error = OSError(f"530 no login with {' or '.join(url_secrets(url))} at {url}")
    assert "s3cret" not in unreadable(url, error).message


class Remote:
    """A path of a storage that shows its password in everything that it says."""

    name = "x.md"

    def is_dir(self) -> bool:
        return False

    def iterdir(self) -> Any:
        raise OSError("no login with s3cretpw")

    def __str__(self) -> str:
        return "ftp://bob:s3cretpw@host/x.md"

    def stat(self) -> Any:
        raise OSError("no login with s3cretpw")

    exists = open = stat


@pytest.mark.parametrize("source", [Remote(), "ftp://bob:s3cretpw@127.0.0.1/x.md", "s3://b/x?sig=s3cretpw"])
def test_no_secret_of_an_url_leaves_the_task(
    kb: Dataset, ingest: Ingest, said: pytest.LogCaptureFixture, source: Any
) -> None:
    for result in (ingest(source), run_sync(kb, source)):
        assert result.error is not None
        assert "s3cret" not in json.dumps(
            [str(result.error), repr(result.error), result.report, result.error.to_json()]
        )
    if isinstance(source, Remote):
        assert ingest(source).report["documents"][0]["source"] == "ftp://bob:***@host/x.md"
    assert "s3cret" not in said.text


class Folder(Remote):
    """The same, which can be read."""

    def is_dir(self) -> bool:
        return True

    def iterdir(self) -> Any:
        return [Path(__file__)]


def test_documents_do_not_bear_the_password_of_their_source(
    kb: Dataset, ingest: Ingest, said: pytest.LogCaptureFixture
) -> None:
    result = run_sync(kb, Folder(), include="*", encoding=None, max_file_size=None)
    assert result.report["sync_source"] == "ftp://bob:***@host/x.md"
    assert all("s3cret" not in str(document.metadata) for document in kb.documents)
    error = run_sync(kb, Folder(), sync_source="ftp://bob:s3cretpw@host/x.md").error
    assert isinstance(error, DifyInputError)
    assert "s3cret" not in str(error) + said.text
