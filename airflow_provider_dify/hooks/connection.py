"""What the fields of an Airflow Connection of type ``dify`` mean."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_provider_dify.exceptions import (
    DifyAppKeyError,
    DifyAuthenticationError,
    DifyConnectionError,
    DifyError,
    DifyInputError,
)
from airflow_provider_dify.hooks.extras import Extras, check_port
from airflow_provider_dify.knowledge.inputs import show, without_keys
from airflow_provider_dify.knowledge.text import hosts
from airflow_provider_dify.transport.settings import Settings

log = logging.getLogger(__name__)

DIFY_CLOUD = "https://api.dify.ai/v1"
_CLOUD_CONSOLE = "https://cloud.dify.ai"
#: A shorter password is not a key, and masking it would garble texts.
_SHORT = 5
#: A password this long is not a word that could also be part of a host name.
_LONG = 16
#: A masked key as Dify's pages show it: three stars, or its beginning and end with dots in between.
_MASKED_KEY = re.compile(r"\*{3}|\.{3}|\u2026")


class ConnectionFields(Protocol):
    """The fields of an Airflow Connection that are read here."""

    conn_id: str
    host: str | None
    port: int | None
    schema: str | None
    password: str | None
    extra: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]:
        """The extras."""


def settings_from(connection: ConnectionFields, extras: object = None) -> Settings:
    """Return the settings of a connection.

    :param extras: Its extras if they have been read already; ``None``: read them.
    :raises DifyInputError: A field has an invalid value. The text names the field and never contains the key.
    """
    try:
        if extras is None:
            check_extras(connection)
            extras = connection.extra_dejson
        return _settings(connection, extras)
    except DifyInputError as error:
        # The error shows the wrong value, and somebody may have put the key into that field.
        text, key = without_keys(error.message), (connection.password or "").strip()
        raise DifyInputError(text.replace(key, "***") if len(key) > _SHORT else text) from None


@contextmanager
def fetching(conn_id: str) -> Iterator[None]:
    """Turn an error of Airflow while it fetches a connection into one of this package."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - from any secrets backend, Airflow's API server, or a database
        if isinstance(error, AirflowNotFoundException):
            why = "is not defined, or its secrets backend does not answer"
        else:  # its text is not shown: it may contain the password of a database or secrets backend
            why = f"cannot be fetched ({type(error).__name__})"
        raise DifyConnectionError(
            f"The Airflow connection {show(conn_id)} {why}. Check dify_conn_id, and that workers and triggerers can "
            "both read the connection."
        ) from None


def check_extras(connection: ConnectionFields) -> None:
    """Check that the extras of a connection are JSON. Airflow itself treats invalid JSON as no extras.

    :raises DifyInputError: They are not JSON.
    """
    text = connection.extra
    if not isinstance(text, str) or not text.strip():
        return
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""  # its text contains none of the extras
        raise DifyInputError(
            f"The extras of connection '{connection.conn_id}' are not JSON{where}. Write them as a JSON object, such "
            'as {"timeout": 30}.'
        ) from None


def _settings(connection: ConnectionFields, read: object) -> Settings:
    extras = Extras(connection.conn_id, read)
    base_url, api_key = _base_url(connection), _api_key(connection)
    path = urlsplit(base_url).path
    # Errors and links show the base URL. In a host name, only the key itself is certain to be one.
    if without_keys(path) != path or (len(api_key) >= _LONG and api_key.lower() in base_url.lower()):
        raise DifyInputError(
            f"The host or schema of connection '{connection.conn_id}' contains an API key. Put Dify's base URL there, "
            "and the key only into the password."
        )
    settings = Settings(
        base_url=base_url,
        api_key=api_key,
        verify=extras.verify(),
        timeout=extras.number("timeout", Settings.timeout, above=0),
        max_retries=extras.whole_number("max_retries", Settings.max_retries),
        proxies=extras.proxies(),
        headers=extras.headers(),
        console_url=extras.url("console_url") or _console_url(base_url),
        cert=extras.cert(),
    )
    extras.warn_of_unknown(settings)
    return settings


