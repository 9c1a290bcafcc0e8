"""What machines say they perform (MPPS, PS3.4 annex F): an order is in progress, completed or discontinued.

A step that belongs to no order of ours is taken as well, for a machine that is refused stops its work; it is audited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import Connection, Row, bindparam, or_, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.worklist_tables import worklist_item
from relais.domain.clinics import Level, resolve_clinic
from relais.domain.facts import Origin
from relais.domain.states import ORDER, OrderState, sources_of
from relais.journal import Journal
from relais.worklist.orders import Prefetch


class Performed(StrEnum):
    """PerformedProcedureStepStatus (PS3.3 section C.4.14)."""

    InProgress = "IN PROGRESS"
    Completed = "COMPLETED"
    Discontinued = "DISCONTINUED"


class Status(IntEnum):
    """What is answered (PS3.7 annex C)."""

    Success = 0x0000
    InvalidValue = 0x0106
    ProcessingFailure = 0x0110
    Duplicate = 0x0111


STATES: Mapping[Performed, OrderState] = {
    Performed.InProgress: OrderState.InProgress,
    Performed.Completed: OrderState.Completed,
    Performed.Discontinued: OrderState.Canceled,
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A performed step: its SOP instance, what it says of itself, and for which orders it is."""

    uid: str
    status: str
    accession_numbers: tuple[str, ...] = ()
    study_instance_uids: tuple[str, ...] = ()


class Steps:
    """Writes down what machines report."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        configuration: Configuration,
        prefetch: Prefetch,
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._configuration = configuration
        self._prefetch = prefetch

    def create(self, step: Step, calling: str, called: str) -> Status:
        """A step begins (N-CREATE): its order is in progress."""
        if not step.uid or step.status != Performed.InProgress:
            return Status.InvalidValue
        with self._database.write() as connection:
            if self._of_uid(connection, step.uid) is not None:
                return Status.Duplicate
            row = self._ordered(connection, step, calling, called)
            if row is None or row.state not in sources_of(ORDER, OrderState.InProgress):
                self._journal.record(connection, "step.without-order", actor=calling, Called=called)
                return Status.Success
            self._move(connection, row, OrderState.InProgress, calling, mpps_uid=step.uid)
        return Status.Success

    def change(self, step: Step, calling: str) -> Status:
        """A step goes on, or ends (N-SET)."""
        if step.status not in tuple(Performed) and step.status:
            return Status.InvalidValue
        with self._database.write() as connection:
            row = self._of_uid(connection, step.uid)
            if row is None:
                return Status.Success  # one without an order
            if not step.status or step.status == Performed.InProgress:
                return Status.Success if row.state == OrderState.InProgress else Status.ProcessingFailure
            state = STATES[Performed(step.status)]
            if row.state == OrderState.Completed and row.study_id is not None and state is OrderState.Completed:
                return Status.Success  # its study was here sooner
            if row.state != OrderState.InProgress:
                return Status.ProcessingFailure
            self._move(connection, row, state, calling)
        return Status.Success

    def _move(self, connection: Connection, row: Row[Any], state: OrderState, calling: str, **more: Any) -> None:
        now = self._clock.now()
        ended = {"completed_at": now} if state is OrderState.Completed else {}
        values = {"state": state, "changed_at": now, **ended, **more}
        connection.execute(update(worklist_item).where(worklist_item.c.id == row.id).values(values))
        if state is OrderState.Canceled:
            self._prefetch.dropped(connection, row.id)
        action = {
            OrderState.InProgress: "order.begun",
            OrderState.Completed: "order.performed",
            OrderState.Canceled: "order.discontinued",
        }[state]
        self._journal.record(connection, action, actor=calling, Order=row.id, Clinic=row.clinic)

    def _ordered(self, connection: Connection, step: Step, calling: str, called: str) -> Row[Any] | None:
        """The one order that it names, of the machine's clinic; none where it names several of ours, or another's."""
        asked = {"numbers": list(step.accession_numbers), "uids": list(step.study_instance_uids)}
        rows = connection.execute(_NAMED, asked).all()
        if len(rows) != 1:
            return None
        clinics = self._configuration.clinics
        found = resolve_clinic(Origin(calling_aet=calling, called_aet=called), (), clinics)
        theirs = found.clinic is not None and found.level in (Level.CalledAet, Level.CallingAet)
        mine = rows[0].clinic == found.clinic if theirs else rows[0].station_aet == calling
        return rows[0] if mine or not clinics else None

    def _of_uid(self, connection: Connection, uid: str) -> Row[Any] | None:
        return connection.execute(_OF_STEP, {"uid": uid}).one_or_none()


_OF_STEP = select(worklist_item).where(worklist_item.c.mpps_uid == bindparam("uid")).with_for_update()
_NAMED = (
    select(worklist_item)
    .where(
        or_(
            worklist_item.c.accession_number.in_(bindparam("numbers", expanding=True)),
            worklist_item.c.study_instance_uid.in_(bindparam("uids", expanding=True)),
        )
    )
    .order_by(worklist_item.c.id)
    .with_for_update()
)
