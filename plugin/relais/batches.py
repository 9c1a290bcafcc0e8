"""What a delivery sends next, and what its destination has: the mark, and the gaps under it.

The mark is the highest sequence number that was sent. A gap is an instance under it that the destination has not: it
was refused, or missing when the destination was asked. What the destination's `Only` leaves out is never sent, and
counts for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, delete, func, select, true, update

from relais.configuration import Destination
from relais.configuration.transformations import Only
from relais.database import upsert
from relais.database.tables import gap, instance, series
from relais.domain.retry import ErrorClass
from relais.journal import Subject
from relais.transports import Item, SendingError

_GAPS = select(gap.c.instance_id).where(gap.c.delivery_id == bindparam("delivery"))
_REFUSED = (
    select(gap.c.error).where(gap.c.delivery_id == bindparam("delivery"), ~gap.c.wanted).order_by(gap.c.instance_id)
)
PACE = 2.0
"""Seconds' worth of a limited bandwidth that one batch takes at most."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Instances that are sent together: gaps first, then those above the mark."""

    delivery: Row[Any]
    subject: Subject
    items: Sequence[Item]
    ids: Mapping[str, int]  # our ids of the instances, by Orthanc's
    mark: int  # the mark when they were sent

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(each.bytes for each in self.items)


def next_batch(
    connection: Connection,
    row: Row[Any],
    destination: Destination,
    mark: int | None = None,
    prepared: Batch | None = None,
) -> Batch | None:
    """The next instances of a delivery, as many and as large as its destination takes at once, but at least one.

    `mark` is the delivery's now, where the row was read before. What was `prepared` before is answered again where
    nothing came to the study since.
    """
    if prepared is not None and prepared.items and not (row.has_gaps or prepared.delivery.has_gaps):
        before = prepared.delivery
        if (before.sequence, before.mark) == (row.sequence, row.mark):
            return prepared
    limit = destination.batch_instances
    mark = row.mark if mark is None else mark
    asked = {"study": row.study_id, "delivery": row.id, "mark": mark, "most": limit}
    statements = _statements(destination.only)
    found = list(connection.execute(statements.gaps, asked)) if row.has_gaps else []
    if len(found) < limit and mark < row.sequence:
        found += connection.execute(statements.above, asked | {"most": limit - len(found)})
    room = destination.batch_megabytes * 1_000_000
    if destination.bandwidth is not None:
        room = min(room, int(destination.bandwidth * 1_000_000 / 8 * PACE))
    chosen: list[Any] = []
    for each in found:
        room -= each.bytes
        if chosen and room < 0:
            break
        chosen.append(each)
    return _batch(row, chosen) if chosen else None


def everything(connection: Connection, row: Row[Any], destination: Destination) -> Batch:
    """All that the destination should have, for the proof."""
    asked = {"study": row.study_id, "mark": -1, "most": -1 if connection.dialect.name == "sqlite" else None}
    return _batch(row, connection.execute(_statements(destination.only).above, asked).all())


def nothing_of(row: Row[Any]) -> Batch:
    """A batch without items, where only the proof is left."""
    return _batch(row, [])


def count_delivered(connection: Connection, row: Row[Any], destination: Destination, mark: int) -> int:
    """How many instances the destination has, by our books."""
    asked = {"study": row.study_id, "delivery": row.id, "mark": mark}
    count: int = connection.execute(_statements(destination.only).delivered, asked).scalar_one()
    return max(0, count)


def note_gaps(connection: Connection, batch: Batch, refused: Mapping[str, SendingError]) -> None:
    """The destination has this batch, but for what it refused: what passes is sent again, the rest waits for a person.

    Whatever of the batch was a gap and got through is none any more.
    """
    through = [batch.ids[each.orthanc_id] for each in batch.items if each.orthanc_id not in refused]
    close_gaps(connection, batch.delivery.id, through)
    if not refused:
        return
    statement = upsert(connection.dialect.name, gap)
    statement = statement.on_conflict_do_update(
        index_elements=["delivery_id", "instance_id"],
        set_={"error": statement.excluded.error, "wanted": statement.excluded.wanted},
    )
    rows = [
        {
            "delivery_id": batch.delivery.id,
            "instance_id": batch.ids[orthanc_id],
            "error": words(error),
            "wanted": error.error_class is ErrorClass.Transient,
        }
        for orthanc_id, error in refused.items()
    ]
    connection.execute(statement, rows)


