"""Patients from FHIR R4 servers: what changed since the last time, page by page, on a schedule.

A search for `Patient?_lastUpdated=` (hl7.org/fhir/R4/search.html) is followed by its `next` links. Each page is one
transaction with the place to go on from; where the next pull begins moves only when one came to its end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import urllib3
from sqlalchemy import Connection, Row, select

from relais.clock import Clock
from relais.configuration import Configuration
from relais.configuration.patients import PatientSource
from relais.database import Database
from relais.database.patient_tables import patient_import
from relais.database.queries.patients import latest
from relais.database.tables import task
from relais.domain.document import DocumentError
from relais.domain.fhir import document_of, replaced_by
from relais.domain.states import ImportKind, ImportState
from relais.errors import StateError, UnknownError
from relais.patient_imports import Imports
from relais.patient_lines import Ready, Terms, Trouble, read_patient
from relais.patient_store import Prepared, prepare
from relais.patients import LANE, Patients
from relais.tasks import Claim, Tasks
from relais.worker import StoppingError

KIND = "pull-patients"
ACTOR = "relais"
ATTEMPTS = 5
"""So often a server that does not answer is asked again before the pull is given up until the next time."""
AGAIN = timedelta(seconds=5)
"""Before the second attempt; twice as long before each one that follows."""
LONGEST_ANSWER = 1 << 25
"""Bytes of a page."""
CHUNK = 1 << 16
REMEMBERED = 50
"""Pages of which it is remembered what was on them, and that they were asked for."""
SHORT = 8
"""Bytes of what is remembered of a page."""


class PullError(Exception):
    """The server cannot be pulled from; `code` says why, and `passing` whether that may be over soon."""

    def __init__(self, code: str, *, passing: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.passing = passing


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of what a server answered."""

    resources: Sequence[Mapping[str, Any]]
    following: str | None
    total: int | None
    digest: str


