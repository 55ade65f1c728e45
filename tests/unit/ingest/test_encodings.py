"""Text files in all encodings: UTF-8 arrives, or the file is invalid and the report says why."""

from __future__ import annotations

import hashlib
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.encodings import is_text
from airflow_provider_dify.exceptions import DifyIngestFailed, DifyInputError
from airflow_provider_dify.files import FileSource
from airflow_provider_dify.knowledge.flow import Upload
from airflow_provider_dify.testing import Dataset, FakeDify
from airflow_provider_dify.transport.forms import Form
from tests.unit.conftest import Ingest
from tests.unit.sync.syncing import run_sync

GERMAN = "Über die Gebühren für Müll:\r\nGröße, Höhe und Länge der Straßen.\n"
CHINESE = "中文内容。停车规则。访客可以在二楼停车。\r\n"
JAPANESE = "駐車場のルール。訪問者は二階に駐車できます。\n"
PLAIN = "Visitors park on deck 2.\r\n"


def arrived(kb: Dataset) -> dict[str, bytes]:
    return {document.name: document.content for document in kb.documents}


@pytest.mark.parametrize(
    ("content", "text"),
    {
        "UTF-8": (GERMAN.encode(), GERMAN),
        "its mark": (GERMAN.encode("utf-8-sig"), GERMAN),
        "UTF-16, marked": (GERMAN.encode("utf-16"), GERMAN),
        "UTF-16 BE, marked": (b"\xfe\xff" + GERMAN.encode("utf-16-be"), GERMAN),
        "UTF-16 LE": (GERMAN.encode("utf-16-le"), GERMAN),
        "UTF-16 BE": (GERMAN.encode("utf-16-be"), GERMAN),
        "UTF-16, beyond the first plane": ("😀 walrus".encode("utf-16"), "😀 walrus"),
        "UTF-32, marked": (GERMAN.encode("utf-32"), GERMAN),
        "UTF-32 BE, marked": (b"\0\0\xfe\xff" + GERMAN.encode("utf-32-be"), GERMAN),
        "a character across the border of two pieces": (b"x" * (1024 * 1024 - 1) + "ü".encode(), "x" * 1_048_575 + "ü"),
        "a mark within the text": ("walrus \ufeffb".encode(), "walrus \ufeffb"),
    }.values(),
)
def test_unicode_arrives_as_utf_8(kb: Dataset, ingest: Ingest, tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "page.md").write_bytes(content)
    assert ingest(tmp_path).outcomes == {"page.md": "created"}
    assert arrived(kb) == {"page.md": text.encode()}
    (document,) = kb.documents
    assert document.metadata["content_sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert ingest(tmp_path).outcomes == {"page.md": "skipped"}


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", CHINESE),
        ("GBK", CHINESE),
        ("big5", "停車規則。訪客可以在二樓停車。"),
        ("shift_jis", JAPANESE),
        ("iso2022_jp", JAPANESE),
        ("latin-1", GERMAN),
        ("cp1251", "Правила парковки."),
        ("utf-16-le", "停车" * 3),
    ],
)
def test_a_named_encoding_is_converted(kb: Dataset, ingest: Ingest, tmp_path: Path, encoding: str, text: str) -> None:
    (tmp_path / "page.txt").write_bytes(text.encode(encoding))
    assert ingest(tmp_path, encoding=encoding).outcomes == {"page.txt": "created"}
    assert arrived(kb) == {"page.txt": text.encode()}


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "shift_jis", "latin-1"])
def test_a_folder_may_hold_utf_8_too(kb: Dataset, ingest: Ingest, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "page.txt").write_bytes(CHINESE.encode())
    assert ingest(tmp_path, encoding=encoding).outcomes == {"page.txt": "created"}
    assert arrived(kb) == {"page.txt": CHINESE.encode()}


