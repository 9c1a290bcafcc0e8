"""Orthanc's REST API over loopback HTTP, from our own threads.

Never through the `orthanc` module: its calls hold the interpreter lock until Orthanc answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import urllib3

from relais.errors import OrthancError, OrthancUnavailableError

CONNECTIONS = 12
"""Kept well under Orthanc's HttpThreadsCount (50): each kept connection occupies one of its threads."""


class Orthanc:
    """A client for one Orthanc; safe to share between threads."""

    def __init__(self, url: str, authorization: str | None = None, *, timeout: float = 60) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if authorization is None else {"Authorization": authorization}
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
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

    def post(self, path: str, document: object) -> Any:
        """POST a JSON document and read the JSON answer, None when it is empty."""
        answer = self._request("POST", path, json.dumps(document).encode())
        return json.loads(answer) if answer else None

    def put(self, path: str, document: object) -> None:
        """PUT a JSON document."""
        self._request("PUT", path, json.dumps(document).encode())

    def put_text(self, path: str, text: str) -> None:
        """PUT plain text."""
        self._request("PUT", path, text.encode())

    def bulk(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The resources of these ids with tags and metadata; those that are no longer there are left out."""
        answer: list[dict[str, Any]] = self.post("/tools/bulk-content", {"Resources": list(ids), "Metadata": True})
        return answer

    def close(self) -> None:
        """Close every connection."""
        self._pool.clear()

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        try:
            answer = self._pool.request(
                method,
                self._url + path,
                body=body,
                headers={**self._headers, **(headers or {})},
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            message = f"Orthanc did not answer {method} {path}: {type(error).__name__}"
            raise OrthancUnavailableError(message) from error
        if answer.status >= 400:  # noqa: PLR2004 - RFC 9110: errors begin here
            raise OrthancError(answer.status, path, answer.data.decode(errors="replace")[:500])
        return answer.data
