"""What the feed asks of imports: whether a study that arrives is being fetched, and what of it was expected.

Called within the feed's transaction, so that an instance is never here without being accounted for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, or_, select, update

from relais.database.retrieval_tables import expected_instance, retrieval, study_import
from relais.domain.priority import Priority
from relais.domain.states import FETCHING, RetrievalState

LATE = timedelta(hours=1)
"""So long after a retrieval ended, images of its study still come from its source: some send on after a time-out."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A study that is fetched: from where, whether it is delivered, and how many instances the source has of it."""

    source: str
    route: bool
    background: bool
    expected: int | None
    retrievals: tuple[int, ...]

    @property
    def origin(self) -> dict[str, Any]:
        """What a study's `origin` has beside what its first image says."""
        found: dict[str, Any] = {"Source": self.source}
        if not self.route:
            found["Route"] = False
        if self.background:
            found["Urgency"] = Priority.Background.name
        return found


def fetched(connection: Connection, uids: Collection[str], now: datetime) -> Mapping[str, Fetched]:
    """Of these studies those that are fetched, by StudyInstanceUID; their retrievals are locked."""
    rows: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_FETCHED, {"uids": list(uids), "since": now - LATE}):
        rows.setdefault(row.study_instance_uid, []).append(row)
    return {uid: _of(several) for uid, several in rows.items()}


def note(connection: Connection, found: Fetched, uids: Sequence[str], now: datetime) -> None:
    """These instances are here."""
    values = {"retrievals": list(found.retrievals), "uids": list(uids), "now": now}
    if found.retrievals and connection.execute(_RECEIVED, values).rowcount:
        count(connection, found.retrievals)


def count(connection: Connection, retrievals: Sequence[int]) -> None:
    """Write down anew how many of the expected instances are here."""
    connection.execute(_COUNT, {"retrievals": list(retrievals)})


def _of(rows: Sequence[Row[Any]]) -> Fetched:
    first = min(rows, key=lambda row: (row.state != RetrievalState.InProgress, row.id))
    whole = [row.expected for row in rows if row.series_instance_uid is None and row.expected]
    return Fetched(
        source=first.source,
        route=any(row.route for row in rows),
        background=all(row.priority == Priority.Background for row in rows),
        expected=max(whole, default=None),
        retrievals=tuple(row.id for row in rows if row.state in FETCHING),
    )


_FETCHED = (
    select(retrieval, study_import.c.source, study_import.c.route, study_import.c.priority)
    .join(study_import, study_import.c.id == retrieval.c.import_id)
    .where(
        retrieval.c.study_instance_uid.in_(bindparam("uids", expanding=True)),
        or_(retrieval.c.state.in_(sorted(FETCHING)), retrieval.c.finished_at >= bindparam("since")),
    )
    .order_by(retrieval.c.id)
    .with_for_update(of=retrieval)
)
_RECEIVED = (
    update(expected_instance)
    .where(
        expected_instance.c.retrieval_id.in_(bindparam("retrievals", expanding=True)),
        expected_instance.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
        expected_instance.c.received_at.is_(None),
    )
    .values(received_at=bindparam("now"), error=None)
)
_COUNT = (
    update(retrieval)
    .where(retrieval.c.id.in_(bindparam("retrievals", expanding=True)))
    .values(
        received=select(func.count())
        .where(expected_instance.c.retrieval_id == retrieval.c.id, expected_instance.c.received_at.is_not(None))
        .scalar_subquery()
    )
)
