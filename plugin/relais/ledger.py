"""The ledger: which study is owed to which destination, and how far it got.

A delivery remembers its mark, the highest instance sequence number that the destination has. Sending means everything
above the mark. So a retry, a late image and a corrected one are all the same thing: the study's sequence is above the
mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from relais.clock import Clock
from relais.database import Database, inserted_id
from relais.database.tables import delivery, lane, study
from relais.domain.priority import Priority
from relais.domain.routing import PlannedDelivery
from relais.domain.states import DELIVERY, OWED, DeliveryState, sources_of
from relais.errors import StateError, UnknownError
from relais.journal import Journal, Subject
from relais.lanes import DESTINATION
from relais.protect import Protect
from relais.tasks import Tasks

UNSENT = (DeliveryState.Scheduled, DeliveryState.InProgress, DeliveryState.Failed, DeliveryState.Blocked)


class Ledger:
    """Plans deliveries, and does to them what a person asks."""

    def __init__(self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal, protect: Protect) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._protect = protect

    def plan(self, connection: Connection, row: Row[Any], planned: Sequence[PlannedDelivery]) -> None:
        """Owe this study (a row of `study`) to the planned destinations, and no longer to others."""
        known = {
            each.destination: each
            for each in connection.execute(select(delivery).where(delivery.c.study_id == row.id).with_for_update())
        }
        for each in planned:
            self._owe(connection, row, each, known.get(each.destination))
        wanted = {each.destination for each in planned}
        for name, unwanted in known.items():
            if name not in wanted and unwanted.state in UNSENT:
                self._cancel(connection, row, unwanted, actor="relais", reason="no rule asks for it any more")

    def retry(self, delivery_id: int, *, actor: str, reason: str) -> None:
        """Try a failed, waiting or canceled delivery now."""
        with self._database.write() as connection:
            row, subject = _find(connection, delivery_id)
            if row.state in (DeliveryState.Held, DeliveryState.InProgress, DeliveryState.Completed):
                raise StateError("delivery-state", state=row.state, wanted=DeliveryState.Scheduled)
            connection.execute(update(lane).where(lane.c.name == DESTINATION + row.destination).values(probe_at=None))
            # What was given up, or canceled, is owed anew from now: it has all its time again.
            since = row.owed_since if row.state in UNSENT and row.finished_at is None else self._clock.now()
            fresh = {"attempts": 0, "last_error": None, "finished_at": None, "owed_since": since}
            self._move(connection, row, DeliveryState.Scheduled, **fresh)
            self._schedule(connection, row.id, row.destination, row.priority)
            self._record(connection, "delivery.retried", row, subject, actor, reason)

    def hold(self, delivery_id: int, *, actor: str, reason: str) -> None:
        """Send no more of this delivery until it is released; a batch under way ends."""
        with self._database.write() as connection:
            row, subject = _find(connection, delivery_id)
            self._move(
                connection,
                row,
                DeliveryState.Held,
                next_attempt=None,
                reasons=[*row.reasons, {"Hold": reason}],
            )
            self._record(connection, "delivery.held", row, subject, actor, reason)

    def release(self, delivery_id: int, *, actor: str, reason: str) -> None:
        """End a hold."""
        with self._database.write() as connection:
            row, subject = _find(connection, delivery_id)
            if row.state != DeliveryState.Held:
                raise StateError("delivery-not-held", state=row.state)
            kept = [each for each in row.reasons if "Hold" not in each]
            self._move(connection, row, DeliveryState.Scheduled, attempts=0, reasons=kept)
            self._schedule(connection, row.id, row.destination, row.priority)
            self._record(connection, "delivery.released", row, subject, actor, reason)

    def cancel(self, delivery_id: int, *, actor: str, reason: str) -> None:
        """Owe it no longer; a person may retry it later."""
        with self._database.write() as connection:
            row, subject = _find(connection, delivery_id)
            owner = connection.execute(select(study).where(study.c.id == subject.id)).one()
            self._cancel(connection, owner, row, actor=actor, reason=reason)

    def _owe(self, connection: Connection, row: Row[Any], planned: PlannedDelivery, known: Row[Any] | None) -> None:
        now = self._clock.now()
        reasons = [{"Rule": name} for name in planned.rules]
        if known is None:
            result = connection.execute(
                insert(delivery).values(
                    study_id=row.id,
                    destination=planned.destination,
                    state=DeliveryState.Scheduled,
                    priority=planned.priority,
                    purpose=planned.purpose or "",
                    mark=0,
                    delivered=0,
                    attempts=0,
                    created_at=now,
                    owed_since=now,
                    next_attempt=now,
                    reasons=reasons,
                )
            )
            self._schedule(connection, inserted_id(result), planned.destination, planned.priority)
            return
        if known.state == DeliveryState.Held or _was_canceled_by_person(known):
            return
        if known.state == DeliveryState.Completed and known.mark >= row.sequence:
            return
        self._move(
            connection,
            known,
            DeliveryState.InProgress if known.state == DeliveryState.InProgress else DeliveryState.Scheduled,
            priority=planned.priority,
            attempts=0,
            reasons=reasons,
            owed_since=known.owed_since if known.state in OWED else now,
            finished_at=None,
        )
        self._schedule(connection, known.id, known.destination, planned.priority)

    def _cancel(self, connection: Connection, owner: Row[Any], row: Row[Any], *, actor: str, reason: str) -> None:
        self._move(
            connection,
            row,
            DeliveryState.Canceled,
            finished_at=self._clock.now(),
            next_attempt=None,
            reasons=[*row.reasons, {"Canceled": reason, "By": actor}],
        )
        subject = Subject(id=owner.id, study_instance_uid=owner.study_instance_uid)
        self._record(connection, "delivery.canceled", row, subject, actor, reason)
        self._protect.look(connection, owner.id)

    def _move(self, connection: Connection, row: Row[Any], state: DeliveryState, **values: object) -> None:
        """Change the state where the table of transitions allows it; raises StateError where not."""
        moved = connection.execute(
            update(delivery)
            .where(delivery.c.id == row.id, delivery.c.state.in_(sources_of(DELIVERY, state)))
            .values(state=state, **values)
        )
        if moved.rowcount == 0:
            raise StateError("delivery-state", state=row.state, wanted=state)

    def _schedule(self, connection: Connection, delivery_id: int, destination: str, priority: int) -> None:
        now = self._clock.now()
        connection.execute(update(delivery).where(delivery.c.id == delivery_id).values(next_attempt=now))
        self._tasks.schedule(
            connection,
            kind="deliver",
            lane=DESTINATION + destination,
            key=f"deliver:{delivery_id}",
            run_at=now,
            priority=Priority(priority),
            payload={"Delivery": delivery_id},
        )

    def _record(
        self, connection: Connection, action: str, row: Row[Any], subject: Subject, actor: str, reason: str
    ) -> None:
        self._journal.record(
            connection,
            action,
            actor=actor,
            subject=subject,
            Delivery=row.id,
            Destination=row.destination,
            Reason=reason,
        )


def _was_canceled_by_person(row: Row[Any]) -> bool:
    return bool(row.state == DeliveryState.Canceled and row.reasons[-1].get("By") != "relais")


def _find(connection: Connection, delivery_id: int) -> tuple[Row[Any], Subject]:
    row = connection.execute(select(delivery).where(delivery.c.id == delivery_id).with_for_update()).one_or_none()
    if row is None:
        raise UnknownError("delivery", delivery_id)
    uid = connection.execute(select(study.c.study_instance_uid).where(study.c.id == row.study_id)).scalar_one()
    return row, Subject(id=row.study_id, study_instance_uid=uid)
