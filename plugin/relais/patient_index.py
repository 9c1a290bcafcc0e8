"""How the CRM's patients are found: rows of keys, and how many people have each part of a name.

A key is kept as 64 bits of its BLAKE2b: two keys that share them would only bring one more person to compare.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database.patient_tables import patient, patient_name
from relais.domain.matching.identity import Identity
from relais.domain.matching.keys import Key, keys_asked
from relais.domain.patients import Patient, identity_of, parts_of, together

CAP = 200
"""A key that more people have says too little: its people are not looked at, and nothing is decided automatically."""
MOST_MERGES = 20
"""How often a patient is followed to whom they were merged into."""
CACHED_SECONDS = 60.0
"""How long the counts of names are remembered, if the number of patients stays about the same."""
MOST_CACHED = 200_000
"""Counts of names that are remembered at most."""
FAMILY, GIVEN, PATIENTS = "F", "G", "N"
"""The sides of `patient_name`."""

Person = tuple[str, Identity]
"""A CrmId, and the patient as matching compares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The patients that may be meant; `capped` says that a key had too many to look at."""

    people: tuple[Person, ...]
    capped: bool


def hashed(keys: Iterable[Key]) -> set[int]:
    """The keys as the tables have them: signed numbers of 64 bits."""
    return {
        int.from_bytes(blake2b(f"{kind} {value}".encode(), digest_size=8).digest(), "big", signed=True)
        for kind, value in keys
    }


class Frequencies:
    """How many people the CRM has, and how many have a part of a name, as one transaction sees it."""

    def __init__(self, connection: Connection, total: int, counts: dict[tuple[str, str], int]) -> None:
        self._connection = connection
        self._counts = counts
        self.total = total

    def family(self, part: str) -> int:
        """How many have it in their family name."""
        return self._count(FAMILY, part)

    def given(self, part: str) -> int:
        """How many have it in their given name."""
        return self._count(GIVEN, part)

    def prepare(self, parts: Iterable[str]) -> None:
        """Read the counts of these parts at once."""
        wanted = [part for part in parts if (FAMILY, part) not in self._counts or (GIVEN, part) not in self._counts]
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            counts = {(side, part): 0 for side in (FAMILY, GIVEN) for part in some}
            counts |= {(row[0], row[1]): row[2] for row in self._connection.execute(_COUNTS, {"parts": some})}
            self._counts |= counts

    def _count(self, side: str, part: str) -> int:
        if (side, part) not in self._counts:
            self.prepare([part])
        return self._counts[side, part]


class Index:
    """Finds patients."""

    def __init__(self, *, clock: Clock, configuration: Configuration) -> None:
        self._clock = clock
        self._configuration = configuration
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._counted = (0, 0.0)

    def find(self, connection: Connection, identity: Identity, clinic: str | None) -> Found:
        """Who may be meant, among the patients that this clinic may see; without a clinic, among all.

        Who was merged into somebody is found as that patient, who has the names and identifiers of both.
        """
        keys = hashed(keys_asked(identity))
        ids, capped = _holders(connection, keys)
        rows = _by_ids(connection, _PATIENTS_BY_ID, sorted(ids))
        people = self._people(connection, rows, clinic)
        self.frequencies(connection).prepare(_parts(identity, *(each for _, each in people)))
        return Found(people=people, capped=capped)

    def people(self, connection: Connection, crm_ids: Collection[str], clinic: str | None) -> tuple[Person, ...]:
        """Those of these patients whom the clinic may see, each as who they became by merging."""
        return self._people(connection, _by_ids(connection, _PATIENTS_BY_CRM_ID, sorted(crm_ids)), clinic)

    def frequencies(self, connection: Connection) -> Frequencies:
        """How common names are; for as long as the connection's transaction."""
        total = connection.execute(_TOTAL).scalar() or 0
        now = self._clock.monotonic()
        with self._lock:
            before, since = self._counted
            changed = abs(total - before) * 100 > before
            if changed or now - since > CACHED_SECONDS or len(self._counts) > MOST_CACHED:
                self._counts, self._counted = {}, (total, now)
            return Frequencies(connection, total, self._counts)

    def seen_by(self, clinic: str | None) -> frozenset[str] | None:
        """The clinics whose patients a clinic sees; None for all."""
        if clinic is None:
            return None
        known = self._configuration.clinics.get(clinic)
        others = () if known is None else known.sees_patients_of
        return None if "*" in others else frozenset({clinic, *others})

    def _people(self, connection: Connection, rows: Sequence[Row[Any]], clinic: str | None) -> tuple[Person, ...]:
        survivors = _survivors(connection, rows)
        scope = self.seen_by(clinic)
        kept = {row.crm_id: row for row in survivors if scope is None or row.clinic is None or row.clinic in scope}
        members = _members(connection, kept)
        today = self._clock.now().date()
        return tuple(
            (crm_id, _identity(row.document, members.get(crm_id, ()), today)) for crm_id, row in sorted(kept.items())
        )


