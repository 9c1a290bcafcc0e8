"""Imports, watches and prefetches, as lists show them.

`sources` are the names of those whose imports may be seen; None for all, former ones included.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, func, select, true

from relais.database.queries.paging import Rows, Scope, page
from relais.database.retrieval_tables import (
    expected_instance,
    prefetch,
    retrieval,
    sighting,
    study_import,
    watch,
    watch_poll,
)
from relais.database.worklist_tables import worklist_item

MOST_MISSING = 100
MOST_RETRIEVALS = 1_000
MOST_POLLS = 50


@dataclass(frozen=True, kw_only=True)
class ImportFilter:
    """Which imports."""

    state: str | None = None
    source: str | None = None
    cause: str | None = None
    cause_id: str | None = None


def find(
    connection: Connection, wanted: ImportFilter, sources: Collection[str] | None, before: int | None, limit: int
) -> Rows:
    """Imports with what they came to, the newest first."""
    statement = _IMPORT.where(_visible(sources))
    for name in ("state", "source", "cause", "cause_id"):
        if (value := getattr(wanted, name)) is not None:
            statement = statement.where(study_import.c[name] == value)
    return page(connection, statement, study_import.c.id, before, limit)


def one(connection: Connection, import_id: int, sources: Collection[str] | None) -> RowMapping | None:
    """One import with what it came to."""
    statement = _IMPORT.where(study_import.c.id == import_id, _visible(sources))
    return connection.execute(statement).mappings().one_or_none()


def pieces(connection: Connection, import_id: int) -> Rows:
    """The studies and series that an import fetches, in their order."""
    statement = select(retrieval).where(retrieval.c.import_id == import_id).order_by(retrieval.c.id)
    return connection.execute(statement.limit(MOST_RETRIEVALS)).mappings().all()


def missing(connection: Connection, import_id: int) -> dict[int, list[RowMapping]]:
    """The first instances that each retrieval of an import lacks, by its id."""
    place = func.row_number().over(
        partition_by=expected_instance.c.retrieval_id, order_by=expected_instance.c.sop_instance_uid
    )
    lacking = (
        select(expected_instance, place.label("place"))
        .join(retrieval, retrieval.c.id == expected_instance.c.retrieval_id)
        .where(retrieval.c.import_id == import_id, expected_instance.c.received_at.is_(None))
        .subquery()
    )
    rows = connection.execute(select(lacking).where(lacking.c.place <= MOST_MISSING)).mappings().all()
    found: dict[int, list[RowMapping]] = {}
    for row in rows:
        found.setdefault(row["retrieval_id"], []).append(row)
    return found


def watches(connection: Connection) -> dict[str, RowMapping]:
    """How each watch that was ever polled stands, and how many studies it has seen."""
    seen = select(func.count()).where(sighting.c.watch == watch.c.name).scalar_subquery()
    rows = connection.execute(select(watch, seen.label("seen"))).mappings()
    return {row["name"]: row for row in rows}


def polls(connection: Connection, name: str) -> Rows:
    """The last polls of a watch that found something, or failed; the newest first."""
    return page(connection, select(watch_poll).where(watch_poll.c.watch == name), watch_poll.c.id, None, MOST_POLLS)


def prefetches(
    connection: Connection,
    state: str | None,
    accession_number: str | None,
    scope: Scope,
    before: int | None,
    limit: int,
) -> Rows:
    """The searches for priors of the orders that the caller may see, the newest first."""
    statement = select(prefetch, worklist_item.c.accession_number).join(
        worklist_item, worklist_item.c.id == prefetch.c.order_id
    )
    if scope is not None:
        statement = statement.where(prefetch.c.clinic.in_(sorted(scope)))
    if state is not None:
        statement = statement.where(prefetch.c.state == state)
    if accession_number is not None:
        statement = statement.where(worklist_item.c.accession_number == accession_number)
    return page(connection, statement, prefetch.c.id, before, limit)


def imports_of(connection: Connection, cause: str, ids: Collection[str]) -> dict[str, list[int]]:
    """The imports that these watches or prefetches began, by their name or id."""
    statement = (
        select(study_import.c.cause_id, study_import.c.id)
        .where(study_import.c.cause == cause, study_import.c.cause_id.in_(sorted(ids)))
        .order_by(study_import.c.id)
    )
    found: dict[str, list[int]] = {}
    for row in connection.execute(statement):
        found.setdefault(row.cause_id, []).append(row.id)
    return found


def _visible(sources: Collection[str] | None) -> ColumnElement[bool]:
    return true() if sources is None else study_import.c.source.in_(sorted(sources))


_mine = retrieval.c.import_id == study_import.c.id
_IMPORT: Select[tuple[object, ...]] = select(
    study_import,
    select(func.count(retrieval.c.study_instance_uid.distinct())).where(_mine).scalar_subquery().label("studies"),
    select(func.coalesce(func.sum(retrieval.c.expected), 0)).where(_mine).scalar_subquery().label("expected"),
    select(func.coalesce(func.sum(retrieval.c.received), 0)).where(_mine).scalar_subquery().label("received"),
)
