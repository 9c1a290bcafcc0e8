"""Free TCP ports of the loopback interface."""

import itertools
import socket

# The kernel hands out ports from 32768 on (ip_local_port_range) to outgoing connections. Listening below that
# range means that no connection of a test running beside can take a server's port while the server restarts.
_PORTS = range(20000, 32000)

_sequence = iter(_PORTS)
_reserved: list[socket.socket] = []


def free_port(*, near: int | None = None) -> int:
    """Reserve a port that nobody listens on and that no other test process here will be given.

    `near` is the port wished for: it, or the next free one. The reservation holds while servers on the port come
    and go, and ends with this process.
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
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0relais-port-{port}")  # an abstract name is unique where a port is: in its network namespace
    except OSError:
        claim.close()
        return False
    _reserved.append(claim)
    return True
