"""How a delivery's attempt ends: completed, tried again, put off or given up; each in the caller's transaction."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, insert, update

from relais.batches import Batch, close_gaps
from relais.blocking import Blocking
from relais.clock import Clock
from relais.configuration import Destination
from relais.database.tables import attempt, delivery
from relais.domain.residency import Refusal
from relais.domain.retry import Backoff, ErrorClass
from relais.domain.states import DELIVERY, DeliveryState, sources_of
from relais.journal import Journal, Subject
from relais.lanes import Lanes
from relais.protect import Protect
from relais.tasks import Claim, StaleClaimError, Tasks

log = logging.getLogger(__name__)

_ATTEMPT = insert(attempt)


class Outcomes:
    """Writes down what became of a delivery, and what follows."""

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        lanes: Lanes,
        protect: Protect,
        blocking: Blocking,
        destinations: Mapping[str, Destination],
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._lanes = lanes
        self._protect = protect
        self._blocking = blocking
        self._destinations = destinations

    def complete(self, connection: Connection, claim: Claim, row: Row[Any], document: dict[str, Any]) -> None:
        """Everything is there, and proven: write the proof, tell of it, and end the task."""
        self.move(
            connection,
            row.id,
            DeliveryState.Completed,
            mark=row.sequence,  # what the destination does not receive is behind us too
            delivered=document["Instances"],
            attempts=0,
            last_error=None,
            finished_at=self._clock.now(),
            next_attempt=None,
            proof=document,
        )
        if row.has_gaps:
            close_gaps(connection, row.id)
        detail = {"Instances": document["Instances"], "Proof": document["Kind"]}
        self.record(connection, "delivery.completed", row, **detail)
        self._protect.look(connection, row.study_id)
        self._tasks.finish(connection, claim)

    def later(
        self,
        connection: Connection,
        claim: Claim,
        row: Row[Any],
        error: dict[str, Any],
        *,
        unreachable: bool = False,
        wait: timedelta | None = None,
    ) -> None:
        """Try again as the destination's schedule says, or give up when its time is over.

        An `unreachable` destination leaves its whole lane waiting, and no shorter than the `wait` that it asks for.
        """
        now = self._clock.now()
        retry = self._destinations[row.destination].retry
        backoff = Backoff(first=retry.first_delay, maximum=retry.maximum_delay)
        attempts = row.attempts + 1
        run_at = self._lanes.failed(connection, claim.lane, error, backoff, wait) if unreachable else None
        if now - row.owed_since >= retry.give_up_after:
            self.give_up(connection, claim, row, error)
            return
        if error["Class"] == ErrorClass.Configuration:
            run_at = run_at or now + retry.maximum_delay
        run_at = run_at or now + backoff.delay(attempts, random.random())
        self.move(connection, row.id, DeliveryState.Scheduled, attempts=attempts, last_error=error, next_attempt=run_at)
        self._tasks.retry(connection, claim, run_at, error["Code"])
        log.info("delivery %d to %s: %s, again at %s", row.id, row.destination, error["Code"], run_at)

    def give_up(self, connection: Connection, claim: Claim, row: Row[Any], error: dict[str, Any]) -> None:
        """A person must look."""
        self.move(
            connection,
            row.id,
            DeliveryState.Failed,
            attempts=row.attempts + 1,
            last_error=error,
            finished_at=self._clock.now(),
            next_attempt=None,
        )
        detail = {"Class": error["Class"], "Code": error["Code"], "Attempts": row.attempts + 1}
        self.record(connection, "delivery.failed", row, **detail)
        self._tasks.finish(connection, claim)

    def block(self, connection: Connection, claim: Claim, row: Row[Any], refusal: Refusal) -> None:
        """The law refuses that more is sent: end the task."""
        subject = Subject(id=row.study_id, study_instance_uid=row.study_instance_uid)
        if not self._blocking.block(connection, row, subject, refusal, row.reasons):
            raise StaleClaimError(f"deliver:{row.id}")
        self._tasks.finish(connection, claim)

    def put_off(self, connection: Connection, claim: Claim, delivery_id: int, run_at: datetime) -> None:
        """Nothing is wrong; it is just not time yet."""
        self.move(connection, delivery_id, DeliveryState.Scheduled, next_attempt=run_at)
        self._tasks.retry(connection, claim, run_at)

    def note(self, connection: Connection, batch: Batch, started_at: datetime, error: Mapping[str, Any] | None) -> None:
        """Write an attempt down."""
        values = {
            "delivery_id": batch.delivery.id,
            "started_at": started_at,
            "finished_at": self._clock.now(),
            "instances": len(batch.items),
            "bytes": batch.bytes,
            "error": error,
        }
        connection.execute(_ATTEMPT, values)

    def move(self, connection: Connection, delivery_id: int, state: DeliveryState, **values: object) -> None:
        """Change the state where the table of transitions allows it; else the claim is stale."""
        moved = connection.execute(_move_to(state), {"moved": delivery_id, "state": state, **values})
        if moved.rowcount == 0:
            raise StaleClaimError(f"deliver:{delivery_id}")

    def record(self, connection: Connection, action: str, row: Row[Any], **detail: Any) -> None:
        """Tell of it, in the audit and to subscribers."""
        subject = Subject(id=row.study_id, study_instance_uid=row.study_instance_uid)
        self._journal.record(
            connection, action, subject=subject, Delivery=row.id, Destination=row.destination, **detail
        )


@cache
def _move_to(state: DeliveryState) -> Update:
    """Built once: building a statement costs more than running it."""
    allowed = delivery.c.state.in_(sources_of(DELIVERY, state))
    return update(delivery).where(delivery.c.id == bindparam("moved"), allowed)
