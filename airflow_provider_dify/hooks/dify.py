"""The hook: everything of Dify's Knowledge API that this provider supports, over one Airflow Connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_dify.exceptions import (
    DifyAccessError,
    DifyAppKeyError,
    DifyAuthenticationError,
    DifyError,
    DifyInputError,
    DifyRequestError,
)
from airflow_provider_dify.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_dify.hooks.apps.verbs import AppVerbs
from airflow_provider_dify.hooks.bases.chunks import ChunkVerbs
from airflow_provider_dify.hooks.bases.datasets import DatasetVerbs
from airflow_provider_dify.hooks.bases.tags import TagVerbs
from airflow_provider_dify.hooks.connection import key_advice
from airflow_provider_dify.hooks.documents import DocumentVerbs
from airflow_provider_dify.hooks.ingest import IngestVerbs
from airflow_provider_dify.hooks.metadata import MetadataVerbs
from airflow_provider_dify.hooks.release import ReleaseVerbs
from airflow_provider_dify.hooks.retrieval import RetrievalVerbs
from airflow_provider_dify.hooks.sync import SyncVerbs
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.apps import api as apps
from airflow_provider_dify.knowledge.bases import lookup as bases
from airflow_provider_dify.knowledge.documents import Dataset
from airflow_provider_dify.knowledge.flow import Flow
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.transport.settings import Settings
from airflow_provider_dify.transport.sync import Client

if TYPE_CHECKING:
    from typing_extensions import Self

_SECONDS_FOR_A_TEST = 10.0


class DifyHook(
    AppVerbs,
    ChunkVerbs,
    DatasetVerbs,
    DocumentVerbs,
    IngestVerbs,
    MetadataVerbs,
    ReleaseVerbs,
    RetrievalVerbs,
    SyncVerbs,
    TagVerbs,
):
    """Talks to Dify's Knowledge API or to a Dify app, depending on the key.

    Nothing is read or opened before the first call. To close the connection when you are done, use the hook as a
    context manager or call :meth:`close`. A hook serves one thread at a time.

    :param dify_conn_id: Id of the Airflow Connection (type ``dify``). Host: the base URL. Password: the Knowledge API
        key or an app key. Extras: ``verify``, ``timeout``, ``max_retries``, ``proxies``, ``headers``, ``console_url``,
        ``cert``.
    """

    conn_type = "dify"
    hook_name = "Dify"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how Airflow before 3.2 shows the standard fields of the connection form."""
        return {name.replace("-", "_"): value for name, value in UI_FIELD_BEHAVIOUR.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Return the additional fields of the connection form for Airflow before 3.2."""
        # Only Airflow versions that call this method have these packages.
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from wtforms import StringField
        from wtforms.validators import Optional

        return {
            name: StringField(
                field["label"], validators=[Optional()], widget=BS3TextFieldWidget(), description=field["description"]
            )
            for name, field in CONN_FIELDS.items()
        }

    @property
    def server_version(self) -> str | None:
        """Version of the Dify server, such as ``1.14.1``; ``None`` if it does not say.

        :raises DifyError: The request failed.
        """
        client = self.get_conn()
        if client.server_version is None:
            with suppress(DifyAccessError):  # this response has the version, too
                self.run(api.dataset_page(1, limit=1))
        return client.server_version

    def get_dataset(self, dataset_id: str | None = None, *, dataset_name: str | None = None) -> Dataset:
        """Read a knowledge base, or find it by name.

        https://docs.dify.ai/api-reference/knowledge-bases/get-knowledge-base

        :param dataset_id: UUID of the knowledge base.
        :param dataset_name: Its name, instead of the id. Exactly one knowledge base that the key can access must have
            it.
        :return: The knowledge base.
        :raises DifyInputError: No knowledge base, or more than one, has the name.
        :raises DifyNotFoundError: The key cannot access such a knowledge base.
        """
        if dataset_name is not None:
            if dataset_id is not None:
                raise DifyInputError("Give dataset_id or dataset_name, not both.")
            return self.run(bases.find(dataset_name))
        return self.run(api.get_dataset(inputs.canonical_id(dataset_id, "dataset_id")))

    def list_datasets(self, *, keyword: str | None = None) -> Iterator[Dataset]:
        """List the knowledge bases that the key can access. Pages are fetched as you iterate.

        https://docs.dify.ai/api-reference/knowledge-bases/list-knowledge-bases

        :param keyword: Only knowledge bases with this text in their name.
        :return: The knowledge bases.
        :raises DifyAccessError: The key is limited to some knowledge bases.
        :raises DifyListChangedError: The list kept changing while it was read, so some may be missing.
        """
        part = inputs.text(keyword, "keyword") if keyword else None
        return self._pages(lambda page, limit: api.dataset_page(page, keyword=part, limit=limit))

    def test_connection(self) -> tuple[bool, str]:
        """Check the key with the smallest possible read.

        :return: Whether it worked, and the message for the user.
        """
        try:
            client = Client(self._settings_for_a_test(), self.log, self._clock)
        except DifyError as error:
            return False, str(error)
        try:
            seen = client.run(retrying(_what_opens(self.settings.api_key), Retries(max_retries=0)))
        except DifyAccessError:
            seen = "the key is accepted, but may not list all knowledge bases, because it is limited to some of them"
        except DifyAuthenticationError as error:
            advice = key_advice(self.settings.api_key, for_app=isinstance(error, DifyAppKeyError))
            return False, " ".join(filter(None, (str(error), advice)))
        except DifyRequestError as error:
            return False, f"{error} The base URL is {self.settings.base_url}."
        except DifyError as error:
            return False, str(error)
        finally:
            client.close()
        return True, f"Dify {client.server_version or 'of unknown version'} answered: {seen}."

    def _settings_for_a_test(self) -> Settings:
        return replace(self.settings, timeout=min(self.settings.timeout, _SECONDS_FOR_A_TEST))


def _what_opens(api_key: str) -> Flow[str]:
    """Say what a key can access, with the smallest possible read."""
    if api_key.startswith("app-"):
        info = yield from apps.get_info()
        return f"the key can access the app '{info.name}'" + (f" (mode {info.mode})" if info.mode else "")
    page = yield from api.dataset_page(1, limit=1)
    return f"the key can access {page.total} knowledge base{'' if page.total == 1 else 's'}"
