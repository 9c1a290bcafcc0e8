"""Notifications: the delivery log of every event and subscriber."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from relais.database.queries.paging import Rows, Scope, page, visible
from relais.database.tables import event, notification, notification_attempt, study


@dataclass(frozen=True, kw_only=True)
class NotificationFilter:
    """What a list of notifications is narrowed to; None leaves a question open."""

    state: str | None = None
    subscriber: str | None = None
    study_instance_uid: str | None = None


def _log(scope: Scope) -> Select[Any]:
    """Every column of a notification, with its event's `type`, `at`, `data` and its study's uid, where there is one."""
    return (
        select(notification, event.c.type, event.c.at, event.c.data, study.c.study_instance_uid)
        .join(event, event.c.id == notification.c.event_id)
        .outerjoin(study, study.c.id == event.c.study_id)
        .where(visible(scope))
    )


def find(connection: Connection, wanted: NotificationFilter, scope: Scope, before: int | None, limit: int) -> Rows:
    """Notifications, the newest first; those without a study are for callers who may see everything."""
    statement = _log(scope)
    if wanted.state is not None:
        statement = statement.where(notification.c.state == wanted.state)
    if wanted.subscriber is not None:
        statement = statement.where(notification.c.subscriber == wanted.subscriber)
    if wanted.study_instance_uid is not None:
        statement = statement.where(study.c.study_instance_uid == wanted.study_instance_uid)
    return page(connection, statement, notification.c.id, before, limit)


def one(connection: Connection, notification_id: int, scope: Scope) -> RowMapping | None:
    """One notification."""
    return connection.execute(_log(scope).where(notification.c.id == notification_id)).mappings().one_or_none()


def of_ids(connection: Connection, notification_ids: Collection[int], scope: Scope) -> Rows:
    """These notifications, as far as the caller may see them."""
    return connection.execute(_log(scope).where(notification.c.id.in_(notification_ids))).mappings().all()


def attempts_of(connection: Connection, notification_id: int, limit: int = 200) -> Rows:
    """The latest attempts of a notification, newest first."""
    statement = select(notification_attempt).where(notification_attempt.c.notification_id == notification_id)
    return connection.execute(statement.order_by(notification_attempt.c.id.desc()).limit(limit)).mappings().all()


def count_in_state(connection: Connection, state: str) -> int:
    """How many notifications stand in one state."""
    statement = select(func.count()).select_from(notification).where(notification.c.state == state)
    return connection.execute(statement).scalar_one()


def count_by_state(connection: Connection) -> dict[tuple[str, str], int]:
    """How many notifications of each subscriber stand in each state."""
    statement = select(notification.c.subscriber, notification.c.state, func.count())
    rows = connection.execute(statement.group_by(notification.c.subscriber, notification.c.state))
    return {(subscriber, state): count for subscriber, state, count in rows}
