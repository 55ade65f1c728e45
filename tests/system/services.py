"""A PostgreSQL and a Redis of Debian's packages, as processes of one's own in a throw-away folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.system.processes import Processes, free_ports, is_open
from tests.system.tally import StuckError, wait_for

#: Who runs PostgreSQL, which refuses to be run by root.
_USER = "postgres"


class Services(Processes):
    """The database and the broker; they listen on 127.0.0.1 only, and what they hold goes with their folder.

    :param home: An empty folder.
    """

    def __init__(self, home: Path) -> None:
        environment = {"HOME": str(home), "LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", os.defpath)}
        super().__init__(home, environment)
        self._postgres, self._redis = free_ports(2)

    @property
    def database(self) -> str:
        """Where the database is, as ``user@host:port/name``."""
        return f"{_USER}@127.0.0.1:{self._postgres}/postgres"

    @property
    def broker(self) -> str:
        """URL of the broker."""
        return f"redis://127.0.0.1:{self._redis}/0"

    def start(self) -> None:
        """Start both; return when they listen."""
        programs, data = _postgres_programs(), self.home / "postgres"
        data.mkdir()
        if os.getuid() == 0:
            shutil.chown(data, _USER)
            # Others may pass through here, and not look around.
            for folder in (self.home, self.home.parent):
                folder.chmod(0o711)
        # Nobody but this test reaches it, and nothing in it outlives the test.
        self.finish("initdb", _unprivileged(str(programs / "initdb"), "-A", "trust", "-U", _USER, "-D", str(data)))
        settings = (f"port={self._postgres}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off")
        options = [part for setting in settings for part in ("-c", setting)]
        server = _unprivileged(str(programs / "postgres"), "-D", str(data), *options)
        self.start_program(server, self.home / "postgres.log")
        redis = ("--port", str(self._redis), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.home))
        self.start_program([_redis_program(), *redis], self.home / "redis.log")
        wait_for("PostgreSQL and Redis", lambda: is_open(self._postgres) and is_open(self._redis), 30)


def _postgres_programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise StuckError("there is no PostgreSQL here; Debian has it: apt-get install postgresql")
    return found[-1].parent


def _redis_program() -> str:
    path = shutil.which("redis-server")
    if path is None:
        raise StuckError("there is no Redis here; Debian has it: apt-get install redis-server")
    return path


def _unprivileged(*command: str) -> list[str]:
    if os.getuid() != 0:
        return [*command]
    return ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", *command]
