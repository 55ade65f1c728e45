"""Who is at the other end of a connection: this process, or another one."""

from __future__ import annotations

from collections.abc import Iterator
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
    client = _client(port, server_port)
    if client is None or f"socket:[{client}]" in _own_files():
        return False
    # It may have been closed after the first look; then nobody waits for an answer.
    return _client(port, server_port) == client


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


def _own_files() -> set[str]:
    """What the open files of this process are."""

    def targets() -> Iterator[str]:
        for file in _OWN_FILES.iterdir():
            try:
                yield str(file.readlink())
            except OSError:  # closed meanwhile
                continue

    return set(targets())
