"""Stop values: a PatientID under which several people came says nothing any more, and is learnt by itself."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from relais.clock import Clock
from relais.database import upsert
from relais.database.patient_tables import stop_value
from relais.database.queries import matches
from relais.domain.asked import Demographics, asked_of, born_apart, named_apart
from relais.domain.matching.identifiers import Identifier, read_identifier
from relais.domain.matching.identity import Identity
from relais.journal import Journal

PEOPLE = 3
"""From so many people on, who differ in name and birth date."""
_AMONG = select(stop_value.c.system, stop_value.c.value).where(
    stop_value.c.value.in_(bindparam("values", expanding=True))
)


class StopValues:
    """Knows and learns them."""

    def __init__(self, *, clock: Clock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal

    def among(self, connection: Connection, identifiers: Sequence[Identifier]) -> frozenset[Identifier]:
        """Those of these identifiers that say nothing."""
        if not identifiers:
            return frozenset()
        rows = connection.execute(_AMONG, {"values": [each.value for each in identifiers]})
        found = {(row.system, row.value) for row in rows}
        return frozenset(each for each in identifiers if (each.system, each.value) in found)

    def learn(self, connection: Connection, said: Demographics, patient_id: str, issuer: str) -> None:
        """A study came with this PatientID: look whether it was one person too many."""
        people: list[Identity] = []
        today = self._clock.now().date()
        for row in matches.people_of(connection, patient_id, issuer):
            tags = {"PatientName": row["patient_name"], "PatientBirthDate": row["patient_birth_date"]}
            identity = asked_of(Demographics(tags=tags), today)
            if all(born_apart(identity, each) and named_apart(identity, each) for each in people):
                people += [identity] if identity.names and identity.birth_date else []
        read = read_identifier(said.tags.get("IssuerOfPatientID", ""), patient_id)
        if len(people) < PEOPLE or read is None:
            return
        values = {"system": read.system, "value": read.value, "since": self._clock.now()}
        statement = upsert(connection.dialect.name, stop_value).values(values).on_conflict_do_nothing()
        if connection.execute(statement).rowcount:
            self._journal.record(connection, "matching.identifier-stopped", People=len(people))
