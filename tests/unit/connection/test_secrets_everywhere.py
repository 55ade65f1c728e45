"""A connection with every kind of secret, and a server that returns everything that it was sent, in every form.

Then everything that leaves the process is searched: DEBUG logs, XCom, rendered fields, rows of triggers, events of
triggers and assets, links, lineage, pickles and reprs.
"""

from __future__ import annotations

import asyncio
import base64
import html
import importlib
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_dify.assets import knowledge_base
from airflow_provider_dify.exceptions import DifyError
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.testing import Dataset, Document, FakeDify, Fault
from airflow_provider_dify.transport import opening
from tests.unit.airflow.every_task import APPS, BASES, EVERY, Make, status
from tests.unit.apps.running import Store
from tests.unit.conftest import TaskInstance
from tests.unit.transport import certificates
from tests.unit.transport.sockets import answer, wire

try:
    from airflow.sdk.execution_time.context import OutletEventAccessors
except ImportError:
    from airflow.utils.context import OutletEventAccessors  # type: ignore[assignment,unused-ignore]

BARE_KEY = "Qm7tZk2Xw9Lr4VbN8yHc1JdF"
TOKEN = "team-token/5f2c9a+&<x>"
GATE = "gate-password-93d2"
SESSION = "session-7be01f"
PROXY, OF_ENVIRONMENT, OF_CERT = "proxy p@ssword-81b3", "environment-p4ssw0rd", "cert-password-44aa"
BASIC = base64.b64encode(f"gate:{GATE}".encode()).decode()


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


SECRETS = {
    "key": BARE_KEY,
    "header": TOKEN,
    "header in a URL": quote(TOKEN, safe=""),
    "header in HTML": html.escape(TOKEN),
    "header in JSON": TOKEN.replace("/", "\\/"),
    "header without its scheme": BASIC,
    "password in a header": GATE,
    "cookie": SESSION,
    "proxy": PROXY,
    "proxy in a URL": quote(PROXY),
    "proxy on the wire": basic("me", PROXY),
    "proxy of the environment": OF_ENVIRONMENT,
    "proxy of the environment on the wire": basic("you", OF_ENVIRONMENT),
    "certificate": OF_CERT,
}
EVERYTHING = " | ".join([*SECRETS.values(), f"Bearer ds-{BARE_KEY}", f"Basic {BASIC}", f"gate:{GATE}"])
#: Responses of a server or a proxy that returns what it was sent, and more.
ECHOES: dict[str, Callable[[bytes], bytes]] = {
    "a page": lambda head: answer(
        b"<title>" + head + EVERYTHING.encode() + b"</title>", status="400 Bad Request"
    ),
    "JSON": lambda head: answer(json.dumps({"code": EVERYTHING, "message": head.decode()}).encode(), status="500 Odd"),
    "escaped JSON": lambda _: answer(
        b'{"code": "x", "message": "%b"}' % "".join(f"\\u{ord(one):04x}" for one in EVERYTHING).encode(),
        status="404 Not Found",
    ),
    "headers": lambda _: answer(
        b"{}", f"X-Version: {EVERYTHING}", f"X-Trace-Id: {EVERYTHING}", f"Location: /{EVERYTHING}", status="307 Away"
    ),
    "headers that cannot be read": lambda head: answer(b"", status="404 No").replace(
        b"\r\n\r\n", b"\r\n" + head.replace(b"\r\n", b" ") + b"\r\n\r\n"
    ),
    "a status line": lambda _: answer(b"{}", status=f"503 {EVERYTHING}"),
    "no HTTP": lambda head: head,
    "a good answer that is no object": lambda _: answer(json.dumps(EVERYTHING).encode()),
    "a good answer of another form": lambda head: answer(
        json.dumps({"id": EVERYTHING, "data": [], "total": EVERYTHING, "doc_metadata": head.decode()}).encode()
    ),
    "an encoding": lambda _: answer(b"x", f"Content-Encoding: {EVERYTHING[:45]}"),
    "an odd length": lambda head: answer(head, f"Content-Length: {EVERYTHING}", length=False),
    "a chunk": lambda head: answer(
        b"zz" + head.replace(b"\r\n", b" ") + b"\r\n", "Transfer-Encoding: chunked", length=False
    ),
}  # fmt: skip


@dataclass
class Net:
    """What left the process, by where it was found."""

    caught: list[tuple[str, str]] = field(default_factory=list)
    errors: int = 0

    def take(self, where: str, *things: object) -> None:
        for thing in things:
            self.caught += [(where, str(thing)), (where, repr(thing))]

    def take_pickle(self, where: str, thing: object) -> None:
        self.caught.append((where, pickle.dumps(thing).decode("latin-1")))

    def take_error(self, error: BaseException) -> None:
        self.errors += 1
        self.take("error", error, error.args, vars(error))
        self.take("traceback", "".join(traceback.format_exception(error)))
        self.take_pickle("pickled error", error)
        if isinstance(error, DifyError):
            self.take("error as JSON", error.to_json())

    def leaks(self) -> set[tuple[str, str]]:
        return {(where, name) for where, text in self.caught for name, secret in SECRETS.items() if secret in text}


