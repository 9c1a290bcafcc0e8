"""Orthanc's REST API over loopback HTTP, from our own threads.

Never through the `orthanc` module: its calls hold the interpreter lock until Orthanc answers.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError

from relais.errors import OrthancError, OrthancUnavailableError
from relais.exchange import Pool, PoolManager, Reply

JOBS = 100
"""Ended jobs that are remembered: a quick one ends before anybody waits for it."""
PAUSES = (0.05, 0.1)
"""Seconds before it is tried again to connect."""
CONNECTIONS = 12
"""Kept well under Orthanc's HttpThreadsCount (50): each kept connection occupies one of its threads."""


class Orthanc:
    """A client for one Orthanc; safe to share between threads."""

    def __init__(
        self, url: str, authorization: str | None = None, *, timeout: float = 60, connections: int = CONNECTIONS
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if authorization is None else {"Authorization": authorization}
        self._heard = threading.Condition()
        self._ended: deque[tuple[str, bool]] = deque(maxlen=JOBS)
        self.modalities: int | None = None
        """How often its modalities changed since it says so; None where it does not."""
        self._pool = PoolManager(
            maxsize=connections,
            block=True,
            timeout=urllib3.Timeout(connect=5, read=timeout),
            cert_reqs="CERT_NONE",  # the loopback, with Orthanc's own certificate
        )
        self._connections = cast("Pool", self._pool.connection_from_url(self._url))
        self._root = urlsplit(self._url).path

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        return json.loads(self.read(path))

    def read(self, path: str, accept: str = "*/*") -> bytes:
        """GET bytes, such as a rendered image."""
        return self._request("GET", path, headers={"Accept": accept})

    def stream(self, path: str) -> Iterator[bytes]:
        """GET bytes, chunk by chunk: what is large is never whole in memory."""
        with self._asked("GET", path) as answer:
            yield from answer

    def post(self, path: str, document: object) -> Any:
        """POST a JSON document and read the JSON answer, None when it is empty."""
        answer = self.read_answer(path, document)
        return json.loads(answer) if answer else None

    def post_bytes(self, path: str, content: bytes, kind: str = "application/dicom") -> Any:
        """POST bytes and read the JSON answer, None when it is empty."""
        answer = self._request("POST", path, content, headers={"Content-Type": kind})
        return json.loads(answer) if answer else None

    def read_answer(self, path: str, document: object) -> bytes:
        """POST a JSON document and read an answer of bytes, such as a modified file."""
        return self._request("POST", path, json.dumps(document).encode())

    def put(self, path: str, document: object) -> None:
        """PUT a JSON document."""
        self._request("PUT", path, json.dumps(document).encode())

    def delete(self, path: str) -> None:
        """DELETE a resource."""
        self._request("DELETE", path)

    def put_text(self, path: str, text: str) -> None:
        """PUT plain text."""
        self._request("PUT", path, text.encode())

    def bulk(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The resources of these ids with tags and metadata; those that are no longer there are left out."""
        answer: list[dict[str, Any]] = self.post("/tools/bulk-content", {"Resources": list(ids), "Metadata": True})
        return answer

    def await_job(self, job: str, seconds: float) -> bool:
        """Wait until it is heard that the job ended, or so many seconds; whether it is heard that it succeeded.

        Not every end is heard of.
        """
        with self._heard:
            self._heard.wait_for(lambda: (job, True) in self._ended or (job, False) in self._ended, seconds)
            return (job, True) in self._ended

    def hear(self, job: str, *, succeeded: bool) -> None:
        """Orthanc says that this job ended."""
        with self._heard:
            self._ended.append((job, succeeded))
            self._heard.notify_all()

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        with self._asked(method, path, body, headers) as answer:
            return b"".join(answer)

    @contextmanager
    def _asked(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Reply]:
        """What Orthanc answers, to be read inside; raises OrthancError for a refusal."""
        try:
            with ExitStack() as stack:
                answer = self._ask(stack, method, path, body, headers)
                if answer.status >= 400:  # noqa: PLR2004 - RFC 9110: errors begin here
                    raise OrthancError(answer.status, path, b"".join(answer).decode(errors="replace")[:500])
                yield answer
        except urllib3.exceptions.HTTPError as error:
            message = f"Orthanc did not answer {method} {path}: {type(error).__name__}"
            raise OrthancUnavailableError(message) from error

    def _ask(
        self, stack: ExitStack, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None
    ) -> Reply:
        """Send a request; again where no connection was had, or once where an idle one was closed just then.

        The latter only with what may be done twice (RFC 9110 section 9.2.2), and never after a timeout.
        """
        fields = {**self._headers, **(headers or {})}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        for tries in count():
            try:
                return stack.enter_context(
                    self._connections.exchange(method, self._root + path, fields, () if body is None else (body,))
                )
            except (NewConnectionError, ConnectTimeoutError):
                if tries == len(PAUSES):
                    raise
                time.sleep(PAUSES[tries])
            except ProtocolError as error:
                if tries or method not in {"GET", "PUT"} or isinstance(error.__cause__, TimeoutError):
                    raise
        raise AssertionError(method)
