"""④ Deliver: send what is above the mark, batch by batch, move the mark, and prove that everything is there.

The task `deliver` of a delivery runs in its destination's lane. Every batch is one attempt: judged before it starts
(the permit is the only way into a transport), written down when it ends, in one transaction with the mark.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, literal, select, update

from relais import proof
from relais.batches import (
    Batch,
    count_delivered,
    everything,
    next_batch,
    note_gaps,
    nothing_of,
    refusals,
    words,
)
from relais.clock import Clock
from relais.configuration import Configuration, Destination, Proof
from relais.database import Database, queries
from relais.database.configuration_tables import version
from relais.database.tables import decision, delivery, gap, lane, study
from relais.domain.residency import Permit, Refusal
from relais.domain.retry import ErrorClass
from relais.domain.states import DeliveryState, StudyState, VersionState
from relais.domain.windows import next_open
from relais.lanes import DESTINATION, Lanes
from relais.outcomes import Outcomes
from relais.residency import Residency
from relais.tasks import Claim, Tasks
from relais.transports import SendingError, Transport
from relais.turns import Turn, Turns
from relais.watch import Watch
from relais.worker import StoppingError

log = logging.getLogger(__name__)

MOVING = (DeliveryState.Scheduled, DeliveryState.InProgress)
WAIT_HERE = timedelta(seconds=5)
"""A wait for bandwidth that is worth keeping a place in the lane for."""
SOON = timedelta(seconds=1)
"""When to look again whether another version's parts, or its decision, are there."""


