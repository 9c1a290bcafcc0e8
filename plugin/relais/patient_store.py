"""The CRM's patients as they are stored: their rows, the keys by which they are found, and the counts of their names.

All three change in one transaction. What waits for a match is asked again when a patient comes or changes who shares a
key with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Table, bindparam, delete, exists, func, insert, select, text, update

from relais.clock import Clock
from relais.database import Database, upsert
from relais.database.patient_tables import (
    patient,
    patient_index,
    patient_key,
    patient_name,
    patient_next_key,
    waiting_key,
)
from relais.domain.matching.compact import VERSION, compact
from relais.domain.matching.keys import keys_of
from relais.domain.patients import Patient, identity_of, parts_of
from relais.patient_index import FAMILY, GIVEN, PATIENTS, hashed, is_hidden
from relais.tasks import Tasks

CHANGING = 7363004
"""PostgreSQL's advisory lock of those who change patients: counts of names are many rows, and locked in any order."""
AT_ONCE = 500
"""Rows or values in one statement."""

MANY = 10_000
"""Rows of keys for which SQLite is lent a larger cache."""
CACHE = -65_536
"""That cache: KB, written below zero (sqlite.org/pragma.html#pragma_cache_size)."""

Scope = Collection[str] | None
Sides = tuple[Collection[str], Collection[str]]
"""Parts of the family name and of the given name."""
Item = TypeVar("Item")


class Outcome(StrEnum):
    """What came of a patient that was given."""

    Added = "Added"
    Changed = "Changed"
    Unchanged = "Unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A patient ready to be stored: the document, how matching reads it, the keys, and the parts of the names."""

    crm_id: str
    clinic: str | None
    document: Mapping[str, Any]
    line: str
    keys: frozenset[int]
    family: frozenset[str]
    given: frozenset[str]


def prepare(given: Patient, today: date) -> Prepared:
    """All that is stored of a patient."""
    identity = identity_of(given, today)
    family, names = parts_of(identity)
    return Prepared(
        crm_id=given.crm_id,
        clinic=given.clinic,
        document=given.document(),
        line=compact(identity),
        keys=frozenset(hashed(keys_of(identity))),
        family=family,
        given=names,
    )


