"""How the CRM's patients are found: rows of keys, and how many people have each part of a name.

A key is kept as 64 bits of its BLAKE2b: two keys that share them would only bring one more person to compare.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from struct import unpack
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database.patient_tables import patient, patient_index, patient_name
from relais.domain.matching import keys
from relais.domain.matching.compact import FIELD, VERSION, compact, expanded
from relais.domain.matching.dates import OLDEST
from relais.domain.matching.decision import Candidate, Question
from relais.domain.matching.identity import Identity
from relais.domain.matching.keys import Key, keys_asked, keys_of_years
from relais.domain.matching.model import Model
from relais.domain.matching.sieve import Sieve
from relais.domain.patients import Patient, identity_of, parts_of, together

WRITTEN = f"{VERSION}.{keys.VERSION}"
"""The version of what is kept to find people: how they are read, and their keys."""
CAP = 200
"""A key that more people have says too little: its people are not looked at, and nothing is decided automatically."""
MOST_OF_YEARS = 1000
"""Keys that a study without a birth date may ask beside the others: names of more parts say enough by themselves."""
MOST_MERGES = 20
"""How often a patient is followed to whom they were merged into."""
CACHED_SECONDS = 60.0
"""How long the counts of names are remembered, if the number of patients stays about the same."""
MOST_CACHED = 200_000
"""Counts of names that are remembered at most."""
FAMILY, GIVEN, PATIENTS = "F", "G", "N"
"""The sides of `patient_name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The patients that may be meant, by their CrmIds, each as `compact` wrote them.

    `capped` says that a key had too many to look at.
    """

    people: Mapping[str, str]
    capped: bool


def hashed(keys: Iterable[Key]) -> set[int]:
    """The keys as the tables have them: signed numbers of 64 bits."""
    digests = [blake2b(f"{kind} {value}".encode(), digest_size=8).digest() for kind, value in keys]
    return set(unpack(f">{len(digests)}q", b"".join(digests)))


def keys_to_ask(asked: Identity, today: date) -> tuple[set[int], set[int]]:
    """What finds whom a study may mean; and, where it has no birth date, what finds those of its names of any age."""
    if asked.birth_date is not None:
        return hashed(keys_asked(asked)), set()
    of_years = hashed(keys_of_years(asked, range(today.year - OLDEST, today.year + 1)))
    return hashed(keys_asked(asked)), of_years if len(of_years) <= MOST_OF_YEARS else set()


class Frequencies:
    """How many people the CRM has, and how many have a part of a name, as one transaction sees it."""

    def __init__(
        self, connection: Connection, total: int, counts: dict[tuple[str, str], int], *, whole: bool = True
    ) -> None:
        self._connection = connection
        self._counts = counts
        self.total = total
        self.whole = whole
        """Whether everybody is found by what this program asks for, or still has another version's keys."""

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

    def question(
        self,
        connection: Connection,
        asked: Identity,
        clinic: str | None,
        model: Model,
        *,
        confirmed: Collection[str] = (),
        rejected: Collection[str] = (),
        ordered: str | None = None,
    ) -> Question:
        """Whose that is, asked of those patients whom the clinic may see and who can matter to this model's answer.

        `confirmed` and `rejected` are the CrmIds of whom a person said that it is them, or is not; `ordered` is that of
        whom the study's order names.
        """
        found = self.find(connection, asked, clinic)
        people = found.people
        told = {*confirmed, *([] if ordered is None else [ordered])}
        if told:
            people = {**self.people(connection, told, clinic), **people}
        frequencies = self.frequencies(connection)
        frequencies.prepare(_parts(asked))
        kept, aside = Sieve(asked, model, frequencies).sift(people, told, rejected)
        candidates = [
            Candidate(
                crm_id,
                expanded(people[crm_id]),
                confirmed=crm_id in confirmed,
                rejected=crm_id in rejected,
                ordered=crm_id == ordered,
            )
            for crm_id in kept
        ]
        frequencies.prepare(_parts(*(each.identity for each in candidates)))
        capped = found.capped or not frequencies.whole
        return Question.of(asked, candidates, frequencies, capped=capped, aside=aside)

    def find(self, connection: Connection, identity: Identity, clinic: str | None) -> Found:
        """Who may be meant, among the patients that this clinic may see; without a clinic, among all.

        Who was merged into somebody is found as that patient, who has the names and identifiers of both.
        """
        certain, of_years = keys_to_ask(identity, self._clock.now().date())
        ids, capped = _holders(connection, certain)
        if of_years:
            namesakes, many = _holders(connection, of_years)
            many = many or len(namesakes) > CAP
            ids, capped = ids if many else ids | namesakes, capped or many
        scope, oldest = self.seen_by(clinic), self._oldest()
        people: dict[str, str] = {}
        anew: list[int] = []
        for row_id, crm_id, of, line in _lines(connection, ids):
            if line is None or (line < oldest and line[0] != FIELD):
                anew.append(row_id)
            elif scope is None or of is None or of in scope:
                people[crm_id] = line
        if anew:
            people |= self._people(connection, _by_ids(connection, _PATIENTS_BY_ID, sorted(anew)), clinic)
        return Found(people=people, capped=capped)

    def people(
        self, connection: Connection, crm_ids: Collection[str], clinic: str | None, *, inactive: bool = False
    ) -> Mapping[str, str]:
        """Those of these patients whom the clinic may see, each as who they became by merging, as in `Found`."""
        rows = _by_ids(connection, _PATIENTS_BY_CRM_ID, sorted(crm_ids))
        return self._people(connection, rows, clinic, inactive=inactive)

    def frequencies(self, connection: Connection) -> Frequencies:
        """How common names are; for as long as the connection's transaction."""
        total, version = connection.execute(_TOTAL).one()
        total, whole = total or 0, version in (WRITTEN, None)
        now = self._clock.monotonic()
        with self._lock:
            before, since = self._counted
            changed = abs(total - before) * 100 > before
            if changed or now - since > CACHED_SECONDS or len(self._counts) > MOST_CACHED:
                self._counts, self._counted = {}, (total, now)
            return Frequencies(connection, total, self._counts, whole=whole)

    def seen_by(self, clinic: str | None) -> frozenset[str] | None:
        """The clinics whose patients a clinic sees; None for all."""
        if clinic is None:
            return None
        known = self._configuration.clinics.get(clinic)
        others = () if known is None else known.sees_patients_of
        return None if "*" in others else frozenset({clinic, *others})

    def _people(
        self, connection: Connection, rows: Sequence[Row[Any]], clinic: str | None, *, inactive: bool = False
    ) -> dict[str, str]:
        """The people of these rows, read anew; without `inactive` only those whose a study may be."""
        survivors = [each for each in _survivors(connection, rows) if inactive or each.document.get("Active", True)]
        scope = self.seen_by(clinic)
        kept = {row.crm_id: row for row in survivors if scope is None or row.clinic is None or row.clinic in scope}
        members = _members(connection, kept)
        today = self._clock.now().date()
        return {
            crm_id: compact(_identity(row.document, members.get(crm_id, ()), today)) for crm_id, row in kept.items()
        }

    def _oldest(self) -> str:
        """The first day on which somebody who lives may be born."""
        today = self._clock.now().date()
        return f"{today.year - OLDEST:04}-{today:%m-%d}"


def is_hidden(clinic: str | None, scope: Collection[str] | None) -> bool:
    """Whether a caller with this scope may not see a patient of that clinic."""
    return scope is not None and clinic is not None and clinic not in scope


_AT_ONCE = 400
"""Values in one statement."""
_PATIENT = select(patient.c.id, patient.c.crm_id, patient.c.clinic, patient.c.document, patient.c.merged_into)
_PATIENTS_BY_ID = _PATIENT.where(patient.c.id.in_(bindparam("ids", expanding=True)))
_PATIENTS_BY_CRM_ID = _PATIENT.where(patient.c.crm_id.in_(bindparam("ids", expanding=True)))
_MERGED_INTO = _PATIENT.where(patient.c.merged_into.in_(bindparam("ids", expanding=True)))
_TOTAL = select(
    select(patient_name.c.patients)
    .where(patient_name.c.side == PATIENTS, patient_name.c.part == "")
    .scalar_subquery()
    .label("total"),
    select(patient_index.c.version).scalar_subquery().label("version"),
)
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


_LINE = (
    "SELECT p.id, p.crm_id, p.clinic, "
    "CASE WHEN p.merged_into IS NULL AND p.compact_version = :version THEN p.compact END "
)
_LINES = {
    "sqlite": text(f"{_LINE} FROM json_each(:ids) AS asked JOIN patient AS p ON p.id = asked.value"),
    "postgresql": text(f"{_LINE} FROM patient AS p WHERE p.id = ANY(CAST(:ids AS bigint[]))"),
}
"""Patients as matching compares them; without a line where that must be read from documents."""


def _lines(connection: Connection, ids: Collection[int]) -> Sequence[Any]:
    if not ids:
        return ()
    return connection.execute(
        _LINES[connection.dialect.name], {"ids": _listed(connection, ids), "version": VERSION}
    ).fetchall()


def _listed(connection: Connection, numbers: Iterable[int]) -> Any:
    """Numbers as one value of a statement: as JSON on SQLite, as an array on PostgreSQL."""
    ordered = sorted(numbers)
    return f"[{','.join(map(str, ordered))}]" if connection.dialect.name == "sqlite" else ordered


def _holders(connection: Connection, keys: Collection[int]) -> tuple[set[int], bool]:
    """The ids of the people of these keys, without those of keys over the cap, and whether there were such."""
    if not keys:
        return set(), False
    asked = {"keys": _listed(connection, keys), "cap": CAP}
    rows = connection.execute(_HOLDERS[connection.dialect.name], asked).fetchall()
    if len(rows) <= CAP:
        return {holder for _, holder in rows}, False
    many = {key for key, amount in Counter([key for key, _ in rows]).items() if amount > CAP}
    return {holder for key, holder in rows if key not in many}, bool(many)


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