class Deliver:
    """Runs the `deliver` tasks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        lanes: Lanes,
        outcomes: Outcomes,
        residency: Residency,
        configuration: Configuration,
        transports: Mapping[str, Transport],
        turns: Turns,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._lanes = lanes
        self._outcomes = outcomes
        self._residency = residency
        self._configuration = configuration
        self._transports = transports
        self._turns = turns
        self._stopping = stopping
        self.progress: dict[int, int] = {}
        """Of each delivery that moves at this moment: how many instances of its batch are through."""

    def __call__(self, claim: Claim) -> None:
        """The task: batch after batch until nothing is above the mark, then the proof."""
        delivery_id = claim.payload["Delivery"]
        try:
            with self._turns.queue(claim) as turn:
                while self._go_on(claim, delivery_id, turn):
                    pass
        finally:
            self.progress.pop(delivery_id, None)

    def close(self) -> None:
        """Let go of the connections to destinations, once nothing is sent any more."""
        for transport in self._transports.values():
            transport.close()

    def _go_on(self, claim: Claim, delivery_id: int, turn: Turn) -> bool:
        """Send the next batch, or ask for the proof, in the lane's turn; says whether there is more to be done now.

        The turn ends before the last success is written down, so that the lane's next delivery, which is prepared by
        then, need not wait for that; a failure is written down first, so that it sees it.
        """
        begun = self._begin(claim, delivery_id)
        if begun is None:
            return False
        with turn.take() as waited:
            if waited:
                begun = self._begin(claim, delivery_id, begun[0])
            if begun is None:
                return False
            batch, permit, suspect = begun
            if batch.items and not self._has_bandwidth(claim, batch):
                return False
            started_at = self._clock.now()
            try:
                if batch.items:
                    refused = self._send(batch, permit, suspect=suspect)
                else:
                    answer = self._ask(batch)
            except SendingError as error:
                self._failed(claim, batch, started_at, error)
                return False
            if batch.mark >= batch.delivery.sequence:
                turn.leave()
        if batch.items:
            return not self._through(claim, batch, started_at, refused)
        return not self._proven(claim, batch, started_at, answer)

    def _begin(self, claim: Claim, owed: int, prepared: Batch | None = None) -> tuple[Batch, Permit, bool] | None:
        """Judge the delivery as it is now, and take its next batch: one without items when only the proof is left.

        With it, whether the lane's last attempt failed, so that its peer is tried first. What the law refuses now is
        blocked. None when there is nothing to be done now. One that was `prepared` and waited for its turn goes
        back where the lane was paused meanwhile, or fails, or has something more urgent.
        """
        if self._stopping.is_set():
            raise StoppingError
        now = self._clock.now()
        with self._database.read() as connection:
            row = _find(connection, owed)
            suspect = bool(row.failures)
            passed = prepared is not None and (
                suspect or row.paused_at is not None or queries.tasks.is_passed(connection, claim.id, now)
            )
            destination = self._configuration.destinations.get(row.destination)
            # A held study is planned anew before more of it is sent.
            allowed = row.state in MOVING and row.study_state != StudyState.Held and row.held_by is None
            # And so is one that was decided under another version than the active one, which is also ours.
            outdated = {row.configuration, row.active} != {self._configuration.digest}
            opens = now if destination is None else next_open(destination.windows, self._zone(row), now)
            goes_on = allowed and not (outdated or passed) and opens == now and row.state == DeliveryState.InProgress
            if destination is not None and goes_on:
                verdict = self._judge(connection, row)
                batch = next_batch(connection, row, destination, prepared=prepared)
                if batch is not None and isinstance(verdict, Permit):
                    return batch, verdict, suspect
        with self._database.write() as connection:
            row = _lock(connection, row)
            if (destination is None and not outdated) or not allowed or row.state not in MOVING:  # held or canceled
                self._tasks.finish(connection, claim)
                return None
            if outdated or destination is None:
                self._decide_anew(connection, row)
                self._tasks.retry(connection, claim, now + SOON)
                return None
            self._tasks.check(connection, claim)
            verdict = self._judge(connection, row)
            if isinstance(verdict, Refusal):
                self._outcomes.block(connection, claim, row, verdict)
                return None
            if opens > now or passed:
                self._outcomes.put_off(connection, claim, row.id, opens)
                return None
            batch = self._first(connection, claim, row, destination)
        return None if batch is None else (batch, verdict, suspect)

    def _decide_anew(self, connection: Connection, row: Row[Any]) -> None:
        """Nothing may be sent by the decision of a former version; nobody else asks for another where it had failed."""
        ours = row.active == self._configuration.digest != row.configuration
        if ours and row.study_state != StudyState.Receiving:
            self._tasks.schedule(
                connection,
                kind="route",
                lane="studies",
                key=f"route:{row.study_id}",
                run_at=self._clock.now(),
                payload={"Study": row.study_id},
            )

    def _first(self, connection: Connection, claim: Claim, row: Row[Any], destination: Destination) -> Batch | None:
        """The batch with which a delivery begins, or begins again."""
        batch = next_batch(connection, row, destination)
        if batch is None:
            return self._everything_sent(connection, claim, row, destination)
        self._outcomes.move(connection, row.id, DeliveryState.InProgress, next_attempt=None)
        if row.state != DeliveryState.InProgress and row.mark == 0 and row.attempts == 0:
            self._outcomes.record(connection, "delivery.started", row)
        return batch

    def _judge(self, connection: Connection, row: Row[Any]) -> Permit | Refusal:
        return self._residency.verdict(
            connection, row.study_id, row.study_instance_uid, row.clinic, row.destination, row.purpose
        )

    def _everything_sent(
        self, connection: Connection, claim: Claim, row: Row[Any], destination: Destination, stored: int | None = None
    ) -> Batch | None:
        """Nothing is left to send: end here, or answer a batch without items whose proof is to be asked for.

        `stored` is how many instances it has, where they were just counted.
        """
        refused, first = refusals(connection, row.id) if row.has_gaps else (0, None)
        if refused:
            self._outcomes.give_up(connection, claim, row, {**(first or {}), "Refused": refused})
            return None
        if row.study_state == StudyState.Receiving:  # so far; the study's completion, or another image, goes on
            self._tasks.finish(connection, claim)
            return None
        if row.state != DeliveryState.InProgress:
            self._outcomes.move(connection, row.id, DeliveryState.InProgress, next_attempt=None)
        stored = count_delivered(connection, row, destination, row.sequence) if stored is None else stored
        if destination.proof is Proof.Stored or not stored:
            self._outcomes.complete(connection, claim, row, proof.document_of(Proof.Stored, stored, self._clock.now()))
            return None
        return nothing_of(row)

    def _ask(self, batch: Batch) -> proof.Answer:
        """Ask for the proof of the whole delivery."""
        row = batch.delivery
        destination = self._configuration.destinations[row.destination]
        with self._database.read() as connection:
            whole = everything(connection, row, destination)
        return proof.ask(destination.proof, self._transports[row.destination], whole, row.proof, self._clock.now())

    def _proven(self, claim: Claim, batch: Batch, started_at: datetime, answer: proof.Answer) -> bool:
        """Write down what the destination said of everything; says whether that was all for now."""
        destination = self._configuration.destinations[batch.delivery.destination]
        with self._database.write() as connection:
            row = _lock(connection, batch.delivery)
            self._tasks.check(connection, claim)
            if row.state != DeliveryState.InProgress:  # held or canceled meanwhile
                self._tasks.finish(connection, claim)
                return True
            if next_batch(connection, row, destination) is not None:  # another image arrived
                return False
            if answer.missing:
                whole = everything(connection, row, destination)
                note_gaps(connection, whole, {key: error for key, error in answer.missing.items() if key in whole.ids})
                error = next(iter(answer.missing.values()))
                document = words(error, Refused=len(answer.missing))
                self._outcomes.note(connection, batch, started_at, document)
                self._outcomes.later(connection, claim, row, document)
            elif answer.awaited is not None:
                run_at = self._clock.now() + proof.LOOK_AGAIN
                connection.execute(
                    update(delivery)
                    .where(delivery.c.id == row.id)
                    .values(proof=answer.awaited, next_attempt=run_at, last_error=None)
                )
                self._tasks.retry(connection, claim, run_at)
            else:
                self._outcomes.complete(connection, claim, row, answer.document)
            return True

    def _send(self, batch: Batch, permit: Permit, *, suspect: bool) -> Mapping[str, SendingError]:
        """Send one batch; answers what the peer refused. Raises SendingError."""
        delivery_id = batch.delivery.id
        destination = self._configuration.destinations[batch.delivery.destination]
        transport = self._transports[batch.delivery.destination]
        if suspect:
            transport.probe()
        watch = Watch(
            self._stopping,
            destination.timeout,
            max(each.bytes for each in batch.items),
            lambda through: self.progress.__setitem__(delivery_id, through),
        )
        try:
            return transport.send(batch.items, permit=permit, progress=watch.progress, stopping=watch)
        except InterruptedError as error:
            if self._stopping.is_set():
                raise StoppingError from error
            text = f"no image got through within {destination.timeout} s"
            raise SendingError(ErrorClass.Transient, "too-slow", text, unreachable=True) from error

    def _has_bandwidth(self, claim: Claim, batch: Batch) -> bool:
        """Wait for the lane's bandwidth; where that takes long, the task is put off, and the answer is False."""
        rate = self._configuration.destinations[batch.delivery.destination].bandwidth
        if rate is None:
            return True
        with self._database.write() as connection:
            now = self._clock.now()
            starts = self._lanes.reserve(connection, claim.lane, batch.bytes * 8 / (rate * 1e6), WAIT_HERE)
        if starts > now + WAIT_HERE:
            with self._database.write() as connection:
                row = _lock(connection, batch.delivery)
                self._tasks.check(connection, claim)
                self._outcomes.put_off(connection, claim, row.id, starts)
            return False
        if self._stopping.wait(max(0.0, (starts - now).total_seconds())):
            raise StoppingError
        return True

    def _through(self, claim: Claim, batch: Batch, started_at: datetime, refused: Mapping[str, SendingError]) -> bool:
        """The destination has the batch but for what it refused: move the mark; says whether that was all for now."""
        destination = self._configuration.destinations[batch.delivery.destination]
        error = next((each for each in refused.values() if each.error_class is ErrorClass.Transient), None)
        error = error or next(iter(refused.values()), None)
        document = None if error is None else words(error, Refused=len(refused))
        passes = error is not None and error.error_class is ErrorClass.Transient
        with self._database.write() as connection:
            row = _lock(connection, batch.delivery)
            self._tasks.check(connection, claim)
            self._outcomes.note(connection, batch, started_at, document)
            gaps = refused or row.has_gaps
            if gaps:
                note_gaps(connection, batch, refused)
            stored = count_delivered(connection, row, destination, batch.mark)
            values = {"moved": row.id, "mark": batch.mark, "delivered": stored, "last_error": document, "proof": None}
            connection.execute(_MOVE_MARK, values | {"attempts": row.attempts if passes else 0})
            self.progress.pop(row.id, None)
            if row.failures:
                self._lanes.succeeded(connection, claim.lane)
            if row.state != DeliveryState.InProgress:  # held or canceled meanwhile
                self._tasks.finish(connection, claim)
                return True
            if document is not None and passes:
                self._outcomes.later(connection, claim, row, document)
                return True
            if gaps:
                row = _find(connection, row.id)
            if next_batch(connection, row, destination, batch.mark) is not None:
                return False
            return self._everything_sent(connection, claim, row, destination, stored) is None

    def _failed(self, claim: Claim, batch: Batch, started_at: datetime, error: SendingError) -> None:
        """The batch did not get through, or the proof could not be asked for: try again later, or give up."""
        with self._database.write() as connection:
            row = _lock(connection, batch.delivery)
            self._tasks.check(connection, claim)
            self._outcomes.note(connection, batch, started_at, words(error))
            if row.state != DeliveryState.InProgress:  # held or canceled meanwhile
                self._tasks.finish(connection, claim)
            elif error.error_class is ErrorClass.Permanent:
                self._outcomes.give_up(connection, claim, row, words(error))
            else:
                self._outcomes.later(
                    connection, claim, row, words(error), unreachable=error.unreachable, wait=error.wait
                )

    def _zone(self, row: Row[Any]) -> str:
        """The time zone of the study's clinic."""
        clinic = self._configuration.clinics.get(row.clinic) if row.clinic else None
        return clinic.time_zone if clinic else "UTC"


