"""Tasks, as a person looks at them: above all the dead letters."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, select

from relais.database.queries.paging import Rows, page
from relais.database.tables import task
from relais.domain.states import TaskState


def find(connection: Connection, state: str | None, before: int | None, limit: int) -> Rows:
    """Tasks, the one made last first."""
    statement = select(task)
    if state is not None:
        statement = statement.where(task.c.state == state)
    return page(connection, statement, task.c.id, before, limit)


def one(connection: Connection, task_id: int) -> RowMapping | None:
    """One task."""
    return connection.execute(select(task).where(task.c.id == task_id)).mappings().one_or_none()


def backlog(connection: Connection, now: datetime) -> dict[str, tuple[int, datetime]]:
    """For each lane how many tasks are due and since when the oldest has been; running ones count."""
    statement = (
        select(task.c.lane, func.count(), func.min(task.c.run_at))
        .where(task.c.state.in_([TaskState.Waiting, TaskState.Running]), task.c.run_at <= now)
        .group_by(task.c.lane)
    )
    return {lane: (count, oldest) for lane, count, oldest in connection.execute(statement)}


def dead(connection: Connection) -> int:
    """How many dead letters wait for a person."""
    return connection.execute(select(func.count()).where(task.c.state == TaskState.Dead)).scalar_one()
