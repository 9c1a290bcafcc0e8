"""Connections of urllib3 that are made quickly, and that another thread can cut."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from typing import Any

from relais.exchange import Connection, Pool, SecureConnection
from relais.exchange import SecurePool as _SecurePool

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


class _Cuttable(Connection):
    """Connects quickly, and tells which socket its thread's request uses."""

    def __init__(self, *args: Any, sockets: Sockets, **options: Any) -> None:
        super().__init__(*args, **options)
        self._sockets = sockets

    def connect(self) -> None:
        """Connect sooner than the timeout for sending, which urllib3 takes from the same attribute."""
        patience = self.timeout
        self.timeout = CONNECT_SECONDS if patience is None else min(patience, CONNECT_SECONDS)
        try:
            super().connect()
        finally:
            self.timeout = patience
        self.sock.settimeout(patience)
        self._sockets.use(self.sock)

    def make_ready(self) -> None:
        """Connect where it is not, and tell the socket."""
        super().make_ready()
        self._sockets.use(self.sock)

    def putrequest(self, *args: Any, **options: Any) -> None:
        """Begin a request."""
        self._sockets.use(self.sock)
        super().putrequest(*args, **options)


class _Secure(_Cuttable, SecureConnection):
    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except ssl.SSLEOFError as error:  # the server hung up: urllib3 then reads what it said before
            raise BrokenPipeError from error


class PlainPool(Pool):
    """Connections without TLS."""

    ConnectionCls = _Cuttable


class SecurePool(_SecurePool):
    """Connections over TLS."""

    ConnectionCls = _Secure