def _lock(connection: Connection, row: Row[Any]) -> Row[Any]:
    """The delivery as it is now; it and its study stay so until the transaction ends.

    Always the study first, then the delivery, then the task: transactions that lock in one order never wait in a
    circle.
    """
    if connection.dialect.name != "sqlite":  # whose one writer holds everything
        connection.execute(_LOCK_STUDY, {"study": row.study_id})
        connection.execute(_LOCK_DELIVERY, {"delivery": row.id})
    return _find(connection, row.id)


def _find(connection: Connection, delivery_id: int) -> Row[Any]:
    return connection.execute(_OWED, {"delivery": delivery_id}).one()


# Asked for at every batch, and built once: building a statement costs more than running it.
_LOCK_STUDY = select(study.c.id).where(study.c.id == bindparam("study")).with_for_update()
_LOCK_DELIVERY = select(delivery.c.id).where(delivery.c.id == bindparam("delivery")).with_for_update()
_MOVE_MARK = update(delivery).where(delivery.c.id == bindparam("moved"))
_ITS_LANE = lane.c.name == literal(DESTINATION) + delivery.c.destination
_OWED = (
    select(
        delivery,
        study.c.study_instance_uid,
        study.c.sequence,
        study.c.clinic,
        study.c.held_by,
        study.c.state.label("study_state"),
        decision.c.configuration,
        select(version.c.digest).where(version.c.state == VersionState.Active).scalar_subquery().label("active"),
        select(lane.c.failures).where(_ITS_LANE).scalar_subquery().label("failures"),
        select(lane.c.paused_at).where(_ITS_LANE).scalar_subquery().label("paused_at"),
        exists().where(gap.c.delivery_id == delivery.c.id).label("has_gaps"),
    )
    .join(study, study.c.id == delivery.c.study_id)
    .join(decision, decision.c.id == study.c.decision_id)
    .where(delivery.c.id == bindparam("delivery"))
)
