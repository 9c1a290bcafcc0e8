"""An S3 server in this process: moto's, with a front that checks what it is sent and fails when asked to."""

import base64
import hashlib
import io
import threading
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_STATUSES = {400: "400 Bad Request", 403: "403 Forbidden", 500: "500 Internal Server Error", 503: "503 Slow Down"}


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests read `requests`."""


class S3Server:
    """An S3 server on a free port of the loopback with one bucket; user and password are public.

    `requests` is every method and path that came, in order. `fail_next` queues error answers for the requests to come.
    As Amazon's does, it refuses a body that does not fit its Content-MD5.
    """

    user = "relais"
    password = "open-sesame"

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.requests: list[tuple[str, str]] = []
        self.unchecked: list[str] = []
        """The paths of bodies that came without a checksum."""
        self.refused: set[str] = set()
        """Parts of keys that it refuses to write, for what they are."""
        self._next: deque[tuple[str | None, int, str]] = deque()
        self._lock = threading.Lock()
        self._application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent)
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.port = self._server.port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._client().create_bucket(Bucket=self.bucket)
        self.requests.clear()
        self.unchecked.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def fail_next(self, status: int, code: str, *, method: str | None = None) -> None:
        """Answer the next request so, or the next of that method; `code` is a word of S3's."""
        with self._lock:
            self._next.append((method, status, code))

    def objects(self) -> dict[str, bytes]:
        """Every object by its key."""
        client = self._client()
        keys = [each["Key"] for each in client.list_objects_v2(Bucket=self.bucket).get("Contents", ())]
        return {key: client.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}

    def put(self, key: str, content: bytes) -> None:
        """Put an object there behind everybody's back."""
        self._client().put_object(Bucket=self.bucket, Key=key, Body=content)

    def delete(self, key: str) -> None:
        """Take an object away."""
        self._client().delete_object(Bucket=self.bucket, Key=key)

    def unfinished(self) -> list[str]:
        """The keys of the uploads in parts that were neither completed nor aborted."""
        uploads = self._client().list_multipart_uploads(Bucket=self.bucket).get("Uploads", ())
        return [each["Key"] for each in uploads]

    def _client(self) -> Any:
        return botocore.session.Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id=self.user,
            aws_secret_access_key=self.password,
            config=botocore.config.Config(s3={"addressing_style": "path"}),
        )

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = request["PATH_INFO"]
        length = int(request.get("CONTENT_LENGTH") or 0)
        body = request["wsgi.input"].read(length)
        with self._lock:
            self.requests.append((request["REQUEST_METHOD"], path))
            failing = bool(self._next) and self._next[0][0] in {None, request["REQUEST_METHOD"]}
            failure = self._next.popleft()[1:] if failing else None
        checksum = request.get("HTTP_CONTENT_MD5")
        if request["REQUEST_METHOD"] == "PUT" and checksum is None:
            self.unchecked.append(path)
        if len(body) < length or (checksum is not None and checksum != _md5(body)):
            failure = (400, "BadDigest")
        if request["REQUEST_METHOD"] == "PUT" and any(each in path for each in self.refused):
            failure = (400, "EntityTooLarge")
        if failure is None:
            answered: Iterable[bytes] = self._application(request | {"wsgi.input": io.BytesIO(body)}, start)
            return answered
        status, code = failure
        answer = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{self.password}</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(answer)))]
        start(_STATUSES[status], headers)
        return [b"" if request["REQUEST_METHOD"] == "HEAD" else answer]


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