@dataclass(kw_only=True)
class Stored:
    """What came of several patients: how many of each outcome, and those that another clinic has under this CrmId."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    refused: list[int] = field(default_factory=list)
    """Their places among those that were given."""


@dataclass(kw_only=True)
class _Changes:
    """What a transaction writes."""

    now: Any
    added: dict[str, Prepared] = field(default_factory=dict)
    changed: dict[str, tuple[Row[Any], Prepared]] = field(default_factory=dict)


class PatientStore:
    """Keeps the CRM's patients; whoever changes several tables' rows of them holds the lock first."""

    def __init__(self, *, database: Database, clock: Clock, tasks: Tasks) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks

    def store(self, connection: Connection, given: Sequence[Prepared], *, scope: Scope = None) -> Stored:
        """Add or replace these patients; of several with one CrmId the last counts. The caller audits it."""
        self.lock(connection)
        stored, changes = Stored(), _Changes(now=self._clock.now())
        held, building = _rows(connection, {each.crm_id for each in given})
        for place, each in enumerate(given):
            before = held.get(each.crm_id)
            earlier = changes.added.get(each.crm_id)
            clinic = before.clinic if before is not None else earlier.clinic if earlier is not None else each.clinic
            if is_hidden(clinic, scope) or (None not in (clinic, each.clinic) and clinic != each.clinic):
                stored.refused.append(place)
            elif before is None:
                stored.outcomes[Outcome.Unchanged if earlier is not None else Outcome.Added] += 1
                changes.added[each.crm_id] = each
            elif before.document == each.document:
                stored.outcomes[Outcome.Unchanged] += 1
                changes.changed.pop(each.crm_id, None)
            else:
                stored.outcomes[Outcome.Changed] += 1
                changes.changed[each.crm_id] = (before, each)
        self._write(connection, changes, building=building)
        return stored

    def _write(self, connection: Connection, changes: _Changes, *, building: bool) -> None:
        today = self._today()
        ids = dict(zip(changes.added, _new_ids(connection, len(changes.added)), strict=True))
        if ids:
            connection.execute(
                insert(patient),
                [
                    {
                        "id": ids[each.crm_id],
                        "crm_id": each.crm_id,
                        "clinic": each.clinic,
                        "document": each.document,
                        "compact": each.line,
                        "compact_version": _version(each),
                        "changed_at": changes.now,
                    }
                    for each in changes.added.values()
                ],
            )
        if changes.changed:
            connection.execute(
                _UPDATE,
                [
                    {
                        "row": row.id,
                        "clinic": each.clinic,
                        "document": each.document,
                        "compact": each.line,
                        "compact_version": None if row.joined else _version(each),
                        "changed_at": changes.now,
                    }
                    for row, each in changes.changed.values()
                ],
            )
        before = {row.id: prepare(Patient.model_validate(row.document), today) for row, _ in changes.changed.values()}
        after = {row.id: each for row, each in changes.changed.values()}
        gone = [(key, each) for each, old in before.items() for key in old.keys - after[each].keys]
        new = [(key, ids[each.crm_id]) for each in changes.added.values() for key in each.keys]
        if building:  # whoever is read for it meanwhile is left to us
            remove_keys(connection, gone, patient_next_key)
            add_keys(connection, [*new, *((key, each) for each in after for key in after[each].keys)], patient_next_key)
        new += [(key, each) for each, prepared in after.items() for key in prepared.keys - before[each].keys]
        _exchange_keys(connection, gone, new)
        counted = {row.id for row, _ in changes.changed.values() if row.merged_into is None}
        self.count(
            connection,
            added=[*changes.added.values(), *(after[each] for each in counted)],
            removed=[before[each] for each in counted],
        )
        every = {ids[each.crm_id]: each.keys for each in changes.added.values()}
        every |= {each: prepared.keys for each, prepared in after.items()}
        self.ask_again(connection, _awaited(connection, every))

    def drop(self, connection: Connection, rows: Sequence[Row[Any]]) -> None:
        """Take patients (rows of `patient`) out, with their keys and counts."""
        today = self._today()
        prepared = {row.id: prepare(Patient.model_validate(row.document), today) for row in rows}
        keys = [(key, each) for each, old in prepared.items() for key in old.keys]
        remove_keys(connection, keys)
        remove_keys(connection, keys, patient_next_key)
        self.count(connection, removed=[prepared[row.id] for row in rows if row.merged_into is None])
        connection.execute(delete(patient).where(patient.c.id.in_([row.id for row in rows])))

    def count(
        self, connection: Connection, *, added: Iterable[Prepared] = (), removed: Iterable[Prepared] = ()
    ) -> None:
        """Count the people of each part of a name anew."""
        more, less = list(added), list(removed)
        self.count_parts(
            connection,
            added=[(each.family, each.given) for each in more],
            removed=[(each.family, each.given) for each in less],
            people=len(more) - len(less),
        )

    def count_parts(
        self, connection: Connection, *, added: Iterable[Sides], removed: Iterable[Sides], people: int = 0
    ) -> None:
        """The same for parts of names alone; `people` is by how many there are more."""
        counts: Counter[tuple[str, str]] = Counter({(PATIENTS, ""): people})
        for sign, several in ((1, added), (-1, removed)):
            for family, given in several:
                for part in family:
                    counts[FAMILY, part] += sign
                for part in given:
                    counts[GIVEN, part] += sign
        rows = [
            {"side": side, "part": part, "patients": amount}
            for (side, part), amount in sorted(counts.items())
            if amount
        ]
        if not rows:
            return
        statement = upsert(connection.dialect.name, patient_name)
        total = patient_name.c.patients + statement.excluded.patients
        statement = statement.on_conflict_do_update(index_elements=["side", "part"], set_={"patients": total})
        connection.execute(statement, rows)
        if any(amount < 0 for amount in counts.values()):
            connection.execute(_NO_LONGER, [{"s": row["side"], "p": row["part"]} for row in rows])

    def ask_again(self, connection: Connection, ids: Iterable[int]) -> None:
        """Have what waits decided again that may be these patients'."""
        now = self._clock.now()
        for each in ids:
            self._tasks.schedule(
                connection,
                kind="rematch",
                lane="studies",
                key=f"rematch:{each}",
                run_at=now,
                payload={"Patient": each},
            )

    def _today(self) -> date:
        return self._clock.now().date()

    def lock(self, connection: Connection) -> None:
        """Wait until nobody else changes patients, and hold them off until this transaction ends."""
        if not self._database.sqlite:
            connection.execute(select(func.pg_advisory_xact_lock(CHANGING)))


_BUILDING = select(func.count(patient_index.c.import_id).label("building")).subquery()
_OTHER = patient.alias("other")
_BY_CRM_ID = select(
    _BUILDING.c.building,
    patient,
    exists().where(_OTHER.c.merged_into == patient.c.crm_id).label("joined"),
).select_from(_BUILDING.outerjoin(patient, patient.c.crm_id.in_(bindparam("ids", expanding=True))))
"""These patients, each with whether others were merged into them; and whether the keys are made anew."""
_UPDATE = (
    update(patient)
    .where(patient.c.id == bindparam("row"))
    .values({each: bindparam(each) for each in ("clinic", "document", "compact", "compact_version", "changed_at")})
)
_NO_LONGER = delete(patient_name).where(
    patient_name.c.side == bindparam("s"), patient_name.c.part == bindparam("p"), patient_name.c.patients <= 0
)
_AWAITED = select(waiting_key.c.key).where(waiting_key.c.key.in_(bindparam("keys", expanding=True))).distinct()
_IDS = text("SELECT nextval(pg_get_serial_sequence('patient', 'id')) FROM generate_series(1, :amount)")
_LAST_ID = select(func.max(patient.c.id))


