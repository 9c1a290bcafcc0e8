"""HTTP as tests of destinations speak it: one request, bounded in time and size, and what its failure means."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from relais.domain.connectivity import Advice, Found, of_clock
from relais.transports.probes.network import TlsOptions, context_of, of_tls_error

LARGEST = 1 << 20
"""Bytes read of an answer: none that a test asks for is larger."""
HALF_SECOND = timedelta(seconds=0.5)
"""What a time in whole seconds lacks, on average."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer; `at` is the middle of the time that it took, by our clock."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: float
    at: datetime

    @property
    def json(self) -> Any:
        """The body, parsed; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class RequestError(Exception):
    """There was no answer."""

    def __init__(self, advice: Advice) -> None:
        super().__init__(advice)
        self.advice = advice


class Client:
    """Requests to one root URL, with its authorization."""

    def __init__(self, root: str, headers: Mapping[str, str], options: TlsOptions) -> None:
        self._root = root.rstrip("/")
        self._headers = dict(headers)
        self._options = options
        self._pool: urllib3.PoolManager | None = None

    def request(
        self, method: str, path: str, seconds: float, *, body: bytes | None = None, headers: Mapping[str, str] | None
    ) -> Answer:
        """Send one request; raises RequestError, with what to say of it, when there is no answer in time."""
        began, steady = datetime.now(UTC), time.monotonic()
        try:
            if self._pool is None:
                context = context_of(self._options) if self._root.startswith("https:") else None
                self._pool = urllib3.PoolManager(retries=False, ssl_context=context)
            answer = self._pool.request(
                method,
                self._root + path,
                body=body,
                headers={**self._headers, **(headers or {})},
                timeout=urllib3.Timeout(connect=seconds, read=seconds),
                redirect=False,
                preload_content=False,
            )
            elapsed = time.monotonic() - steady
            content = _read(answer, steady + seconds)
        except urllib3.exceptions.TimeoutError as error:
            raise RequestError(Advice.NoAnswer) from error
        except urllib3.exceptions.HTTPError as error:
            cause = error.args[-1] if error.args else None
            tls = isinstance(error, urllib3.exceptions.SSLError) or isinstance(cause, ssl.SSLError)
            raise RequestError(of_tls_error(cause) if tls and isinstance(cause, OSError) else Advice.Broken) from error
        except OSError as error:  # a file of certificates
            raise RequestError(Advice.CertificateFile) from error
        return Answer(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers.items()},
            body=content,
            milliseconds=round(elapsed * 1000, 1),
            at=began + timedelta(seconds=elapsed / 2),
        )

    def close(self) -> None:
        """Close every connection."""
        if self._pool is not None:
            self._pool.clear()


def clock_of(answer: Answer) -> Found:
    """How far the server's clock is from ours, by the Date of an answer (RFC 9110 section 6.6.1)."""
    try:
        said = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return Found(advice=(Advice.NoDate,))
    if said.tzinfo is None:
        said = said.replace(tzinfo=UTC)
    return difference(said + HALF_SECOND, answer.at)


def difference(theirs: datetime, ours: datetime) -> Found:
    """How far one clock is from the other, in seconds; positive is ahead of us."""
    seconds = round((theirs - ours).total_seconds(), 1)
    return Found(facts={"SecondsAhead": seconds, "Difference": abs(seconds)}, advice=of_clock(seconds))


def _read(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The body's first bytes; a peer that drips them one by one is given up at the deadline."""
    content = bytearray()
    try:
        while len(content) < LARGEST:
            if time.monotonic() > deadline:
                raise RequestError(Advice.NoAnswer)
            piece = answer.read1(1 << 16)
            if not piece:
                break
            content += piece
    finally:
        answer.close()
    return bytes(content)
