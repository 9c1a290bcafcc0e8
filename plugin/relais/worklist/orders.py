"""Orders: added and changed by the CRM or by people, canceled, and expired where nobody began them.

Each change is one transaction with its audit event, and with what follows: studies that arrived before their order are
decided again, and what is known of the patient elsewhere is fetched before the appointment.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, inserted_id
from relais.database.patient_tables import patient
from relais.database.queries.worklist import visible
from relais.database.tables import study
from relais.database.worklist_tables import worklist_item
from relais.decide import Studies
from relais.domain.document import DocumentError, Problem, nearest
from relais.domain.orders import SEQUENCE, Order, read_order
from relais.domain.states import ORDER, OrderState, StudyState, sources_of
from relais.domain.words import fold
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.patient_index import is_hidden
from relais.patient_store import Outcome
from relais.tasks import Claim, Tasks

LANE = "worklist"
EXPIRE = "expire-orders"
AT_ONCE = 200
"""Orders in one transaction."""

Scope = Collection[str] | None


class Prefetch(Protocol):
    """What fetches a patient's earlier studies before an appointment."""

    def ordered(self, connection: Connection, item: Row[Any]) -> None:
        """The order (a row of `worklist_item`) was added, or moved."""

    def dropped(self, connection: Connection, item_id: int) -> None:
        """The order will not be carried out any more, or was."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """By what an order is known where it came from (FHIR), beside its accession number."""

    request: str | None = None
    appointment: str | None = None

    @property
    def values(self) -> dict[str, str]:
        """The columns to write."""
        found = {"request_key": self.request, "appointment_key": self.appointment}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What came of an order that was given."""

    id: int
    accession_number: str
    outcome: Outcome
    study_instance_uid: str


