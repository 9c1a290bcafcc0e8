"""Prefetch: when an order comes in, its patient's earlier studies are imported before the appointment.

Planned in the transaction that writes the order, and dropped in the one that cancels it. Nothing of the patient is kept
here: whose studies to look for is read from the order when the time has come.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, upsert
from relais.database.patient_tables import patient
from relais.database.retrieval_tables import prefetch, retrieval, study_import
from relais.database.worklist_tables import worklist_item
from relais.domain.asked import Demographics, asked_of, born_apart
from relais.domain.matching.identity import Identity
from relais.domain.patients import Patient, identity_of
from relais.domain.priority import Priority
from relais.domain.priors import Found, choose
from relais.domain.querying import Answer, Level
from relais.domain.states import Cause, ImportState, OrderState, PrefetchState, RetrievalState
from relais.journal import Journal
from relais.retrieval.imports import Order, StudyImports, Wanted
from relais.tasks import Claim, Tasks
from relais.transports.sources.port import AskingError, Source
from relais.worker import StoppingError

KIND = "prefetch"
LANE = "prefetch"
ATTEMPTS = 4
"""So often sources that do not answer are asked again."""
AGAIN = timedelta(minutes=5)
"""Before the second attempt; twice as long before each one that follows."""
MOST_ANSWERS = 500
SECONDS = 120.0
"""How long one source may take."""
MOST_IDS = 5
"""Of a patient's identifiers, the rest is not asked for."""
MOST_MERGES = 10
WILD = frozenset("*?\\")
KEYS = (
    *("StudyInstanceUID", "StudyTime", "ModalitiesInStudy", "StudyDescription", "PatientName", "PatientBirthDate"),
    *("IssuerOfPatientID", "NumberOfStudyRelatedInstances"),
)
OPEN = (OrderState.Scheduled, OrderState.InProgress, OrderState.Completed)
"""Of an order that was begun, or whose images came, the earlier ones are wanted still."""


@dataclass(frozen=True, kw_only=True)
class Whose:
    """The patient of an order: the person, and the PatientIDs to ask for."""

    person: Identity
    ids: Sequence[str]
    issuer: str


