"""Tasks, as the worker and a person look at them: what is due, and above all the dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import CompoundSelect, Connection, RowMapping, bindparam, func, select, union_all

from relais.database.queries.paging import Rows, page
from relais.database.tables import task
from relais.domain.states import TaskState


def due(connection: Connection, now: datetime, free: Mapping[str, int]) -> list[int]:
    """So many waiting tasks of each lane, the most urgent and then the oldest, by one question."""
    if not free:
        return []
    asked: dict[str, object] = {"now": now}
    for place, (name, most) in enumerate(free.items()):
        asked |= {f"name{place}": name, f"most{place}": most}
    return [row.id for row in connection.execute(_due(len(free)), asked)]


@cache
def _due(lanes: int) -> CompoundSelect[tuple[int]]:
    """Built once for so many lanes: building a statement costs more than running it."""
    each = (
        select(task.c.id)
        .where(task.c.lane == bindparam(f"name{place}"))
        .where(task.c.state == TaskState.Waiting, task.c.run_at <= bindparam("now"))
        .order_by(task.c.priority, task.c.run_at)
        .limit(bindparam(f"most{place}"))
        .subquery()
        for place in range(lanes)
    )
    return union_all(*(select(part.c.id) for part in each))


def is_passed(connection: Connection, task_id: int, now: datetime) -> bool:
    """Whether something more urgent than this task is due in its lane."""
    return connection.execute(_PASSED, {"passed": task_id, "now": now}).first() is not None


def run(connection: Connection, kinds: Sequence[str]) -> bool:
    """Whether a task of one of these kinds runs, on any node."""
    return connection.execute(_RUN, {"kinds": list(kinds)}).first() is not None


_RUN = (
    select(task.c.id)
    .where(task.c.state == TaskState.Running, task.c.kind.in_(bindparam("kinds", expanding=True)))
    .limit(1)
)
_mine = task.alias("mine")
_PASSED = (
    select(task.c.id)
    .join(_mine, _mine.c.lane == task.c.lane)
    .where(_mine.c.id == bindparam("passed"), task.c.state == TaskState.Waiting)
    .where(task.c.priority < _mine.c.priority, task.c.run_at <= bindparam("now"))
    .limit(1)
)
"""Built once: building a statement costs more than running it."""


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