@dataclass(kw_only=True)
class Bulk:
    """What came of many: how many of each outcome, and what is wrong with lines by their number."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    problems: list[tuple[int, Problem]] = field(default_factory=list)
    conflicts: list[tuple[int, StateError]] = field(default_factory=list)
    refused: int = 0


_NO_KEYS = Keys()


class Orders:
    """Keeps orders."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        studies: Studies,
        prefetch: Prefetch,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._configuration = configuration
        self._studies = studies
        self._prefetch = prefetch

    def schedule(self) -> None:
        """See to it that orders expire."""
        with self._database.write() as connection:
            self._ask_expiry(connection)

    def read(self, given: Mapping[str, Any], *, scope: Scope) -> Order:
        """The order that a document describes; raises DocumentError.

        What it does not say of the patient is taken from the CRM's record of CrmId, where there is one. Without a
        clinic it is that of the only one whom the caller may order for.
        """
        order = read_order(self._filled(given, scope))
        clinics = self._configuration.clinics
        if order.clinic is None and clinics:
            mine = sorted(clinics if scope is None else set(scope) & set(clinics))
            if len(mine) != 1:
                raise DocumentError([Problem("Clinic", "missing")])
            order = replace(order, clinic=mine[0])
        if order.clinic is not None and order.clinic not in clinics:
            names = {"name": order.clinic, "nearest": nearest(order.clinic, clinics)}
            raise DocumentError([Problem("Clinic", "unknown-clinic", names)])
        if is_hidden(order.clinic, scope):
            raise DocumentError([Problem("Clinic", "clinic-not-yours")])
        order.at(self._zone(order.clinic))
        return order

    def put(self, order: Order, *, actor: str, scope: Scope, revive: bool = False, keys: Keys = _NO_KEYS) -> Stored:
        """Add an order, or make the one of its accession number say this; raises StateError.

        One that was canceled is scheduled again only with `revive`: a list that is sent twice must not do so.
        """
        try:
            with self._database.write() as connection:
                self._ask_studies(connection, [order])
                stored = self._put(connection, order, scope=scope, revive=revive, keys=keys)
                if stored.outcome is not Outcome.Unchanged:
                    self._ask_expiry(connection)
                    action = "order.added" if stored.outcome is Outcome.Added else "order.changed"
                    self._journal.record(connection, action, actor=actor, Order=stored.id, Clinic=order.clinic)
        except IntegrityError:  # another node took the accession number, or the FHIR resource, at the same moment
            raise StateError("order-meanwhile") from None
        return stored

    def put_many(self, given: Sequence[tuple[int, Order]], *, actor: str, scope: Scope, bulk: Bulk) -> None:
        """The same for many, each with its line's number; one that cannot be stored stops no other."""
        for start in range(0, len(given), AT_ONCE):
            some = given[start : start + AT_ONCE]
            found: dict[Outcome, list[int]] = {each: [] for each in Outcome}
            with self._database.write() as connection:
                self._ask_studies(connection, [order for _, order in some])
                for line, order in some:
                    try:
                        with connection.begin_nested():
                            stored = self._put(connection, order, scope=scope, revive=False, keys=_NO_KEYS)
                    except StateError as error:
                        bulk.conflicts.append((line, error))
                        bulk.refused += 1
                    except IntegrityError:
                        bulk.conflicts.append((line, StateError("order-meanwhile")))
                        bulk.refused += 1
                    else:
                        found[stored.outcome].append(stored.id)
                        bulk.outcomes[stored.outcome] += 1
                added, changed = found[Outcome.Added], found[Outcome.Changed]
                if added or changed:
                    self._ask_expiry(connection)
                    self._journal.record(connection, "orders.stored", actor=actor, Added=added, Changed=changed)

    def cancel(self, accession_number: str, *, actor: str, reason: str, scope: Scope) -> None:
        """It will not be carried out; raises UnknownError, and StateError where it was, or was canceled before."""
        with self._database.write() as connection:
            row = _by_number(connection, accession_number)
            if row is None or is_hidden(row.clinic, scope):
                raise UnknownError("order", accession_number)
            self._cancel(connection, row, actor=actor, reason=reason)

    def cancel_by_key(self, keys: Keys, *, actor: str, reason: str, scope: Scope) -> str | None:
        """The same for an order of FHIR; answers its accession number, and None where there is none to cancel."""
        with self._database.write() as connection:
            row = self.by_key(connection, keys, scope, lock=True)
            if row is None:
                return None
            if row.state not in (OrderState.Completed, OrderState.Canceled):
                self._cancel(connection, row, actor=actor, reason=reason)
            number: str = row.accession_number
            return number

    def by_key(self, connection: Connection, keys: Keys, scope: Scope, *, lock: bool = False) -> Row[Any] | None:
        """The order of a FHIR resource; two clinics' systems may each have one of this id."""
        known = or_(*(worklist_item.c[name] == value for name, value in keys.values.items()))
        statement = select(worklist_item).where(known, visible(scope)).order_by(worklist_item.c.id).limit(1)
        found: Row[Any] | None = connection.execute(statement.with_for_update() if lock else statement).first()
        return found

    def __call__(self, claim: Claim) -> None:
        """The task: expire what nobody carried out in time, and look again later."""
        now = self._clock.now()
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            rows = connection.execute(_OVERDUE, {"now": now}).all()
            for row in rows:
                self._move(connection, row, OrderState.Expired)
                self._journal.record(connection, "order.expired", Order=row.id, Clinic=row.clinic)
            following = _next_expiry(connection)
            if following is None:
                self._tasks.finish(connection, claim)
            else:
                self._tasks.retry(connection, claim, following)

    def _cancel(self, connection: Connection, row: Row[Any], *, actor: str, reason: str) -> None:
        if row.state not in sources_of(ORDER, OrderState.Canceled):
            raise StateError("order-state", state=row.state)
        self._move(connection, row, OrderState.Canceled)
        self._journal.record(connection, "order.canceled", actor=actor, Order=row.id, Clinic=row.clinic, Reason=reason)

    def _move(self, connection: Connection, row: Row[Any], state: OrderState) -> None:
        values = {"state": state, "changed_at": self._clock.now()}
        connection.execute(update(worklist_item).where(worklist_item.c.id == row.id).values(values))
        self._prefetch.dropped(connection, row.id)

    def _put(self, connection: Connection, order: Order, *, scope: Scope, revive: bool, keys: Keys) -> Stored:
        row = _by_number(connection, order.accession_number)
        if row is not None and (is_hidden(row.clinic, scope) or row.clinic != order.clinic):
            raise StateError("order-of-another-clinic")
        self._check_uid(connection, order, row)
        values = self._values(order, row) | keys.values
        if row is None:
            values |= {"accession_number": order.accession_number, "state": OrderState.Scheduled}
            values["changed_at"] = self._clock.now()
            item_id = inserted_id(connection.execute(insert(worklist_item).values(values)))
            outcome = Outcome.Added
        else:
            item_id = row.id
            if all(getattr(row, name) == value for name, value in values.items()) and not (
                revive and row.state in (OrderState.Canceled, OrderState.Expired)
            ):
                return _stored(row, Outcome.Unchanged)
            self._check_state(row, revive=revive)
            values["changed_at"] = self._clock.now()
            if row.state != OrderState.InProgress:
                values["state"] = OrderState.Scheduled
            connection.execute(update(worklist_item).where(worklist_item.c.id == item_id).values(values))
            outcome = Outcome.Changed
        item = connection.execute(_ITEM, {"item": item_id}).one()
        if item.state == OrderState.Scheduled:
            self._prefetch.ordered(connection, item)
        return _stored(item, outcome)

    def _check_state(self, row: Row[Any], *, revive: bool) -> None:
        if row.state == OrderState.Completed or (row.state == OrderState.Canceled and not revive):
            raise StateError("order-state", state=row.state)

    def _check_uid(self, connection: Connection, order: Order, row: Row[Any] | None) -> None:
        """A study's UID is one order's: two could not both be completed by it."""
        uid = order.text("StudyInstanceUID")
        if uid:
            owners = connection.execute(_OF_UID, {"uid": uid}).scalars().all()
            if any(row is None or each != row.id for each in owners):
                raise StateError("order-uid-taken")

    def _values(self, order: Order, row: Row[Any] | None) -> dict[str, Any]:
        at = order.at(self._zone(order.clinic))
        uid = order.text("StudyInstanceUID")
        if not uid:
            uid = row.study_instance_uid if row is not None else f"2.25.{uuid.uuid4().int}"
        return {
            "clinic": order.clinic,
            "crm_id": order.crm_id,
            "scheduled_at": at,
            "day": order.text("ScheduledProcedureStepStartDate"),
            "time": order.text("ScheduledProcedureStepStartTime"),
            "station_aet": order.text("ScheduledStationAETitle"),
            "modality": order.text("Modality"),
            "patient_id": order.text("PatientID"),
            "patient_name": fold(order.text("PatientName")),
            "study_instance_uid": uid,
            "document": {**order.document, "StudyInstanceUID": uid},
            "expires_at": at + self._configuration.worklist.expire,
        }

    def _zone(self, clinic: str | None) -> ZoneInfo:
        known = self._configuration.clinics.get(clinic or "")
        return ZoneInfo(known.time_zone if known else "UTC")

    def _ask_expiry(self, connection: Connection) -> None:
        """Look for what nobody began when the first of them is over; asked after they were written."""
        following = _next_expiry(connection)
        if following is not None:
            self._tasks.schedule(connection, kind=EXPIRE, lane=LANE, key=EXPIRE, run_at=following, payload={})

    def _ask_studies(self, connection: Connection, orders: Sequence[Order]) -> None:
        """Studies that came before their order are decided again; asked before the order's own row is locked."""
        numbers = [order.accession_number for order in orders]
        for row in connection.execute(_BEFORE, {"numbers": numbers}).all():
            self._studies.ask(connection, row)

    def _filled(self, given: Mapping[str, Any], scope: Scope) -> Mapping[str, Any]:
        crm_id = given.get("CrmId")
        if not isinstance(crm_id, str):
            return given
        with self._database.read() as connection:
            row = connection.execute(_PATIENT, {"crm_id": crm_id}).one_or_none()
        if row is None or is_hidden(row.clinic, scope):
            return given
        said = row.document
        steps = given.get(SEQUENCE)
        step = steps[0] if isinstance(steps, list) and len(steps) == 1 and isinstance(steps[0], dict) else {}
        names = (said.get("FamilyName", ""), said.get("GivenNames", ""))
        known = {
            "PatientName": "^".join(names).strip("^"),
            "PatientBirthDate": said.get("BirthDate", ""),
            "PatientSex": said.get("Sex", "") if said.get("Sex") in ("M", "F", "O") else "",
            "PatientID": crm_id if len(crm_id) <= 64 else "",  # noqa: PLR2004 - characters of an LO
        }
        missing = {key: value for key, value in known.items() if value and not given.get(key) and key not in step}
        return {**given, **missing}


