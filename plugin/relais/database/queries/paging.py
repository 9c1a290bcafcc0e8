"""What the queries share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, Select, func, select, true

from relais.database.tables import study

Scope = Collection[str] | None
Rows = Sequence[RowMapping]


def visible(scope: Scope) -> ColumnElement[bool]:
    """Whether a row of `study` is of a clinic that the caller may see."""
    return true() if scope is None else study.c.clinic.in_(sorted(scope))


def counted(connection: Connection, statement: Select[str, int]) -> dict[str, int]:
    """What a query of names and counts answers."""
    return {row[0]: row[1] for row in connection.execute(statement)}


def distinct(connection: Connection, column: Column[str]) -> list[str]:
    """Every value of an indexed column: one look into the index for each, not one for each row."""
    found: list[str] = []
    following = select(func.min(column))
    while (name := connection.execute(following.where(column > (found[-1] if found else ""))).scalar()) is not None:
        found.append(name)
    return found


def page(connection: Connection, statement: Select[Any], key: Column[Any], before: int | None, limit: int) -> Rows:
    """The `limit` newest rows by `key` that come before `before`."""
    if before is not None:
        statement = statement.where(key < before)
    return connection.execute(statement.order_by(key.desc()).limit(limit)).mappings().all()
