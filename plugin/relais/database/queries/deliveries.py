"""Deliveries: the ledger, with how far each has come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from relais.database.queries.paging import Rows, Scope, counted, distinct, page, visible
from relais.database.tables import attempt, delivery, gap, instance, study
from relais.domain.states import OWED


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """What a list of deliveries is narrowed to; None leaves a question open."""

    state: str | None = None
    destination: str | None = None
    study_instance_uid: str | None = None
    priority: int | None = None
    owed_before: datetime | None = None
    states: Sequence[str] | None = None
    """Any of these."""
    ids: Collection[int] | None = None


def _ledger(scope: Scope) -> Select[Any]:
    """Every column of a delivery, with its study's uid, clinic and `instances`, of which `delivered` are there."""
    return (
        select(
            delivery,
            study.c.study_instance_uid,
            study.c.clinic,
            study.c.modalities,
            study.c.instances,
            study.c.sequence,
            study.c.held_by,
            study.c.state.label("study_state"),
        )
        .join(study, study.c.id == delivery.c.study_id)
        .where(visible(scope))
    )


def find(connection: Connection, wanted: DeliveryFilter, scope: Scope, before: int | None, limit: int) -> Rows:
    """Deliveries, the one planned last first."""
    rows = _each(connection, _ledger(scope), wanted, before, limit)
    return sorted(rows, key=lambda row: -row["id"])[:limit]


def _each(
    connection: Connection, statement: Select[Any], wanted: DeliveryFilter, before: int | None, limit: int
) -> list[RowMapping]:
    """The first of each state that is wanted: asked for several at once, a database would sort all of them."""
    several = (
        [wanted] if wanted.states is None else [replace(wanted, state=each, states=None) for each in wanted.states]
    )
    return [
        row for each in several for row in page(connection, _narrowed(statement, each), delivery.c.id, before, limit)
    ]


def ids(connection: Connection, wanted: DeliveryFilter, scope: Scope, before: int | None, limit: int) -> list[int]:
    """The ids of such deliveries, the one planned last first."""
    rows = _each(connection, _bare(wanted, scope), wanted, before, limit)
    return sorted((row["id"] for row in rows), reverse=True)[:limit]


def count(connection: Connection, wanted: DeliveryFilter, scope: Scope, before: int | None, at_most: int) -> int:
    """How many such deliveries come before this key; no more than `at_most` are counted."""
    statement = _narrowed(_bare(wanted, scope), wanted)
    if before is not None:
        statement = statement.where(delivery.c.id < before)
    return connection.execute(select(func.count()).select_from(statement.limit(at_most).subquery())).scalar_one()


def _bare(wanted: DeliveryFilter, scope: Scope) -> Select[Any]:
    """The ids of deliveries; their studies are asked for only where the question is about them."""
    statement = select(delivery.c.id)
    if scope is None and wanted.study_instance_uid is None:
        return statement
    return statement.join(study, study.c.id == delivery.c.study_id).where(visible(scope))


def _narrowed(statement: Select[Any], wanted: DeliveryFilter) -> Select[Any]:
    if wanted.state is not None:
        statement = statement.where(delivery.c.state == wanted.state)
    if wanted.states is not None:
        statement = statement.where(delivery.c.state.in_(sorted(wanted.states)))
    if wanted.destination is not None:
        statement = statement.where(delivery.c.destination == wanted.destination)
    if wanted.study_instance_uid is not None:
        statement = statement.where(study.c.study_instance_uid == wanted.study_instance_uid)
    if wanted.priority is not None:
        statement = statement.where(delivery.c.priority == wanted.priority)
    if wanted.owed_before is not None:
        statement = statement.where(delivery.c.owed_since < wanted.owed_before)
    if wanted.ids is not None:
        statement = statement.where(delivery.c.id.in_(wanted.ids))
    return statement


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


def gaps_of(connection: Connection, delivery_id: int, limit: int = 200) -> Rows:
    """The instances under a delivery's mark that its destination has not, with `sop_instance_uid`."""
    statement = (
        select(gap.c.error, gap.c.wanted, instance.c.sop_instance_uid)
        .join(instance, instance.c.id == gap.c.instance_id)
        .where(gap.c.delivery_id == delivery_id)
        .order_by(instance.c.sequence)
    )
    return connection.execute(statement.limit(limit)).mappings().all()


def count_gaps(connection: Connection, delivery_id: int) -> int:
    """How many such instances there are."""
    statement = select(func.count()).select_from(gap).where(gap.c.delivery_id == delivery_id)
    return connection.execute(statement).scalar_one()


def destinations(connection: Connection) -> list[str]:
    """Every destination that anything is or was owed to: one look into the index for each."""
    return distinct(connection, delivery.c.destination)


def count_owed(connection: Connection, scope: Scope) -> dict[str, dict[str, int]]:
    """For each destination how many deliveries stand in each state in which something is owed still."""
    statement = select(delivery.c.destination, delivery.c.state, func.count()).where(
        delivery.c.destination.in_(destinations(connection)), delivery.c.state.in_(sorted(OWED))
    )
    if scope is not None:
        statement = statement.join(study, study.c.id == delivery.c.study_id).where(visible(scope))
    found: dict[str, dict[str, int]] = {}
    for destination, state, amount in connection.execute(statement.group_by(delivery.c.destination, delivery.c.state)):
        found.setdefault(destination, {})[state] = amount
    return found


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many deliveries stand in each state."""
    statement = select(delivery.c.state, func.count()).group_by(delivery.c.state)
    return counted(connection, statement)
