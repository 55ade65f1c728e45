"""The extras of an Airflow Connection of type ``dify``."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from airflow_provider_dify.exceptions import DifyInputError
from airflow_provider_dify.knowledge.inputs import show
from airflow_provider_dify.knowledge.text.hints import did_you_mean
from airflow_provider_dify.transport.settings import Certificate, Settings, split_proxy

log = logging.getLogger(__name__)

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"([!-~]([ \t!-~]*[!-~])?)?")
#: Headers that control how a request is built and sent. With other values, the request would be a different or invalid
#: one.
_OUR_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "content-type", "expect", "host",
     "te", "trailer", "transfer-encoding", "upgrade"}
)  # fmt: skip
_EXTRAS = [field.name for field in fields(Settings) if field.name not in ("base_url", "api_key")]
#: The parts of a client certificate, in order.
_CERT = ("cert", "key", "password")
#: Raises a ValueError if the port of a URL is not a number.
check_port = attrgetter("port")


class Extras:
    """The extras of a connection, read key by key. Keys that have not been read in the end are unknown."""

    def __init__(self, conn_id: str, extras: object) -> None:
        self._conn_id = conn_id
        if extras is None:
            extras = {}
        if not isinstance(extras, dict):
            raise DifyInputError(f"The extras of connection '{conn_id}' must be a JSON object.")
        # The form also saves empty fields.
        self._left = {name: value for name, value in extras.items() if value not in (None, "")}

    def verify(self) -> bool | str:
        """Read whether certificates are verified, or the path of the CA bundle for it."""
        value = self._left.pop("verify", True)
        if isinstance(value, bool):
            return value
        text = str(value).strip()
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        if not isinstance(value, str) or not _exists(text):
            raise self._wrong("verify", value, "true, false, or the path of a CA bundle on this machine")
        return text

    def number(self, name: str, default: float, *, above: float) -> float:
        """Read a number."""
        value = self._left.pop(name, default)
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not above < number < float("inf"):
            raise self._wrong(name, value, f"a number above {above:g}")
        return number

    def whole_number(self, name: str, default: int) -> int:
        """Read a whole number of at least 0."""
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not re.fullmatch(r"\d+", str(value).strip()):
            raise self._wrong(name, value, "a whole number of at least 0")
        return int(value)

    def texts(self, name: str) -> dict[str, str]:
        """Read an object whose values are texts."""
        value = self._left.pop(name, {})
        if isinstance(value, str):
            value = _json(value)
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            # The value is not shown: headers and proxies contain secrets.
            raise DifyInputError(
                f"Extra '{name}' of connection '{self._conn_id}' must be a JSON object with text values."
            )
        return {str(key): text for key, text in value.items()}

    def proxies(self) -> dict[str, str]:
        """Read the proxies by scheme."""
        proxies = self.texts("proxies")
        for scheme, proxy in proxies.items():
            if not _is_proxy(proxy):
                raise DifyInputError(
                    f"Extra 'proxies' of connection '{self._conn_id}': the proxy for '{scheme}' is not a URL."
                )
        return proxies

    def headers(self) -> dict[str, str]:
        """Read additional headers."""
        headers = self.texts("headers")
        for name, text in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_TEXT.fullmatch(text):
                raise DifyInputError(
                    f"Extra 'headers' of connection '{self._conn_id}': {show(name)} is not a valid header name, or "
                    "its value has characters that a header cannot have."
                )
            if name.lower() == "authorization":
                raise DifyInputError(
                    f"Extra 'headers' of connection '{self._conn_id}' sets Authorization. Put the key into the "
                    "password instead."
                )
            if name.lower() in _OUR_HEADERS:
                raise DifyInputError(
                    f"Extra 'headers' of connection '{self._conn_id}' sets {name}, which would break requests. Remove "
                    "it: each request sets its own."
                )
        return headers

    def cert(self) -> Certificate | None:
        """Read the client certificate: a path, or its parts as a list or an object."""
        value = self._left.pop("cert", None)
        if value is None:
            return None
        if isinstance(value, str) and value.strip().startswith(("[", "{")):
            value = _json(value)
        parts = value if isinstance(value, list) else [value]
        if isinstance(value, dict):
            parts = [value.get(name) for name in _CERT] if set(value) <= set(_CERT) else []
        path, key_path, password = (*parts, None, None, None)[:3]
        key_path = key_path or path
        if not 1 <= len(parts) <= 3 or not _is_file(path) or not _is_file(key_path):
            # The value is not shown: it contains a password.
            raise DifyInputError(
                f"Extra 'cert' of connection '{self._conn_id}' must be the path of a PEM file on this machine with the "
                'client certificate and its key, or {"cert": path, "key": path, "password": text}.'
            )
        if password is not None and not isinstance(password, str):
            raise DifyInputError(f"The password in extra 'cert' of connection '{self._conn_id}' must be text.")
        return Certificate(str(path).strip(), str(key_path).strip(), password or None)

    def url(self, name: str) -> str | None:
        """Read a URL that anybody may see."""
        value = self._left.pop(name, None)
        if value is None:
            return None
        text = str(value).strip()
        if not re.fullmatch(r"https?://[^/\s]\S*", text, re.IGNORECASE):
            raise self._wrong(name, value, "a URL such as https://dify.example.com")
        if re.search(r"[@?#]", text):  # links show it to everybody
            raise DifyInputError(
                f"Extra '{name}' of connection '{self._conn_id}' must be a URL without a user, a password, or a query."
            )
        return text.rstrip("/")

    def warn_of_unknown(self, settings: Settings) -> None:
        """Warn about keys that have not been read."""
        if self._left:
            names = ", ".join(sorted(self._left))
            hints = "".join(did_you_mean(name, _EXTRAS) for name in sorted(self._left))
            log.warning(
                "Connection '%s' has unknown extras, which are ignored: %s.%s",
                self._conn_id,
                settings.masked(names),
                hints,
            )

    def _wrong(self, name: str, value: object, wanted: str) -> DifyInputError:
        return DifyInputError(f"Extra '{name}' of connection '{self._conn_id}' must be {wanted}, not {show(value)}.")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_file(path: object) -> bool:
    return isinstance(path, str) and bool(path.strip()) and _exists(path.strip()) and not Path(path.strip()).is_dir()


def _is_proxy(proxy: str) -> bool:
    try:
        parts = split_proxy(proxy)
        check_port(parts)
    except ValueError:
        return False
    return bool(parts.hostname) and not re.search(r"\s", proxy)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long for a path; perhaps it is the bundle itself
        return False
