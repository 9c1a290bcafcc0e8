"""A FHIR R4 server as a pull asks it: pages of patients that changed, of what was deleted, and whether it is gone."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import urllib3

from relais.configuration.patients import PatientSource
from relais.domain.fhir import objects
from relais.worker import StoppingError

LONGEST_ANSWER = 1 << 25
"""Bytes of a page."""
CHUNK = 1 << 16
SHORT = 8
"""Bytes of what is remembered of a page."""


class PullError(Exception):
    """The server cannot be pulled from; `code` says why, and `passing` whether that may be over soon.

    `status` is what it answered (RFC 9110 section 15), where that was no success.
    """

    def __init__(self, code: str, *, passing: bool = False, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.passing = passing
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of what a server answered; `deleted` are the ids of whom a history says that they were deleted."""

    resources: Sequence[Mapping[str, Any]]
    deleted: Sequence[str]
    following: str | None
    total: int | None
    digest: str


class PatientServer:
    """Asks servers, until `stopping`."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._pool = urllib3.PoolManager(maxsize=2, retries=False)

    def is_gone(self, source: PatientSource, patient_id: str) -> bool:
        """Whether the server has this patient no longer: Gone, or Not Found (hl7.org/fhir/R4/http.html#read)."""
        try:
            self._get(source, f"{_base(source)}/Patient/{quote(patient_id, safe='')}")
        except PullError as error:
            if error.status in (404, 410):
                return True
            raise
        return False

    def tells_history(self, source: PatientSource) -> bool:
        """Whether its CapabilityStatement says that it tells the history of all patients."""
        try:
            statement = json.loads(self._get(source, f"{_base(source)}/metadata"))
        except PullError as error:
            if error.passing:
                raise
            return False
        except (ValueError, RecursionError):
            return False
        told = objects(statement, "rest") if isinstance(statement, Mapping) else []
        kinds = [each for rest in told for each in listed(rest, "resource") if isinstance(each, Mapping)]
        mine = [each for each in kinds if each.get("type") == "Patient"]
        return any(act.get("code") == "history-type" for each in mine for act in objects(each, "interaction"))

    def page(self, source: PatientSource, address: str) -> Page:
        """One page of a search or a history; raises PullError."""
        body = self._get(source, address)
        try:
            bundle = json.loads(body)
        except (ValueError, RecursionError):
            raise PullError("fhir-not-json") from None
        if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
            raise PullError("fhir-not-bundle")
        entries = [each for each in listed(bundle, "entry") if isinstance(each, Mapping)]
        resources = [
            each["resource"]
            for each in entries
            if isinstance(each.get("resource"), Mapping) and each["resource"].get("resourceType") == "Patient"
        ]
        links = [each for each in listed(bundle, "link") if isinstance(each, Mapping)]
        following = next((str(each.get("url")) for each in links if each.get("relation") == "next"), None)
        if following is not None:
            following = urljoin(f"{_base(source)}/", following)
            if _origin(following) != _origin(source.url):  # the token is for nobody else
                raise PullError("fhir-elsewhere")
        total = bundle.get("total")
        deleted = [each for each in map(_deleted, entries) if each is not None]
        ids = [[each.get("id"), updated(each)] for each in resources] + [[each] for each in deleted]
        return Page(
            resources=resources,
            deleted=deleted,
            following=following,
            total=total if type(total) is int else None,
            digest=short(json.dumps(ids, default=str)) if ids else short(address),
        )

    def _get(self, source: PatientSource, address: str) -> bytes:
        headers = {"Accept": "application/fhir+json", "User-Agent": "Relais"}
        if source.token is not None:
            headers["Authorization"] = f"Bearer {source.token.resolve()}"
        end = time.monotonic() + source.timeout
        try:
            response = self._pool.request(
                "GET",
                address,
                headers=headers,
                timeout=urllib3.Timeout(total=source.timeout),
                redirect=False,
                preload_content=False,
            )
            try:
                if response.status != 200:  # noqa: PLR2004 - RFC 9110 section 15.3.1
                    raise _meaning(response.status)
                return self._body(response, end)
            finally:
                response.close()
        except urllib3.exceptions.TimeoutError:
            raise PullError("fhir-timeout", passing=True) from None
        except urllib3.exceptions.HTTPError:
            raise PullError("fhir-unreachable", passing=True) from None

    def _body(self, response: urllib3.BaseHTTPResponse, end: float) -> bytes:
        body = b""
        while chunk := response.read1(CHUNK):
            body += chunk
            if self._stopping.is_set():
                raise StoppingError
            if time.monotonic() > end:
                raise PullError("fhir-timeout", passing=True)
            if len(body) > LONGEST_ANSWER:
                raise PullError("fhir-page-too-large")
        return body


def _meaning(status: int) -> PullError:
    if status in (401, 403):
        return PullError("fhir-refused", status=status)
    passing = status in (408, 425, 429) or status >= 500  # noqa: PLR2004 - RFC 9110 section 15
    return PullError("fhir-failed", passing=passing, status=status)


def history(source: PatientSource, since: str) -> str:
    """The address of what happened to all patients from then on (hl7.org/fhir/R4/http.html#history)."""
    return f"{_base(source)}/Patient/_history?_count={source.page}&_since={quote(since, safe='')}"


def search(source: PatientSource, since: str | None) -> str:
    """The address of the patients who changed from then on."""
    asked = f"&_lastUpdated=ge{quote(since, safe='')}" if since else ""
    return f"{_base(source)}/Patient?_count={source.page}&_sort=_lastUpdated{asked}"


def updated(resource: Mapping[str, Any]) -> str:
    """When it changed, in UTC, so that these can be compared as texts; empty where the server does not say."""
    meta = resource.get("meta")
    moment = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
    try:
        read = datetime.fromisoformat(str(moment))
    except ValueError:
        return ""
    return "" if read.tzinfo is None else read.astimezone(UTC).isoformat(timespec="milliseconds")


def listed(bundle: Mapping[str, Any], key: str) -> list[Any]:
    """A list; an empty one where there is none."""
    several = bundle.get(key)
    return several if isinstance(several, list) else []


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _base(source: PatientSource) -> str:
    return source.url.rstrip("/")


def _deleted(entry: Mapping[str, Any]) -> str | None:
    """The id of the patient whom this entry of a history tells to be deleted."""
    asked = entry.get("request")
    if not isinstance(asked, Mapping) or asked.get("method") != "DELETE":
        return None
    found = _PATIENT.search(str(asked.get("url"))) or _PATIENT.search(str(entry.get("fullUrl")))
    return None if found is None else found[1]


_PATIENT = re.compile(r"(?:^|/)Patient/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]*)?$")


def short(text: str) -> str:
    """So much of a page that it is known again."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=SHORT).hexdigest()