def _pieces(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _rows(connection: Connection, crm_ids: Collection[str]) -> tuple[dict[str, Row[Any]], bool]:
    """Those of these patients that there are, and whether the keys are made anew."""
    rows = [
        row for some in _pieces(sorted(crm_ids), AT_ONCE) for row in connection.execute(_BY_CRM_ID, {"ids": list(some)})
    ]
    return {row.crm_id: row for row in rows if row.id is not None}, any(row.building for row in rows)


def _version(prepared: Prepared) -> int | None:
    """None where it must be read anew who that is, and whether anybody: of an inactive patient."""
    return VERSION if prepared.document.get("Active", True) else None


def _new_ids(connection: Connection, amount: int) -> list[int]:
    if connection.dialect.name != "sqlite":
        return list(connection.execute(_IDS, {"amount": amount}).scalars()) if amount else []
    last = connection.execute(_LAST_ID).scalar() or 0
    return list(range(last + 1, last + 1 + amount))


def add_keys(connection: Connection, rows: list[tuple[int, int]], table: Table = patient_key) -> None:
    """Add rows of keys, in their order: those that are neighbours in the table are written together."""
    rows.sort()
    if connection.dialect.name == "sqlite":
        statement = f"INSERT OR IGNORE INTO {table.name} (key, patient_id) VALUES (?, ?)"  # noqa: S608 - one of two names
        if len(rows) > MANY:  # they go everywhere in the table: each page is read and written once
            usual = connection.exec_driver_sql("PRAGMA cache_size").scalar()
            connection.exec_driver_sql(f"PRAGMA cache_size = {CACHE}")
            connection.exec_driver_sql(statement, rows)
            connection.exec_driver_sql(f"PRAGMA cache_size = {usual}")
        elif rows:
            connection.exec_driver_sql(statement, rows)
        return
    for some in _pieces(rows, AT_ONCE * 20):
        connection.execute(_ADD_KEYS[table.name], _columns(some))


def remove_keys(connection: Connection, rows: list[tuple[int, int]], table: Table = patient_key) -> None:
    """Remove rows of keys."""
    rows.sort()
    if connection.dialect.name == "sqlite":
        if rows:
            connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE key = ? AND patient_id = ?", rows)  # noqa: S608 - the same
        return
    for some in _pieces(rows, AT_ONCE * 20):
        connection.execute(_REMOVE_KEYS[table.name], _columns(some))


def _exchange_keys(connection: Connection, gone: list[tuple[int, int]], new: list[tuple[int, int]]) -> None:
    """Remove and add rows of keys; of one patient at once, for each statement is a way to the database and back."""
    if connection.dialect.name == "sqlite" or not gone or not new or max(len(gone), len(new)) > AT_ONCE:
        remove_keys(connection, gone)
        add_keys(connection, new)
    else:
        less = {f"gone_{name}": values for name, values in _columns(gone).items()}
        connection.execute(_EXCHANGE_KEYS, {**_columns(new), **less})


def _columns(rows: Sequence[tuple[int, int]]) -> dict[str, list[int]]:
    keys, ids = zip(*rows, strict=True)
    return {"keys": list(keys), "ids": list(ids)}


_ROWS = "unnest(CAST(:keys AS bigint[]), CAST(:ids AS bigint[]))"
_ADD_KEYS, _REMOVE_KEYS = (
    {table: text(statement.format(table, _ROWS)) for table in (patient_key.name, patient_next_key.name)}
    for statement in (
        "INSERT INTO {} (key, patient_id) SELECT * FROM {} ON CONFLICT DO NOTHING",
        "DELETE FROM {} AS k USING {} AS r(key, id) WHERE k.key = r.key AND k.patient_id = r.id",
    )
)


_EXCHANGE_KEYS = text(
    "WITH gone AS (DELETE FROM patient_key AS k "
    "USING unnest(CAST(:gone_keys AS bigint[]), CAST(:gone_ids AS bigint[])) AS r(key, id) "
    "WHERE k.key = r.key AND k.patient_id = r.id) "
    "INSERT INTO patient_key (key, patient_id) "
    "SELECT * FROM unnest(CAST(:keys AS bigint[]), CAST(:ids AS bigint[])) ON CONFLICT DO NOTHING"
)


def _awaited(connection: Connection, patients: Mapping[int, Collection[int]]) -> list[int]:
    """Those of these patients, by their keys, of whom something that waits shares a key."""
    if connection.execute(select(waiting_key.c.key).limit(1)).first() is None:
        return []
    every = sorted({key for keys in patients.values() for key in keys})
    awaited = {
        key for some in _pieces(every, AT_ONCE) for key in connection.execute(_AWAITED, {"keys": list(some)}).scalars()
    }
    return sorted(each for each, keys in patients.items() if not awaited.isdisjoint(keys))
