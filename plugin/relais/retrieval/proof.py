"""The proof that a retrieval is complete: every instance that the source has is in our tables, and in Orthanc.

What a source says of its C-MOVE proves nothing: images were lost behind a success. So its list of SOP instances is
compared with what is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, bindparam, select, update

from relais.clock import Clock
from relais.database import Database
from relais.database.retrieval_tables import expected_instance, retrieval
from relais.database.tables import instance, series, study
from relais.errors import OrthancError
from relais.orthanc import Orthanc
from relais.retrieval.arrivals import count

MISSING = 404


@dataclass(frozen=True, kw_only=True)
class Account:
    """Of the expected instances those that are here, and the others by their series."""

    here: frozenset[str]
    missing: Mapping[str, tuple[str, ...]]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    @property
    def count(self) -> int:
        """How many are missing."""
        return sum(len(uids) for uids in self.missing.values())


class Proof:
    """Compares what a source has with what is here."""

    def __init__(self, *, database: Database, orthanc: Orthanc, clock: Clock) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock

    def account(self, retrieval_id: int) -> Account:
        """Account for each expected instance; one request a series, and one for each instance that it has lost.

        Our tables alone do not prove it: what somebody deleted from Orthanc stands there still.
        """
        with self._database.read() as connection:
            rows = connection.execute(_EXPECTED, {"retrieval": retrieval_id}).all()
        held = self._held(rows)
        missing: dict[str, list[str]] = {}
        for row in rows:
            if row.sop_instance_uid not in held:
                missing.setdefault(row.series_instance_uid, []).append(row.sop_instance_uid)
        return Account(here=frozenset(held), missing={uid: tuple(uids) for uid, uids in missing.items()})

    def write(self, connection: Connection, retrieval_id: int, account: Account) -> None:
        """Keep the account: what arrived without the feed's noticing that it was expected, and what is gone again."""
        rows = connection.execute(_EXPECTED, {"retrieval": retrieval_id}).all()
        came = [
            row.sop_instance_uid for row in rows if row.received_at is None and row.sop_instance_uid in account.here
        ]
        gone = {uid for uids in account.missing.values() for uid in uids}
        went = [row.sop_instance_uid for row in rows if row.received_at is not None and row.sop_instance_uid in gone]
        for uids, moment in ((came, self._clock.now()), (went, None)):
            if uids:
                connection.execute(_NOTE, [{"of": retrieval_id, "uid": uid, "moment": moment} for uid in uids])
        count(connection, [retrieval_id])

    def _held(self, rows: Sequence[Row[Any]]) -> set[str]:
        """The SOPInstanceUIDs of those that Orthanc still has."""
        by_series: dict[str, list[Row[Any]]] = {}
        for row in rows:
            if row.orthanc_id is not None:
                by_series.setdefault(row.orthanc_series, []).append(row)
        held: set[str] = set()
        for orthanc_series, several in by_series.items():
            there = set((self._get(f"/series/{orthanc_series}") or {}).get("Instances", ()))
            for row in several:
                # Under a corrected PatientID the same series has another Orthanc id, so that it is asked for alone.
                if row.orthanc_id in there or self._get(f"/instances/{row.orthanc_id}") is not None:
                    held.add(row.sop_instance_uid)
        return held

    def _get(self, path: str) -> Mapping[str, Any] | None:
        try:
            answer: Mapping[str, Any] = self._orthanc.get(path)
        except OrthancError as error:
            if error.status == MISSING:
                return None
            raise
        return answer


_EXPECTED: Select[Any] = (
    select(
        expected_instance.c.sop_instance_uid,
        expected_instance.c.series_instance_uid,
        expected_instance.c.received_at,
        instance.c.orthanc_id,
        series.c.orthanc_id.label("orthanc_series"),
    )
    .join(retrieval, retrieval.c.id == expected_instance.c.retrieval_id)
    .outerjoin(study, study.c.study_instance_uid == retrieval.c.study_instance_uid)
    .outerjoin(
        instance,
        and_(instance.c.study_id == study.c.id, instance.c.sop_instance_uid == expected_instance.c.sop_instance_uid),
    )
    .outerjoin(series, series.c.id == instance.c.series_id)
    .where(expected_instance.c.retrieval_id == bindparam("retrieval"))
    .order_by(expected_instance.c.sop_instance_uid)
)
_NOTE = (
    update(expected_instance)
    .where(
        expected_instance.c.retrieval_id == bindparam("of"), expected_instance.c.sop_instance_uid == bindparam("uid")
    )
    .values(received_at=bindparam("moment"))
)
