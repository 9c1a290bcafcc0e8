"""The CRM's patients and what studies say of theirs, made directly: for tests of matching and review."""

from typing import Any

from sqlalchemy import Connection, insert, select, update

from relais.database.patient_tables import patient, patient_key, patient_name
from relais.database.tables import study
from relais.domain.asked import demographics
from relais.domain.document import parse
from relais.domain.facts import Facts
from relais.domain.matching.keys import keys_of
from relais.domain.patients import Patient, identity_of, parts_of
from relais.patient_index import FAMILY, GIVEN, PATIENTS, hashed
from relais.reading import Known
from tests.servers.clock import FakeClock
from tests.servers.rows import START, add_study

ZOE = {
    "CrmId": "C-1",
    "FamilyName": "Gagné",
    "GivenNames": "Zoé",
    "BirthDate": "1984-05-17",
    "Sex": "F",
    "Phones": ["514 555-0142"],
    "PostalCode": "H2V 1G8",
    "Region": "CA-QC",
    "Labels": ["orthodontics"],
}
TWIN = {**ZOE, "CrmId": "C-2", "GivenNames": "Chloé"}
TAGS = {
    "0010,0010": "GAGNE^ZOE",
    "0010,0020": "P-77",
    "0010,0021": "CLINIC",
    "0010,0030": "19840517",
    "0010,0040": "F",
    "0010,2154": "5145550142",
}
"""What an image of Zoé says, as Orthanc answers `tags?short`."""


def add_patient(connection: Connection, document: dict[str, Any], clock: FakeClock) -> int:
    """A patient with their keys and name counts; answers the row's id."""
    given = parse(Patient, document)
    identity = identity_of(given, clock.now().date())
    values = {"crm_id": given.crm_id, "clinic": given.clinic, "document": given.document(), "changed_at": START}
    made: int = connection.execute(insert(patient).values(values).returning(patient.c.id)).scalar_one()
    keys = [{"key": key, "patient_id": made} for key in hashed(keys_of(identity))]
    connection.execute(insert(patient_key), keys)
    family, given_parts = parts_of(identity)
    _count(connection, [(PATIENTS, ""), *((FAMILY, each) for each in family), *((GIVEN, each) for each in given_parts)])
    return made


def add_namesakes(connection: Connection, amount: int, clock: FakeClock) -> None:
    """So many other people, of whom nobody is like another: a CRM is not empty."""
    for number in range(amount):
        letters = "".join(chr(ord("A") + int(digit)) for digit in str(1000 + number))
        document = {
            "CrmId": f"N-{number}",
            "FamilyName": f"Nord{letters}",
            "GivenNames": f"Sud{letters}",
            "BirthDate": f"{1930 + number % 60}-{number % 12 + 1:02}-{number % 28 + 1:02}",
        }
        add_patient(connection, document, clock)


def add_asked_study(connection: Connection, *, clinic: str | None = "outremont", **values: Any) -> int:
    """A complete study of Zoé; answers its id."""
    return add_study(connection, state="Complete", clinic=clinic, patient_name="GAGNE^ZOE", **values)


def known(*answers: dict[str, Any], clinic: str | None = "outremont") -> Known:
    """What is read of a study whose series answer so."""
    said = answers or (TAGS,)
    return Known(
        facts=Facts(clinic=clinic, clinic_region="CA-QC" if clinic else None),
        clinic_reason={},
        tags={},
        patients=tuple(demographics(each) for each in said),
    )


def change_patient(connection: Connection, crm_id: str, **document: Any) -> None:
    """Say something else of a patient, without new keys."""
    before = connection.execute(select(patient.c.document).where(patient.c.crm_id == crm_id)).scalar_one()
    connection.execute(update(patient).where(patient.c.crm_id == crm_id).values(document={**before, **document}))


def row_of(connection: Connection, study_id: int) -> Any:
    """The study's row."""
    return connection.execute(select(study).where(study.c.id == study_id)).one()


def _count(connection: Connection, parts: list[tuple[str, str]]) -> None:
    for side, part in parts:
        where = (patient_name.c.side == side, patient_name.c.part == part)
        if not connection.execute(
            update(patient_name).where(*where).values(patients=patient_name.c.patients + 1)
        ).rowcount:
            connection.execute(insert(patient_name).values(side=side, part=part, patients=1))
