"""Orthanc's REST API over loopback HTTP, from our own threads.

Never through the `orthanc` module: its calls hold the interpreter lock until Orthanc answers.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import urllib3

from relais.errors import OrthancError, OrthancUnavailableError

CHUNK = 1 << 18
"""Bytes read at once of what is streamed."""
JOBS = 100
"""Ended jobs that are remembered: a quick one ends before anybody waits for it."""
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
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            block=True,
            retries=urllib3.Retry(connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.05),
            timeout=urllib3.Timeout(connect=5, read=timeout),
            cert_reqs="CERT_NONE",  # the loopback, with Orthanc's own certificate
        )

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        return json.loads(self.read(path))

    def read(self, path: str, accept: str = "*/*") -> bytes:
        """GET bytes, such as a rendered image."""
        return self._request("GET", path, headers={"Accept": accept})

    def stream(self, path: str) -> Iterator[bytes]:
        """GET bytes, chunk by chunk: what is large is never whole in memory."""
        answer = self._open("GET", path, preload_content=False)
        whole = False
        try:
            yield from answer.stream(CHUNK, decode_content=False)  # nothing is encoded: spares a copy
            whole = True
        except urllib3.exceptions.HTTPError as error:
            raise OrthancUnavailableError(f"Orthanc broke off GET {path}: {type(error).__name__}") from error
        finally:
            if not whole:  # whoever reads it has had enough
                answer.close()
            answer.release_conn()

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
        return self._open(method, path, body, headers).data

    def _open(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        preload_content: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        try:
            answer = self._ask(method, path, body, headers, preload_content=preload_content)
            if answer.status >= 400:  # noqa: PLR2004 - RFC 9110: errors begin here
                raise OrthancError(answer.status, path, answer.data.decode(errors="replace")[:500])
        except urllib3.exceptions.HTTPError as error:
            message = f"Orthanc did not answer {method} {path}: {type(error).__name__}"
            raise OrthancUnavailableError(message) from error
        return answer

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None, *, preload_content: bool
    ) -> urllib3.BaseHTTPResponse:
        """Send a request; once more on another connection where Orthanc closed the one that had been idle just then.

        Only what may be done twice (RFC 9110 section 9.2.2), and never after a timeout.
        """
        for last in (method not in {"GET", "PUT"}, True):
            try:
                return self._pool.request(
                    method,
                    self._url + path,
                    body=body,
                    headers={**self._headers, **(headers or {})},
                    redirect=False,
                    preload_content=preload_content,
                )
            except urllib3.exceptions.MaxRetryError as error:
                if last or not isinstance(error.reason, urllib3.exceptions.ProtocolError):
                    raise
        raise AssertionError(method)
