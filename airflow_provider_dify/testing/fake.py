"""A Dify in the test process, on a real socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypedDict

from airflow_provider_dify.testing.api.searching import search
from airflow_provider_dify.testing.apps.app import App
from airflow_provider_dify.testing.apps.site import Apps
from airflow_provider_dify.testing.model.clock import Clock, SystemClock
from airflow_provider_dify.testing.model.documents import Dataset, Document
from airflow_provider_dify.testing.web.costs import Costs
from airflow_provider_dify.testing.web.faults import Faults
from airflow_provider_dify.testing.web.front import Front, RequestRecord
from airflow_provider_dify.testing.work.broker import Broker
from airflow_provider_dify.testing.work.worker import USUAL_JOBS, LockRace, LostKeywords, Worker
from airflow_provider_dify.testing.work.world import World

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_dify.testing.web.server import Server

#: The host address of a Dify that other machines can reach.
ANYWHERE = "0.0.0.0"  # noqa: S104 - only if somebody asks for it


class Options(TypedDict, total=False):
    """The parameters of :class:`FakeDify`, for those who pass them on."""

    clock: Clock | None
    version: str
    costs: Costs | None
    seed: int
    lock_race: LockRace
    jobs: int | None
    lost_keywords: LostKeywords
    host: str
    port: int


class FakeDify:
    """A Dify for tests: its Knowledge API (https://docs.dify.ai/api-reference), its worker, its locks and races.

    .. code-block:: python

        with FakeDify() as dify:
            kb = dify.add_dataset("handbook")
            document = kb.add_document("page 1")
            requests.patch(
                f"{dify.base_url}/datasets/{kb.id}/documents/status/archive",
                json={"document_ids": [document.id]},
                headers={"Authorization": f"Bearer {dify.api_key}"},
            )
            dify.settle()
            assert document.archived and not document.in_search

    :param clock: The clock; ``None``: real time, which works for clients in any process. With a :class:`VirtualClock`,
        waiting takes no time, but it only moves if the client lives in this process and sleeps on the same clock, as
        with the fixture ``dify``. So with one, a client in another process is refused (on Linux) instead of waiting for
        a worker that never starts working.
    :param version: The version it behaves like: ``1.16.0``, or ``1.14.1`` or ``1.12.1`` with the recorded differences.
        ``1.18.0`` stands for a release after 1.17.1: it is like ``1.16.0``, but indexes failed documents again on
        request. No such release was recorded; it follows Dify's source.
    :param costs: How long calls take, such as :data:`MEASURED`; ``None``: no time.
    :param seed: For everything random.
    :param lock_race: How often the worker is faster than the API, which leaves a lock behind for ten minutes:
        ``measured``, ``always``, or ``never``.
    :param jobs: How many jobs its worker runs in parallel; ``None``: 4, as in Dify's Docker image.
    :param lost_keywords: How often a job in an economy knowledge base loses its keywords, as happens in Dify 1.16.0 if
        jobs overlap: ``never``; ``always``, which is a broken server; or a share of the overlapping jobs, above 0 and
        up to 1. See :class:`~airflow_provider_dify.testing.work.worker.Worker`.
    :param host: Where it listens: a name or an IPv4 address of this machine.
    :param port: The port; 0: a free one.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        version: str = "1.16.0",
        costs: Costs | None = None,
        seed: int = 0,
        lock_race: LockRace = "measured",
        jobs: int | None = None,
        lost_keywords: LostKeywords = "never",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.clock: Clock = SystemClock() if clock is None else clock
        self.world = World(
            self.clock,
            version=version,
            seed=seed,
            lock_race=lock_race,
            jobs=USUAL_JOBS if jobs is None else jobs,
            lost_keywords=lost_keywords,
        )
        #: Its apps.
        self.apps = Apps(self.world)
        self.add_workflow = self.apps.add_workflow
        self.add_chat_app = self.apps.add_chat_app
        self.run = self.apps.run
        self.faults = Faults()
        self.front = Front(self.world, self.faults, costs, self.apps)
        self.front.restart = self.restart
        self.api_key = self.add_key()
        #: An app key without an app: treated like an unknown key.
        self.app_key = "app-" + self.world.new_id().replace("-", "")[:24]
        self.host = host
        self._port = port
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; after :meth:`stop`, on the same port again. Requires the extra ``testing``.

        :raises OSError: if it cannot listen there, for example because the port is in use.
        """
        try:
            from airflow_provider_dify.testing.web.server import Server
        except ImportError as error:
            text = f"{error}. A FakeDify needs the extra: pip install 'airflow-provider-dify[testing]'"
            raise ImportError(text) from error
        port = self._port if self._server is None else self._server.port
        accepted = 0 if self._server is None else self._server.connections.accepted
        self._server = Server(self.front, self.host, port, accepted)
        self._server.start()

    def stop(self) -> None:
        """Kill the API: it closes all connections, and refuses new ones until :meth:`start`. Its data stays.

        Blocking runs of apps stay ``running`` forever; streamed runs continue.
        """
        self.apps.engine.kill_api()
        if self._server is not None:
            self._server.stop()

    def restart(self) -> None:
        """Kill the API, and start another one at once, like :meth:`stop` and :meth:`start`, from any thread."""
        self.apps.engine.kill_api()
        if self._server is not None:
            self._server.cut_connections()

    @property
    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError("This FakeDify does not listen yet: use it as a context manager, or call start().")
        return self._server

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:<port>/v1``."""
        return f"{self.console_url}/v1"

    @property
    def console_url(self) -> str:
        """The URL of its pages, which show its data."""
        return f"http://{'127.0.0.1' if self.host == ANYWHERE else self.host}:{self._running.port}"

    @property
    def version(self) -> str:
        """The version it behaves like."""
        return self.front.version

    @version.setter
    def version(self, version: str) -> None:
        self.front.version = version

    @property
    def new_connection_per_request(self) -> bool:
        """Whether it is behind Dify's own nginx, which opens a new connection for each request."""
        return self.front.new_connection_per_request

    @new_connection_per_request.setter
    def new_connection_per_request(self, new: bool) -> None:
        self.front.new_connection_per_request = new

    @property
    def admits_other_processes(self) -> bool:
        """Whether clients in other processes are allowed although the clock is virtual: somebody moves it for them."""
        return self.front.admits_other_processes

    @admits_other_processes.setter
    def admits_other_processes(self, admitted: bool) -> None:
        self.front.admits_other_processes = admitted

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in the order of arrival."""
        return self.front.requests

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted so far."""
        return self._running.connections.accepted

    @property
    def open_connections(self) -> int:
        """How many of them are open."""
        return len(self._running.connections.open)

    @property
    def worker(self) -> Worker:
        """The worker that updates search."""
        return self.world.worker

    @property
    def broker(self) -> Broker:
        """The queue in front of the worker."""
        return self.world.broker

    @property
    def costs(self) -> Costs | None:
        """How long calls take."""
        return self.front.costs

    @costs.setter
    def costs(self, costs: Costs | None) -> None:
        self.front.costs = costs

    def add_dataset(
        self,
        name: str,
        *,
        indexing_technique: str = "economy",
        doc_form: str | None = None,
        process_rule: Mapping[str, Any] | None = None,
        runtime_mode: str = "general",
        provider: str = "vendor",
        embedding_available: bool = True,
    ) -> Dataset:
        """Create a knowledge base.

        :param indexing_technique: ``economy`` or ``high_quality``.
        :param doc_form: ``text_model``, ``hierarchical_model`` or ``qa_model``; ``None``: its first document decides.
        :param process_rule: Its latest process rule, as in a request; ``None``: it has none yet.
        :param runtime_mode: ``general``, or ``rag_pipeline``: created by a knowledge pipeline.
        :param provider: ``vendor``, or ``external``: it accepts no documents.
        :param embedding_available: Whether its embedding model is available; otherwise every action is refused.
        """
        dataset = self.world.add_dataset(name, indexing_technique)
        dataset.doc_form = doc_form
        dataset.rule = None if process_rule is None else self.world.new_rule(process_rule)
        dataset.runtime_mode = runtime_mode
        dataset.provider = provider
        dataset.embedding_available = embedding_available
        return dataset

    def document(self, document_id: str) -> Document:
        """The document with that id.

        :raises KeyError: if it does not exist.
        """
        with self.world.guard:
            self.world.tick()
            return self.world.document(document_id)

    def add_key(self, *, dataset: Dataset | None = None, key: str | None = None) -> str:
        """Create a Knowledge API key.

        :param dataset: Limit it to this knowledge base: it cannot access others, or list them.
        """
        key = key or "dataset-" + self.world.new_id().replace("-", "")[:24]
        self.world.keys[key] = dataset
        return key

    @property
    def holds_clock(self) -> bool:
        """Whether a virtual clock stands still while a client waits for an app run. By default it moves then."""
        return self.front.waiting.holds_clock

    @holds_clock.setter
    def holds_clock(self, held: bool) -> None:
        self.front.waiting.holds_clock = held

    def enable_api(self, dataset: Dataset, enabled: bool = True) -> None:
        """Enable or disable API access for a knowledge base."""
        dataset.api_enabled = enabled

    def search(self, dataset: Dataset, query: str) -> list[str]:
        """Names of the documents that a search for ``query`` returns now, each once, best first.

        It is more tolerant than ``/retrieve``: there is no ``top_k``, and keywords match case-insensitively. With
        vectors, documents that have nothing in common with the query are left out.
        """
        with self.world.guard:
            self.world.tick()
            hits = search(dataset, query, any_case=True)
            return list(dict.fromkeys(hit.document.name for hit in hits if hit.score > 0 or not dataset.has_vectors))

    def find(self, dataset: Dataset, query: str, *, top_k: int = 4) -> list[Document]:
        """Documents that a search for ``query`` returns now, best first: what an app cites in its answers."""
        with self.world.guard:
            named = {one.name: one for one in reversed(list(dataset.documents))}
            return [named[name] for name in self.search(dataset, query)[:top_k]]

    def settle(self) -> None:
        """Let time pass until the worker is done and nothing is due any more; locks last as long as usual."""
        self.world.settle()

    def airflow_connection(self, extra: Mapping[str, Any] | None = None, *, app: App | None = None) -> str:
        """The Airflow connection to it in JSON form, as for ``AIRFLOW_CONN_DIFY_DEFAULT``.

        :param app: Use the key of this app; ``None``: a Knowledge API key.
        """
        key = self.api_key if app is None else app.api_key
        fields: dict[str, Any] = {"conn_type": "dify", "host": self.base_url, "password": key}
        return json.dumps(fields if extra is None else {**fields, "extra": dict(extra)})