def _stored(row: Row[Any], outcome: Outcome) -> Stored:
    return Stored(
        id=row.id,
        accession_number=row.accession_number,
        outcome=outcome,
        study_instance_uid=row.study_instance_uid,
    )


def _next_expiry(connection: Connection) -> datetime | None:
    """When the first order is over that nobody began or ended; one look into the index for each state."""
    found = [connection.execute(_NEXT_EXPIRY, {"in_state": each}).scalar() for each in _LIVE]
    return min((each for each in found if each is not None), default=None)


def _by_number(connection: Connection, accession_number: str) -> Row[Any] | None:
    return connection.execute(_BY_NUMBER, {"number": accession_number}).one_or_none()


_BY_NUMBER = select(worklist_item).where(worklist_item.c.accession_number == bindparam("number")).with_for_update()
_ITEM = select(worklist_item).where(worklist_item.c.id == bindparam("item"))
_OF_UID = select(worklist_item.c.id).where(worklist_item.c.study_instance_uid == bindparam("uid"))
_BEFORE = select(study).where(
    study.c.accession_number.in_(bindparam("numbers", expanding=True)),
    study.c.order_id.is_(None),
    study.c.state != StudyState.Receiving,
)
_LIVE = (OrderState.Scheduled, OrderState.InProgress)
_NEXT_EXPIRY = select(func.min(worklist_item.c.expires_at)).where(worklist_item.c.state == bindparam("in_state"))
_OVERDUE = (
    select(worklist_item)
    .where(
        worklist_item.c.state.in_(_LIVE),
        worklist_item.c.expires_at <= bindparam("now"),
    )
    .order_by(worklist_item.c.expires_at)
    .limit(AT_ONCE)
    .with_for_update(skip_locked=True)  # whoever changes one may wait for the task that this transaction holds
)
_PATIENT = select(patient.c.document, patient.c.clinic).where(
    patient.c.crm_id == bindparam("crm_id"), patient.c.merged_into.is_(None)
)
