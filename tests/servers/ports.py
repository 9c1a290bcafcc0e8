"""Free TCP ports of the loopback interface."""

import fcntl
import itertools
import os
import socket
import tempfile
from pathlib import Path
from typing import IO

# The kernel hands out ports from 32768 on (ip_local_port_range) to outgoing connections. Listening below that
# range means that no connection of a test running beside can take a server's port while the server restarts.
_PORTS = range(20000, 32000)
_LOCKS = Path(tempfile.gettempdir()) / f"relais-ports-{os.getuid()}"

_sequence = iter(_PORTS)
_reserved: list[IO[str]] = []


def free_port(*, near: int | None = None) -> int:
    """Reserve a port that nobody listens on and that no other test process here will be given.

    `near` is the port wished for: it, or the next free one. The reservation is a file lock: it holds while
    servers on the port come and go, and ends with this process.
    """
    candidates = itertools.count(near) if near else _sequence
    for port in candidates:
        if _reserve(port) and not is_listening(port):
            return port
    raise RuntimeError(f"no free port left in {_PORTS}")


def is_listening(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether something accepts TCP connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _reserve(port: int) -> bool:
    _LOCKS.mkdir(exist_ok=True)
    lock = (_LOCKS / str(port)).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return False
    _reserved.append(lock)
    return True