class Pull:
    """Pulls patients; the task `pull-patients` of a source runs for ever, as often as its EveryMinutes says."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        configuration: Configuration,
        imports: Imports,
        patients: Patients,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._sources = configuration.patient_sources
        self._imports = imports
        self._patients = patients
        self._stopping = stopping
        self._pool = urllib3.PoolManager(maxsize=2, retries=False)

    def schedule(self) -> None:
        """At start: each source is asked when its time has come; a source that is no longer there is not."""
        with self._database.write() as connection:
            for name, source in self._sources.items():
                last = latest(connection, name)
                ended = last is not None and last["state"] != ImportState.Running
                due = last["started_at"] + source.every if last is not None and ended else self._clock.now()
                self._plan(connection, name, max(due, self._clock.now()))
            old = connection.execute(select(task.c.payload).where(task.c.kind == KIND)).scalars()
            for name in {payload["Source"] for payload in old} - set(self._sources):
                self._plan(connection, name, self._clock.now())  # it finds that nobody wants it, and vanishes

    def begin(self, name: str, *, actor: str) -> int:
        """Ask a source now; answers the id of the import that runs, or begins. Raises UnknownError."""
        if name not in self._sources:
            raise UnknownError("patient source", name)
        with self._database.write() as connection:
            row = self._open(connection, name, actor)
            self._plan(connection, name, self._clock.now())
            return int(row.id)

    def __call__(self, claim: Claim) -> None:
        """The task: one pull, and the next one planned."""
        name = claim.payload["Source"]
        source = self._sources.get(name)
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            if source is None:
                self._tasks.finish(connection, claim)
                return
            row = self._open(connection, name, ACTOR)
        try:
            while not self._turn(claim, source, row.id):
                if self._stopping.is_set():
                    raise StoppingError
        except PullError as error:
            self._fail(claim, source, row.id, error)

    def _turn(self, claim: Claim, source: PatientSource, import_id: int) -> bool:
        """Pull one page; says whether it was the last."""
        with self._database.read() as connection:
            row = connection.execute(select(patient_import).where(patient_import.c.id == import_id)).one()
        if row.state != ImportState.Running:
            self._rest(claim, source)
            return True
        position = dict(row.position)
        address = position["Next"] or _first(source, position["Since"])
        page = self._page(source, address)
        if page.digest in position["Seen"] or _short(page.following or "") in [*position["Asked"], _short(address)]:
            raise PullError("fhir-pages-repeat")
        ready, merges = self._read(page, source, position)
        moments = [moment for each in page.resources if (moment := _updated(each))]
        position |= {
            "Next": page.following,
            "Line": position["Line"] + len(page.resources),
            "Seen": [*position["Seen"], page.digest][-REMEMBERED:],
            "Asked": [*position["Asked"], _short(address)][-REMEMBERED:],
            "Latest": max([position["Latest"] or "", *moments]) or None,
            "Merges": merges,
        }
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            try:
                row = self._imports.running(connection, import_id)
            except StateError:  # a person canceled it meanwhile
                self._tasks.retry(connection, claim, self._clock.now() + source.every)
                return True
            last = page.following is None
            kept = {**position, "Seen": [], "Asked": []} if last else position
            self._imports.take(connection, row, ready, kept, done=len(page.resources), total=page.total)
            self._merge(connection, merges)
            if last:
                self._imports.end(connection, import_id, ImportState.Completed)
                self._tasks.retry(connection, claim, self._clock.now() + source.every)
        return last

    def _merge(self, connection: Connection, merges: Sequence[Sequence[str]]) -> None:
        """Merge what the server says is one person's; what is of two clinics, or not there, stays as it is."""
        for crm_id, into in merges:
            try:
                self._patients.merge_within(connection, crm_id, into, actor=ACTOR, reason="FHIR: replaced-by")
            except (UnknownError, StateError):
                continue

    def _read(
        self, page: Page, source: PatientSource, position: Mapping[str, Any]
    ) -> tuple[Ready, list[tuple[str, str]]]:
        """The page's patients, and all that the server said so far to be one person's."""
        terms: Terms = self._imports.terms(None)
        patients: list[tuple[int, Prepared]] = []
        troubles: list[Mapping[str, Any]] = []
        merges = [(one, other) for one, other in position["Merges"]]
        refused = 0
        for number, resource in enumerate(page.resources, start=position["Line"] + 1):
            try:
                patient = read_patient(document_of(resource, source.systems, source.clinic), terms)
            except DocumentError as error:
                refused += 1
                troubles.extend(Trouble(line=number, problem=each).to_json() for each in error.problems[:3])
                continue
            patients.append((number, prepare(patient, terms.today)))
            if (other := replaced_by(resource)) and other != patient.crm_id:
                merges.append((patient.crm_id, other))
        return Ready(patients=patients, troubles=troubles, refused=refused), merges

    def _fail(self, claim: Claim, source: PatientSource, import_id: int, error: PullError) -> None:
        with self._database.write() as connection:
            if error.passing and claim.attempts + 1 < ATTEMPTS:
                wait = AGAIN * 2**claim.attempts
                self._tasks.retry(connection, claim, self._clock.now() + wait, error.code)
                return
            row = connection.execute(select(patient_import.c.state).where(patient_import.c.id == import_id)).one()
            if row.state == ImportState.Running:
                self._imports.end(connection, import_id, ImportState.Failed, error=error.code)
            self._tasks.finish(connection, claim)
            self._plan(connection, claim.payload["Source"], self._clock.now() + source.every)

    def _rest(self, claim: Claim, source: PatientSource) -> None:
        with self._database.write() as connection:
            self._tasks.retry(connection, claim, self._clock.now() + source.every)

    def _open(self, connection: Connection, name: str, actor: str) -> Row[Any]:
        """The source's import that runs, or a new one from where the last complete one ended."""
        rows = select(patient_import).where(patient_import.c.kind == ImportKind.Fhir, patient_import.c.source == name)
        running = connection.execute(rows.where(patient_import.c.state == ImportState.Running)).first()
        if running is not None:
            return running
        complete = rows.where(patient_import.c.state == ImportState.Completed).order_by(patient_import.c.id.desc())
        before = connection.execute(complete.limit(1)).first()
        since = None if before is None else before.position["Latest"] or before.position["Since"]
        position: dict[str, Any] = {
            "Since": since,
            "Next": None,
            "Line": 0,
            "Latest": None,
            "Seen": [],
            "Asked": [],
            "Merges": [],
        }
        import_id = self._imports.add(connection, ImportKind.Fhir, name, position, actor=actor)
        return connection.execute(rows.where(patient_import.c.id == import_id)).one()

    def _plan(self, connection: Connection, name: str, run_at: datetime) -> None:
        self._tasks.schedule(
            connection, kind=KIND, lane=LANE, key=f"{KIND}:{name}", run_at=run_at, payload={"Source": name}
        )

    # --- the server ---------------------------------------------------------------------------------------------------

    def _page(self, source: PatientSource, address: str) -> Page:
        body = self._get(source, address)
        try:
            bundle = json.loads(body)
        except (ValueError, RecursionError):
            raise PullError("fhir-not-json") from None
        if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
            raise PullError("fhir-not-bundle")
        entries = [each for each in _listed(bundle, "entry") if isinstance(each, Mapping)]
        resources = [
            each["resource"]
            for each in entries
            if isinstance(each.get("resource"), Mapping) and each["resource"].get("resourceType") == "Patient"
        ]
        links = [each for each in _listed(bundle, "link") if isinstance(each, Mapping)]
        following = next((str(each.get("url")) for each in links if each.get("relation") == "next"), None)
        if following is not None:
            following = urljoin(f"{source.url.rstrip('/')}/", following)
            if _origin(following) != _origin(source.url):  # the token is for nobody else
                raise PullError("fhir-elsewhere")
        total = bundle.get("total")
        ids = [[each.get("id"), _updated(each)] for each in resources]
        return Page(
            resources=resources,
            following=following,
            total=total if type(total) is int else None,
            digest=_short(json.dumps(ids, default=str)) if ids else _short(address),
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
        return PullError("fhir-refused")
    return PullError("fhir-failed", passing=status in (408, 425, 429) or status >= 500)  # noqa: PLR2004 - RFC 9110


def _first(source: PatientSource, since: str | None) -> str:
    asked = f"&_lastUpdated=ge{quote(since, safe='')}" if since else ""
    return f"{source.url.rstrip('/')}/Patient?_count={source.page}&_sort=_lastUpdated{asked}"


def _updated(resource: Mapping[str, Any]) -> str:
    """When it changed, in UTC, so that these can be compared as texts; empty where the server does not say."""
    meta = resource.get("meta")
    moment = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
    try:
        read = datetime.fromisoformat(str(moment))
    except ValueError:
        return ""
    return "" if read.tzinfo is None else read.astimezone(UTC).isoformat(timespec="milliseconds")


def _listed(bundle: Mapping[str, Any], key: str) -> list[Any]:
    several = bundle.get(key)
    return several if isinstance(several, list) else []


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None, None


def _short(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=SHORT).hexdigest()