@pytest.mark.parametrize("text", [CHINESE * 3, JAPANESE * 3])
def test_an_encoding_is_detected(kb: Dataset, tmp_path: Path, text: str) -> None:
    encoding = "gb18030" if text.startswith(CHINESE) else "shift_jis"
    (tmp_path / "page.txt").write_bytes(PLAIN.encode() * 30_000 + text.encode(encoding))
    (tmp_path / "utf_8.txt").write_text(text, newline="")
    result = run_sync(kb, tmp_path, encoding="detect")
    assert result.outcomes == {"created": ["page.txt", "utf_8.txt"]}
    assert arrived(kb) == {"page.txt": PLAIN.encode() * 30_000 + text.encode(), "utf_8.txt": text.encode()}
    assert run_sync(kb, tmp_path, encoding="detect").outcomes == {"kept": ["page.txt", "utf_8.txt"]}


INVALID = {
    "Latin-1": (
        GERMAN.encode("latin-1"),
        None,
        "It is not UTF-8: dc at byte 0. Set its encoding, for example encoding='gb",
    ),
    "GBK": (b"ab " + CHINESE.encode("gbk"), None, "It is not UTF-8: d6 at byte 3."),
    "a character is cut off": (
        "grü".encode()[:-1],
        None,
        "It is not UTF-8: it ends in the middle of a character, at byte 2.",
    ),
    "after many bytes": (b"x" * 2_000_000 + b"\xff", None, "It is not UTF-8: ff at byte 2,000,000."),
    "half a character": (b"\xed\xa0\x80", None, "It is not UTF-8: ed at byte 0."),
    "odd UTF-16": (b"\xff\xfea\0b", None, "It is not UTF-16-LE: it ends in the middle of a character, at byte 4."),
    "marked UTF-8 that is none": (b"\xef\xbb\xbfab\xff", None, "It is not UTF-8: ff at byte 5."),
    "another one": (b"\xff\xff", "gb18030", "It is not GB18030: ff at byte 0. Check the encoding parameter."),
    "zeros": (b"a\0\0b", None, "It has a NUL character (near byte 1), so it is not text."),
    "several are likely": ("grüße".encode("latin-1"), "detect", "cannot be detected reliably. Set it"),
    "only a mark": (b"\xef\xbb\xbf", None, "It is empty"),
}


@pytest.mark.parametrize("case", INVALID)
def test_what_is_no_text_is_invalid_with_the_reason(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, case: str
) -> None:
    content, encoding, says = INVALID[case]
    (tmp_path / "bad.md").write_bytes(content)
    (tmp_path / "good.md").write_text(PLAIN)
    options = {"encoding": encoding} if encoding else {}
    result = ingest(tmp_path, **options)
    assert result.outcomes == {"bad.md": "invalid", "good.md": "created"}
    assert isinstance(result.error, DifyIngestFailed)
    assert says in result.entry("bad.md")["error"]
    assert len(result.entry("bad.md")["error"]) < 200
    other = dify.add_dataset("other")
    synced = run_sync(other, tmp_path, **options)
    assert synced.outcomes == {"created": ["good.md"], "invalid": ["bad.md"]}
    assert synced.error_of("bad.md") == result.entry("bad.md")["error"]


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        # Dify believes the encoding that a page declares, unless it begins with a mark.
        ('<meta charset="gb2312">停车'.encode("gb2312"), '\ufeff<meta charset="gb2312">停车'.encode()),
        ('<meta charset="gb2312">停车'.encode(), '\ufeff<meta charset="gb2312">停车'.encode()),
        (b'<meta charset="gb2312">parking', b'<meta charset="gb2312">parking'),
        ("<p>停车".encode(), "<p>停车".encode()),
        ("\ufeff<p>停车".encode(), "\ufeff<p>停车".encode()),
        ("\ufeff<p>停车".encode("utf-16-le"), "\ufeff<p>停车".encode()),
        (
            "<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-1'>é".encode("latin-1"),
            "\ufeff<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-1'>é".encode(),
        ),
        ('<meta charset="no such">停车'.encode(), '<meta charset="no such">停车'.encode()),
    ],
)
def test_pages_may_name_their_encoding(
    kb: Dataset, ingest: Ingest, tmp_path: Path, content: bytes, sent: bytes
) -> None:
    (tmp_path / "page.html").write_bytes(content)
    assert ingest(tmp_path).outcomes == {"page.html": "created"}
    assert arrived(kb) == {"page.html": sent}


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.PDF", "a.md.pdf"])
def test_other_types_are_never_touched(kb: Dataset, ingest: Ingest, tmp_path: Path, name: str) -> None:
    content = (b"%PDF" if name.lower().endswith("pdf") else b"PK") + bytes(range(256))
    (tmp_path / name).write_bytes(content)
    assert not is_text(name)
    for encoding in ("gb18030", "detect"):
        ingest(tmp_path, encoding=encoding)
    assert arrived(kb) == {name: content}


