"""Checks texts in any encoding and converts them to UTF-8, piece by piece.

Dify assumes that a text file is UTF-8 and otherwise guesses: it turns GBK and Shift-JIS into wrong characters, without
an error (1.16.0, file 26). So nothing is left to guess. Types that are not text, such as PDF, are sent unchanged.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.ingest.options import UTF_8
from airflow_provider_dify.knowledge.inputs import show

#: Detect the encoding of texts that are not UTF-8.
DETECT = "detect"

_HTML = frozenset({".html", ".htm"})
_TEXTS = _HTML | {".txt", ".md", ".markdown", ".mdx", ".csv", ".vtt", ".properties"}
#: UTF-32 first: its mark begins with that of UTF-16.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
#: Number of bytes at the beginning in which a page declares its encoding, and in which UTF-16 shows.
_HEAD = 4096
#: Number of bytes used to detect an encoding: the lines that are not plain ASCII.
_SAMPLE = 64 * 1024
#: These encode everything as ASCII, so it looks like UTF-8.
_SEVEN_BITS = re.compile("iso2022|hz|utf-7")
#: These are recognized by their marks and zeros, not by chance.
_NOT_DETECTED = ["utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "utf_7"]


class NotText(Exception):  # noqa: N818 - a result, not an error of this package: its text becomes the reason of one
    """Bytes are not text in an encoding; the message says why."""


@dataclass(frozen=True)
class Conversion:
    """How the bytes of a text become UTF-8.

    :param encoding: Their encoding.
    :param skip: How many bytes at the beginning are the encoding's mark, not text.
    :param mark: Whether the UTF-8 text gets a mark: without it, Dify believes the encoding that a page declares.
    :param given: Whether the user named the encoding.
    :param detected: Whether it was detected, which may be wrong.
    """

    encoding: str
    skip: int = 0
    mark: bool = False
    given: bool = False
    detected: bool = False

    def apply(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Convert pieces of bytes, none of them empty.

        :raises NotText: They are not text in this encoding.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)("strict")
        begun, done = False, 0
        if self.mark:
            yield codecs.BOM_UTF8
        for piece in chain(pieces, [b""]):
            start = done - len(decoder.getstate()[0])
            try:
                text = decoder.decode(piece if begun else piece[self.skip :], final=not piece)
                converted = text.encode()
            except UnicodeError as error:
                raise NotText(self._why(error, start if begun else self.skip, at_end=not piece)) from None
            if (found := text.find("\0")) >= 0:
                raise NotText(f"It has a NUL character (near byte {start + found:,}), so it is not text.")
            begun, done = True, done + len(piece)
            if converted:
                yield converted

    def _why(self, error: UnicodeError, start: int, *, at_end: bool) -> str:
        name = self.encoding.upper()
        found = "it contains half a character"
        if isinstance(error, UnicodeDecodeError):
            byte, place = error.object[error.start : error.start + 1].hex(), f"byte {start + error.start:,}"
            found = f"it ends in the middle of a character, at {place}" if at_end else f"{byte} at {place}"
        if self.given:
            return f"It is not {name}: {found}. Check the encoding parameter."
        return f"It is not {name}: {found}. Set its encoding, for example encoding='gb18030', or try encoding='detect'."


@dataclass(frozen=True)
class Checked:
    """A text that was read to its end.

    :param conversion: How it becomes UTF-8.
    :param read: Its length in bytes.
    :param size: Its length in bytes as UTF-8.
    :param digest: SHA-256 of the UTF-8 text.
    """

    conversion: Conversion
    read: int
    size: int
    digest: str


def check_encoding(value: object) -> str | None:
    """Return the name of an encoding, ``detect``, or ``None``.

    :raises DifyInputError: It is not the name of a text encoding.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str):
            name = value.strip().lower()
            if name != DETECT:
                "".encode(name)  # not every codec is for text
                b"a".decode(name, errors="replace")  # and idna is only for names
                codecs.getincrementaldecoder(name)
                name = codecs.lookup(name).name
            return UTF_8 if name in ("utf-8-sig", "ascii") else name
    except (LookupError, ValueError, TypeError):
        pass
    raise DifyInputError(
        f"encoding must be an encoding such as 'utf-8' or 'gb18030', 'detect', or None for no check, not {show(value)}."
    )


