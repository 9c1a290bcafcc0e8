"""A database as after a year of work: many studies with all that belongs to them, written in bulk."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any

from psycopg import sql
from psycopg.types.json import Json
from sqlalchemy import Connection, Table, func, insert, select, text

from relais.database import Database
from relais.database.configuration_tables import version
from relais.database.tables import (
    attempt,
    decision,
    delivery,
    event,
    instance,
    notification,
    series,
    study,
    study_modality,
    study_word,
)
from relais.domain.words import words

DESTINATIONS = ("vna-qc", "cloud")
CLINICS = ("outremont", "laval", "verdun")
SPAN = timedelta(days=365)
SERIAL = (study, series, instance, decision, delivery, attempt, notification)

_BLOCK = 5_000
_INSTANCES = 2
_FAMILIES = ("Tremblay", "Gagnon", "Roy", "Côté", "Bouchard", "Gauthier", "Morin", "Lavoie", "Fortin", "Gagné")
_GIVEN = ("Émilie", "Luc", "Marie-Ève", "Jean", "Chloé", "Noah", "Zoé", "Félix", "Alice", "Thomas")
_MODALITIES = ("PX", "IO", "DX", "CT", "MR")
_DESCRIPTIONS = ("Panoramique", "Examen dentaire", "Thorax 2 incidences", "Sinus sans contraste", "ATM bilatérale")

Row = dict[str, Any]


def seed(url: str, *, studies: int, now: datetime | None = None, deliveries: bool = True) -> None:
    """Fill an empty or used database of Relais with so many more studies, received over the year before `now`.

    Most are at their destinations. Of a thousand, five are held, two failed at a destination, and the twenty newest
    still wait for theirs; nothing of it has a task, so a Relais that runs on the database leaves it as it is. The
    audit chain is not filled. The same numbers give the same rows. Without `deliveries` nothing is owed to anybody.
    """
    database = Database(url)
    database.upgrade()
    now = now or datetime.now(UTC)
    with database.write() as connection:
        digest = _configuration(connection)
        first = (connection.execute(select(func.max(study.c.id))).scalar() or 0) + 1
    numbers = iter(range(first, first + studies))
    while block := list(islice(numbers, _BLOCK)):
        rows: dict[Table, list[Row]] = {}
        for number in block:
            age = SPAN * ((first + studies - number) / studies)
            for table, row in _study(number, now - age, digest, is_new=first + studies - number <= studies // 50):
                if deliveries or table not in (delivery, attempt):
                    rows.setdefault(table, []).append(row)
        with database.write() as connection:
            for table, several in rows.items():
                insert_rows(connection, table, several)
    settle(database)
    database.close()


def settle(database: Database) -> None:
    """After rows with ids of their own: count on from those, and gather statistics as autovacuum would in time."""
    if database.sqlite:
        return
    with database.write() as connection:
        for table in SERIAL:
            highest = select(func.max(table.c.id)).scalar_subquery()
            connection.execute(select(func.setval(f"{table.name}_id_seq", func.coalesce(highest, 1))))
        connection.execute(text("ANALYZE"))


def _study(number: int, received_at: datetime, digest: str, *, is_new: bool) -> Iterator[tuple[Table, Row]]:
    """Every row of one study."""
    chance = random.Random(number)
    modality, clinic = chance.choice(_MODALITIES), chance.choice(CLINICS)
    completed_at = received_at + timedelta(seconds=40)
    is_held = chance.random() < 0.005
    uid = f"1.2.826.0.1.3680043.8.498.{number + 10**15}"
    patient = number // 3
    tags = {
        "patient_name": f"{_FAMILIES[patient % 10]}^{_GIVEN[patient // 10 % 10]}",
        "patient_id": f"P{patient:07d}",
        "accession_number": f"A{number:08d}",
        "study_description": chance.choice(_DESCRIPTIONS),
    }
    yield (
        study,
        {
            "id": number,
            "study_instance_uid": uid,
            "orthanc_id": _orthanc_id(uid),
            "orthanc_patient_id": _orthanc_id(tags["patient_id"]),
            "state": "Held" if is_held else "Routed",
            "instances": _INSTANCES,
            "sequence": _INSTANCES,
            "received_at": received_at,
            "changed_at": received_at + timedelta(seconds=10),
            "completed_at": completed_at,
            "quiet_until": completed_at,
            "origin": {
                "CallingAet": f"{modality}{clinic[:4].upper()}",
                "CalledAet": "RELAIS",
                "RemoteIp": "10.1.0.7",
                "Kind": "DicomProtocol",
            },
            "clinic": clinic,
            "clinic_reason": {"Level": "CallingAet", "Ambiguous": False, "Evidence": []},
            "hold_reason": "no rule matched" if is_held else None,
            "match_state": "Pending",
            "decision_id": number,
            "patient_birth_date": f"{1940 + patient % 70}0517",
            "study_date": f"{received_at:%Y%m%d}",
            "modalities": modality,
            **tags,
        },
    )
    for word in {word for value in (*tags.values(), uid) for word in _words(value)}:
        yield study_word, {"word": word, "study_id": number}
    yield study_modality, {"modality": modality, "study_id": number}
    yield from _images(number, uid, modality)
    facts = {"Study": {"PatientName": [tags["patient_name"]], "StudyInstanceUID": [uid], "Modality": [modality]}}
    document = {"Outcomes": [{"Rule": f"rule {each}", "Verdict": "Failed"} for each in range(5)]}
    yield (
        decision,
        {
            "id": number,
            "study_id": number,
            "configuration": digest,
            "decided_at": completed_at,
            "facts": facts,
            "document": document,
        },
    )
    if not is_held:
        yield from _deliveries(number, completed_at, chance, is_new=is_new)
    yield from _event(number, uid, completed_at)


def _images(number: int, uid: str, modality: str) -> Iterator[tuple[Table, Row]]:
    yield (
        series,
        {
            "id": number,
            "study_id": number,
            "series_instance_uid": f"{uid}.1",
            "orthanc_id": _orthanc_id(f"{uid}.1"),
            "modality": modality,
            "number": "1",
            "description": "",
            "instances": _INSTANCES,
        },
    )
    for index in range(1, _INSTANCES + 1):
        sop_instance_uid = f"{uid}.1.{index}"
        yield (
            instance,
            {
                "id": number * _INSTANCES + index,
                "study_id": number,
                "series_id": number,
                "sop_instance_uid": sop_instance_uid,
                "orthanc_id": _orthanc_id(sop_instance_uid),
                "sequence": index,
                "file": _orthanc_id(sop_instance_uid)[:36],
                "bytes": 8_000_000,
            },
        )


def _deliveries(
    number: int, owed_since: datetime, chance: random.Random, *, is_new: bool
) -> Iterator[tuple[Table, Row]]:
    """To the first destination always, to the second from every other study; ids leave room for both."""
    for index, destination in enumerate(DESTINATIONS[: 1 + number % 2]):
        delivery_id = number * 2 + index
        state = "Scheduled" if is_new else "Failed" if chance.random() < 0.002 else "Completed"
        done = state == "Completed"
        finished_at = None if is_new else owed_since + timedelta(seconds=3)
        error = {"Class": "Permanent", "Code": "A900", "Text": "DIMSE status 0xA900"} if state == "Failed" else None
        yield (
            delivery,
            {
                "id": delivery_id,
                "study_id": number,
                "destination": destination,
                "state": state,
                "priority": 2,
                "purpose": "Care",
                "mark": _INSTANCES * done,
                "delivered": _INSTANCES * done,
                "attempts": 0,
                "created_at": owed_since,
                "owed_since": owed_since,
                "finished_at": finished_at,
                "next_attempt": owed_since if is_new else None,
                "last_error": error,
                "reasons": [{"Rule": "dental"}],
                "proof": {"Kind": "Stored", "Instances": _INSTANCES} if done else None,
            },
        )
        if not is_new:
            yield (
                attempt,
                {
                    "id": delivery_id,
                    "delivery_id": delivery_id,
                    "started_at": owed_since,
                    "finished_at": finished_at,
                    "instances": _INSTANCES,
                    "bytes": 16_000_000,
                    "error": error,
                },
            )


def _event(number: int, uid: str, at: datetime) -> Iterator[tuple[Table, Row]]:
    event_id = f"msg_seed{number}"
    yield (
        event,
        {"id": event_id, "type": "study.routed", "at": at, "study_id": number, "data": {"StudyInstanceUID": uid}},
    )
    yield (
        notification,
        {
            "id": number,
            "event_id": event_id,
            "subscriber": "crm",
            "state": "Completed",
            "attempts": 1,
            "created_at": at,
            "finished_at": at + timedelta(seconds=1),
            "next_attempt": None,
            "last_status": 204,
            "last_error": None,
        },
    )


def _configuration(connection: Connection) -> str:
    """The configuration that decided: the active one, or else one for the seed alone."""
    found: str | None = connection.execute(select(version.c.digest).where(version.c.state == "Active")).scalar()
    return found or hashlib.sha256(b"seed").hexdigest()


def insert_rows(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Insert in the fast way of each database; all rows have the same columns."""
    if connection.dialect.name == "sqlite":
        connection.execute(insert(table), rows)
        return
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in rows[0])
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    cursor: Any = connection.connection.cursor()
    with cursor.copy(command) as copy:
        for row in rows:
            copy.write_row(_adapted(row.values()))


def _adapted(values: Iterable[Any]) -> list[Any]:
    return [Json(value, json.dumps) if isinstance(value, Mapping | list) else value for value in values]


@cache
def _words(value: str) -> frozenset[str]:
    return words([value])


def _orthanc_id(name: str) -> str:
    """An identifier of Orthanc's form: a SHA-1 in five groups of eight."""
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))