def test_without_an_encoding_nothing_is_checked(kb: Dataset, ingest: Ingest, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_bytes(GERMAN.encode("latin-1"))
    assert ingest(tmp_path, encoding=None).outcomes == {"page.md": "created"}
    assert arrived(kb) == {"page.md": GERMAN.encode("latin-1")}


@pytest.mark.parametrize("encoding", ["", "no such", "rot13", "base64", 7, ["utf-8"], "undefined", "a\0b", "x" * 9999])
def test_an_encoding_that_there_is_not(
    dify: FakeDify, kb: Dataset, ingest: Ingest, tmp_path: Path, encoding: Any
) -> None:
    (tmp_path / "page.md").write_text("hello")
    for error in (ingest(tmp_path, encoding=encoding).error, run_sync(kb, tmp_path, encoding=encoding).error):
        assert isinstance(error, DifyInputError)
        assert str(error).startswith("encoding must be an encoding such as 'utf-8'")
    assert dify.requests == []


class Endless:
    """A file that is created while it is read."""

    name = "large.txt"
    size = 64 * 1024 * 1024

    def is_dir(self) -> bool:
        return False

    def stat(self) -> Any:
        return type("Stat", (), {"st_size": self.size})

    def open(self, mode: str) -> Any:
        return self._File(self.size)

    class _File:
        def __init__(self, size: int) -> None:
            self.left = size

        def read(self, size: int) -> bytes:
            size = min(size, self.left, 100_000)
            self.left -= size
            return b"\xe4" * size

        def close(self) -> None:
            pass


def test_a_large_text_is_converted_piece_by_piece() -> None:
    source = FileSource(Endless(), max_size=None, encoding="latin-1")
    tracemalloc.start()
    try:
        assert source.problem is None
        assert source.size == 2 * Endless.size
        digest, sent = source.digest(), hashlib.sha256()
        with Form(Upload("large.txt", source, {})) as form:
            assert len(form) > source.size
            with source.open() as file:
                while piece := file.read(65_536):
                    assert len(piece) <= 65_536
                    sent.update(piece)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert sent.hexdigest() == digest == hashlib.sha256("ä".encode() * Endless.size).hexdigest()


def test_what_grows_too_large_as_utf_8_is_told() -> None:
    source = FileSource(Endless(), max_size=Endless.size, encoding="latin-1")
    assert source.problem == ("It has 134,217,728 bytes as UTF-8, more than the limit of 67,108,864 (max_file_size).")


class Changing(type(Path())):  # type: ignore[misc]  # Path itself cannot be derived from before Python 3.12
    """A file that is overwritten after it was first read."""

    contents = (b"abcd", b"ab\xff\xff")
    opened = 0

    def open(self, *args: Any, **kwargs: Any) -> Any:
        Changing.opened += 1
        return BytesIO(self.contents[min(Changing.opened, 2) - 1])


def test_a_text_that_is_overwritten_before_it_is_sent_is_not_sent(
    kb: Dataset, ingest: Ingest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Changing, "opened", 0)
    (tmp_path / "page.md").write_bytes(b"abcd")
    result = ingest(Changing(tmp_path / "page.md"))
    assert result.outcomes == {"page.md": "unreadable"}
    assert " changed after it was checked. It is not UTF-8: ff at byte 2." in result.entry("page.md")["error"]
    assert kb.documents == []
