"""Failover: what a destination is owed goes to another as well, when it is down or takes too long.

The task `failover` of one delivery runs when its time is up, that of a lane when it goes down. Whatever the first
destination is owed stays owed to it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database
from relais.database.tables import delivery, study
from relais.domain.priority import Priority
from relais.domain.routing import PlannedDelivery
from relais.domain.states import DeliveryState
from relais.journal import Journal, Subject
from relais.judgement import same_as_source
from relais.ledger import Ledger
from relais.tasks import Claim, Tasks

AT_ONCE = 100
"""Deliveries that one transaction hands over."""
OPEN = (DeliveryState.Scheduled, DeliveryState.InProgress, DeliveryState.Failed)

_theirs = delivery.alias("theirs")


class Failover:
    """Runs the `failover` tasks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        ledger: Ledger,
        configuration: Configuration,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._ledger = ledger
        self._configuration = configuration

    def __call__(self, claim: Claim) -> None:
        """The task: of one delivery, or of all that its destination is owed."""
        destination = self._configuration.destinations.get(claim.payload["Destination"])
        stand_in = destination.failover_to if destination is not None else None
        with self._database.write() as connection:
            rows = self._owed(connection, claim, stand_in) if stand_in is not None else []
            for row in rows:
                self._hand_over(connection, row, str(stand_in))
            if len(rows) == AT_ONCE:
                self._tasks.retry(connection, claim, self._clock.now())
            else:
                self._tasks.finish(connection, claim)

    def _owed(self, connection: Connection, claim: Claim, stand_in: str) -> list[Row[Any]]:
        """Open deliveries of which the other destination knows nothing yet, the most urgent first."""
        known = select(_theirs.c.id).where(
            _theirs.c.study_id == delivery.c.study_id,
            _theirs.c.destination == stand_in,
            ~and_(_theirs.c.state == DeliveryState.Completed, _theirs.c.mark < study.c.sequence),
        )
        from_there = self._sources(stand_in)
        statement = (
            select(delivery, study.c.study_instance_uid)
            .join(study, study.c.id == delivery.c.study_id)
            .where(
                delivery.c.destination == claim.payload["Destination"],
                delivery.c.state.in_(OPEN),
                ~known.exists(),
                func.coalesce(study.c.origin["Source"].as_string(), "").not_in(from_there),
            )
            .order_by(delivery.c.priority, delivery.c.id)
            .limit(AT_ONCE)
        )
        if "Delivery" in claim.payload:
            statement = statement.where(delivery.c.id == claim.payload["Delivery"])
        return list(connection.execute(statement).all())

    def _sources(self, stand_in: str) -> list[str]:
        """The sources that are this destination: nothing goes back where it was imported from."""
        every = self._configuration.sources
        return sorted(name for name in every if stand_in in same_as_source(self._configuration, name))

    def _hand_over(self, connection: Connection, row: Row[Any], stand_in: str) -> None:
        owner = connection.execute(select(study).where(study.c.id == row.study_id).with_for_update()).one()
        there = PlannedDelivery(destination=stand_in, priority=Priority(row.priority), purpose=row.purpose)
        why = {"FailoverOf": row.destination}
        stand_in_id = self._ledger.stand_in(connection, owner, there, why, failover_of=row.destination)
        state = connection.execute(select(delivery.c.state).where(delivery.c.id == stand_in_id)).scalar_one()
        if state == DeliveryState.Blocked:  # told as such
            return
        self._journal.record(
            connection,
            "delivery.failed-over",
            subject=Subject(id=row.study_id, study_instance_uid=row.study_instance_uid),
            Delivery=row.id,
            Destination=row.destination,
            To=stand_in,
        )
