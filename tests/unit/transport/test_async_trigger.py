"""The event loop is never blocked, and a trigger's connection is read and kept secret."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_dify.exceptions import (
    DifyEndpointError,
    DifyError,
    DifyInputError,
    DifyRateLimitError,
    DifyServerError,
)
from airflow_provider_dify.hooks.asynchronous import async_settings, run_flow
from airflow_provider_dify.hooks.dify import DifyHook
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.knowledge.flow import Deadline, Flow, Pause
from airflow_provider_dify.knowledge.retries import retrying
from airflow_provider_dify.testing import FakeDify, Fault, VirtualClock
from airflow_provider_dify.transport.clock import using
from airflow_provider_dify.transport.masking import masked_logs
from airflow_provider_dify.transport.settings import Settings
from tests.unit.transport.ways import (
    LOG,
    ONE_MORE,
    all_of,
    empty_list,
    run_async,
    run_blocking,
    settings_of,
)


def test_a_wait_of_a_quarter_of_an_hour_takes_no_time(dify: FakeDify) -> None:
    def flow() -> Flow[float]:
        begin = dify.clock.monotonic()
        yield Pause(900, "Waiting.")
        return dify.clock.monotonic() - begin

    assert run_async(settings_of(dify), flow()) == 900
    assert dify.clock.slept == [900]


def test_a_pause_does_not_hold_up_the_loop() -> None:
    """A hundred flows pause at once: each pause ends only when all of them have begun."""
    begun: list[float] = []
    all_begun = asyncio.Event()

    class Together(VirtualClock):
        async def asleep(self, seconds: float) -> None:
            begun.append(seconds)
            if len(begun) == 100:
                all_begun.set()
            await all_begun.wait()

    def flow() -> Flow[None]:
        yield Pause(0.1, "")

    async def main() -> None:
        flows = (run_flow(flow(), Settings("http://127.0.0.1:1/v1", "key"), LOG) for _ in range(100))
        await asyncio.wait_for(all_of(*flows), 300)

    with using(Together()):
        asyncio.run(main())
    assert begun == [0.1] * 100


MEASURE = """
import asyncio, gc, logging, sys, threading, time
import concurrent.futures.thread  # asyncio's own, for any to_thread: a triggerer has it long since
from pathlib import Path

from airflow_provider_dify.hooks.asynchronous import run_flow
from airflow_provider_dify.knowledge import api
from airflow_provider_dify.transport.settings import Settings

longest, imported = 0.0, set()

def in_line():
    # Seconds that this thread was ready and the machine had no processor for it; Linux tells.
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0

async def tick():
    global longest
    last, waited = time.perf_counter(), in_line()
    while True:
        await asyncio.sleep(0.001)
        now, then = time.perf_counter(), in_line()
        longest = max(longest, (now - last) - (then - waited))
        last, waited = now, then

def note(event, args):
    if event == "import" and threading.current_thread() is threading.main_thread():
        imported.add(args[0])

def flow():
    for page in range(1, 3):
        yield from api.document_page(sys.argv[3], page)
    return 1

async def main():
    ticker = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    settings = Settings(sys.argv[1], sys.argv[2])
    done = await asyncio.gather(*(run_flow(flow(), settings, logging.getLogger()) for _ in range(200)))
    ticker.cancel()
    print("measured", sum(done), longest)