@dataclass
class Scene:
    """Runs tasks with the connection, and catches what they leave behind."""

    net: Net
    asset: Any

    def run(self, make: Make, page: Document, **given: Any) -> None:
        operator = make(page, outlets=[self.asset], **given)
        events: Any = OutletEventAccessors()
        task = TaskInstance()
        context: Any = {"ti": task, "outlet_events": events, "run_id": "run", "task_state_store": Store()}
        try:
            operator.render_template_fields({})
            self.net.take("returned", operator.execute(context))
        except TaskDeferred as deferred:
            self.defer(operator, deferred, context)
        except DifyError as error:
            self.net.take_error(error)
        self.net.take("XCom", task.xcom, json.dumps(task.xcom))
        self.net.take("rendered", *(getattr(operator, name) for name in operator.template_fields))
        self.net.take("events", events[self.asset].extra, operator)
        if importlib.util.find_spec("openlineage"):
            self.net.take("lineage", operator.get_openlineage_facets_on_complete(None))

    def defer(self, operator: Any, deferred: TaskDeferred, context: Any) -> None:
        """Continue in the triggerer, and then in the task again."""
        path, arguments = deferred.trigger.serialize()
        self.net.take("trigger", path, json.dumps(arguments), deferred.trigger, vars(deferred.trigger), deferred.kwargs)
        module, _, name = path.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**arguments)
        payloads = asyncio.run(first_payload(trigger))
        self.net.take("event of a trigger", json.dumps(payloads))
        try:
            getattr(operator, deferred.method_name)(context, event=payloads[0], **(deferred.kwargs or {}))
        except DifyError as error:
            self.net.take_error(error)


async def first_payload(trigger: Any) -> list[Any]:
    return [event.payload async for event in trigger.run()]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Create the connection that has everything."""
    cert, key = certificates.make(tmp_path, "client", OF_CERT)
    proxy = f"me:{quote(PROXY)}@"

    def made(host: str, through: str | None = None) -> None:
        monkeypatch.setenv("https_proxy", f"http://you:{OF_ENVIRONMENT}@127.0.0.1:9")
        extra = {
            "headers": {"X-Token": TOKEN, "X-Gate": f"Basic {BASIC}", "Cookie": f"a=b; s={SESSION}"},
            "proxies": {
                "https": f"http://{proxy}127.0.0.1:9",
                **({"http": f"http://{proxy}{through}"} if through else {}),
            },
            "cert": {"cert": str(cert), "key": str(key), "password": OF_CERT},
            "timeout": 5,
            "max_retries": 0,
        }
        connection = {"conn_type": "dify", "host": host, "password": f"ds-{BARE_KEY}", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_DIFY_DEFAULT", json.dumps(connection))

    return made


@pytest.fixture
def scene(
    dify: FakeDify, kb: Dataset, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[Scene]:
    """Where everything is caught, and searched at the end."""
    caplog.set_level(logging.DEBUG)
    for library in ("requests", "urllib3", "httpx", "httpcore", "httpx2", "httpcore2"):
        caplog.set_level(logging.DEBUG, logger=library)
    scene = Scene(Net(), knowledge_base(dify.base_url, kb.id))
    yield scene
    own = ("uvicorn", "airflow_provider_dify.testing")  # the built-in Dify is on the other side
    for record in (one for one in caplog.get_records("call") if not one.name.startswith(own)):
        scene.net.take(f"log of {record.name}", record.getMessage(), record.args, record.exc_text)
    scene.net.take("output", *capfd.readouterr())
    assert scene.net.leaks() == set()
    # Check that the search would have found something.
    places = {where.partition(".")[0] for where, _ in scene.net.caught}
    core = opening.library().__name__.replace("httpx", "httpcore")
    assert {"log of urllib3", f"log of {core}", "XCom", "rendered"} <= places


def test_where_all_goes_well(dify: FakeDify, kb: Dataset, scene: Scene, connect: Callable[..., None]) -> None:
    dify.add_key(key=f"ds-{BARE_KEY}")
    connect(dify.base_url)
    for make in EVERY + BASES:
        scene.run(make, kb.add_document("page"))
    locked = kb.add_document("locked")
    locked.lock(60)
    scene.run(status, locked, deferrable=True)
    with DifyHook() as hook:
        scene.net.take("hook", hook.test_connection(), hook, hook.settings, hook.settings.cert, hook.get_conn())
        scene.net.take_pickle("pickled hook", hook)


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize("as_proxy", [False, True], ids=["server", "proxy"])
def test_where_the_other_side_shows_what_it_was_sent(
    kb: Dataset, scene: Scene, connect: Callable[..., None], echo: Callable[[bytes], bytes], as_proxy: bool
) -> None:
    page = kb.add_document("page")
    with wire(lambda head: [echo(head)]) as server:
        address = server.url.removeprefix("http://").removesuffix("/v1")
        connect("http://dify.invalid/v1" if as_proxy else server.url, address if as_proxy else None)
        for make in EVERY + BASES + APPS:
            scene.run(make, page)
        scene.net.take("test", DifyHook().test_connection())
        with pytest.raises(DifyError) as caught:
            asyncio.run(asked())
        scene.net.take_error(caught.value)
        assert scene.net.errors > len(EVERY) // 2
        assert all(BARE_KEY.encode() in head for head in server.heads)
        assert not as_proxy or all(basic("me", PROXY).encode() in head for head in server.heads)


async def asked() -> object:
    settings = await async_settings("dify_default")
    return await run_flow(api.dataset_page(1), settings, logging.getLogger("task"))


def test_where_it_changes_its_mind_while_a_task_waits(
    dify: FakeDify, kb: Dataset, scene: Scene, connect: Callable[..., None]
) -> None:
    dify.add_key(key=f"ds-{BARE_KEY}")
    connect(dify.base_url)
    locked = kb.add_document("locked")
    locked.lock(600)
    dify.faults.add(Fault("page", status=403, body=f"<title>{EVERYTHING}</title>", after=7, times=None))
    scene.run(status, locked, deferrable=True)
    assert scene.net.errors == 1


@pytest.mark.parametrize("name", SECRETS)
def test_the_net_has_no_hole(name: str) -> None:
    net = Net()
    net.take("there", f"one {SECRETS[name]} here")
    assert ("there", name) in net.leaks()
