"""What the ways of sending by HTTP share: the connections to one server, and the class of whatever goes wrong."""

# ruff: noqa: D102 - each property of the protocol is named by its type

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from typing import Any, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import NewConnectionError, ProtocolError

from relais.configuration.secrets import Secret
from relais.domain.retry import ErrorClass, retry_after
from relais.exchange import Pool
from relais.transports.port import Content, Item, SendingError, Stop
from relais.transports.web_connections import PlainPool, SecurePool, Sockets

LOOK_SECONDS = 0.2
"""How often a thread that waits for the server looks whether it shall stop."""
PIECE = 1 << 18
"""Bytes handed to the network at once; each piece has the whole timeout for itself."""
AHEAD = 1 << 21
"""Bytes of a file that are read before its first one is sent."""
LONGEST_ANSWER = 1 << 26
"""Bytes of an answer that are read at most."""
INTERRUPTED = "interrupted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes
    wait: timedelta | None = None
    """How long it asks to be left alone."""

    @property
    def accepted(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110 section 15.3


class ContentChangedError(Exception):
    """A file is not as long as it was when its delivery was planned; no whole request with it was sent."""


class File:
    """An instance's file on its way to the network.

    What is not large is read before anything of it is sent: then it is known to be there, and how long it is, and a
    slow server keeps none of Orthanc's connections waiting. Construction raises SendingError where it cannot be had.
    """

    def __init__(self, content: Content, item: Item) -> None:
        self._chunks = content.read(item)
        self._head: list[bytes] = []
        self.length: int | None = None
        """In bytes; None where the end was not seen yet."""
        read = 0
        for chunk in self._chunks:
            self._head.append(chunk)
            read += len(chunk)
            if read >= AHEAD:
                return
        self.length = read

    def pieces(self, stopping: Stop, length: int | None) -> Iterator[bytes]:
        """All of it, or ContentChangedError before the last byte if it proves to have another length."""
        read, held = 0, b""
        for chunk in chain(self._head, self._chunks):
            read += len(chunk)
            if length is not None and read > length:
                raise ContentChangedError
            yield from _cut(held, stopping)
            held = chunk
        if length is not None and read != length:
            raise ContentChangedError
        yield from _cut(held, stopping)


def _cut(chunk: bytes, stopping: Stop) -> Iterator[bytes]:
    for start in range(0, len(chunk), PIECE):
        if stopping.is_set():
            raise InterruptedError
        yield chunk[start : start + PIECE]


class WebPlace(Protocol):
    """An HTTP server as the configuration names it; `timeout` is in seconds."""

    @property
    def url(self) -> str: ...
    @property
    def user(self) -> str | None: ...
    @property
    def password(self) -> Secret | None: ...
    @property
    def authority(self) -> str | None: ...
    @property
    def certificate(self) -> str | None: ...
    @property
    def timeout(self) -> int: ...
    @property
    def concurrency(self) -> int: ...


class Web:
    """The HTTP server of a destination or source; safe to share between threads, so many of one delivery `at_once`."""

    def __init__(self, destination: WebPlace, token: Secret | None = None, *, at_once: int = 1) -> None:
        parts = urlsplit(destination.url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._root = parts.path.rstrip("/")
        self._destination = destination
        self._connections = destination.concurrency * at_once
        self._authorization = _authorization(destination, token)
        self._sockets = Sockets()
        self._lock = threading.Lock()
        self._opened: Pool | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The server's answer, whatever its status; redirects are not followed.

        A body without Content-Length among its headers goes in chunks (RFC 9112 section 7.1). Raises SendingError; a
        connection that breaks off while a body is made and sent may do so for the sake of that body.
        """
        pool = self._pool()
        try:
            answer = pool.urlopen(
                method,
                self._root + path,
                body=body,
                headers={**self._authorization, **(headers or {})},
                redirect=False,
                preload_content=False,
            )
            content = _read(answer)
            self._sockets.use(None)
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(error, is_small=body is None or isinstance(body, bytes)) from error
        finally:
            self._sockets.use(None)
        return Answer(status=answer.status, body=content, wait=retry_after(answer.headers, datetime.now(UTC)))

    def post(self, path: str, body: Iterable[bytes], length: int, headers: Mapping[str, str]) -> Answer:
        """Likewise, for a POST of a body that is so many bytes long; costs less than `request`."""
        fields = {**self._authorization, **headers, "Content-Length": str(length)}
        try:
            with self._pool().exchange("POST", self._root + path, fields, body) as answer:
                content = _joined(answer)
                self._sockets.use(None)
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(error, is_small=False) from error
        finally:
            self._sockets.use(None)
        asked = {"Retry-After": answer.fields.get("retry-after", "")}
        return Answer(status=answer.status, body=content, wait=retry_after(asked, datetime.now(UTC)))

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer to a GET, to be read piece by piece; raises SendingError, also for what breaks off inside."""
        try:
            answer = self._pool().urlopen(
                "GET",
                self._root + path,
                headers={**self._authorization, **headers},
                redirect=False,
                preload_content=False,
            )
            try:
                yield answer
            finally:
                answer.close()  # it may not have been read to its end
        except urllib3.exceptions.HTTPError as error:
            raise self._failed(error, is_small=True) from error
        finally:
            self._sockets.use(None)

    def probe(self, method: str, path: str) -> Answer:
        """The answer to a small request; raises SendingError where the server says that it is not at work."""
        answer = self.request(method, path)
        error = refusal(answer)
        if error.unreachable and error.error_class is ErrorClass.Transient:
            raise error
        return answer

    @contextmanager
    def cut_at(self, stopping: Stop) -> Iterator[None]:
        """Inside, `stopping` cuts this thread's connection: whatever waits for the server then fails at once."""
        over, sender = threading.Event(), threading.get_ident()

        def watch() -> None:
            while not over.wait(LOOK_SECONDS):
                if stopping.is_set():
                    self._sockets.cut(sender)

        watcher = threading.Thread(target=watch, name="relais-web-watch", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def close(self) -> None:
        """Let go of idle connections, and read the certificates again before the next one."""
        with self._lock:
            pool, self._opened = self._opened, None
        if pool is not None:
            pool.close()

    def _pool(self) -> Pool:
        with self._lock:
            if self._opened is None:
                seconds = self._destination.timeout
                options: dict[str, Any] = {
                    "maxsize": self._connections,
                    "timeout": urllib3.Timeout(connect=seconds, read=seconds),
                    "retries": False,
                    "sockets": self._sockets,
                }
                if self._secure:
                    self._opened = SecurePool(self._host, self._port, ssl_context=self._context(), **options)
                else:
                    self._opened = PlainPool(self._host, self._port, **options)
            return self._opened

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._destination.authority)
            if self._destination.certificate is not None:
                context.load_cert_chain(self._destination.certificate)
        except OSError as error:  # ssl.SSLError is one
            reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
            text = f"CertificateAuthority or ClientCertificate cannot be read: {reason}"
            raise SendingError(ErrorClass.Configuration, "certificate", text, unreachable=True) from error
        return context

    def _failed(self, error: urllib3.exceptions.HTTPError, *, is_small: bool) -> SendingError:
        """The class of a network's error; the text has no path, which can name a study."""
        where = f"{self._host} port {self._port}"
        cause: object = error.args[1] if isinstance(error, ProtocolError) and error.args[1:] else error
        if isinstance(cause, urllib3.exceptions.SSLError) and not _passes(cause.args[0]):
            self.close()  # certificates may be renewed
            reason = cause.args[0]
            words = getattr(reason, "verify_message", None) or getattr(reason, "reason", None) or "no agreement"
            return SendingError(ErrorClass.Configuration, "tls", f"{where}: TLS failed: {words}", unreachable=True)
        known = next((each for each in _NETWORK if isinstance(cause, each[0])), None)
        if isinstance(cause, NewConnectionError) and not isinstance(cause, urllib3.exceptions.NameResolutionError):
            refused = isinstance(cause.__cause__, ConnectionRefusedError)
            known = (NewConnectionError, *(("refused", "it refuses connections") if refused else _NO_WAY))
        if known is None:
            text = f"{where}: the connection broke off"
            return SendingError(ErrorClass.Transient, INTERRUPTED, text, unreachable=is_small)
        return SendingError(ErrorClass.Transient, known[1], f"{where}: {known[2]}", unreachable=True)


_NO_WAY = ("unreachable", "no way leads there")
_NETWORK: tuple[tuple[type[Exception], str, str], ...] = (
    (urllib3.exceptions.NameResolutionError, "name-not-resolved", "its name cannot be resolved"),
    (urllib3.exceptions.TimeoutError, "timeout", "no answer in time"),
    (TimeoutError, "timeout", "no answer in time"),
)


def refusal(answer: Answer) -> SendingError:
    """The class of an answer that is no success (RFC 9110 section 15; 507: RFC 4918 section 11.5)."""
    status = answer.status
    known = _REFUSALS.get(status)
    if known is not None:
        error_class, unreachable, text = known
    elif 300 <= status < 400:  # noqa: PLR2004 - RFC 9110 section 15.4
        error_class, unreachable, text = ErrorClass.Configuration, True, "it redirects to another address"
    elif 400 <= status < 500:  # noqa: PLR2004 - RFC 9110 section 15.5
        error_class, unreachable, text = ErrorClass.Permanent, False, "it does not take this"
    else:
        error_class, unreachable, text = ErrorClass.Transient, False, "it failed"
    return SendingError(error_class, str(status), text, unreachable=unreachable, wait=answer.wait)


_REFUSALS = {
    401: (ErrorClass.Configuration, True, "it does not accept our name and password, or our token"),
    403: (ErrorClass.Configuration, False, "it does not allow this to us"),
    404: (ErrorClass.Configuration, True, "nothing receives at this address"),
    405: (ErrorClass.Configuration, True, "nothing receives at this address"),
    407: (ErrorClass.Configuration, True, "a proxy before it asks who we are"),
    408: (ErrorClass.Transient, False, "it found us too slow"),
    411: (ErrorClass.Configuration, False, "it takes only what it knows the length of"),
    413: (ErrorClass.Permanent, False, "it is too much for it"),
    415: (ErrorClass.Configuration, False, "it does not take this kind of content"),
    425: (ErrorClass.Transient, False, "it asks for this again"),
    429: (ErrorClass.Transient, True, "it asks us to slow down"),
    503: (ErrorClass.Transient, True, "it is not at work now"),
    507: (ErrorClass.Transient, True, "it has no room left"),
}


def absent(
    items: Sequence[Item],
    content: Content,
    listed: Callable[[Item], Collection[str]],
    has: Callable[[Item], bool],
) -> list[str]:
    """The Orthanc ids of the items that a server has not.

    `listed` answers the SOPInstanceUIDs of the item's series. Lists can be cut, so that in a series of which the
    server has something, `has` is asked for each item that was not listed.
    """
    named = [(item.orthanc_id, content.named(item)) for item in items]
    named.sort(key=lambda each: (each[1].study_instance_uid, each[1].series_instance_uid))
    missing: list[str] = []
    for _, group in groupby(named, key=lambda each: (each[1].study_instance_uid, each[1].series_instance_uid)):
        series = list(group)
        there = listed(series[0][1])
        missing += [
            orthanc_id
            for orthanc_id, item in series
            if item.sop_instance_uid not in there and not (there and has(item))
        ]
    return missing


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The answer's body; a connection with more of it than anybody needs is not used again."""
    try:
        content = answer.read(LONGEST_ANSWER)
        if len(content) == LONGEST_ANSWER:
            answer.close()
    except BaseException:
        answer.close()
        raise
    return content


def _joined(answer: Iterable[bytes]) -> bytes:
    """Likewise."""
    pieces, room = [], LONGEST_ANSWER
    for piece in answer:
        pieces.append(piece[:room])
        room -= len(piece)
        if room <= 0:
            break
    return b"".join(pieces)


def _authorization(destination: WebPlace, token: Secret | None) -> dict[str, str]:
    """RFC 6750 for a token, RFC 7617 for a user."""
    if token is not None:
        return {"Authorization": f"Bearer {token.resolve()}"}
    if destination.user is not None and destination.password is not None:
        pair = f"{destination.user}:{destination.password.resolve()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return {}


def _passes(error: object) -> bool:
    """Whether TLS failed because of the network: a connection that broke off, or bytes that changed on their way."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError):
        return True
    return isinstance(error, ssl.SSLError) and "BAD_RECORD_MAC" in (error.reason or "")
