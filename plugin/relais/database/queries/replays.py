"""Replays, as a person reads them, and the past studies that they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Text, cast, exists, func, select

from relais.database.configuration_tables import replay, replay_change
from relais.database.queries.paging import Rows, Scope, page, visible
from relais.database.tables import decision, study

_SHOWN = [column for column in replay.c if column.name not in ("before", "after")]


@dataclass(frozen=True, kw_only=True)
class ChangeFilter:
    """What a list of changes is narrowed to; None leaves a question open."""

    kind: str | None = None
    destination: str | None = None


def find(connection: Connection, before: int | None, limit: int) -> Rows:
    """Replays, the newest first."""
    return page(connection, select(*_SHOWN), replay.c.id, before, limit)


def one(connection: Connection, replay_id: int) -> RowMapping | None:
    """One replay."""
    return connection.execute(select(*_SHOWN).where(replay.c.id == replay_id)).mappings().one_or_none()


def latest(connection: Connection, version: int) -> RowMapping | None:
    """The newest replay of a version."""
    statement = select(*_SHOWN).where(replay.c.version == version).order_by(replay.c.id.desc()).limit(1)
    return connection.execute(statement).mappings().one_or_none()


def changes(
    connection: Connection, replay_id: int, wanted: ChangeFilter, scope: Scope, after: int | None, limit: int
) -> Rows:
    """The changes of a replay from after this number on, the newest study first."""
    statement = (
        select(replay_change, study.c.study_instance_uid, study.c.clinic)
        .join(study, study.c.id == replay_change.c.study_id)
        .where(replay_change.c.replay_id == replay_id, visible(scope))
    )
    if wanted.kind is not None:
        statement = statement.where(replay_change.c.kind == wanted.kind)
    if wanted.destination is not None:
        statement = statement.where(replay_change.c.destination == wanted.destination)
    if after is not None:
        statement = statement.where(replay_change.c.number > after)
    return connection.execute(statement.order_by(replay_change.c.number).limit(limit)).mappings().all()


def extent(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """From which decision to which a row of `replay` goes, and about how many studies that are."""
    floor = 0 if row.days is None else _first_since(connection, row.created_at - timedelta(days=row.days), row.ceiling)
    counted = select(study.c.id).where(study.c.decision_id.between(floor, row.ceiling)).limit(row.studies)
    total = connection.execute(select(func.count()).select_from(counted.subquery())).scalar_one()
    return {"floor": floor, "cursor": row.ceiling + 1, "total": total}


def _first_since(connection: Connection, moment: datetime, ceiling: int) -> int:
    """The first decision from this moment on: ids rise with time, so a few looks find it without an index."""
    low, high = 0, ceiling + 1
    while low < high:
        middle = (low + high) // 2
        looked = select(decision.c.id, decision.c.decided_at).where(decision.c.id.between(middle, ceiling))
        found = connection.execute(looked.order_by(decision.c.id).limit(1)).first()
        if found is None or found.decided_at >= moment:
            high = middle
        else:
            low = found.id + 1
    return low


_newer = decision.alias("newer")


def facts(connection: Connection, row: Row[Any], cursor: int, limit: int) -> Sequence[Row[Any]]:
    """The next studies by their newest decision as of the replay's start, so that none is met twice or missed."""
    statement = (
        select(
            decision.c.id,
            decision.c.study_id,
            decision.c.decided_at,
            cast(decision.c.facts, Text).label("facts"),
            study.c.patient_id,
            study.c.study_instance_uid,
        )
        .join(study, study.c.id == decision.c.study_id)
        .where(
            decision.c.id < cursor,
            decision.c.id >= row.floor,
            ~exists().where(
                _newer.c.study_id == decision.c.study_id, _newer.c.id > decision.c.id, _newer.c.id <= row.ceiling
            ),
        )
    )
    return connection.execute(statement.order_by(decision.c.id.desc()).limit(limit)).all()