# A round of the collector over all that Airflow has loaded takes 100 ms, whoever causes it.
gc.collect()
gc.freeze()
sys.addaudithook(note)
asyncio.run(main())
# httpcore asks each time for sniffio, which need not be there.
print("imported", *(name for name in imported if name in sys.modules))
"""


def measured(dify: FakeDify, environment: dict[str, str]) -> tuple[list[str], float]:
    """Run flows from the first import of httpx on, in a separate process, since this one runs the Dify.

    :return: What the loop's own thread imported, and the longest time in seconds for which the loop was blocked.
    """
    dify.admits_other_processes = True
    kb = dify.add_dataset("handbook")
    kb.add_documents(250)
    command = [sys.executable, "-c", MEASURE, dify.base_url, dify.api_key, kb.id]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    printed = {words[0]: words[1:] for words in map(str.split, ran.stdout.splitlines()) if words}
    done, longest = printed["measured"]
    assert done == "200"
    return printed["imported"], float(longest)


@pytest.mark.program
def test_the_loop_imports_nothing(dify: FakeDify) -> None:
    assert measured(dify, {**os.environ})[0] == []


@pytest.mark.perf
def test_the_loop_is_never_held_up(dify: FakeDify, tmp_path: Path) -> None:
    # Modules are compiled once in the life of an installation; nothing can interrupt the compiler.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    gaps = [measured(dify, environment)[1] for _ in range(3)]
    assert min(gaps) < 0.05, f"seconds for which the loop was held up in each try: {gaps}"


def test_the_connection_of_a_trigger(dify: FakeDify, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", dify.airflow_connection({"timeout": 7, "headers": {"X-Team": "docs"}}))

    async def main() -> Settings:
        return (await all_of(async_settings("mine"), async_settings("mine")))[0]

    settings = asyncio.run(main())
    assert settings == DifyHook("mine").settings
    assert (settings.timeout, settings.headers, settings.api_key) == (7, {"X-Team": "docs"}, dify.api_key)


def test_its_extras_are_read_without_an_event_loop_where_airflow_cannot_do_it_in_one(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat import connection as compat
    from airflow.providers.common.compat.sdk import Connection

    threads = []

    class Noting(Connection):
        @property
        def extra_dejson(self) -> dict[str, Any]:
            threads.append(threading.current_thread())
            return {"timeout": 7}

    async def get(conn_id: str) -> Connection:
        return Noting(conn_id=conn_id, conn_type="dify", host=dify.base_url, password=dify.api_key)

    monkeypatch.setattr(compat, "get_async_connection", get)
    monkeypatch.delattr(compat, "get_async_extra_dejson", raising=False)
    assert asyncio.run(async_settings("mine")).timeout == 7
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


def test_a_wrong_field_of_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MINE", '{"conn_type": "dify", "password": "dataset-1", "extra": {"timeout": 0}}')
    with pytest.raises(DifyInputError, match="timeout"):
        asyncio.run(async_settings("mine"))


@pytest.mark.parametrize("key", ["app-0123456789", "dataset-wrong-0123456789"])
def test_a_trigger_says_the_same_about_a_key_as_the_hook(
    dify: FakeDify, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    dify.api_key = key
    monkeypatch.setenv("AIRFLOW_CONN_MINE", dify.airflow_connection())
    dify.world.keys.pop(key, None)

    async def main() -> None:
        await run_flow(api.dataset_page(1), await async_settings("mine"), LOG)

    with pytest.raises(AirflowFailException) as asynchronous:
        asyncio.run(main())
    with pytest.raises(AirflowFailException) as blocking, DifyHook("mine") as hook:
        hook.run(api.dataset_page(1))
    assert str(asynchronous.value) == str(blocking.value)
    assert ("is an app key" in str(asynchronous.value)) == key.startswith("app-")
    assert "knowledge/" not in "".join(traceback.format_exception(asynchronous.value))


def test_the_retries_of_a_trigger_are_those_of_the_connection(dify: FakeDify) -> None:
    dify.faults.add(Fault("status", status=503, times=None))
    with pytest.raises(DifyServerError):
        asyncio.run(run_flow(api.dataset_page(1), settings_of(dify, max_retries=2), LOG))
    assert len(dify.requests) == 3
    dify.faults.clear()
    dify.faults.add(Fault("status", status=429, retry_after=50))
    deadline = Deadline(20, dify.clock.monotonic)
    with pytest.raises(DifyRateLimitError):
        asyncio.run(run_flow(api.dataset_page(1), settings_of(dify), LOG, deadline))


def test_no_secret_is_in_any_text(dify: FakeDify, caplog: pytest.LogCaptureFixture) -> None:
    token = "team-token-5f2c9a"
    secrets = (dify.api_key, token, "proxy-word-81b3")
    good = settings_of(dify, headers={"X-Team": token}, max_retries=1, timeout=0.2)
    closed = f"me:{secrets[2]}@127.0.0.1:1"
    cases: list[tuple[Settings, list[Fault]]] = [
        (good, [Fault("echo_key")]),
        (good, [Fault("echo_key", status=500, times=None)]),
        (good, [Fault("page", status=502, body=f"<title>{token} {dify.api_key}</title>", times=None)]),
        (good, [Fault("redirect", body=f"http://else.where/{dify.api_key}?{token}")]),
        (good, [Fault("hang", times=None)]),
        (replace(good, proxies={"all": closed}), []),
        (replace(good, proxies={"all": f"http://{closed}"}), []),
        (replace(good, proxies={"all": f"gopher://{closed}"}), []),
        (replace(good, verify=f"/no/{dify.api_key}", base_url="https://127.0.0.1:1/v1"), []),
    ]
    said = []
    with caplog.at_level(logging.DEBUG):
        for settings, faults in cases:
            dify.faults.clear()
            dify.faults.add(*faults)
            with pytest.raises(DifyError) as caught:
                asyncio.run(run_flow(api.dataset_page(1), settings, LOG))
            said += ["".join(traceback.format_exception(caught.value)), repr(caught.value)]
    said += [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert len(said) > 2 * len(cases)
    for text in said:
        assert not any(secret in text for secret in secrets), text


@pytest.mark.parametrize(("way", "library"), [(run_blocking, "urllib3"), (run_async, "httpcore")])
def test_the_libraries_below_do_not_log_what_a_server_echoes(
    dify: FakeDify, caplog: pytest.LogCaptureFixture, way: Callable[..., Any], library: str
) -> None:
    dify.faults.add(Fault("page", status=404, headers={"X-Echo": dify.api_key}))
    caplog.set_level(logging.DEBUG)
    with pytest.raises(DifyEndpointError):
        way(settings_of(dify), retrying(empty_list(), ONE_MORE))
    logged = [record for record in caplog.records if record.name.startswith(library)]
    assert logged
    assert dify.api_key not in caplog.text
    assert library != "httpcore" or "***" in caplog.text
    # What others do with the library is shown unchanged.
    logging.getLogger(logged[0].name).debug("others %s", dify.api_key)
    assert f"others {dify.api_key}" in caplog.text


def test_no_logger_of_httpcore_shows_the_password_of_a_proxy(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever kind of proxy it is: that for SOCKS logs the user, and needs a package that is not installed here."""
    import httpcore

    sources = [path.read_text() for path in Path(httpcore.__file__).parent.rglob("*.py")]
    names = {name for source in sources for name in re.findall(r'getLogger\("(.+?)"\)', source)}
    assert "httpcore.socks" in names
    caplog.set_level(logging.DEBUG)
    settings = Settings("https://dify/v1", "dataset-x", proxies={"https": "socks5://me:open-sesame@proxy:1080"})
    with masked_logs(settings):
        for name in names:
            logging.getLogger(name).debug("setup.started auth=%r", (b"me", b"open-sesame"))
    assert caplog.text.count("setup.started") == len(names)
    assert "open-sesame" not in caplog.text


def test_headers_that_cannot_be_read_are_not_logged_with_the_key(caplog: pytest.LogCaptureFixture) -> None:
    key = "dataset-0123456789abcdef"
    answer = f"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\nkey {key} echoed\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:

        def serve_one() -> None:
            with server.accept()[0] as connection:
                connection.recv(10_000)
                connection.sendall(answer.encode())

        served = pool.submit(serve_one)
        settings = Settings(f"http://127.0.0.1:{server.getsockname()[1]}/v1", key)
        with pytest.raises(DifyEndpointError):
            run_blocking(settings, retrying(empty_list(), ONE_MORE))
        served.result()
    assert "Failed to parse headers" in caplog.text
    assert key not in caplog.text
