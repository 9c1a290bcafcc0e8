"""An HTTP server that stands for a subscriber: it records what it is told and answers as it was asked to."""

import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.servers.waiting import eventually


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived; header names are in lower case, `time` is in seconds since the epoch."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    time: float

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the receiver does with a request: wait `delay` seconds, then answer or hang up."""

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    hang_up: bool = False


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that clients that keep theirs open do not keep the server's threads alive."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the client was killed
            super().handle_error(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in tuple(self._connections):
            with suppress(OSError):  # the client was faster
                connection.shutdown(socket.SHUT_RDWR)


class Receiver:
    """A webhook receiver on a free port of the loopback.

    `url` is its address. `requests` is everything that arrived, in order. `answer_next` queues answers for
    the requests to come; the others get `answer`, a plain 204 at first.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.answer = Answer()
        self._next: deque[Answer] = deque()
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/webhook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests so far."""
        with self._lock:
            return tuple(self._requests)

    def answer_next(self, *answers: Answer) -> None:
        """Give these answers, one each, to the next requests."""
        with self._lock:
            self._next.extend(answers)

    def wait_for(self, predicate: Callable[[Request], bool], timeout: float = 15.0, what: str = "a request") -> Request:
        """Return the first request that the predicate holds for, waiting for it if need be."""
        found = eventually(lambda: [each for each in self.requests if predicate(each)], timeout, what)
        return found[0]

    def events(self, kind: str | None = None) -> list[Any]:
        """The bodies that arrived, parsed; with `kind`, those of this `type` only."""
        bodies = [request.json for request in self.requests]
        return [body for body in bodies if kind is None or body["type"] == kind]

    def _record(self, request: Request) -> Answer:
        with self._lock:
            self._requests.append(request)
            return self._next.popleft() if self._next else self.answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # the sender died in the midst of it: no server would hand that on
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = receiver._record(
                    Request(method=self.command, path=self.path, headers=headers, body=body, time=time.time())
                )
                receiver._ended.wait(answer.delay)
                if answer.hang_up:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Say nothing: tests read `requests`."""

        return Handler
