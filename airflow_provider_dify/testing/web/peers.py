"""Who is at the other end of a connection: this process, or another one."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

#: Column values of ``/proc/net/tcp``: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
_ESTABLISHED = "01"
_TABLE = Path("/proc/net/tcp")
_OWN_FILES = Path("/proc/self/fd")


def is_foreign(port: int, server_port: int) -> bool:
    """Whether the client of a connection inside this machine lives in another process.

    ``False`` if that is not known: on a system without ``/proc``, or if the client has closed the connection.

    :param port: The client's port.
    :param server_port: The port that it connected to.
    """
    # Own sockets first: the table of the whole machine is slow to read.
    if port in _own_ports():
        return False
    client = _client(port, server_port)
    # It may have been closed after the first check; then nobody waits for an answer.
    return client is not None and _client(port, server_port) == client and port not in _own_ports()


def _client(port: int, server_port: int) -> str | None:
    """The inode of the client's socket while it is open."""
    try:
        lines = _TABLE.read_text().splitlines()[1:]
    except OSError:
        return None
    for _, local, remote, state, *rest in (line.split() for line in lines):
        if state == _ESTABLISHED and (_port(local), _port(remote)) == (port, server_port):
            return rest[5]
    return None


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _own_ports() -> set[int]:
    """Return the local ports of the connections of this process."""
    ports = set()
    for file in _OWN_FILES.iterdir() if _OWN_FILES.is_dir() else ():
        with suppress(OSError):  # closed meanwhile
            if stat.S_ISSOCK(os.fstat(int(file.name)).st_mode):
                with socket.socket(fileno=os.dup(int(file.name))) as own:
                    ports.update(own.getsockname()[1:2])
    return ports
