"""Deliveries: the ledger, with how far each has come."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from relais.database.queries.paging import Rows, Scope, counted, page, visible
from relais.database.tables import attempt, delivery, study
from relais.domain.states import OWED


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """What a list of deliveries is narrowed to; None leaves a question open."""

    state: str | None = None
    destination: str | None = None
    study_instance_uid: str | None = None
    owed: bool = False
    """Only what is not there yet and is not canceled."""


def _ledger(scope: Scope) -> Select[Any]:
    """Every column of a delivery, with its study's uid, clinic and `instances`, of which `delivered` are there."""
    return (
        select(delivery, study.c.study_instance_uid, study.c.clinic, study.c.modalities, study.c.instances)
        .join(study, study.c.id == delivery.c.study_id)
        .where(visible(scope))
    )


def find(connection: Connection, wanted: DeliveryFilter, scope: Scope, before: int | None, limit: int) -> Rows:
    """Deliveries, the one planned last first."""
    statement = _ledger(scope)
    if wanted.state is not None:
        statement = statement.where(delivery.c.state == wanted.state)
    if wanted.owed:
        statement = statement.where(delivery.c.state.in_(sorted(OWED)))
    if wanted.destination is not None:
        statement = statement.where(delivery.c.destination == wanted.destination)
    if wanted.study_instance_uid is not None:
        statement = statement.where(study.c.study_instance_uid == wanted.study_instance_uid)
    return page(connection, statement, delivery.c.id, before, limit)


def one(connection: Connection, delivery_id: int, scope: Scope) -> RowMapping | None:
    """One delivery."""
    return connection.execute(_ledger(scope).where(delivery.c.id == delivery_id)).mappings().one_or_none()


def of_ids(connection: Connection, delivery_ids: Collection[int], scope: Scope) -> Rows:
    """These deliveries, as far as the caller may see them."""
    return connection.execute(_ledger(scope).where(delivery.c.id.in_(delivery_ids))).mappings().all()


def of_studies(connection: Connection, study_ids: Collection[int]) -> dict[int, list[RowMapping]]:
    """The deliveries of each of these studies, by destination."""
    statement = _ledger(None).where(delivery.c.study_id.in_(study_ids)).order_by(delivery.c.destination)
    found: dict[int, list[RowMapping]] = {study_id: [] for study_id in study_ids}
    for row in connection.execute(statement).mappings():
        found[row["study_id"]].append(row)
    return found


def attempts_of(connection: Connection, delivery_id: int, limit: int = 200) -> Rows:
    """The latest attempts of a delivery, newest first."""
    statement = select(attempt).where(attempt.c.delivery_id == delivery_id)
    return connection.execute(statement.order_by(attempt.c.id.desc()).limit(limit)).mappings().all()


def count_owed(connection: Connection, destination: str | None, scope: Scope) -> dict[str, int]:
    """How many deliveries stand in each state in which something is owed still."""
    statement = select(delivery.c.state, func.count()).where(delivery.c.state.in_(sorted(OWED)))
    if destination is not None:
        statement = statement.where(delivery.c.destination == destination)
    if scope is not None:
        statement = statement.join(study, study.c.id == delivery.c.study_id).where(visible(scope))
    return counted(connection, statement.group_by(delivery.c.state))


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many deliveries stand in each state."""
    statement = select(delivery.c.state, func.count()).group_by(delivery.c.state)
    return counted(connection, statement)
