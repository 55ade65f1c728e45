"""What a client needs to know to reach Dify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_provider_dify import __version__
from airflow_provider_dify.knowledge.retries import Retries

USER_AGENT = f"airflow-provider-dify/{__version__}"
_MASK = "***"
#: Shorter values are no secrets, and masking them would garble texts.
_SHORTEST_SECRET = 6


def split_proxy(proxy: str) -> SplitResult:
    """Split the URL of a proxy, which may lack its scheme.

    :raises ValueError: It is no URL.
    """
    return urlsplit(proxy if "://" in proxy else f"//{proxy}")


@dataclass(frozen=True)
class Settings:
    """How to reach a Dify.

    :param base_url: Base URL of the API, without a slash at its end, such as ``https://api.dify.ai/v1``.
    :param api_key: Knowledge API key. It is in no ``repr``.
    :param verify: Whether to check TLS certificates, or the path of a CA bundle to check them with.
    :param timeout: Seconds to wait for the connection, and then for each answer.
    :param max_retries: Tries after the first, where a failure is worth another one.
    :param proxies: Proxy by scheme; empty leaves it to the environment.
    :param headers: Headers to send along.
    :param console_url: Where Dify's web page lives; ``None`` where that is not known.
    """

    base_url: str
    api_key: str = field(repr=False)
    verify: bool | str = True
    timeout: float = 60.0
    max_retries: int = 4
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    console_url: str | None = None

    @property
    def connect_timeout(self) -> float:
        """Seconds to wait for a connection: a host that is there takes it at once."""
        return min(10.0, self.timeout)

    @cached_property
    def retries(self) -> Retries:
        """How failed requests are sent again."""
        return Retries(max_retries=self.max_retries)

    def masked(self, text: str) -> str:
        """Return a text without the secrets of these settings."""
        for secret in self._secrets():
            text = text.replace(secret, _MASK)
        return text

    def _secrets(self) -> list[str]:
        passwords = [password for proxy in self.proxies.values() if (password := split_proxy(proxy).password)]
        secrets = {self.api_key, *self.headers.values(), *passwords, *map(unquote, passwords)}
        return sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)
