"""Orders and stray studies, as lists show them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, func, select, true

from relais.database.queries.paging import Rows, Scope, page
from relais.database.queries.paging import visible as visible_study
from relais.database.tables import study
from relais.database.worklist_tables import worklist_item
from relais.domain.states import OrderState

_ORDER = select(worklist_item, study.c.study_instance_uid.label("arrived")).outerjoin(
    study, study.c.id == worklist_item.c.study_id
)


@dataclass(frozen=True, kw_only=True)
class OrderFilter:
    """Which orders: `day` and `until` are YYYYMMDD."""

    clinic: str | None = None
    day: str | None = None
    until: str | None = None
    state: OrderState | None = None
    station_aet: str | None = None
    crm_id: str | None = None


def visible(scope: Scope) -> ColumnElement[bool]:
    """Whether a row of `worklist_item` is of a clinic that the caller may see."""
    return true() if scope is None else worklist_item.c.clinic.in_(sorted(scope))


def find(connection: Connection, wanted: OrderFilter, scope: Scope, before: int | None, limit: int) -> Rows:
    """Orders, the one that was given last first."""
    return page(connection, _wanted(wanted, scope), worklist_item.c.id, before, limit)


def by_time(connection: Connection, wanted: OrderFilter, scope: Scope, limit: int) -> Rows:
    """The same as a timetable: in the order of their day and time."""
    timetable = worklist_item.c.day, worklist_item.c.time, worklist_item.c.id
    return connection.execute(_wanted(wanted, scope).order_by(*timetable).limit(limit)).mappings().all()


def counts(connection: Connection, wanted: OrderFilter, scope: Scope) -> dict[str, int]:
    """How many orders are in each state."""
    of_state, amount = worklist_item.c.state, func.count()
    statement = select(of_state, amount).where(_where(wanted, scope)).group_by(of_state)
    return {row[0]: row[1] for row in connection.execute(statement)}


def one(connection: Connection, accession_number: str, scope: Scope) -> RowMapping | None:
    """The order of this accession number."""
    statement = _ORDER.where(worklist_item.c.accession_number == accession_number, visible(scope))
    return connection.execute(statement).mappings().one_or_none()


def of_study(connection: Connection, order_id: int, scope: Scope) -> RowMapping | None:
    """The order of a study (`study.order_id`)."""
    return connection.execute(_ORDER.where(worklist_item.c.id == order_id, visible(scope))).mappings().one_or_none()


def strays(connection: Connection, clinic: str | None, scope: Scope, before: int | None, limit: int) -> Rows:
    """Studies without an order, the last to arrive first."""
    statement = select(study).where(study.c.stray.is_not(None), visible_study(scope))
    if clinic is not None:
        statement = statement.where(study.c.clinic == clinic)
    return page(connection, statement, study.c.id, before, limit)


def awaited(connection: Connection, clinic: str | None, scope: Scope, first: str, last: str, limit: int) -> Rows:
    """The orders of a clinic, of any where it is None, for which no study has come, of these days (YYYYMMDD)."""
    statement = _wanted(OrderFilter(clinic=clinic, day=first, until=last), scope).where(
        worklist_item.c.study_id.is_(None), worklist_item.c.state != OrderState.Canceled
    )
    timetable = worklist_item.c.day.desc(), worklist_item.c.time, worklist_item.c.id
    return connection.execute(statement.order_by(*timetable).limit(limit)).mappings().all()


def _wanted(wanted: OrderFilter, scope: Scope) -> Select[tuple[object, ...]]:
    return _ORDER.where(_where(wanted, scope))


def _where(wanted: OrderFilter, scope: Scope) -> ColumnElement[bool]:
    table = worklist_item.c
    said = {
        table.clinic: wanted.clinic,
        table.state: wanted.state,
        table.station_aet: wanted.station_aet,
        table.crm_id: wanted.crm_id,
        table.day: None if wanted.until else wanted.day,
    }
    found = [column == value for column, value in said.items() if value is not None]
    if wanted.until:
        found += [table.day <= wanted.until, *([table.day >= wanted.day] if wanted.day else [])]
    return and_(visible(scope), *found)