def is_text(name: str) -> bool:
    """Whether Dify reads a file of this name as text."""
    return _extension(name) in _TEXTS


def check(read: Callable[[], Iterator[bytes]], name: str, encoding: str) -> Checked:
    """Read a text to its end, and find out how it becomes UTF-8.

    :param read: Returns its bytes from the beginning, in non-empty pieces.
    :param name: Its name, by which Dify knows its type.
    :param encoding: ``utf-8``, another encoding, or ``detect``. An encoding mark, and UTF-16 without a mark, are always
        recognized.
    :raises NotText: It is not text in this encoding.
    """
    pieces = read()
    first = next(pieces, b"")
    rest: Iterator[bytes] | None = chain([first] if first else [], pieces)
    why = NotText("It is not text.")
    for conversion in _candidates(first[:_HEAD], name, encoding):
        try:
            return _checked(conversion, read() if rest is None else rest)
        except NotText as error:
            why, rest = error, None
    if encoding == DETECT and (found := _detected(read())):
        return _checked(Conversion(found, mark=_extension(name) in _HTML, detected=True), read())
    if encoding == DETECT:
        raise NotText(
            f"{_first_words(why)} Its encoding cannot be detected reliably. Set it, for example encoding='gb18030'."
        )
    raise why


def _candidates(head: bytes, name: str, encoding: str) -> Iterator[Conversion]:
    """Yield the encodings that a text may have, the most likely first."""
    html = _extension(name) in _HTML
    for bom, marked in _BOMS:
        if head.startswith(bom):
            yield Conversion(marked, skip=len(bom), mark=html)
            return
    if encoding not in (UTF_8, DETECT):
        if _extends_ascii(encoding):
            # A folder may contain both. Text that is valid UTF-8 has no other encoding, except by chance for a
            # character or two.
            yield Conversion(UTF_8)
        yield Conversion(encoding, mark=html, given=True)
        return
    if utf_16 := _utf_16_in(head):
        yield Conversion(utf_16, mark=html)
        return
    declared = _declared(head) if html else None
    if declared not in (None, UTF_8, "ascii"):
        yield Conversion("ascii")  # then the encoding does not matter
        yield Conversion(UTF_8, mark=True)
        yield Conversion(str(declared), mark=True)
    else:
        yield Conversion(UTF_8)


def _extends_ascii(encoding: str) -> bool:
    plain = bytes(range(128))
    return not _SEVEN_BITS.match(encoding) and plain.decode(encoding, errors="replace") == plain.decode()


def _utf_16_in(head: bytes) -> str | None:
    """Detect UTF-16 without a mark: in most languages, every other byte of its spaces and line breaks is 0."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 50 < len(head) or min(even, odd):
        return None
    return "utf-16-le" if odd else "utf-16-be" if even else None


def _declared(head: bytes) -> str | None:
    found = _DECLARED.search(head)
    try:
        return check_encoding(found[1].decode()) if found else None
    except DifyInputError:
        return None


def _detected(pieces: Iterable[bytes]) -> str | None:
    from charset_normalizer import from_bytes

    sample, begun = bytearray(), b""
    for piece in pieces:
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            if not line.isascii():
                sample += line + b"\n"
        if len(sample) + len(begun) >= _SAMPLE:
            break
    sample += b"" if begun.isascii() else begun
    found = list(from_bytes(bytes(sample[:_SAMPLE]), cp_exclusion=_NOT_DETECTED))
    # For a short text, several encodings give a result that may be right or wrong.
    best = [one for one in found if (one.chaos, one.coherence) == (found[0].chaos, found[0].coherence)]
    return check_encoding(best[0].encoding) if len({str(one) for one in best}) == 1 else None


def _first_words(why: NotText) -> str:
    return str(why).partition(" Set its encoding")[0]


def _checked(conversion: Conversion, pieces: Iterator[bytes]) -> Checked:
    read = size = 0
    digest = hashlib.sha256()

    def counted() -> Iterator[bytes]:
        nonlocal read
        for piece in pieces:
            read += len(piece)
            yield piece

    for converted in conversion.apply(counted()):
        size += len(converted)
        digest.update(converted)
    return Checked(conversion, read, size, digest.hexdigest())


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - like Dify; pathlib treats leading dots differently
