"""Patients from FHIR R4 servers: what changed since the last time, page by page, on a schedule.

A search for `Patient?_lastUpdated=` (hl7.org/fhir/R4/search.html) is followed by its `next` links. Each page is one
transaction with the place to go on from; where the next pull begins moves only when one came to its end. Then the
history of patients is read, where the server tells one: who was deleted there, and is gone, is forgotten here, unless
they are more than a person allowed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.configuration.patients import PatientSource
from relais.database import Database
from relais.database.patient_tables import patient, patient_import
from relais.database.queries.patients import latest
from relais.database.tables import task
from relais.domain.document import DocumentError
from relais.domain.fhir import document_of, replaced_by
from relais.domain.states import ImportKind, ImportState
from relais.errors import StateError, UnknownError
from relais.patient_imports import Imports
from relais.patient_lines import Ready, Terms, Trouble, read_patient
from relais.patient_server import Page, PatientServer, PullError, history, search, short, updated
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
REMEMBERED = 50
"""Pages of which it is remembered what was on them, and that they were asked for."""
EARLIER = timedelta(hours=1)
"""A first pull hears of deletions from so long before it began: the server's clock may be another."""
KEPT = 100
"""Pulls of one source that are kept, and the last one that came to its end."""


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
        self._server = PatientServer(stopping)

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
        address = position["Next"] or search(source, position["Since"])
        page = self._server.page(source, address)
        if page.digest in position["Seen"] or short(page.following or "") in [*position["Asked"], short(address)]:
            raise PullError("fhir-pages-repeat")
        position |= {
            "Next": page.following,
            "Seen": [*position["Seen"], page.digest][-REMEMBERED:],
            "Asked": [*position["Asked"], short(address)][-REMEMBERED:],
        }
        if position.get("History"):
            position["Deleted"] = sorted({*position.get("Deleted", ()), *self._deleted(source, page)})
            if len(position["Deleted"]) > source.most_deletions:  # a server that was emptied by mistake
                raise PullError("fhir-deletes-many")
            if page.following is None:
                self._forget(position["Deleted"])
            return self._kept(claim, source, import_id, position)
        ready, merges = self._read(page, source, position)
        moments = [moment for each in page.resources if (moment := updated(each))]
        position |= {
            "Line": position["Line"] + len(page.resources),
            "Latest": max([position["Latest"] or "", *moments]) or None,
            "Merges": merges,
        }
        if page.following is None and self._server.tells_history(source):
            since = position["Since"] or (row.started_at - EARLIER).isoformat(timespec="milliseconds")
            position |= {"Next": history(source, since), "History": True}
        return self._kept(claim, source, import_id, position, page, ready)

    def _kept(
        self,
        claim: Claim,
        source: PatientSource,
        import_id: int,
        position: Mapping[str, Any],
        page: Page | None = None,
        ready: Ready | None = None,
    ) -> bool:
        """Store what a page of the search had, and where to go on; says whether the pull is over."""
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            try:
                row = self._imports.running(connection, import_id)
            except StateError:  # a person canceled it meanwhile
                self._tasks.retry(connection, claim, self._clock.now() + source.every)
                return True
            last = position["Next"] is None
            kept = {**position, "Seen": [], "Asked": [], "Deleted": []} if last else position
            if page is None or ready is None:
                mine = patient_import.c.id == import_id
                connection.execute(update(patient_import).where(mine).values(position=kept))
            else:
                self._imports.take(connection, row, ready, kept, done=len(page.resources), total=page.total)
                self._merge(connection, position["Merges"])
            if last:
                self._imports.end(connection, import_id, ImportState.Completed)
                self._tasks.retry(connection, claim, self._clock.now() + source.every)
        return last

    def _deleted(self, source: PatientSource, page: Page) -> list[str]:
        """Who was deleted on the server, is not there again, and is this source's."""
        mine = patient.c.clinic.is_not_distinct_from(source.clinic)
        with self._database.read() as connection:
            known = select(patient.c.crm_id).where(patient.c.crm_id.in_(page.deleted), mine)
            deleted = connection.execute(known).scalars().all()
        return [crm_id for crm_id in deleted if self._server.is_gone(source, crm_id)]

    def _forget(self, deleted: Sequence[str]) -> None:
        """Forget those that are not forgotten yet."""
        for crm_id in deleted:
            if self._stopping.is_set():
                raise StoppingError
            with suppress(UnknownError):  # it was forgotten before, perhaps together with another
                self._patients.forget(crm_id, actor=ACTOR, reason="FHIR: deleted")

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
        over = rows.with_only_columns(patient_import.c.id).order_by(patient_import.c.id.desc())
        oldest = connection.execute(over.offset(KEPT - 1).limit(1)).scalar()
        if oldest is not None:
            mine = (patient_import.c.kind == ImportKind.Fhir, patient_import.c.source == name)
            others = patient_import.c.id != (0 if before is None else before.id)
            connection.execute(delete(patient_import).where(*mine, others, patient_import.c.id <= oldest))
        import_id = self._imports.add(connection, ImportKind.Fhir, name, position, actor=actor)
        return connection.execute(rows.where(patient_import.c.id == import_id)).one()

    def _plan(self, connection: Connection, name: str, run_at: datetime) -> None:
        self._tasks.schedule(
            connection, kind=KIND, lane=LANE, key=f"{KIND}:{name}", run_at=run_at, payload={"Source": name}
        )
