"""Looking for one of the CRM's patients: by name and birth date, or by a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import render_template, request
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from relais.database import queries
from relais.domain.asked import Demographics
from relais.domain.document import Document
from relais.domain.patients import CrmId, Patient
from relais.web.composition import current_call
from relais.web.errors import not_found
from relais.web.pages.beside import name_of
from relais.web.pages.shell import clinic_name, pages
from relais.web.permissions import Permission, requires
from relais.web.questions import Key
from relais.web.requests import read_body

MOST = 12
"""People that are found at once: whoever looks says more, or takes the number."""


class Finding(Document):
    """What is known of somebody, as a person types it; the last three tell for what they look."""

    name: str = Field("", max_length=200, description="A name, in whatever order.")
    birth_date: str = Field("", pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="When they were born.")
    number: str = Field("", max_length=64, description="A health card's, a telephone's or the CRM's number.")
    review: Key | None = Field(None, description="Beside the images of which review they are looked for.")
    study_instance_uid: str | None = Field(
        None, alias="StudyInstanceUID", pattern=r"^[0-9.]{1,64}$", description="To be linked with which study."
    )
    merges: CrmId | None = Field(None, description="Whose record is to be merged into theirs.")


@pages.post("/patients/find")
@requires(Permission.ViewPatients)
def patients_find() -> str:
    """Patients who may be meant: a POST, because what names a patient never stands in an address."""
    body = read_body(request, Finding)
    call = current_call()
    with call.relais.database.read() as connection:
        found = [_shown(each) for each in _found(connection, body) if each.crm_id != body.merges]
    if found:
        with call.relais.database.write() as connection:
            listed = [each["crm_id"] for each in found]
            call.relais.journal.record(connection, "patients.listed", actor=call.caller.name, Patients=listed)
    asked = any((body.name, body.birth_date, body.number))
    too_little = bool(body.name) and not (body.birth_date or body.number)
    return render_template("patients-found.html", found=found, body=body, asked=asked, too_little=too_little)


def visible_patient(connection: Connection, crm_id: str) -> Patient:
    """The patient, or whom they became; raises RefusedError (404) when there is none that the caller may see."""
    call = current_call()
    found = call.relais.patients.get(connection, crm_id, call.caller.clinics)
    if found is None:
        raise not_found("patient", crm_id)
    return found


def studies_of(
    connection: Connection, crm_id: str, limit: int, *, other_than: int | None = None
) -> Sequence[RowMapping]:
    """The studies that are this patient's, the one that arrived last first."""
    call = current_call()
    crm_ids = call.relais.patients.all_of(connection, crm_id)
    rows = queries.studies.of_patient(connection, crm_ids, call.caller.clinics, None, limit + 1)
    return [row for row in rows if row["id"] != other_than][:limit]


def _found(connection: Connection, body: Finding) -> Iterable[Patient]:
    """By the number itself, and by all that a study with these attributes would be matched by."""
    call = current_call()
    scope = call.caller.clinics
    tags = {
        "PatientName": body.name,
        "PatientBirthDate": body.birth_date.replace("-", ""),
        "PatientID": body.number,
        "PatientTelephoneNumbers": body.number,
    }
    said = Demographics(tags={keyword: value for keyword, value in tags.items() if value})
    ids = {body.number.strip(): None} if body.number.strip() else {}
    for clinic in [None] if scope is None else sorted(scope):
        question, answer = call.relais.matching.identify.question(connection, said, clinic)
        ids |= dict.fromkeys(each.crm_id for each in answer.candidates)
        ids |= dict.fromkeys(each.crm_id for each in question.candidates)
    seen = 0
    for crm_id in ids:
        patient = call.relais.patients.get(connection, crm_id, scope)
        if patient is not None and seen < MOST:
            seen += 1
            yield patient


def _shown(patient: Patient) -> Mapping[str, Any]:
    return {
        "crm_id": patient.crm_id,
        "name": name_of(patient),
        "birth_date": str(patient.birth_date or ""),
        "clinic": clinic_name(patient.clinic),
    }