def close_gaps(connection: Connection, delivery_id: int, instances: Collection[int] | None = None) -> None:
    """The destination has these instances; without them, all."""
    known = connection.execute(_GAPS, {"delivery": delivery_id}).scalars().all()
    closed = [each for each in known if instances is None or each in instances]
    if closed:
        connection.execute(delete(gap).where(gap.c.delivery_id == delivery_id, gap.c.instance_id.in_(closed)))


def want_gaps(connection: Connection, delivery_id: int) -> None:
    """A person wants everything sent that was refused."""
    connection.execute(update(gap).where(gap.c.delivery_id == delivery_id).values(wanted=True))


def refusals(connection: Connection, delivery_id: int) -> tuple[int, dict[str, Any] | None]:
    """How many instances wait for a person, and why the first of them does."""
    found = connection.execute(_REFUSED, {"delivery": delivery_id}).scalars().all()
    return len(found), found[0] if found else None


def words(error: SendingError, **more: Any) -> dict[str, Any]:
    """An error as it is stored and shown."""
    return {"Class": error.error_class.value, "Code": error.code, "Text": error.text, **more}


@dataclass(frozen=True, kw_only=True)
class _Statements:
    """What is asked at every batch, built once: building a statement costs more than running it."""

    gaps: Select[Any]
    above: Select[Any]
    delivered: Select[Any]


@lru_cache(maxsize=1024)
def _statements(only: Only | None) -> _Statements:
    """The study's instances that a destination receives, in the order in which they arrived."""
    sendable = (
        select(
            instance.c.id,
            instance.c.orthanc_id,
            instance.c.sop_instance_uid,
            instance.c.sequence,
            instance.c.bytes,
            series.c.series_instance_uid,
        )
        .join(series, series.c.id == instance.c.series_id)
        .where(instance.c.study_id == bindparam("study"), _selected(only))
        .order_by(instance.c.sequence)
    )
    its_gap = and_(gap.c.instance_id == instance.c.id, gap.c.delivery_id == bindparam("delivery"))
    sent = sendable.where(instance.c.sequence <= bindparam("mark")).order_by(None).subquery()
    gaps = select(func.count()).select_from(gap).where(gap.c.delivery_id == bindparam("delivery")).scalar_subquery()
    return _Statements(
        gaps=sendable.join(gap, its_gap)
        .where(gap.c.wanted, instance.c.sequence <= bindparam("mark"))
        .limit(bindparam("most")),
        above=sendable.where(instance.c.sequence > bindparam("mark")).limit(bindparam("most")),
        delivered=select(func.count() - gaps).select_from(sent),
    )


def _selected(only: Only | None) -> ColumnElement[bool]:
    if only is None:
        return true()
    conditions: list[ColumnElement[bool]] = []
    if only.modalities is not None:
        conditions.append(series.c.modality.in_(only.modalities))
    if only.sop_classes is not None:
        conditions.append(instance.c.sop_class_uid.in_(only.sop_classes))
    if only.without_sop_classes:
        conditions.append(instance.c.sop_class_uid.not_in(only.without_sop_classes))
    return and_(*conditions)


def _batch(row: Row[Any], chosen: Sequence[Any]) -> Batch:
    return Batch(
        delivery=row,
        subject=Subject(id=row.study_id, study_instance_uid=row.study_instance_uid),
        items=[
            Item(
                orthanc_id=each.orthanc_id,
                study_instance_uid=row.study_instance_uid,
                series_instance_uid=each.series_instance_uid,
                sop_instance_uid=each.sop_instance_uid,
                bytes=each.bytes,
            )
            for each in chosen
        ],
        ids={each.orthanc_id: each.id for each in chosen},
        mark=max([row.mark, *(each.sequence for each in chosen)]),
    )