def key_advice(api_key: str, *, for_app: bool = False) -> str | None:
    """Return advice about a key that Dify rejects, if its format shows what is wrong.

    :param for_app: Whether an app key is needed.
    """
    if for_app and api_key.startswith(("dataset-", "ds-")):
        return "The password of the connection is a Knowledge API key, which does not work for apps."
    if not for_app and api_key.startswith("app-"):
        return "The password of the connection is an app key ('app-'), which does not work for knowledge bases."
    if masked := _MASKED_KEY.search(api_key):
        return (
            f"The password of the connection is a masked key ('{masked[0]}'), as in Dify's list. Create a new key, "
            "and copy it when Dify shows it."
        )
    if for_app and not api_key.startswith("app-"):
        return "Keys of apps start with 'app-'; the password of the connection does not."
    if not for_app and not api_key.startswith(("dataset-", "ds-")):
        return "Knowledge API keys start with 'dataset-' or 'ds-'; the password of the connection does not."
    return None


def advised(error: DifyError, settings: Settings) -> DifyError:
    """Prepare an error of a conversation for the task log: mask secrets and add advice."""
    if isinstance(error, DifyAuthenticationError):
        error.add(key_advice(settings.api_key, for_app=isinstance(error, DifyAppKeyError)) or "")
    # The text says it all; the steps of the flow in the traceback would bury it.
    return error.with_traceback(None)


def _api_key(connection: ConnectionFields) -> str:
    key = (connection.password or "").strip()
    if not key:
        raise DifyInputError(
            f"The password of connection '{connection.conn_id}' is empty. Put Dify's Knowledge API key there "
            "(Knowledge > API Access; it starts with 'dataset-')."
        )
    if key.lower().startswith("bearer "):
        raise DifyInputError(
            f"The password of connection '{connection.conn_id}' starts with 'Bearer '. Put only the key there."
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise DifyInputError(
            f"The password of connection '{connection.conn_id}' has characters that no API key has, such as spaces or "
            "bullets. Copy the whole key again."
        )
    return key


def _base_url(connection: ConnectionFields) -> str:
    host = (connection.host or "").strip()
    schema = (connection.schema or "").strip()
    if not host and (connection.port or schema):
        raise DifyInputError(
            f"Connection '{connection.conn_id}' has a port or a schema, but no host. Put Dify's base URL into the "
            f"host; without all three it is {DIFY_CLOUD}."
        )
    if not host:
        return DIFY_CLOUD
    scheme = schema.lower() if schema.lower() in ("http", "https") else ""
    host = hosts.bracketed(host)
    url = host if "://" in host else f"{scheme or 'https'}://{host}"
    parts = _split_url(f"{url}/{schema}" if schema and not scheme else url, connection)
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    if "/knowledge-fs" in path:
        raise DifyInputError(
            f"The host of connection '{connection.conn_id}' is Dify's API for agents ('/knowledge-fs'), which this "
            "provider does not support. Put the base URL of the classic API there; it ends in /v1."
        )
    if not re.search(r"/v\d+$", path):
        path += "/v1"
    return f"{parts.scheme.lower()}://{_network_location(parts, connection)}{path}"


def _split_url(url: str, connection: ConnectionFields) -> SplitResult:
    wrong = f"The host of connection '{connection.conn_id}' is not the base URL of a Dify API: "
    no_url = f"{wrong}{show(url)}. It looks like https://dify.example.com/v1."
    if re.search(r"[\s\\]", url):
        raise DifyInputError(no_url)
    try:
        parts = urlsplit(url)
        check_port(parts)
    except ValueError as error:
        raise DifyInputError(f"{wrong}{error}.") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise DifyInputError(f"{wrong}its scheme is '{parts.scheme}', not http or https.")
    if parts.username or parts.password:
        raise DifyInputError(f"{wrong}it contains a user or a password. The API key belongs in the password field.")
    two_schemes = parts.hostname in ("http", "https") or "://" in parts.path
    if not parts.hostname or two_schemes or parts.query or parts.fragment:
        raise DifyInputError(no_url)
    return parts


def _network_location(parts: SplitResult, connection: ConnectionFields) -> str:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = parts.port or connection.port
    if parts.port and connection.port and parts.port != connection.port:
        raise DifyInputError(
            f"Connection '{connection.conn_id}' has two ports: {parts.port} in the host and {connection.port} in the "
            "port field."
        )
    # Leave out the default port, so that one Dify always has the same base URL. Dify Cloud is recognized by its URL,
    # for example.
    return f"{host}:{port}" if port and port != hosts.USUAL_PORTS[parts.scheme.lower()] else f"{host}"


def _console_url(base_url: str) -> str | None:
    """Return the URL of Dify's web pages: the docker setup serves them next to the API, on the same host."""
    if base_url == DIFY_CLOUD:
        return _CLOUD_CONSOLE
    return re.sub(r"/v\d+$", "", base_url)
