"""Which parts of a connection are secret, and the forms in which they may appear in a page, a log or an error."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from urllib.parse import SplitResult, quote, quote_plus, unquote
from urllib.request import getproxies

#: Shorter values are not secrets, and masking them would garble texts.
_SHORTEST = 6
#: The part of a key after its prefix.
_BARE_KEY = re.compile(r"(?:dataset|ds|app)-(.{16,})", re.DOTALL)


def forms(*groups: Iterable[str]) -> tuple[str, ...]:
    """Return the texts to mask, longest first: each secret as it is, and as written in URLs, JSON, HTML and Python."""
    secrets = {secret for group in groups for secret in group if len(secret) >= _SHORTEST}
    shown = {form for secret in secrets for form in _forms(secret)}
    return tuple(sorted(shown, key=lambda form: (-len(form), form)))


def of_key(api_key: str) -> Iterator[str]:
    """Yield a key and its secret part."""
    yield api_key
    if bare := _BARE_KEY.fullmatch(api_key):
        yield bare[1]


def of_header(name: str, value: str) -> Iterator[str]:
    """Yield the value of a header, the value without its scheme, and the password in it."""
    yield value
    scheme, _, rest = value.partition(" ")
    yield rest.strip()
    if scheme.lower() == "basic":
        yield from _decoded(rest.strip())
    if name.lower() == "cookie":
        yield from (pair.partition("=")[2].strip() for pair in value.split(";"))


def of_proxy(proxy: SplitResult) -> Iterator[str]:
    """Yield the password of a proxy and its ``Proxy-Authorization`` header."""
    with suppress(ValueError):
        if proxy.password is None:
            return
        yield proxy.password
        yield unquote(proxy.password)
        pair = f"{unquote(proxy.username or '')}:{unquote(proxy.password)}"
        yield f"{proxy.username or ''}:{proxy.password}@"
        yield from (base64.b64encode(pair.encode(coding, "replace")).decode() for coding in ("latin-1", "utf-8"))


def proxies_of_environment() -> list[str]:
    """Return the URLs of the proxies in the environment of this process."""
    return [url for name, url in getproxies().items() if name != "no"]


def _decoded(text: str) -> Iterator[str]:
    with suppress(binascii.Error, ValueError):
        pair = base64.b64decode(text, validate=True).decode(errors="replace")
        yield pair
        yield pair.partition(":")[2]


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield html.escape(secret)
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