def is_hidden(clinic: str | None, scope: Collection[str] | None) -> bool:
    """Whether a caller with this scope may not see a patient of that clinic."""
    return scope is not None and clinic is not None and clinic not in scope


_AT_ONCE = 400
"""Values in one statement."""
_PATIENT = select(patient.c.id, patient.c.crm_id, patient.c.clinic, patient.c.document, patient.c.merged_into)
_PATIENTS_BY_ID = _PATIENT.where(patient.c.id.in_(bindparam("ids", expanding=True)))
_PATIENTS_BY_CRM_ID = _PATIENT.where(patient.c.crm_id.in_(bindparam("ids", expanding=True)))
_MERGED_INTO = _PATIENT.where(patient.c.merged_into.in_(bindparam("ids", expanding=True)))
_TOTAL = select(patient_name.c.patients).where(patient_name.c.side == PATIENTS, patient_name.c.part == "")
_COUNTS = select(patient_name.c.side, patient_name.c.part, patient_name.c.patients).where(
    patient_name.c.side.in_((FAMILY, GIVEN)), patient_name.c.part.in_(bindparam("parts", expanding=True))
)
_HOLDERS = {
    "sqlite": text(
        "SELECT k.key, k.patient_id FROM json_each(:keys) AS asked JOIN patient_key AS k ON k.key = asked.value "
        "WHERE k.patient_id <= coalesce((SELECT x.patient_id FROM patient_key AS x WHERE x.key = asked.value "
        "ORDER BY x.patient_id LIMIT 1 OFFSET :cap), 9223372036854775807)"
    ),
    "postgresql": text(
        "SELECT k.key, k.patient_id FROM unnest(CAST(:keys AS bigint[])) AS asked(value) CROSS JOIN LATERAL "
        "(SELECT key, patient_id FROM patient_key WHERE key = asked.value ORDER BY patient_id LIMIT :cap + 1) AS k"
    ),
}
"""The people of each key, one more than the cap at most."""


def _holders(connection: Connection, keys: Collection[int]) -> tuple[set[int], bool]:
    """The ids of the people of these keys, without those of keys over the cap, and whether there were such."""
    if not keys:
        return set(), False
    sqlite = connection.dialect.name == "sqlite"
    asked = f"[{','.join(map(str, sorted(keys)))}]" if sqlite else sorted(keys)
    by_key: dict[int, list[int]] = {}
    for key, holder in connection.execute(_HOLDERS[connection.dialect.name], {"keys": asked, "cap": CAP}):
        by_key.setdefault(key, []).append(holder)
    kept = [holders for holders in by_key.values() if len(holders) <= CAP]
    return {holder for holders in kept for holder in holders}, len(kept) < len(by_key)


def _survivors(connection: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Each row, or that of whom the patient became."""
    kept = {row.crm_id: row for row in rows if row.merged_into is None}
    merged = {row.merged_into for row in rows if row.merged_into is not None}
    for _ in range(MOST_MERGES):
        if not (wanted := sorted(merged - kept.keys())):
            break
        following = _by_ids(connection, _PATIENTS_BY_CRM_ID, wanted)
        kept |= {row.crm_id: row for row in following if row.merged_into is None}
        merged = {row.merged_into for row in following if row.merged_into is not None}
    return list(kept.values())


def _members(connection: Connection, survivors: Collection[str]) -> dict[str, list[Any]]:
    """The documents of those who were merged into each."""
    found: dict[str, list[Any]] = {}
    becomes = {crm_id: crm_id for crm_id in survivors}
    wanted = sorted(survivors)
    for _ in range(MOST_MERGES):
        rows = _by_ids(connection, _MERGED_INTO, wanted)
        wanted = sorted({row.crm_id for row in rows} - becomes.keys())
        for row in rows:
            becomes[row.crm_id] = becomes[row.merged_into]
            found.setdefault(becomes[row.crm_id], []).append(row.document)
        if not wanted:
            break
    return found


def _by_ids(connection: Connection, statement: Any, ids: Sequence[Any]) -> list[Row[Any]]:
    return [
        row
        for start in range(0, len(ids), _AT_ONCE)
        for row in connection.execute(statement, {"ids": ids[start : start + _AT_ONCE]})
    ]


def _identity(document: Mapping[str, Any], merged: Iterable[Mapping[str, Any]], today: date) -> Identity:
    person = identity_of(Patient.model_validate(document), today)
    others = [identity_of(Patient.model_validate(each), today) for each in merged]
    return together(person, others) if others else person


def _parts(*identities: Identity) -> list[str]:
    return sorted({part for each in identities for side in parts_of(each) for part in side})
