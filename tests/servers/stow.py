"""An archive that speaks STOW-RS and QIDO-RS, and answers as it was asked to."""

import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pydicom
from pydicom.dataset import Dataset

_LONGEST_HANG = 60.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the archive does with one Store Instances request.

    With 200, 202 and 409 it keeps every instance but those that `reasons` names by SOPInstanceUID (with `keeps` false:
    none), and says so of each, or of those in `speaks_of`, unless another `body` is given. Other statuses keep
    nothing. `cuts` closes the connection after so many bytes of the request, `hangs` stays silent after all of them.
    """

    status: int = 200
    reasons: Mapping[str, int | None] = field(default_factory=dict)
    warnings: Mapping[str, int] = field(default_factory=dict)
    keeps: bool = True
    speaks_of: Collection[str] | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cuts: int | None = None
    hangs: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived: header names in lower case, the SOPInstanceUIDs of its instances in order."""

    method: str
    path: str
    headers: Mapping[str, str]
    instances: tuple[str, ...] = ()


class StowServer:
    """An archive on a free port of the loopback; `url` is its root.

    `answer_next` queues answers to the Store requests to come; the others get `answer`, which keeps everything.
    `stored` is what it keeps, by SOPInstanceUID, as sent. `authorization` is the header that it asks for. `largest` is
    the longest body that it takes (413), `refuses` names instances for whose sake it refuses the whole request with
    `refuses_with`, `queries` tells whether it answers QIDO-RS (404 if not), `rows` how many rows it gives at most, and
    `pages` whether it heeds `offset`. With `context` it speaks TLS.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answer = Answer()
        self.authorization: str | None = None
        self.largest: int | None = None
        self.refuses: Collection[str] = ()
        self.refuses_with = 400
        self.queries = True
        self.rows = 1000
        self.pages = True
        self.stored: dict[str, bytes] = {}
        self._uids: dict[str, tuple[str, str]] = {}
        self._next: deque[Answer] = deque()
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(self, context)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port: int = self._server.server_port
        self.url = f"http{'s' if context else ''}://localhost:{self.port}/dicomweb"

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
    def connections(self) -> int:
        """How many were opened so far."""
        return self._server.opened

    @property
    def requests(self) -> tuple[Request, ...]:
        """All requests that were read to their end, so far."""
        with self._lock:
            return tuple(self._requests)

    @property
    def stores(self) -> list[tuple[str, ...]]:
        """The instances of each Store request."""
        return [each.instances for each in self.requests if each.method == "POST"]

    def answer_next(self, *answers: Answer) -> None:
        """Give these answers, one each, to the next Store requests."""
        with self._lock:
            self._next.extend(answers)

    def lose(self, sop_instance_uid: str) -> None:
        """Forget an instance."""
        del self.stored[sop_instance_uid]

    def hold(self, instances: Iterable[Dataset]) -> None:
        """Have these, as if they had been stored here."""
        for each in instances:
            file = BytesIO()
            pydicom.dcmwrite(file, each, enforce_file_format=True)
            self._keep(str(each.SOPInstanceUID), file.getvalue())

    def _answer(self) -> Answer:
        with self._lock:
            return self._next.popleft() if self._next else self.answer

    def _take(self, instances: Mapping[str, bytes], answer: Answer) -> Answer:
        """Keep what is to be kept, and make the body of the answer."""
        if set(self.refuses) & instances.keys():
            return Answer(status=self.refuses_with, body=b"no")
        if answer.status not in {200, 202, 409}:
            return answer
        references: list[Any] = []
        failures: list[Any] = []
        for uid, file in instances.items():
            if answer.keeps and uid not in answer.reasons:
                self._keep(uid, file)
            item = {"00081150": _element("UI", "1.2.840.10008.5.1.4.1.1.1.3"), "00081155": _element("UI", uid)}
            if answer.speaks_of is not None and uid not in answer.speaks_of:
                continue
            if uid in answer.reasons:
                reason = answer.reasons[uid]
                failures.append(item if reason is None else item | {"00081197": _element("US", reason)})
            elif uid in answer.warnings:
                references.append(item | {"00081196": _element("US", answer.warnings[uid])})
            elif answer.keeps:
                references.append(item)
        body = {"00081198": {"vr": "SQ", "Value": failures}, "00081199": {"vr": "SQ", "Value": references}}
        headers = {"Content-Type": "application/dicom+json", **answer.headers}
        content = json.dumps(body).encode() if answer.body is None else answer.body
        return Answer(status=answer.status, headers=headers, body=content)

    def _keep(self, uid: str, file: bytes) -> None:
        dataset = _read(file)
        with self._lock:
            self.stored[uid] = file
            self._uids[uid] = (str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID))

    def _found(self, path: str, query: Mapping[str, list[str]]) -> list[Any] | None:
        """The rows of a query; None where it has no such series."""
        parts = path.strip("/").split("/")  # dicomweb, studies, …
        uids = [uid for uid in sorted(self.stored) if self._uids[uid][: len(parts[2::2])] == tuple(parts[2::2])]
        if not uids and len(parts) > 2:
            return None
        if wanted := query.get("SOPInstanceUID"):
            uids = [uid for uid in uids if uid in wanted]
        offset = int(query.get("offset", ["0"])[0]) if self.pages else 0
        limit = min(self.rows, int(query.get("limit", ["1000"])[0]))
        return [{"00080018": _element("UI", uid)} for uid in uids[offset : offset + limit]]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        archive = self.server.archive
        answer = archive._answer()
        status = self._refusal()
        if status is not None:
            self.close_connection = True
            self._say(Answer(status=status))
            self._linger()
            return
        body = self._body(answer.cuts)
        if body is None:
            self.close_connection = True
            return
        instances = dict(_parts(body, self.headers["Content-Type"]))
        self._record(tuple(instances))
        if answer.hangs:
            archive._ended.wait(_LONGEST_HANG)
            self.close_connection = True
            return
        self._say(archive._take(instances, answer))

    def do_GET(self) -> None:
        self._record()
        archive = self.server.archive
        parts = urlsplit(self.path)
        status = self._refusal()
        rows = archive._found(parts.path, parse_qs(parts.query)) if status is None and archive.queries else None
        if rows is None:
            self._say(Answer(status=status or 404))
        elif rows:
            self._say(Answer(body=json.dumps(rows).encode()))
        else:
            self._say(Answer(status=204))

    def do_OPTIONS(self) -> None:
        self._record()
        self._say(Answer(status=405))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests read `requests`."""

    def _linger(self) -> None:
        """Wait until the sender is still: closing sooner could take our answer from it (RFC 9112 section 9.6)."""
        with suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_WR)
            self.connection.settimeout(0.3)
            while self.rfile.read1(65536):
                pass

    def _refusal(self) -> int | None:
        """The status of a request that is not even read."""
        archive = self.server.archive
        if not self.path.startswith("/dicomweb/"):
            return 404
        if archive.authorization not in (None, self.headers.get("Authorization")):
            return 401
        if archive.largest is not None and int(self.headers.get("Content-Length", 0)) > archive.largest:
            return 413
        return None

    def _record(self, instances: tuple[str, ...] = ()) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(method=self.command, path=self.path, headers=headers, instances=instances)
        with self.server.archive._lock:
            self.server.archive._requests.append(request)

    def _body(self, cuts: int | None) -> bytes | None:
        """Read it, of known length or in chunks; None if it was cut, by us or by the sender."""
        if cuts is not None:
            self.rfile.read(cuts)
            return None
        if "Content-Length" in self.headers:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            return body if len(body) == length else None
        chunks = b""
        while size := int(self.rfile.readline() or b"0", 16):
            chunks += self.rfile.read(size)
            self.rfile.readline()
        return chunks if self.rfile.readline() else None  # a sender that died sent no last line

    def _say(self, answer: Answer) -> None:
        body = answer.body or b""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that clients that keep theirs open do not keep the server's threads alive."""

    daemon_threads = True

    def __init__(self, archive: StowServer, context: ssl.SSLContext | None) -> None:
        self.archive = archive
        self.opened = 0
        self._connections: set[socket.socket] = set()
        self._context = context
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._context is None:
            return connection, address
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def process_request(self, request: Any, client_address: Any) -> None:
        self.opened += 1
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients may hang up, and do not always trust us."""

    def hang_up(self) -> None:
        for connection in tuple(self._connections):
            try:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            except OSError:
                continue  # the client was faster


def _parts(body: bytes, kind: str) -> list[tuple[str, bytes]]:
    """The files of a multipart/related body (RFC 2387), by SOPInstanceUID; raises ValueError if it is none."""
    media, *parameters = [each.strip() for each in kind.split(";")]
    values = dict(each.split("=", 1) for each in parameters)
    if media != "multipart/related" or values.get("type", "").strip('"') != "application/dicom":
        raise ValueError(kind)
    delimiter = b"\r\n--" + values["boundary"].strip('"').encode()
    pieces = (b"\r\n" + body).split(delimiter)
    if pieces[-1].strip() != b"--":
        raise ValueError("the body has no end")
    files = []
    for piece in pieces[1:-1]:
        head, _, file = piece.partition(b"\r\n\r\n")
        if b"Content-Type: application/dicom" not in head:
            raise ValueError(head)
        files.append((str(_read(file).SOPInstanceUID), file))
    return files


def _read(file: bytes) -> Dataset:
    return pydicom.dcmread(BytesIO(file), stop_before_pixels=True)


def _element(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
