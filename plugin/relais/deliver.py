"""④ Deliver: send what is above the mark, batch by batch, and move the mark.

The task `deliver` of a delivery runs in its destination's lane. Every batch is one attempt: judged before it starts,
written down when it ends, in one transaction with the mark.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from relais.clock import Clock
from relais.configuration import Configuration, Destination
from relais.database import Database
from relais.database.tables import attempt, decision, delivery, instance, study
from relais.domain.retry import Backoff, ErrorClass
from relais.domain.states import DELIVERY, DeliveryState, StudyState, sources_of
from relais.journal import Journal, Subject
from relais.lanes import Lanes
from relais.protect import Protect
from relais.tasks import Claim, StaleClaimError, Tasks
from relais.transports import SendingError, Transport
from relais.worker import StoppingError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The next instances above the mark."""

    delivery: Row[Any]
    subject: Subject
    instances: Sequence[str]  # Orthanc ids, by sequence number
    mark: int  # the mark when they are through
    bytes: int


class Deliver:
    """Runs the `deliver` tasks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        lanes: Lanes,
        protect: Protect,
        configuration: Configuration,
        transports: Mapping[str, Transport],
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._lanes = lanes
        self._protect = protect
        self._configuration = configuration
        self._transports = transports
        self._stopping = stopping
        self.progress: dict[int, int] = {}
        """Of each delivery that moves at this moment: how many instances of its batch are through."""

    def __call__(self, claim: Claim) -> None:
        """The task: batch after batch until the mark is the study's sequence."""
        delivery_id = claim.payload["Delivery"]
        suspect = self._lanes.is_suspect(claim.lane)
        try:
            while (batch := self._begin(claim, delivery_id)) is not None:
                started_at = self._clock.now()
                try:
                    self._send(batch, suspect=suspect)
                except SendingError as error:
                    self._failed(claim, batch, started_at, error)
                    return
                except InterruptedError as error:
                    raise StoppingError from error
                suspect = False
                if self._through(claim, batch, started_at):
                    return
        finally:
            self.progress.pop(delivery_id, None)

    def _begin(self, claim: Claim, delivery_id: int) -> Batch | None:
        """Judge the delivery as it is now, and take its next batch; None when there is nothing to send."""
        if self._stopping.is_set():
            raise StoppingError
        with self._database.read() as connection:
            row = connection.execute(
                select(
                    delivery,
                    study.c.study_instance_uid,
                    study.c.held_by,
                    study.c.state.label("study_state"),
                    decision.c.configuration,
                )
                .join(study, study.c.id == delivery.c.study_id)
                .join(decision, decision.c.id == study.c.decision_id)
                .where(delivery.c.id == delivery_id)
            ).one()
            destination = self._configuration.destinations.get(row.destination)
            wanted = row.state in (DeliveryState.Scheduled, DeliveryState.InProgress)
            batch = None if destination is None else self._next(connection, row, destination)
        # A held study, and one decided under another configuration, is planned anew before more of it is sent.
        allowed = (
            row.study_state != StudyState.Held
            and row.held_by is None
            and row.configuration == self._configuration.digest
        )
        if wanted and allowed and batch is not None and row.state == DeliveryState.InProgress:
            return batch
        with self._database.write() as connection:
            if not (wanted and allowed) or destination is None:
                self._tasks.finish(connection, claim)
                return None
            _lock(connection, row)
            self._tasks.check(connection, claim)
            if batch is None:
                self._complete(connection, claim, row, row.mark)
                return None
            self._move(connection, row.id, DeliveryState.InProgress, next_attempt=None)
            if row.state != DeliveryState.InProgress and row.mark == 0 and row.attempts == 0:
                self._record(connection, "delivery.started", batch)
        return batch

    def _next(self, connection: Connection, row: Row[Any], destination: Destination) -> Batch | None:
        """The instances above the mark, so many and so large as the destination takes at once, but at least one."""
        above = connection.execute(
            select(instance.c.orthanc_id, instance.c.sequence, instance.c.bytes)
            .where(instance.c.study_id == row.study_id, instance.c.sequence > row.mark)
            .order_by(instance.c.sequence)
            .limit(destination.batch_instances)
        ).all()
        if not above:
            return None
        limit, size = destination.batch_megabytes * 1_000_000, 0
        chosen: list[Any] = []
        for each in above:
            if chosen and size + each.bytes > limit:
                break
            chosen.append(each)
            size += each.bytes
        return Batch(
            delivery=row,
            subject=Subject(id=row.study_id, study_instance_uid=row.study_instance_uid),
            instances=[each.orthanc_id for each in chosen],
            mark=chosen[-1].sequence,
            bytes=size,
        )

    def _send(self, batch: Batch, *, suspect: bool) -> None:
        delivery_id = batch.delivery.id
        transport = self._transports[batch.delivery.destination]
        if suspect:
            transport.probe()
        transport.send(
            batch.instances,
            progress=lambda through: self.progress.__setitem__(delivery_id, through),
            stopping=self._stopping,
        )

    def _through(self, claim: Claim, batch: Batch, started_at: datetime) -> bool:
        """The destination has the batch: move the mark; says whether the delivery is complete."""
        with self._database.write() as connection:
            row, sequence = _lock(connection, batch.delivery)
            self._tasks.check(connection, claim)
            self._note(connection, batch, started_at, None)
            delivered = connection.execute(
                select(func.count()).where(instance.c.study_id == row.study_id, instance.c.sequence <= batch.mark)
            ).scalar_one()
            connection.execute(
                update(delivery)
                .where(delivery.c.id == row.id)
                .values(mark=batch.mark, delivered=delivered, attempts=0, last_error=None)
            )
            self.progress.pop(row.id, None)
            self._lanes.succeeded(connection, claim.lane)
            if batch.mark < sequence or row.state != DeliveryState.InProgress:
                return False
            self._complete(connection, claim, batch.delivery, batch.mark)
            return True

    def _complete(self, connection: Connection, claim: Claim, row: Row[Any], mark: int) -> None:
        """Everything is there: write the proof, tell of it, and end the task."""
        now = self._clock.now()
        delivered = connection.execute(
            select(func.count()).where(instance.c.study_id == row.study_id, instance.c.sequence <= mark)
        ).scalar_one()
        self._move(
            connection,
            row.id,
            DeliveryState.Completed,
            delivered=delivered,
            finished_at=now,
            next_attempt=None,
            proof={"Kind": "Stored", "Instances": delivered, "At": now.isoformat()},
        )
        self._journal.record(
            connection,
            "delivery.completed",
            subject=Subject(id=row.study_id, study_instance_uid=row.study_instance_uid),
            Delivery=row.id,
            Destination=row.destination,
            Instances=delivered,
        )
        self._protect.look(connection, row.study_id)
        self._tasks.finish(connection, claim)

    def _failed(self, claim: Claim, batch: Batch, started_at: datetime, error: SendingError) -> None:
        """The batch did not get through: try again later, or give up and say so."""
        now = self._clock.now()
        retry = self._configuration.destinations[batch.delivery.destination].retry
        backoff = Backoff(first=retry.first_delay, maximum=retry.maximum_delay)
        words = {"Class": error.error_class, "Code": error.code, "Text": error.text}
        with self._database.write() as connection:
            row, _ = _lock(connection, batch.delivery)
            self._tasks.check(connection, claim)
            self._note(connection, batch, started_at, words)
            if row.state != DeliveryState.InProgress:  # held or canceled meanwhile
                self._tasks.finish(connection, claim)
                return
            attempts = row.attempts + 1
            given_up = now - row.owed_since >= retry.give_up_after
            if error.unreachable:
                probe_at = self._lanes.failed(connection, claim.lane, words, backoff)
            if error.error_class is ErrorClass.Permanent or given_up:
                self._move(
                    connection,
                    row.id,
                    DeliveryState.Failed,
                    attempts=attempts,
                    last_error=words,
                    finished_at=now,
                    next_attempt=None,
                )
                self._record(
                    connection,
                    "delivery.failed",
                    batch,
                    Class=error.error_class,
                    Code=error.code,
                    Attempts=attempts,
                )
                self._tasks.finish(connection, claim)
                return
            if error.unreachable:
                run_at = probe_at
            elif error.error_class is ErrorClass.Configuration:
                run_at = now + retry.maximum_delay
            else:
                run_at = now + backoff.delay(attempts, random.random())
            self._move(
                connection,
                row.id,
                DeliveryState.Scheduled,
                attempts=attempts,
                last_error=words,
                next_attempt=run_at,
            )
            self._tasks.retry(connection, claim, run_at, error.code)
        log.info(
            "delivery %d to %s: %s (%s), again at %s",
            row.id,
            row.destination,
            error.code,
            error.error_class,
            run_at,
        )

    def _note(
        self, connection: Connection, batch: Batch, started_at: datetime, error: Mapping[str, Any] | None
    ) -> None:
        connection.execute(
            insert(attempt).values(
                delivery_id=batch.delivery.id,
                started_at=started_at,
                finished_at=self._clock.now(),
                instances=len(batch.instances),
                bytes=batch.bytes,
                error=error,
            )
        )

    def _move(self, connection: Connection, delivery_id: int, state: DeliveryState, **values: object) -> None:
        moved = connection.execute(
            update(delivery)
            .where(delivery.c.id == delivery_id, delivery.c.state.in_(sources_of(DELIVERY, state)))
            .values(state=state, **values)
        )
        if moved.rowcount == 0:
            raise StaleClaimError(f"deliver:{delivery_id}")

    def _record(self, connection: Connection, action: str, batch: Batch, **detail: Any) -> None:
        self._journal.record(
            connection,
            action,
            subject=batch.subject,
            Delivery=batch.delivery.id,
            Destination=batch.delivery.destination,
            **detail,
        )


def _lock(connection: Connection, row: Row[Any]) -> tuple[Row[Any], int]:
    """The delivery as it is now, and its study's sequence; both stay so until the transaction ends.

    Always the study first, then the delivery, then the task: transactions that lock in one order never wait in a
    circle.
    """
    sequence: int = connection.execute(
        select(study.c.sequence).where(study.c.id == row.study_id).with_for_update()
    ).scalar_one()
    return connection.execute(select(delivery).where(delivery.c.id == row.id).with_for_update()).one(), sequence
