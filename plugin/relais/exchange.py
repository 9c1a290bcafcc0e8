"""HTTP/1.1 with little Python: whole files go over connections that urllib3 makes, keeps and secures.

urllib3's own requests and answers cost half a millisecond of Python each, as much as Orthanc needs for an image.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from typing import Any, cast
from urllib.parse import quote

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ProtocolError, SSLError

CHUNK = 1 << 18
"""Bytes of an answer that are read at once."""
LONGEST_LINE = 1 << 16
MOST_LINES = 100
SAFE = "!$%&'()*+,/:;=?@[]~"
"""What stands in a target as it is, beside letters and digits (RFC 3986): it may be encoded already."""
BODILESS = {204, 304}


class Reply:
    """An answer (RFC 9112 section 6): its status, its fields by their names in small letters, and what it holds.

    Construction waits for it; raises HTTPException or OSError, as reading it does.
    """

    def __init__(self, connection: HTTPConnection) -> None:
        self._reader = connection.sock.makefile("rb")
        try:
            version, self.status = self._beginning()
            self.fields = self._read_fields()
            while 100 <= self.status < 200:  # noqa: PLR2004 - RFC 9110 section 15.2: the answer is still to come
                version, self.status = self._beginning()
                self.fields = self._read_fields()
        except BaseException:
            self._reader.close()
            raise
        says = self.fields.get("connection", "").lower()
        self._stays = "close" not in says and (version >= b"HTTP/1.1" or "keep-alive" in says)
        self._ended = False

    @property
    def is_over(self) -> bool:
        """Whether it was read to its end, and the connection may be used again."""
        return self._ended and self._stays

    def __iter__(self) -> Iterator[bytes]:
        """What it holds, piece by piece."""
        if "chunked" in self.fields.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif self.status not in BODILESS and (length := self._length()) is not None:
            yield from self._exactly(length)
        elif self.status not in BODILESS:
            self._stays = False
            yield from iter(lambda: self._reader.read(CHUNK), b"")
        self._ended = True

    def close(self) -> None:
        """It is not read any further."""
        self._reader.close()

    def _beginning(self) -> tuple[bytes, int]:
        line = self._line()
        if not line:
            raise RemoteDisconnected("no answer")
        version, _, rest = line.partition(b" ")
        status = rest[:3]
        if not version.startswith(b"HTTP/1.") or not status.isdigit():
            raise BadStatusLine("no HTTP/1")
        return version, int(status)

    def _read_fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for _ in range(MOST_LINES):
            line = self._line()
            if not line.strip():
                return fields
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip()
        raise HTTPException("too many fields")

    def _line(self) -> bytes:
        line: bytes = self._reader.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise LineTooLong("answer")
        return line

    def _length(self) -> int | None:
        length = self.fields.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise HTTPException("Content-Length is no number")
        return None if length is None else int(length)

    def _exactly(self, length: int) -> Iterator[bytes]:
        while length:
            piece = self._reader.read(min(length, CHUNK))
            if not piece:
                raise IncompleteRead(b"", length)
            length -= len(piece)
            yield piece

    def _chunks(self) -> Iterator[bytes]:
        """RFC 9112 section 7.1."""
        while length := self._chunk_length():
            yield from self._exactly(length)
            self._line()
        while self._line().strip():  # the trailer
            pass

    def _chunk_length(self) -> int:
        try:
            return int(self._line().partition(b";")[0], 16)
        except ValueError as error:
            raise HTTPException("a chunk without its length") from error


class Connection(HTTPConnection):
    """A connection for exchanges; urllib3's own requests go over it as well."""

    def make_ready(self) -> None:
        """Connect where it is not."""
        if self.sock is None:
            self.connect()

    def exchange(self, head: bytes, body: Iterable[bytes]) -> Reply:
        """Send a request, and wait for the answer's beginning; the server may answer before it has heard all."""
        try:
            self.send(head)
            for piece in body:
                self.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it hung up: what it said before can be read
        return Reply(self)


class SecureConnection(Connection, HTTPSConnection):
    """Likewise over TLS."""


class Pool(urllib3.HTTPConnectionPool):
    """Connections to one server, for exchanges as well as for urllib3's own requests."""

    ConnectionCls: type[HTTPConnection] = Connection

    @contextmanager
    def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes] = ()
    ) -> Iterator[Reply]:
        """The answer, to be read inside; a `body` is as long as the Content-Length among its headers says.

        Raises urllib3's errors, also for what breaks off inside. Nothing is sent twice, and no redirect is followed.
        """
        head = _head(method, target, {"Host": self._host_field(), "Accept-Encoding": "identity"} | dict(headers))
        connection = cast("Connection", self._get_conn())
        reply: Reply | None = None
        try:
            connection.make_ready()
            connection.sock.settimeout(self.timeout.read_timeout)
            reply = connection.exchange(head, body)
            yield reply
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise SSLError(error) from error
        except (OSError, HTTPException) as error:
            raise ProtocolError("Connection aborted.", error) from error
        finally:
            if reply is not None:
                reply.close()
            if reply is None or not reply.is_over:
                connection.close()
            self._put_conn(connection)

    def _host_field(self) -> str:
        """RFC 9110 section 7.2."""
        name = self.host if self.host.isascii() else self.host.encode("idna").decode()
        host = f"[{name}]" if ":" in name else name
        return host if self.port == self.ConnectionCls.default_port else f"{host}:{self.port}"


class SecurePool(Pool, urllib3.HTTPSConnectionPool):
    """Likewise over TLS."""

    ConnectionCls: type[HTTPSConnection] = SecureConnection


class PoolManager(urllib3.PoolManager):
    """Pools as urllib3 makes them, of connections for exchanges."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The request up to its body; raises ValueError for a field that would end its line too early."""
    lines = [f"{method} {quote(target, safe=SAFE)} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a request's field holds a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
