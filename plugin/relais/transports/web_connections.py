"""Connections of urllib3 that are made quickly, and that another thread can cut."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

CONNECT_SECONDS = 5.0
"""The longest wait for a connection: a server that is there answers sooner, however slow it is afterwards."""


class Sockets:
    """The socket that each thread's request uses, so that another thread can end what waits for it."""

    def __init__(self) -> None:
        self._used: dict[int, socket.socket] = {}
        self._lock = threading.Lock()

    def use(self, used: socket.socket | None) -> None:
        """This thread's request goes over it; None when the request is over."""
        with self._lock:
            if used is None:
                self._used.pop(threading.get_ident(), None)
            else:
                self._used[threading.get_ident()] = used

    def cut(self, thread: int) -> None:
        """End what the thread waits for, if it does."""
        with self._lock:
            used = self._used.get(thread)
            if used is not None:
                with suppress(OSError):  # it ended by itself
                    socket.socket.shutdown(used, socket.SHUT_RDWR)  # an SSLSocket's own would confuse its reader


class _Plain(HTTPConnection):
    def __init__(self, *args: Any, sockets: Sockets, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sockets = sockets

    def connect(self) -> None:
        with _hurried(self):
            super().connect()
        _ready(self, self._sockets)

    def putrequest(self, *args: Any, **options: Any) -> None:
        self._sockets.use(self.sock)
        super().putrequest(*args, **options)


class _Secure(HTTPSConnection):
    def __init__(self, *args: Any, sockets: Sockets, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sockets = sockets

    def connect(self) -> None:
        with _hurried(self):
            super().connect()
        _ready(self, self._sockets)

    def putrequest(self, *args: Any, **options: Any) -> None:
        self._sockets.use(self.sock)
        super().putrequest(*args, **options)

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as error:  # the server hung up: urllib3 then reads what it said before
            raise BrokenPipeError from error


@contextmanager
def _hurried(connection: HTTPConnection) -> Iterator[None]:
    """Connect sooner than the timeout for sending, which urllib3 takes from the same attribute."""
    patience = connection.timeout
    connection.timeout = CONNECT_SECONDS if patience is None else min(patience, CONNECT_SECONDS)
    try:
        yield
    finally:
        connection.timeout = patience


def _ready(connection: HTTPConnection, sockets: Sockets) -> None:
    connection.sock.settimeout(connection.timeout)
    sockets.use(connection.sock)


class PlainPool(urllib3.HTTPConnectionPool):
    """Connections without TLS."""

    ConnectionCls = _Plain


class SecurePool(urllib3.HTTPSConnectionPool):
    """Connections over TLS."""

    ConnectionCls = _Secure
