"""What happened: one call that writes the audit event and, where the outside is told, the webhook's event.

Called within the transaction that makes it true.
"""

from __future__ import annotations

import fnmatch
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from relais.audit import Audit
from relais.clock import Clock
from relais.configuration import Subscriber
from relais.database import inserted_id
from relais.database.tables import event, notification
from relais.database.tables import subscriber as subscriber_table
from relais.domain.states import NotificationState
from relais.tasks import Tasks

EVENTS = (
    "study.received",
    "study.complete",
    "study.matched",
    "study.review",
    "study.unmatched",
    "study.routed",
    "study.held",
    "delivery.completed",
    "delivery.failed",
    "delivery.blocked",
    "destination.down",
    "destination.up",
    "import.completed",
    "study.announced",
    "patient.requested",
    "worklist.completed",
    "configuration.refused",
    "security.alert",
)
"""The actions of which subscribers are told."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The study that something happened to."""

    id: int
    study_instance_uid: str


_EVENT = insert(event)


class Journal:
    """Appends to the audit chain and to the outbox."""

    def __init__(self, *, audit: Audit, clock: Clock, tasks: Tasks, subscribers: Mapping[str, Subscriber]) -> None:
        self._audit = audit
        self._clock = clock
        self._tasks = tasks
        self._subscribers = subscribers

    def record(
        self,
        connection: Connection,
        action: str,
        *,
        actor: str = "relais",
        subject: Subject | None = None,
        **detail: Any,
    ) -> None:
        """`action` happened; `detail` has ids, names of the configuration and counts, never patient data."""
        uid = None if subject is None else subject.study_instance_uid
        self._audit.append(connection, actor=actor, action=action, study_instance_uid=uid, detail=detail)
        if action in EVENTS:
            data = ({"StudyInstanceUID": uid} if uid else {}) | detail
            self._emit(connection, action, None if subject is None else subject.id, data)

    def _emit(self, connection: Connection, kind: str, study_id: int | None, data: Mapping[str, Any]) -> None:
        now = self._clock.now()
        event_id = f"msg_{uuid.uuid4().hex}"
        row = {"id": event_id, "type": kind, "at": now, "study_id": study_id, "data": dict(data)}
        connection.execute(_EVENT, row)
        wanted = [
            name
            for name, subscriber in self._subscribers.items()
            if any(fnmatch.fnmatchcase(kind, pattern) for pattern in subscriber.events)
        ]
        if not wanted:
            return
        disabled = set(
            connection.execute(
                select(subscriber_table.c.name).where(subscriber_table.c.disabled_at.is_not(None))
            ).scalars()
        )
        for name in wanted:
            off = name in disabled
            result = connection.execute(
                insert(notification).values(
                    event_id=event_id,
                    subscriber=name,
                    state=NotificationState.Canceled if off else NotificationState.Scheduled,
                    attempts=0,
                    created_at=now,
                    next_attempt=None if off else now,
                    last_error="the subscriber is disabled" if off else None,
                )
            )
            if off:
                continue
            notification_id = inserted_id(result)
            self._tasks.schedule(
                connection,
                kind="notify",
                lane=f"subscriber:{name}",
                key=f"notify:{notification_id}",
                run_at=now,
                payload={"Notification": notification_id},
            )
