"""Keeps passwords and signatures in URLs out of what people read.

The name before a password stays: ``ObjectStoragePath`` interprets it as the id of a connection
(``s3://aws_default@bucket``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

MASK = "***"
#: A path object leaves one slash of two. An unquoted password may contain a slash or an @: it ends at the last @ of the
#: host, or at the last @ after something that cannot be a port.
_PASSWORD = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*:/{1,3}[^\s/?#@:\[]*:)"
    r"(?P<secret>[^\s/?#]*(?=@)|(?!\d*(?:[/?#\s]|$))[^\s'\"]*?(?=@[^@/\s]*(?:[/\s]|$)))",
    re.IGNORECASE,
)
#: Signatures of S3, Google Cloud and Azure (``sig``), tokens and keys.
_SIGNATURE = re.compile(
    r"(?P<before>[?&;](?:[\w.%-]*?(?:signature|token|passw(?:or)?d|pwd|secret|(?:api|access|account)key|credential|auth)"
    r"[\w.%-]*|(?:[\w.%-]*[-_.])?(?:sig|sas|pass|pw|key|code))=)(?P<secret>[^&;#\s'\"<>]+)",
    re.IGNORECASE,
)
#: Shorter ones could be found anywhere.
_SHORTEST = 3


def without_url_secrets(text: str) -> str:
    """Return a text without the passwords and signatures of the URLs in it."""
    for secret in (_PASSWORD, _SIGNATURE):
        text = secret.sub(rf"\g<before>{MASK}", text)
    return text


def url_secrets(text: str) -> tuple[str, ...]:
    """Return the passwords and signatures of the URLs in a text, quoted and unquoted."""
    return tuple(dict.fromkeys(secret for secret in _secrets(text) if secret != MASK))


def without_secrets_of(url: str, text: str) -> str:
    """Return a text without the secrets of a URL: errors of libraries may quote them alone."""
    for secret in sorted(url_secrets(url), key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, MASK)
    return without_url_secrets(text)


def _secrets(text: str) -> Iterator[str]:
    for pattern in (_PASSWORD, _SIGNATURE):
        for found in pattern.finditer(text):
            yield from (found["secret"], unquote(found["secret"]))
