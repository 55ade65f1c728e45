"""What a client needs to know to reach Dify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from airflow_provider_dify import __version__
from airflow_provider_dify.knowledge.retries import Retries
from airflow_provider_dify.transport import secrets

USER_AGENT = f"airflow-provider-dify/{__version__}"
_MASK = "***"


def split_proxy(proxy: str) -> SplitResult:
    """Split the URL of a proxy, which may lack its scheme.

    :raises ValueError: It is not a URL.
    """
    return urlsplit(proxy if "://" in proxy else f"//{proxy}")


@dataclass(frozen=True)
class Certificate:
    """A client certificate (mTLS).

    :param path: Path of a PEM file with the certificate and its chain.
    :param key_path: Path of a PEM file with its key; may be the same file.
    :param password: Password of the key; ``None`` if it has none. Not shown by ``repr``.
    """

    path: str
    key_path: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Settings:
    """How to reach a Dify.

    :param base_url: Base URL of the API, without a trailing slash, such as ``https://api.dify.ai/v1``.
    :param api_key: Knowledge API key or app key. Not shown by ``repr``.
    :param verify: Whether to check TLS certificates, or the path of a CA bundle.
    :param timeout: Seconds to wait for the connection (at most 10), and then for each complete response.
    :param max_retries: Retries after the first attempt, for failures that a retry may fix.
    :param proxies: Proxy by scheme; empty: those of the environment.
    :param headers: Additional headers to send.
    :param console_url: URL of Dify's web pages; ``None`` if unknown.
    :param cert: The client certificate; ``None`` for none.
    """

    base_url: str
    api_key: str = field(repr=False)
    verify: bool | str = True
    timeout: float = 60.0
    max_retries: int = 4
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    console_url: str | None = None
    cert: Certificate | None = None

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: settings contain the key."""
        raise TypeError("Settings hold the API key, and are never pickled. Read the connection again.")

    @property
    def connect_timeout(self) -> float:
        """Seconds to wait for a connection: a running host accepts it at once."""
        return min(10.0, self.timeout)

    @cached_property
    def retries(self) -> Retries:
        """How failed requests are retried."""
        return Retries(max_retries=self.max_retries)

    def masked(self, text: str) -> str:
        """Return a text without the secrets of these settings, in any form."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        passwords = [self.cert.password] if self.cert and self.cert.password else []
        proxies = [*self.proxies.values(), *secrets.proxies_of_environment()]
        return secrets.forms(
            [*secrets.of_key(self.api_key), *passwords],
            *(secrets.of_header(name, value) for name, value in self.headers.items()),
            *(secrets.of_proxy(split_proxy(proxy)) for proxy in proxies),
        )
