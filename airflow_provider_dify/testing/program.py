"""A stand-alone Dify for clients in other processes: ``python -m airflow_provider_dify.testing``."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import os
import re
import shlex
import signal
import sys
import threading
from collections.abc import Sequence

from airflow_provider_dify.testing.fake import ANYWHERE, FakeDify
from airflow_provider_dify.testing.seeds import seed_demo
from airflow_provider_dify.testing.web.costs import MEASURED, MEASURED_1_16_0
from airflow_provider_dify.testing.web.front import RequestRecord

VERSIONS = ("1.16.0", "1.14.1", "1.12.1")
PORT = 8011
#: How many requests it remembers.
REMEMBERED = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until it is told to stop; return the exit code."""
    commands = parser()
    options = commands.parse_args(arguments)
    if not _is_loopback(options.host) and options.key is None:
        commands.error(f"--host {options.host} can be reached from other machines: choose a key with --key")
    try:
        dify = _made(options)
    except ValueError as error:
        commands.error(str(error))
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        dify.start()
    except (ImportError, OSError) as error:
        print(_why_not(error, options), file=sys.stderr)
        return 1
    if not options.quiet:
        dify.front.told = _tell
    print("\n".join(_greeting(dify)), flush=True)
    stopped.wait()
    dify.stop()
    print("Stopped.")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line parser."""
    made = argparse.ArgumentParser(
        prog="python -m airflow_provider_dify.testing",
        description="A Dify for tests, in real time, for any process. It keeps everything in memory.",
    )
    add = made.add_argument
    add(
        "--host",
        default="127.0.0.1",
        help=f"where to listen; {ANYWHERE}: for other machines too, which needs --key (default: %(default)s)",
    )
    add("--port", type=_port, default=PORT, help="0: a free one (default: %(default)s)")
    add(
        "--version",
        choices=VERSIONS,
        default=VERSIONS[0],
        help="the version of Dify to behave like (default: %(default)s)",
    )
    add(
        "--seed",
        choices=("demo", "none"),
        default="demo",
        help="initial data (default: %(default)s)",
    )
    add("--key", type=_key, help="your own API key (default: one that is the same at every start)")
    add("--jobs", type=int, help="number of jobs that its worker runs in parallel (default: 4)")
    add(
        "--lost-keywords",
        type=_share,
        default="never",
        metavar="SHARE",
        help="how often jobs that overlap lose keywords, as in Dify 1.16.0: never, always, or above 0 and up to 1 "
        "(default: %(default)s)",
    )
    add(
        "--lock-race",
        choices=("measured", "always", "never"),
        default="measured",
        help="how often a job leaves its lock behind (default: %(default)s)",
    )
    add("--measured", action="store_true", help="respond as slowly as the Dify that was measured")
    add("--quiet", action="store_true", help="do not print a line for each request")
    return made


def _made(options: argparse.Namespace) -> FakeDify:
    slow = MEASURED_1_16_0 if options.version == "1.16.0" else MEASURED
    dify = FakeDify(
        version=options.version,
        costs=slow if options.measured else None,
        lock_race=options.lock_race,
        jobs=options.jobs,
        lost_keywords=options.lost_keywords,
        host=options.host,
        port=options.port,
    )
    if options.key is not None:
        del dify.world.keys[dify.api_key]
        dify.api_key = dify.add_key(key=options.key)
    if options.seed == "demo":
        seed_demo(dify)
    dify.front.remembered = REMEMBERED
    return dify


def _greeting(dify: FakeDify) -> list[str]:
    lines = [f"The built-in Dify {dify.version} listens on {dify.base_url}. Its pages: {dify.console_url}/", ""]
    for dataset in dify.world.datasets.values():
        documents = "document" if len(dataset) == 1 else "documents"
        kind = "high quality" if dataset.has_vectors else "economy"
        lines.append(f"{dataset.id}  {dataset.name} ({kind}, {len(dataset)} {documents})")
        lines += [f"  {document.id}  {document.name}: {document.display_status}" for document in dataset.documents]
    lines += [f"{app.id}  {app.name} ({app.mode})" for app in dify.apps.all]
    lines += [""] if dify.world.datasets or dify.apps.all else []
    connections = {"DEFAULT": dify.airflow_connection()}
    connections |= {
        "APP" if app.mode == "workflow" else "CHAT": dify.airflow_connection(app=app) for app in dify.apps.all
    }
    exports = [f"export AIRFLOW_CONN_DIFY_{name}={shlex.quote(value)}" for name, value in connections.items()]
    return [*lines, *exports, "", "Stop it with Ctrl-C."]


def _tell(record: RequestRecord) -> None:
    answer = "no answer" if record.status is None else record.status
    print(f"{record.method} {record.path} {answer}", file=sys.stderr, flush=True)


def _why_not(error: ImportError | OSError, options: argparse.Namespace) -> str:
    if isinstance(error, ImportError):
        return str(error)
    if error.errno == errno.EADDRINUSE:
        return f"Port {options.port} is in use. Choose another one with --port, or a free one with --port 0."
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return f"Cannot listen on {options.host}, port {options.port}: {reason}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise argparse.ArgumentTypeError("a key has visible ASCII characters only, and at least one")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 0 to 65535")
    return int(text)


def _share(text: str) -> float | str:
    if text in ("never", "always"):
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither never, nor always, nor a number") from None