class Prefetch:
    """Runs the `prefetch` tasks; orders tell it when they come, move and go."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        imports: StudyImports,
        sources: Mapping[str, Source],
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._configuration = configuration
        self._options = configuration.prefetch
        self._imports = imports
        self._sources = sources
        self._stopping = stopping

    def ordered(self, connection: Connection, item: Row[Any]) -> None:
        """An order (a row of `worklist_item`) came, or it is for another time or patient."""
        if not self._options.enabled:
            return
        now = self._clock.now()
        run_at = max(now, item.scheduled_at - self._options.lead)
        values = {
            "clinic": item.clinic,
            "state": PrefetchState.Scheduled,
            "appointment_at": item.scheduled_at,
            "run_at": run_at,
            "finished_at": None,
        }
        connection.execute(
            upsert(connection.dialect.name, prefetch)
            .values(order_id=item.id, found=0, relevant=0, notes=[], **values)
            .on_conflict_do_update(index_elements=["order_id"], set_=values)
        )
        self._tasks.schedule(
            connection,
            kind=KIND,
            lane=LANE,
            key=f"{KIND}:{item.id}",
            run_at=run_at,
            priority=Priority.Background,
            payload={"Order": item.id},
        )

    def dropped(self, connection: Connection, item_id: int) -> None:
        """The order was canceled, or expired: what was not fetched yet is not fetched."""
        row = connection.execute(select(prefetch).where(prefetch.c.order_id == item_id).with_for_update()).one_or_none()
        if row is None or row.state == PrefetchState.Canceled:
            return
        running = connection.execute(
            select(study_import.c.id)
            .where(
                study_import.c.cause == Cause.Prefetch,
                study_import.c.cause_id == str(row.id),
                study_import.c.state == ImportState.Running,
            )
            .order_by(study_import.c.id)
        ).scalars()
        for import_id in running.all():
            locked = self._imports.lock(connection, import_id)
            if locked.state == ImportState.Running:
                self._imports.cancel_within(connection, locked, actor="relais", reason="the order was dropped")
        self._end(connection, row, PrefetchState.Canceled)

    def __call__(self, claim: Claim) -> None:
        """The task: find the priors, and begin to import them."""
        with self._database.read() as connection:
            row, item = self._order(connection, claim.payload["Order"])
            whose = None if item is None else self._whose(connection, item)
        if row is None or item is None or row.state != PrefetchState.Scheduled or item.state not in OPEN:
            with self._database.write() as connection:
                self._tasks.finish(connection, claim)
            return
        notes: list[dict[str, Any]] = []
        found: list[Found] = []
        silent: list[str] = []
        if whose is None:
            notes.append({"Code": "patient-unclear"})
        else:
            for name in self._asked(item.clinic):
                try:
                    found += [Found(source=name, answer=each) for each in self._ask(name, whose)]
                except AskingError as error:
                    silent.append(name)
                    notes.append({"Code": "not-asked", "Source": name, "State": error.state.value})
                except InterruptedError:
                    raise StoppingError from None
        self._conclude(claim, item, whose, found, notes, silent)

    # --- the question -------------------------------------------------------------------------------------------------

    def _asked(self, clinic: str | None) -> list[str]:
        """The sources that may be asked for an order of this clinic."""
        names = self._options.sources or tuple(self._sources)
        known = self._configuration.sources
        return [
            name
            for name in names
            if name in known and ("*" in known[name].clinics or clinic is None or clinic in known[name].clinics)
        ]

    def _ask(self, name: str, whose: Whose) -> list[Answer]:
        today = self._clock.now().date()
        since = _years_before(today, self._options.years)
        answers: dict[str, Answer] = {}
        for each in whose.ids:
            keys = {**dict.fromkeys(KEYS, ""), "PatientID": each, "StudyDate": f"{since:%Y%m%d}-{today:%Y%m%d}"}
            self._sources[name].find(
                Level.Study,
                keys,
                limit=MOST_ANSWERS,
                seconds=SECONDS,
                stopping=self._stopping,
                take=lambda answer: answers.update({answer["StudyInstanceUID"]: answer}),
            )
        return list(answers.values())

    def _whose(self, connection: Connection, item: Row[Any]) -> Whose | None:
        """The order's patient as the order and the CRM say; None where that is nobody whose images could be told."""
        today = self._clock.now().date()
        tags = {key: value for key, value in item.document.items() if isinstance(value, str)}
        said = asked_of(Demographics(tags=tags), today)
        ids = [tags.get("PatientID", "").strip()]
        known = self._crm(connection, item.crm_id)
        if known is not None:
            person = identity_of(known, today)
            if born_apart(person, said):
                return None
            ids += [each.value for each in known.identifiers]
            names = tuple(dict.fromkeys((*said.names, *person.names, *person.birth_names)))
            said = replace(said, birth_date=said.birth_date or person.birth_date, names=names)
        asked = [each for each in dict.fromkeys(ids) if each and not WILD & set(each)][:MOST_IDS]
        if not asked or said.birth_date is None:
            return None
        return Whose(person=said, ids=asked, issuer=tags.get("IssuerOfPatientID", "").strip())

    def _crm(self, connection: Connection, crm_id: str | None) -> Patient | None:
        """What the CRM says of the patient, merged or not."""
        for _ in range(MOST_MERGES):
            if crm_id is None:
                return None
            statement = select(patient.c.document, patient.c.merged_into).where(patient.c.crm_id == crm_id)
            row = connection.execute(statement).one_or_none()
            if row is None:
                return None
            if row.merged_into is None:
                return Patient.model_validate(row.document)
            crm_id = row.merged_into
        return None

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _conclude(
        self,
        claim: Claim,
        item: Row[Any],
        whose: Whose | None,
        found: Sequence[Found],
        notes: list[dict[str, Any]],
        silent: Sequence[str],
    ) -> None:
        """Begin the imports; ask once more later whom nobody could ask."""
        now = self._clock.now()
        with self._database.write() as connection:
            row, current = self._order(connection, item.id, lock=True)
            if row is None or current is None or row.state != PrefetchState.Scheduled:
                self._tasks.finish(connection, claim)
                return
            if current.document != item.document or current.crm_id != item.crm_id:  # it is for somebody else now
                self._tasks.retry(connection, claim, now)
                return
            values: dict[str, Any] = {}
            if whose is not None:
                chosen = choose(
                    [each for each in found if each.uid != item.study_instance_uid],
                    person=whose.person,
                    ids=whose.ids,
                    issuer=whose.issuer,
                    modalities=[item.modality],
                    texts=_texts(item.document),
                    today=now.date(),
                    at_most=self._options.at_most,
                )
                notes += [{"Code": code, "Count": count} for code, count in sorted(chosen.left_out.items())]
                values = {"found": chosen.of_patient, "relevant": len(chosen.studies)}
            again = bool(silent) and claim.attempts + 1 < ATTEMPTS
            if again:
                self._tasks.retry(connection, claim, now + AGAIN * 2**claim.attempts, "not-asked")
            else:
                self._tasks.finish(connection, claim)
            if whose is not None:
                self._import(connection, row.id, chosen.studies)
            all_silent = bool(silent) and not found and set(silent) == set(self._asked(item.clinic))
            state = PrefetchState.Failed if all_silent else PrefetchState.Completed
            if again:
                connection.execute(update(prefetch).where(prefetch.c.id == row.id).values(notes=notes, **values))
            else:
                self._end(connection, row, state, notes=notes, **values)

    def _import(self, connection: Connection, prefetch_id: int, studies: Sequence[Found]) -> None:
        """Import them, but for those that this prefetch imports already."""
        begun = set(
            connection.execute(
                select(retrieval.c.study_instance_uid)
                .join(study_import, study_import.c.id == retrieval.c.import_id)
                .where(
                    study_import.c.cause == Cause.Prefetch,
                    study_import.c.cause_id == str(prefetch_id),
                    retrieval.c.state != RetrievalState.Canceled,
                )
            ).scalars()
        )
        by_source: dict[str, list[Wanted]] = {}
        for each in studies:
            if each.uid not in begun:
                by_source.setdefault(each.source, []).append(Wanted(study=each.uid))
        for source, wanted in by_source.items():
            order = Order(
                source=source,
                wanted=wanted,
                actor="relais",
                cause=Cause.Prefetch,
                cause_id=str(prefetch_id),
                priority=Priority.Background,
            )
            self._imports.add(connection, order)

    def _order(
        self, connection: Connection, order_id: int, *, lock: bool = False
    ) -> tuple[Row[Any] | None, Row[Any] | None]:
        """The prefetch and its order; the order is locked before."""
        of_item = select(worklist_item).where(worklist_item.c.id == order_id)
        of_row = select(prefetch).where(prefetch.c.order_id == order_id)
        item = connection.execute(of_item.with_for_update() if lock else of_item).one_or_none()
        return connection.execute(of_row.with_for_update() if lock else of_row).one_or_none(), item

    def _end(self, connection: Connection, row: Row[Any], state: PrefetchState, **values: Any) -> None:
        connection.execute(
            update(prefetch).where(prefetch.c.id == row.id).values(state=state, finished_at=self._clock.now(), **values)
        )
        detail = {key.capitalize(): values[key] for key in ("found", "relevant") if key in values}
        self._journal.record(
            connection, "prefetch.ended", Prefetch=row.id, Order=row.order_id, State=state.value, **detail
        )


def _texts(document: Mapping[str, Any]) -> list[str]:
    keys = ("RequestedProcedureDescription", "ScheduledProcedureStepDescription", "BodyPartExamined")
    return [str(document.get(key, "")) for key in keys]


def _years_before(today: date, years: int) -> date:
    try:
        return today.replace(year=today.year - years)
    except ValueError:  # the 29th of February
        return today.replace(year=today.year - years, day=28)
