"""Everything that happened to one study, from all tables that remember it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from relais.database.tables import (
    attempt,
    audit,
    decision,
    delivery,
    event,
    notification,
    notification_attempt,
)

LIMIT = 500
"""Of each sort the latest so many: a study of thousands of batches stays readable."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened: its `kind`, and what is known of it without patient data (keys in PascalCase)."""

    at: datetime
    kind: str
    detail: dict[str, Any]


def of_study(connection: Connection, study_id: int, study_instance_uid: str) -> list[Moment]:
    """The study's moments, oldest first: decisions, deliveries' attempts, notifications' attempts, and who did what."""
    moments = [
        *_decisions(connection, study_id),
        *_attempts(connection, study_id),
        *_notices(connection, study_id),
        *_actions(connection, study_instance_uid),
    ]
    return sorted(moments, key=lambda moment: moment.at)


def of_delivery(connection: Connection, delivery_id: int, study_instance_uid: str) -> list[Moment]:
    """What was done to one delivery, oldest first; its attempts are asked for elsewhere."""
    moments = _actions(connection, study_instance_uid)
    mine = [each for each in moments if each.detail.get("Delivery") == delivery_id]
    return sorted(mine, key=lambda moment: moment.at)


def _decisions(connection: Connection, study_id: int) -> list[Moment]:
    statement = select(decision.c.id, decision.c.decided_at, decision.c.configuration)
    statement = statement.where(decision.c.study_id == study_id).order_by(decision.c.id.desc()).limit(LIMIT)
    return [
        Moment(at=row.decided_at, kind="decision", detail={"Id": row.id, "Configuration": row.configuration})
        for row in connection.execute(statement)
    ]


def _attempts(connection: Connection, study_id: int) -> list[Moment]:
    statement = (
        select(attempt, delivery.c.destination)
        .join(delivery, delivery.c.id == attempt.c.delivery_id)
        .where(delivery.c.study_id == study_id)
        .order_by(attempt.c.id.desc())
        .limit(LIMIT)
    )
    return [
        Moment(
            at=row.finished_at,
            kind="delivery.attempt",
            detail={
                "Delivery": row.delivery_id,
                "Destination": row.destination,
                "Seconds": (row.finished_at - row.started_at).total_seconds(),
                "Instances": row.instances,
                "Bytes": row.bytes,
                "Error": row.error,
            },
        )
        for row in connection.execute(statement)
    ]


def _notices(connection: Connection, study_id: int) -> list[Moment]:
    statement = (
        select(notification_attempt, notification.c.subscriber, event.c.type)
        .join(notification, notification.c.id == notification_attempt.c.notification_id)
        .join(event, event.c.id == notification.c.event_id)
        .where(event.c.study_id == study_id)
        .order_by(notification_attempt.c.id.desc())
        .limit(LIMIT)
    )
    return [
        Moment(
            at=row.at,
            kind="notification.attempt",
            detail={
                "Notification": row.notification_id,
                "Subscriber": row.subscriber,
                "Event": row.type,
                "Milliseconds": row.milliseconds,
                "Status": row.status,
                "Error": row.error,
            },
        )
        for row in connection.execute(statement)
    ]


def _actions(connection: Connection, study_instance_uid: str) -> list[Moment]:
    """The audit's events, less the looks at the study."""
    statement = (
        select(audit)
        .where(audit.c.study_instance_uid == study_instance_uid, audit.c.action.not_like("%.viewed"))
        .order_by(audit.c.at.desc(), audit.c.number.desc())
        .limit(LIMIT)
    )
    return [
        Moment(at=row.at, kind=row.action, detail={"Actor": row.actor, **row.detail})
        for row in connection.execute(statement)
    ]
