"""The hook: every verb of Dify's Knowledge API that this provider knows, over one Airflow Connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_dify.exceptions import DifyAccessError, DifyAuthenticationError, DifyError
from airflow_provider_dify.get_provider_info import CONN_FIELDS, UI_FIELD_BEHAVIOUR
from airflow_provider_dify.hooks.connection import advised, key_advice, settings_from
from airflow_provider_dify.knowledge import api, inputs
from airflow_provider_dify.knowledge.documents import ActionName, Dataset, Document
from airflow_provider_dify.knowledge.flow import Deadline, Flow
from airflow_provider_dify.knowledge.indexing import STALL_TIMEOUT, IndexingReport, IndexingWait
from airflow_provider_dify.knowledge.reading import HasId, Pager
from airflow_provider_dify.knowledge.report import StatusReport
from airflow_provider_dify.knowledge.retries import Retries, retrying
from airflow_provider_dify.knowledge.status import StatusChange
from airflow_provider_dify.transport import clock as clocks
from airflow_provider_dify.transport.settings import Settings
from airflow_provider_dify.transport.sync import Client

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")
I = TypeVar("I", bound=HasId)  # noqa: E741 - an item of a list

_SECONDS_FOR_A_TEST = 10.0


class DifyHook(BaseHook):
    """Talks to the Knowledge API of a Dify.

    Nothing is read or opened before the first call. Use it as a context manager, or call :meth:`close`, to close the
    connection when done; a hook serves one thread at a time.

    :param dify_conn_id: Id of the Airflow Connection (type ``dify``): host is the base URL, password the Knowledge
        API key, extras ``verify``, ``timeout``, ``max_retries``, ``proxies``, ``headers``, ``console_url``.
    """

    conn_name_attr = "dify_conn_id"
    default_conn_name = "dify_default"
    conn_type = "dify"
    hook_name = "Dify"

    def __init__(self, dify_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.dify_conn_id = dify_conn_id
        self._settings: Settings | None = None
        self._client: Client | None = None

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
        """Return the further fields of the connection form for Airflow before 3.2."""
        # Only the Airflow that asks for this has them.
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
    def settings(self) -> Settings:
        """What the connection stands for.

        :raises DifyInputError: A field of it has a wrong value.
        """
        if self._settings is None:
            self._settings = settings_from(self.get_connection(self.dify_conn_id))
        return self._settings

    def get_conn(self) -> Client:
        """Return the client that runs flows over one keep-alive connection."""
        if self._client is None:
            self._client = Client(self.settings, self.log)
        return self._client

    def close(self) -> None:
        """Close the connection to Dify; the next call opens it again."""
        if self._client is not None:
            self._client.close()

    def stop(self) -> None:
        """Send nothing more: what runs ends with an error at its next step. A signal handler may call this."""
        if self._client is not None:
            self._client.stop()

    def run(self, flow: Flow[T], deadline: Deadline | None = None) -> T:
        """Run a conversation with Dify, and send again what failed where that makes sense.

        :param flow: The conversation.
        :param deadline: No wait goes beyond it.
        :return: What the flow returns.
        :raises DifyError: What went wrong and could not be mended by trying again.
        """
        try:
            return self.get_conn().run(retrying(flow, self.retries, deadline))
        except DifyError as error:
            raise advised(error, self.settings) from None

    @property
    def retries(self) -> Retries:
        """How failed requests are sent again."""
        return self.settings.retries

    @staticmethod
    def deadline(seconds: float) -> Deadline:
        """Return a deadline that is so many seconds away."""
        return Deadline(seconds, clocks.clock.monotonic)

    @property
    def server_version(self) -> str | None:
        """Version of the Dify server, such as ``1.14.1``; ``None`` where it does not tell.

        :raises DifyError: Dify could not be asked.
        """
        client = self.get_conn()
        if client.server_version is None:
            with suppress(DifyAccessError):  # also that answer tells the version
                self.run(api.dataset_page(1, limit=1))
        return client.server_version

    def change_document_status(
        self,
        dataset_id: str,
        document_ids: Iterable[str] | str,
        action: ActionName,
        *,
        batch_size: int = 100,
        wait_for_completion: bool = True,
        repair: bool = False,
        timeout: float = 900.0,
        poll_interval: float = 10.0,
        tolerate: Iterable[str] = (),
    ) -> StatusReport:
        """Change the status of documents, and prove that they are in the state that was asked for.

        https://docs.dify.ai/api-reference/documents/update-document-status-in-batch

        :param dataset_id: UUID of the knowledge base.
        :param document_ids: UUIDs of the documents.
        :param action: ``enable``, ``disable``, ``archive`` or ``un_archive``.
        :param batch_size: How many documents one request names at most.
        :param wait_for_completion: Whether to wait until search follows, and not only for the flags.
        :param repair: Whether to queue again, by the opposite action and back, the jobs that Dify seems to have
            lost when half of the time is gone.
        :param timeout: Seconds to wait for documents that are busy, being indexed, or not yet in step with search.
        :param poll_interval: Seconds between two looks while waiting.
        :param tolerate: Outcomes that shall not raise, such as ``missing``.
        :return: What became of each document.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyDocumentStatusError: Documents ended in an outcome that is not tolerated.
        :raises DifyError: Dify could not be asked; ``report`` of the error tells how far it got.
        """
        change = StatusChange(
            dataset_id,
            document_ids,
            action,
            batch_size=batch_size,
            wait_for_completion=wait_for_completion,
            repair=repair,
            poll_interval=poll_interval,
            tolerate=tolerate,
        )
        deadline = self.deadline(inputs.number(timeout, "timeout"))
        return self.run(change.flow(deadline, self.retries), deadline)

    def wait_until_indexed(
        self,
        dataset_id: str,
        batch: str | None = None,
        *,
        document_ids: Iterable[str] | str | None = None,
        stall_timeout: float | None = STALL_TIMEOUT,
        timeout: float = 3600.0,
        poll_interval: float = 10.0,
    ) -> IndexingReport:
        """Wait until all documents of an indexing batch, or of a list, are indexed.

        https://docs.dify.ai/api-reference/documents/get-document-indexing-status

        :param dataset_id: UUID of the knowledge base.
        :param batch: The batch that Dify answered the creation of the documents with.
        :param document_ids: UUIDs of the documents, instead of a batch.
        :param stall_timeout: Seconds in which no document moves a step or a segment, after which it fails; ``None``:
            never.
        :param timeout: Seconds to wait.
        :param poll_interval: Seconds between two looks; the first looks come sooner.
        :return: The documents, all of them indexed.
        :raises DifyInputError: What was asked for makes no sense; nothing was sent.
        :raises DifyIndexingError: A document failed, is paused, or is gone; ``documents`` of the error tells which.
        :raises DifyIndexingStalled: Nothing has moved for too long.
        :raises DifyIndexingTimeout: They were not indexed in time.
        :raises DifyError: Dify could not be asked.
        """
        wait = IndexingWait(dataset_id, batch=batch, document_ids=document_ids, stall_timeout=stall_timeout)
        deadline = self.deadline(inputs.number(timeout, "timeout"))
        return self.run(wait.flow(deadline, poll_interval=poll_interval), deadline)

    def list_documents(
        self, dataset_id: str, *, status: str | None = None, keyword: str | None = None
    ) -> Iterator[Document]:
        """List all documents of a knowledge base, page by page as they are used, each once.

        https://docs.dify.ai/api-reference/documents/list-documents

        :param dataset_id: UUID of the knowledge base.
        :param status: Only these: ``available``, ``disabled``, ``archived``, ``queuing``, ``indexing``, ``paused`` or
            ``error``. Dify knows it since 1.10.1.
        :param keyword: Only documents with this in their name (case counts, ``%`` and ``_`` are wildcards).
        :return: The documents, newest first.
        :raises DifyInputError: An id or a status that there is not; Dify would ignore an unknown status.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        chosen = None if status is None else inputs.choice(status, api.DocumentFilter, "status").value
        return self._pages(lambda page: api.document_page(dataset_id, page, status=chosen, keyword=keyword))

    def get_document(self, dataset_id: str, document_id: str) -> Document:
        """Read one document.

        https://docs.dify.ai/api-reference/documents/get-document

        :param dataset_id: UUID of the knowledge base.
        :param document_id: UUID of the document.
        :return: The document.
        :raises DifyNotFoundError: It is not in this knowledge base.
        """
        dataset_id = inputs.canonical_id(dataset_id, "dataset_id")
        return self.run(api.get_document(dataset_id, inputs.canonical_id(document_id, "document_id")))

    def get_dataset(self, dataset_id: str) -> Dataset:
        """Read a knowledge base.

        https://docs.dify.ai/api-reference/knowledge-bases/get-knowledge-base

        :param dataset_id: UUID of the knowledge base.
        :return: The knowledge base.
        :raises DifyNotFoundError: The key opens no such knowledge base.
        """
        return self.run(api.get_dataset(inputs.canonical_id(dataset_id, "dataset_id")))

    def list_datasets(self, *, keyword: str | None = None) -> Iterator[Dataset]:
        """List the knowledge bases that the key opens, page by page as they are used.

        https://docs.dify.ai/api-reference/knowledge-bases/list-knowledge-bases

        :param keyword: Only knowledge bases with this in their name.
        :return: The knowledge bases.
        :raises DifyAccessError: The key is bound to one knowledge base.
        """
        return self._pages(lambda page: api.dataset_page(page, keyword=keyword))

    def test_connection(self) -> tuple[bool, str]:
        """Prove the key with the smallest read.

        :return: Whether it worked, and what to tell the user.
        """
        try:
            client = Client(self._settings_for_a_test(), self.log)
        except DifyError as error:
            return False, str(error)
        try:
            page = client.run(retrying(api.dataset_page(1, limit=1), Retries(max_retries=0)))
        except DifyAccessError:
            seen = "the key is accepted; it may not list all knowledge bases"
        except DifyAuthenticationError as error:
            return False, " ".join(filter(None, (str(error), key_advice(self.settings.api_key))))
        except DifyError as error:
            return False, str(error)
        else:
            seen = f"the key opens {page.total} knowledge bases"
        finally:
            client.close()
        return True, f"Dify {client.server_version or 'of unknown version'} answered: {seen}."

    def _settings_for_a_test(self) -> Settings:
        return replace(self.settings, timeout=min(self.settings.timeout, _SECONDS_FOR_A_TEST))

    def _pages(self, read: Callable[[int], Flow[api.Page[I]]]) -> Iterator[I]:
        pager: Pager[I] = Pager()
        while not pager.done:
            yield from pager.take(self.run(read(pager.page)))
