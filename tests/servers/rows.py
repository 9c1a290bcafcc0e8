"""Rows of the database, made directly: for tests of what reads them."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert

from relais.database.tables import audit, delivery, event, notification, study, study_modality, study_word
from relais.domain.priority import Priority
from relais.domain.words import words

START = datetime(2026, 4, 1, 12, tzinfo=UTC)

_numbers = itertools.count(1)


def add_study(connection: Connection, *, modality: str = "PX", **values: Any) -> int:
    """A study with one instance, found by its patient's name and id; answers its id."""
    number = next(_numbers)
    row = {
        "study_instance_uid": f"1.2.{number}",
        "orthanc_id": f"study-{number}",
        "orthanc_patient_id": f"patient-{number}",
        "state": "Routed",
        "instances": 1,
        "sequence": 1,
        "received_at": START + timedelta(seconds=number),
        "changed_at": START + timedelta(seconds=number),
        "origin": {"CallingAet": "CS8100", "CalledAet": "RELAIS", "RemoteIp": "10.0.0.7", "Kind": "DicomProtocol"},
        "match_state": "Pending",
        "patient_name": "Gagné^Zoé",
        "patient_id": f"P{number}",
        "patient_birth_date": "19840517",
        "accession_number": f"A{number}",
        "study_date": "20260401",
        "study_description": "Panoramique",
        "modalities": modality,
        **values,
    }
    study_id = _insert(connection, study, row)
    connection.execute(insert(study_modality).values(modality=modality, study_id=study_id))
    searched = words([row["patient_name"], row["patient_id"], row["study_instance_uid"]])
    connection.execute(insert(study_word), [{"word": word, "study_id": study_id} for word in searched])
    return study_id


def add_delivery(connection: Connection, study_id: int, destination: str = "vna", **values: Any) -> int:
    """A delivery of a study; answers its id."""
    row = {
        "study_id": study_id,
        "destination": destination,
        "state": "Scheduled",
        "priority": Priority.Routine,
        "purpose": "Care",
        "mark": 0,
        "delivered": 0,
        "attempts": 0,
        "created_at": START,
        "owed_since": START,
        "reasons": [{"Rule": "all"}],
        **values,
    }
    return _insert(connection, delivery, row)


def add_notification(connection: Connection, study_id: int | None, subscriber: str = "crm", **values: Any) -> int:
    """An event and its notification; answers the notification's id."""
    number = next(_numbers)
    event_row = {"id": f"msg_{number}", "type": "study.routed", "at": START, "study_id": study_id, "data": {}}
    connection.execute(insert(event).values(event_row))
    row = {
        "event_id": event_row["id"],
        "subscriber": subscriber,
        "state": "Scheduled",
        "attempts": 0,
        "created_at": START,
        **values,
    }
    return _insert(connection, notification, row)


def add_audit(connection: Connection, **values: Any) -> None:
    """An event of a chain that is not verified."""
    number = next(_numbers)
    row = {
        "node": "router",
        "number": number,
        "at": START + timedelta(seconds=number),
        "actor": "relais",
        "action": "study.routed",
        "study_instance_uid": None,
        "detail": {},
        "previous": "",
        "hash": "",
        **values,
    }
    connection.execute(insert(audit).values(row))


def _insert(connection: Connection, table: Any, row: dict[str, Any]) -> int:
    made: int = connection.execute(insert(table).values(row).returning(table.c.id)).scalar_one()
    return made
