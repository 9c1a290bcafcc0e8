"""The ledger: which study is owed to which destination, and how far it got.

A delivery remembers its mark, the highest instance sequence number that the destination has. Sending means everything
above the mark. So a retry, a late image and a corrected one are all the same thing: the study's sequence is above the
mark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from relais.batches import want_gaps
from relais.blocking import Blocking, others
from relais.clock import Clock
from relais.configuration import Destination
from relais.database import Database, inserted_id
from relais.database.tables import delivery, lane, study
from relais.domain.priority import Priority
from relais.domain.residency import Permit, Refusal
from relais.domain.routing import PlannedDelivery
from relais.domain.states import DELIVERY, OWED, DeliveryState, sources_of
from relais.errors import RefusedByLawError, StateError, UnknownError
from relais.journal import Journal, Subject
from relais.judgement import JudgedDelivery
from relais.lanes import DESTINATION
from relais.protect import Protect
from relais.residency import Residency
from relais.tasks import Tasks

UNSENT = (DeliveryState.Scheduled, DeliveryState.InProgress, DeliveryState.Failed, DeliveryState.Blocked)


class Ledger:
    """Plans deliveries, and does to them what a person asks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        protect: Protect,
        residency: Residency,
        blocking: Blocking,
        destinations: Mapping[str, Destination],
    ) -> None:
        self._destinations = destinations
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._protect = protect
        self._residency = residency
        self._blocking = blocking

    def begin(self, connection: Connection, row: Row[Any], planned: Sequence[JudgedDelivery]) -> None:
        """Owe a study that still arrives to those who need not wait for its end."""
        for each in planned:
            known = connection.execute(
                select(delivery).where(
                    delivery.c.study_id == row.id, delivery.c.destination == each.planned.destination
                )
            ).one_or_none()
            self._owe(connection, row, each, known)

    def plan(self, connection: Connection, row: Row[Any], planned: Sequence[JudgedDelivery]) -> None:
        """Owe this study (a row of `study`) to the planned destinations, and no longer to others."""
        known = {
            each.destination: each
            for each in connection.execute(select(delivery).where(delivery.c.study_id == row.id).with_for_update())
        }
        for each in planned:
            self._owe(connection, row, each, known.get(each.planned.destination))
        wanted = {each.planned.destination for each in planned}
        for name, other in known.items():
            if name in wanted or other.state not in UNSENT:
                continue
            if other.failover_of in wanted:
                self._reconsider(connection, row, other)
            else:
                self._cancel(connection, row, other, actor="relais", reason="no rule asks for it any more")

    def reconsider(self, connection: Connection, row: Row[Any]) -> None:
        """Judge again what this study (a row of `study`) is owed: block what may not go, schedule what may."""
        for each in connection.execute(select(delivery).where(delivery.c.study_id == row.id).with_for_update()).all():
            self._reconsider(connection, row, each)

    def _reconsider(self, connection: Connection, owner: Row[Any], row: Row[Any]) -> None:
        if row.state not in (DeliveryState.Scheduled, DeliveryState.InProgress, DeliveryState.Blocked):
            return
        verdict = self._verdict(connection, owner, row.destination, row.purpose)
        if isinstance(verdict, Refusal):
            self._blocking.block(connection, row, _subject(owner), verdict, row.reasons)
        elif row.state == DeliveryState.Blocked:
            fresh = {"attempts": 0, "last_error": None, "owed_since": self._clock.now()}
            self._move(connection, row, DeliveryState.Scheduled, reasons=others(row.reasons), **fresh)
            self._schedule(connection, row.id, row.destination, row.priority)
            self._journal.record(
                connection,
                "delivery.permitted",
                subject=_subject(owner),
                Delivery=row.id,
                Destination=row.destination,
            )

    def _verdict(self, connection: Connection, owner: Row[Any], to: str, purpose: str) -> Permit | Refusal:
        return self._residency.verdict(connection, owner.id, owner.study_instance_uid, owner.clinic, to, purpose)

    def _permitted(self, connection: Connection, owner: Row[Any], to: str, purpose: str) -> None:
        """Raise RefusedByLawError where a person asks for what may not be."""
        verdict = self._verdict(connection, owner, to, purpose)
        if isinstance(verdict, Refusal):
            raise RefusedByLawError(to, [each.to_json() for each in verdict.reasons])

    def retry(self, delivery_id: int, *, actor: str, reason: str) -> None:
        """Try a failed, waiting or canceled delivery now."""
        with self._database.write() as connection:
            row, subject = _find(connection, delivery_id)
            if row.state in (DeliveryState.Held, DeliveryState.InProgress, DeliveryState.Completed):
                raise StateError("delivery-state", state=row.state, wanted=DeliveryState.Scheduled)
            self._permitted(connection, _owner(connection, row), row.destination, row.purpose)
            connection.execute(update(lane).where(lane.c.name == DESTINATION + row.destination).values(probe_at=None))
            # What was given up, or canceled, is owed anew from now: it has all its time again.
            since = row.owed_since if row.state in UNSENT and row.finished_at is None else self._clock.now()
            fresh = {"attempts": 0, "last_error": None, "finished_at": None, "owed_since": since}
            self._move(connection, row, DeliveryState.Scheduled, reasons=others(row.reasons), **fresh)
            want_gaps(connection, row.id)
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
            self._record(connection, "delivery.released", row, subject, actor, reason)
            kept = [each for each in row.reasons if "Hold" not in each]
            verdict = self._verdict(connection, _owner(connection, row), row.destination, row.purpose)
            if isinstance(verdict, Refusal):
                self._blocking.block(connection, row, subject, verdict, kept)
                return
            self._move(connection, row, DeliveryState.Scheduled, attempts=0, reasons=kept)
            self._schedule(connection, row.id, row.destination, row.priority)

    def cancel(self, delivery_id: int, *, actor: str, reason: str) -> None:
        """Owe it no longer; a person may retry it later."""
        with self._database.write() as connection:
            row, _ = _find(connection, delivery_id)
            owner = _owner(connection, row)
            self._cancel(connection, owner, row, actor=actor, reason=reason)

    def redirect(self, delivery_id: int, destination: str, *, actor: str, reason: str) -> int:
        """Owe the study to another destination instead; answers the delivery there."""
        if destination not in self._destinations:
            raise UnknownError("destination", destination)
        with self._database.write() as connection:
            row, subject = _find(connection, delivery_id)
            if row.destination == destination:
                raise StateError("same-destination")
            owner = _owner(connection, row)
            self._permitted(connection, owner, destination, row.purpose)
            there = PlannedDelivery(destination=destination, priority=Priority(row.priority), purpose=row.purpose)
            why = {"RedirectedFrom": row.destination, "By": actor, "Reason": reason}
            answer = self.stand_in(connection, owner, there, why)
            if row.state in UNSENT or row.state == DeliveryState.Held:
                self._cancel(connection, owner, row, actor=actor, reason=f"→ {destination}: {reason}")
            self._record(connection, "delivery.redirected", row, subject, actor, reason, To=destination)
            return answer

    def stand_in(
        self,
        connection: Connection,
        owner: Row[Any],
        planned: PlannedDelivery,
        why: dict[str, str],
        *,
        failover_of: str | None = None,
    ) -> int:
        """Owe the study to this destination too, and say why; answers the delivery."""
        mine = (delivery.c.study_id == owner.id, delivery.c.destination == planned.destination)
        known = connection.execute(select(delivery).where(*mine).with_for_update()).one_or_none()
        verdict = self._verdict(connection, owner, planned.destination, planned.purpose)
        self._owe(connection, owner, JudgedDelivery(planned=planned, verdict=verdict), known, again=True)
        row = connection.execute(select(delivery).where(*mine)).one()
        values: dict[str, Any] = {"reasons": [*row.reasons, why]}
        if known is None:
            values["failover_of"] = failover_of
        connection.execute(update(delivery).where(delivery.c.id == row.id).values(values))
        delivery_id: int = row.id
        return delivery_id

    def _owe(
        self,
        connection: Connection,
        row: Row[Any],
        judged: JudgedDelivery,
        known: Row[Any] | None,
        *,
        again: bool = False,
    ) -> None:
        """Owe the study, or block what is refused; with `again` also where a person had canceled it."""
        now = self._clock.now()
        planned, verdict = judged.planned, judged.verdict
        reasons: list[dict[str, Any]] = [{"Rule": name} for name in planned.rules]
        if planned.pool is not None:
            reasons.append({"Pool": planned.pool})
        if known is None:
            result = connection.execute(
                insert(delivery).values(
                    study_id=row.id,
                    destination=planned.destination,
                    state=DeliveryState.Blocked if judged.refused else DeliveryState.Scheduled,
                    priority=planned.priority,
                    purpose=planned.purpose,
                    mark=0,
                    delivered=0,
                    attempts=0,
                    created_at=now,
                    owed_since=now,
                    next_attempt=now,
                    reasons=reasons,
                )
            )
            if isinstance(verdict, Refusal):
                new = connection.execute(select(delivery).where(delivery.c.id == inserted_id(result))).one()
                self._blocking.block(connection, new, _subject(row), verdict, reasons)
                return
            self._schedule(connection, inserted_id(result), planned.destination, planned.priority)
            self._watch_over(connection, inserted_id(result), planned.destination, now)
            return
        if known.state == DeliveryState.Held or (_was_canceled_by_person(known) and not again):
            return
        if known.state == DeliveryState.Completed and known.mark >= row.sequence:
            return
        if isinstance(verdict, Refusal):
            values = {"priority": planned.priority, "purpose": planned.purpose}
            connection.execute(update(delivery).where(delivery.c.id == known.id).values(**values))
            self._blocking.block(connection, known, _subject(row), verdict, reasons)
            return
        self._move(
            connection,
            known,
            DeliveryState.InProgress if known.state == DeliveryState.InProgress else DeliveryState.Scheduled,
            priority=planned.priority,
            purpose=planned.purpose,
            attempts=0,
            reasons=reasons,
            owed_since=known.owed_since if known.state in OWED else now,
            finished_at=None,
        )
        self._schedule(connection, known.id, known.destination, planned.priority)
        self._watch_over(connection, known.id, known.destination, now)

    def _watch_over(self, connection: Connection, delivery_id: int, name: str, now: datetime) -> None:
        """See to it that another destination steps in when this one is down, or takes too long."""
        destination = self._destinations.get(name)
        if destination is None or destination.failover_to is None:
            return
        lane_name = DESTINATION + name
        down = connection.execute(select(lane.c.down_since).where(lane.c.name == lane_name)).scalar()
        self._tasks.schedule(
            connection,
            kind="failover",
            lane="studies",
            key=f"failover:{delivery_id}",
            run_at=now if down else now + destination.failover_after,
            payload={"Destination": name, "Delivery": delivery_id},
        )

    def _cancel(self, connection: Connection, owner: Row[Any], row: Row[Any], *, actor: str, reason: str) -> None:
        self._move(
            connection,
            row,
            DeliveryState.Canceled,
            finished_at=self._clock.now(),
            next_attempt=None,
            reasons=[*others(row.reasons), {"Canceled": reason, "By": actor}],
        )
        self._record(connection, "delivery.canceled", row, _subject(owner), actor, reason)
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
        self,
        connection: Connection,
        action: str,
        row: Row[Any],
        subject: Subject,
        actor: str,
        reason: str,
        **detail: Any,
    ) -> None:
        self._journal.record(
            connection,
            action,
            actor=actor,
            subject=subject,
            Delivery=row.id,
            Destination=row.destination,
            **({"Reason": reason} if reason else {}),
            **detail,
        )


def _subject(owner: Row[Any]) -> Subject:
    return Subject(id=owner.id, study_instance_uid=owner.study_instance_uid)


def _owner(connection: Connection, row: Row[Any]) -> Row[Any]:
    return connection.execute(select(study).where(study.c.id == row.study_id)).one()


def _was_canceled_by_person(row: Row[Any]) -> bool:
    return bool(row.state == DeliveryState.Canceled and row.reasons[-1].get("By") != "relais")


def _find(connection: Connection, delivery_id: int) -> tuple[Row[Any], Subject]:
    row = connection.execute(select(delivery).where(delivery.c.id == delivery_id).with_for_update()).one_or_none()
    if row is None:
        raise UnknownError("delivery", delivery_id)
    uid = connection.execute(select(study.c.study_instance_uid).where(study.c.id == row.study_id)).scalar_one()
    return row, Subject(id=row.study_id, study_instance_uid=uid)
