"""⑤ Notify: tell each subscriber of each event, signed, until it says yes or three days are over.

The task `notify` of a notification runs in its subscriber's lane. Signature and headers: Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import json
import logging
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import urllib3
from sqlalchemy import Connection, Row, insert, select, update
from standardwebhooks import Webhook

from relais.clock import Clock
from relais.configuration import Configuration, Subscriber
from relais.database import Database, upsert
from relais.database.tables import event, notification, notification_attempt, study
from relais.database.tables import subscriber as subscriber_table
from relais.domain.retry import notification_delay, retry_after
from relais.domain.states import NOTIFICATION, NotificationState, sources_of
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.lanes import SUBSCRIBER
from relais.tasks import Claim, Tasks

log = logging.getLogger(__name__)

GONE = 410
ANSWER_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of one attempt: a status, or the network's error."""

    status: int | None
    error: str | None
    text: str = ""
    retry_after: timedelta | None = None

    @property
    def accepted(self) -> bool:
        """Any 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - RFC 9110


class Notify:
    """Runs the `notify` tasks, and does to notifications what a person asks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._subscribers = configuration.subscribers
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)

    def __call__(self, claim: Claim) -> None:
        """The task: one attempt."""
        notification_id = claim.payload["Notification"]
        with self._database.read() as connection:
            row = _read(connection, notification_id)
            disabled = connection.execute(
                select(subscriber_table.c.disabled_at).where(subscriber_table.c.name == row.subscriber)
            ).scalar()
        subscriber = self._subscribers.get(row.subscriber)
        if row.state != NotificationState.Scheduled or subscriber is None or disabled is not None:
            with self._database.write() as connection:
                if row.state == NotificationState.Scheduled:
                    self._end(
                        connection,
                        row,
                        NotificationState.Canceled,
                        error="the subscriber is disabled or gone",
                    )
                self._tasks.finish(connection, claim)
            return
        started = self._clock.monotonic()
        answer = self._post(subscriber, row)
        milliseconds = round((self._clock.monotonic() - started) * 1000)
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            connection.execute(
                insert(notification_attempt).values(
                    notification_id=row.id,
                    at=self._clock.now(),
                    milliseconds=milliseconds,
                    status=answer.status,
                    error=answer.error,
                    answer=answer.text,
                )
            )
            self._settle(connection, claim, row, answer)

    def redeliver(self, notification_id: int, *, actor: str, reason: str) -> None:
        """Send an event to its subscriber once more, under the same webhook-id."""
        with self._database.write() as connection:
            row = connection.execute(
                select(notification).where(notification.c.id == notification_id).with_for_update()
            ).one_or_none()
            if row is None:
                raise UnknownError("notification", notification_id)
            if row.subscriber not in self._subscribers:
                raise UnknownError("subscriber", row.subscriber)
            disabled = connection.execute(
                select(subscriber_table.c.disabled_at).where(subscriber_table.c.name == row.subscriber)
            ).scalar()
            if disabled is not None:
                raise StateError("subscriber-disabled")
            self._reopen(connection, row.id, row.subscriber)
            self._journal.record(
                connection,
                "notification.redelivered",
                actor=actor,
                Notification=row.id,
                Event=row.event_id,
                Reason=reason,
            )

    def enable(self, name: str, *, actor: str, reason: str) -> None:
        """Tell a subscriber again that had said it was gone; what it missed since is sent."""
        if name not in self._subscribers:
            raise UnknownError("subscriber", name)
        with self._database.write() as connection:
            row = connection.execute(
                select(subscriber_table).where(
                    subscriber_table.c.name == name, subscriber_table.c.disabled_at.is_not(None)
                )
            ).one_or_none()
            if row is None:
                raise StateError("subscriber-enabled")
            connection.execute(
                update(subscriber_table).where(subscriber_table.c.name == name).values(disabled_at=None, reason=None)
            )
            missed = connection.execute(
                select(notification.c.id).where(
                    notification.c.subscriber == name,
                    notification.c.state == NotificationState.Canceled,
                    (notification.c.finished_at >= row.disabled_at) | (notification.c.created_at >= row.disabled_at),
                )
            ).scalars()
            for notification_id in missed.all():
                self._reopen(connection, notification_id, name)
            self._journal.record(connection, "subscriber.enabled", actor=actor, Subscriber=name, Reason=reason)

    def _reopen(self, connection: Connection, notification_id: int, subscriber: str) -> None:
        now = self._clock.now()
        connection.execute(
            update(notification)
            .where(notification.c.id == notification_id)
            .values(
                state=NotificationState.Scheduled,
                attempts=0,
                next_attempt=now,
                finished_at=None,
                last_error=None,
            )
        )
        self._tasks.schedule(
            connection,
            kind="notify",
            lane=SUBSCRIBER + subscriber,
            key=f"notify:{notification_id}",
            run_at=now,
            payload={"Notification": notification_id},
        )

    def _post(self, subscriber: Subscriber, row: Row[Any]) -> Answer:
        data = dict(row.data)
        if subscriber.include_patient and row.study_id is not None:
            data["Patient"] = {
                "PatientName": row.patient_name,
                "PatientID": row.patient_id,
                "PatientBirthDate": row.patient_birth_date,
            }
        document = {"type": row.type, "timestamp": row.at.isoformat(), "data": data}
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        now = self._clock.now()
        signature = Webhook(subscriber.secret.resolve()).sign(row.event_id, now, body)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Relais",
            "webhook-id": row.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
        try:
            answer = self._pool.request(
                "POST",
                subscriber.url,
                body=body.encode(),
                headers=headers,
                timeout=urllib3.Timeout(total=subscriber.timeout),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            return Answer(status=None, error=_words(error))
        return Answer(
            status=answer.status,
            error=None,
            text=answer.data[:ANSWER_CHARACTERS].decode(errors="replace").replace("\x00", ""),
            retry_after=retry_after(answer.headers, now),
        )

    def _settle(self, connection: Connection, claim: Claim, row: Row[Any], answer: Answer) -> None:
        if answer.accepted:
            self._end(connection, row, NotificationState.Completed, status=answer.status)
            self._tasks.finish(connection, claim)
            return
        error = answer.error or f"the subscriber answered {answer.status}"
        if answer.status == GONE:
            self._disable(connection, row.subscriber)
            self._end(connection, row, NotificationState.Canceled, status=answer.status, error=error)
            self._tasks.finish(connection, claim)
            return
        delay = notification_delay(row.attempts + 1, random.random(), answer.retry_after)
        if delay is None:
            self._end(connection, row, NotificationState.Failed, status=answer.status, error=error)
            self._journal.record(
                connection,
                "notification.failed",
                Notification=row.id,
                Event=row.event_id,
                Subscriber=row.subscriber,
            )
            self._tasks.finish(connection, claim)
            return
        next_attempt = self._clock.now() + delay
        connection.execute(
            update(notification)
            .where(notification.c.id == row.id)
            .values(
                attempts=row.attempts + 1,
                next_attempt=next_attempt,
                last_status=answer.status,
                last_error=error,
            )
        )
        self._tasks.retry(connection, claim, next_attempt, error)

    def _end(
        self,
        connection: Connection,
        row: Row[Any],
        state: NotificationState,
        *,
        status: int | None = None,
        error: str | None = None,
    ) -> None:
        connection.execute(
            update(notification)
            .where(notification.c.id == row.id, notification.c.state.in_(sources_of(NOTIFICATION, state)))
            .values(
                state=state,
                attempts=row.attempts + (status is not None or error is None),
                finished_at=self._clock.now(),
                next_attempt=None,
                last_status=status,
                last_error=error,
            )
        )

    def _disable(self, connection: Connection, name: str) -> None:
        values = {"disabled_at": self._clock.now(), "reason": "it answered 410 Gone"}
        connection.execute(
            upsert(connection.dialect.name, subscriber_table)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
        self._journal.record(connection, "subscriber.disabled", Subscriber=name, Reason=values["reason"])


def _read(connection: Connection, notification_id: int) -> Row[Any]:
    return connection.execute(
        select(
            notification,
            event.c.type,
            event.c.at,
            event.c.data,
            event.c.study_id,
            study.c.patient_name,
            study.c.patient_id,
            study.c.patient_birth_date,
        )
        .join(event, event.c.id == notification.c.event_id)
        .outerjoin(study, study.c.id == event.c.study_id)
        .where(notification.c.id == notification_id)
    ).one()


def _words(error: Exception) -> str:
    """A network error without the address, which may carry a secret in its path."""
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its name could not be resolved"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "it refused the connection"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return "TLS failed"
    return "the connection failed"
