"""Restrictions: what a patient or a privacy officer does not want sent. Setting one stops at once what is not sent yet.

A person may restrict who gets at what is known of their health (R-22.1 sections 7 and 8), and take back a consent
(P-39.1 section 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, insert, select, update

from relais.clock import Clock
from relais.database import Database, inserted_id
from relais.database.tables import delivery, restriction, study
from relais.decide import Studies
from relais.domain.residency import Restriction
from relais.domain.states import DeliveryState
from relais.errors import StateError, UnknownError
from relais.journal import Journal, Subject
from relais.ledger import Ledger
from relais.residency import restriction_of
from relais.tasks import Claim, Tasks


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What shall not be sent, of a study or of a patient, to whom, from when until when, and why."""

    study_instance_uid: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    destinations: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    reason: str


class Restrictions:
    """Sets and lifts restrictions, and judges anew what they are about."""

    def __init__(
        self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal, ledger: Ledger, studies: Studies
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._ledger = ledger
        self._studies = studies

    def __call__(self, claim: Claim) -> None:
        """The task `judge` of a blocked delivery: time may have made it right."""
        with self._database.write() as connection:
            study_id = connection.execute(
                select(delivery.c.study_id).where(delivery.c.id == claim.payload["Delivery"])
            ).scalar()
            if study_id is not None:
                self._judge_again(connection, study_id)
            self._tasks.finish(connection, claim)

    def set(self, wish: Wish, *, actor: str) -> int:
        """From now on, or from `since` on, nothing of that is sent; answers the restriction's id."""
        now = self._clock.now()
        values: dict[str, Any] = {
            "study_instance_uid": wish.study_instance_uid,
            "patient_id": wish.patient_id,
            "issuer_of_patient_id": wish.issuer_of_patient_id,
            "destinations": list(wish.destinations),
            "regions": list(wish.regions),
            "reason": wish.reason,
            "by": actor,
            "at": now,
            "since": wish.since or now,
            "until": wish.until,
        }
        with self._database.write() as connection:
            added = inserted_id(connection.execute(insert(restriction).values(values)))
            row = connection.execute(select(restriction).where(restriction.c.id == added)).one()
            for study_id in _concerned(connection, restriction_of(row)):
                self._judge_again(connection, study_id)
            self._record(connection, "restriction.set", row, actor, wish.reason)
        return added

    def lift(self, restriction_id: int, *, actor: str, reason: str) -> None:
        """It holds no longer; raises UnknownError, and StateError where it was lifted before."""
        with self._database.write() as connection:
            row = connection.execute(
                select(restriction).where(restriction.c.id == restriction_id).with_for_update()
            ).one_or_none()
            if row is None:
                raise UnknownError("restriction", restriction_id)
            if row.lifted_at is not None:
                raise StateError("restriction-lifted")
            values = {"lifted_by": actor, "lifted_at": self._clock.now(), "lifted_reason": reason}
            connection.execute(update(restriction).where(restriction.c.id == restriction_id).values(values))
            for study_id in _concerned(connection, restriction_of(row)):
                self._judge_again(connection, study_id)
            self._record(connection, "restriction.lifted", row, actor, reason)

    def listing(self, *, before: int | None, limit: int) -> list[RowMapping]:
        """Restrictions, the one set last first."""
        statement = select(restriction).order_by(restriction.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(restriction.c.id < before)
        with self._database.read() as connection:
            return list(connection.execute(statement).mappings())

    def _judge_again(self, connection: Connection, study_id: int) -> None:
        """Block or schedule what the study is owed; where a pool chose, it is asked to choose again."""
        row = connection.execute(select(study).where(study.c.id == study_id).with_for_update()).one()
        self._ledger.reconsider(connection, row)
        reasons = connection.execute(select(delivery.c.reasons).where(delivery.c.study_id == study_id)).scalars()
        if any("Pool" in each for several in reasons for each in several):
            self._studies.ask(connection, row)

    def _record(self, connection: Connection, action: str, row: Row[Any], actor: str, reason: str) -> None:
        """Audit it, without the patient."""
        known = connection.execute(
            select(study.c.id).where(study.c.study_instance_uid == row.study_instance_uid)
        ).scalar_one_or_none()
        self._journal.record(
            connection,
            action,
            actor=actor,
            subject=Subject(id=known, study_instance_uid=row.study_instance_uid) if known else None,
            Restriction=row.id,
            Of="Study" if row.study_instance_uid is not None else "Patient",
            Destinations=list(row.destinations),
            Regions=list(row.regions),
            Reason=reason,
        )


def _concerned(connection: Connection, wanted: Restriction) -> list[int]:
    """The studies that it may be about, and of which something is still owed; in the order in which rows are locked."""
    owed = (DeliveryState.Scheduled, DeliveryState.InProgress, DeliveryState.Blocked)
    unsent = select(delivery.c.study_id).where(delivery.c.state.in_(owed))
    whose = (
        study.c.patient_id == wanted.patient_id
        if wanted.study_instance_uid is None
        else study.c.study_instance_uid == wanted.study_instance_uid
    )
    statement = select(study.c.id).where(whose, study.c.id.in_(unsent)).order_by(study.c.id)
    return list(connection.execute(statement).scalars())
