"""The audit chain, as a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, select, tuple_

from relais.database.queries.paging import Rows, Scope, visible
from relais.database.tables import audit, study


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """What a list of audit events is narrowed to; None leaves a question open."""

    study_instance_uid: str | None = None
    actor: str | None = None
    action: str | None = None


@dataclass(frozen=True, kw_only=True, order=True)
class AuditKey:
    """The place of an event among those of all nodes."""

    at: datetime
    node: str
    number: int


def find(connection: Connection, wanted: AuditFilter, scope: Scope, before: AuditKey | None, limit: int) -> Rows:
    """Audit events, newest first; those about no study are for callers who may see everything."""
    statement = select(audit)
    if scope is not None:
        mine = study.c.study_instance_uid == audit.c.study_instance_uid
        statement = statement.where(exists().where(mine, visible(scope)))
    if wanted.study_instance_uid is not None:
        statement = statement.where(audit.c.study_instance_uid == wanted.study_instance_uid)
    if wanted.actor is not None:
        statement = statement.where(audit.c.actor == wanted.actor)
    if wanted.action is not None:
        statement = statement.where(audit.c.action == wanted.action)
    if before is not None:
        key = tuple_(audit.c.at, audit.c.node, audit.c.number)
        statement = statement.where(key < tuple_(before.at, before.node, before.number))
    statement = statement.order_by(audit.c.at.desc(), audit.c.node.desc(), audit.c.number.desc())
    return connection.execute(statement.limit(limit)).mappings().all()
