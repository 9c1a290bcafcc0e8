"""A WSGI server over one Orthanc REST callback.

What Orthanc does to a request before it arrives here (measured on 1.10.1 with plugin 4.0): the path is percent-decoded,
its `//`, `..` and last slash are resolved; header names are lower-cased; query values stay percent-encoded and exist
for GET only; a body exists for POST and PUT only; HEAD, OPTIONS and PATCH are answered by Orthanc itself.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

PATTERN = "/relais(/.*)?"
"""The regular expression of the callback: everything under /relais."""

MOUNT = "/relais"

_KNOWN_TO_ORTHANC = frozenset({
    200, 201, 202, 204, 206, 301, 302, 303, 304, 400, 401, 403, 404, 406, 409, 410, 412, 413, 415, 422, 500, 501, 503,
})  # fmt: skip
"""Orthanc closes the connection without any answer when it is given another status."""

Callback = Callable[..., None]


class Output(Protocol):
    """What Orthanc's plugin hands to a REST callback to answer with."""

    def AnswerBuffer(self, body: bytes, content_type: str) -> None:  # noqa: N802
        """Answer 200."""

    def SendHttpStatus(self, status: int, body: str, size: int = ..., /) -> None:  # noqa: N802
        """Answer another status; `size` in bytes is asked for before plugin 4.2, and refused since."""

    def SendMethodNotAllowed(self, allowed: str) -> None:  # noqa: N802
        """Answer 405, without body."""

    def SetHttpHeader(self, name: str, value: str) -> None:  # noqa: N802
        """Add a header to the answer that follows."""


def callback_of(application: WSGIApplication) -> Callback:
    """The REST callback that answers with `application`; it never raises, whatever the application does."""

    def callback(output: Output, uri: str, **request: Any) -> None:
        answer = _Answer()

        def work() -> None:
            nonlocal answer
            try:
                chunks = application(_environment(uri, request), answer.start)
                answer.finish(chunks)
            except Exception as error:  # noqa: BLE001 - one of the four boundaries
                log_failure(error)
                answer = _failure()

        # Orthanc's own threads for requests have a stack of 100 KB: a nested body, or a module that imports another
        # that imports another, runs over its end and takes the whole process with it.
        roomy = threading.Thread(target=work, name="relais-request", daemon=True)
        roomy.start()
        roomy.join()
        answer.send(output)

    return callback


def _environment(uri: str, request: Mapping[str, Any]) -> WSGIEnvironment:
    """The WSGI environment (PEP 3333) of what Orthanc tells about a request."""
    body: bytes = request.get("body") or b""
    query: Mapping[str, str] = request.get("get") or {}
    environment: WSGIEnvironment = {
        "REQUEST_METHOD": request["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": uri.encode().decode("latin-1"),
        "QUERY_STRING": "&".join(f"{name}={value}" for name, value in query.items()),
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.get("headers", {}).items():
        if name == "content-type":
            environment["CONTENT_TYPE"] = value
        elif name not in ("content-length", "transfer-encoding"):
            environment["HTTP_" + name.upper().replace("-", "_")] = value.encode().decode("latin-1")
    return environment


def log_failure(error: Exception) -> None:
    """Record where an exception came from, not its message: a database's message can hold a patient's name."""
    trace = "".join(traceback.format_tb(error.__traceback__))
    log.error("a request failed with %s\n%s", type(error).__name__, trace)


class _Answer:
    """One WSGI answer, gathered and then handed to Orthanc."""

    def __init__(self, status: int = 500, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        self.status = status
        self.headers = list(headers)
        self.body = body

    @property
    def start(self) -> StartResponse:
        """The `start_response` callable."""

        def start_response(
            status: str, headers: list[tuple[str, str]], _error: object = None, /
        ) -> Callable[[bytes], object]:
            self.status = int(status.split(" ", 1)[0])
            self.headers = headers
            return self._write

        return start_response

    def _write(self, chunk: bytes) -> None:
        self.body += chunk

    def finish(self, chunks: Iterable[bytes]) -> None:
        try:
            self.body += b"".join(chunks)
        finally:
            if close := getattr(chunks, "close", None):
                close()

    def send(self, output: Output) -> None:
        """Answer through Orthanc, which writes Content-Length itself."""
        headers = dict(self.headers)
        if self.status == HTTPStatus.METHOD_NOT_ALLOWED:  # SendHttpStatus refuses it; headers and body are not sent
            output.SendMethodNotAllowed(headers.get("Allow", "GET"))
            return
        for name, value in self.headers:
            # AnswerBuffer writes Content-Type itself: setting it as well would send it twice.
            if name != "Content-Length" and not (name == "Content-Type" and self.status == HTTPStatus.OK):
                output.SetHttpHeader(name, value)
        if self.status == HTTPStatus.OK:
            output.AnswerBuffer(self.body, headers.get("Content-Type", "application/octet-stream"))
        else:
            status = self.status if self.status in _KNOWN_TO_ORTHANC else HTTPStatus.SERVICE_UNAVAILABLE
            _send_status(output, int(status), self.body)


def _send_status(output: Output, status: int, body: bytes) -> None:
    text = body.decode("utf-8", "replace")
    try:
        output.SendHttpStatus(status, text, len(text.encode()))
    except TypeError:  # plugin 4.2 and later
        output.SendHttpStatus(status, text)


def _failure() -> _Answer:
    body = json.dumps({"Error": "Internal error", "Details": []}).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return _Answer(500, headers, body)
