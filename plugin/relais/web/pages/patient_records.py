"""What follows when records of patients are merged, taken apart or forgotten: told before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flask import render_template, request
from pydantic import Field, model_validator
from sqlalchemy import Connection

from relais.database import queries
from relais.domain.document import Document, fault
from relais.domain.patients import CrmId, Patient
from relais.web.composition import current_call
from relais.web.pages import display
from relais.web.pages.beside import name_of
from relais.web.pages.shell import count, language, pages, say
from relais.web.permissions import Permission, requires
from relais.web.requests import read_body


class RecordChange(Document):
    """One of the three."""

    merge: CrmId | None = Field(None, description="Into which record.")
    unmerge: Literal[True] | None = Field(None, description="To be a patient of its own again.")
    forget: Literal[True] | None = Field(None, description="To be forgotten.")

    @model_validator(mode="after")
    def _one(self) -> RecordChange:
        if sum(each is not None for each in (self.merge, self.unmerge, self.forget)) != 1:
            raise fault("missing")
        return self


@pages.post("/patients/<crm:CrmId>/consequences")
@requires(Permission.ChangePatients)
def patient_consequences(CrmId: str) -> str:  # noqa: N803
    """What would follow; nothing is changed."""
    body = read_body(request, RecordChange)
    with current_call().relais.database.read() as connection:
        if body.merge is not None:
            sentences = _merging(connection, CrmId, body.merge)
        elif body.unmerge:
            sentences = _unmerging(connection, CrmId)
        else:
            sentences = _forgetting(connection, CrmId)
    return render_template("consequences.html", sentences=sentences)


def merged_into(connection: Connection, crm_id: str) -> Sequence[Mapping[str, Any]]:
    """The records that were merged into this one, each as itself."""
    others = current_call().relais.patients.all_of(connection, crm_id)[1:]
    return [_shown(_itself(connection, each)) for each in others]


def _merging(connection: Connection, crm_id: str, into: str) -> list[str]:
    one, other = _itself(connection, crm_id), _itself(connection, into)
    told = [say("{name} is found as {other} from now on, by the names and numbers of both.", **_names(one, other))]
    if amount := _studies(connection, crm_id):
        told.append(
            count(
                "{count} study is shown with {other} as well.",
                "{count} studies are shown with {other} as well.",
                amount,
                **_names(one, other),
            )
        )
    if one.birth_date and other.birth_date and one.birth_date != other.birth_date:
        days = {"one": _day(one), "other": _day(other)}
        told.insert(0, say("Take care: one was born on {one}, the other on {other}.", **days))
    return [*told, say("It can be taken back here at any time.")]


def _unmerging(connection: Connection, crm_id: str) -> list[str]:
    record = _itself(connection, crm_id)
    return [
        say("{name} is a patient of their own again.", **_names(record, record)),
        count(
            "{count} study that was matched with this record goes with it.",
            "{count} studies that were matched with this record go with it.",
            _studies(connection, crm_id),
        ),
        say("What was matched with the other record stays there."),
    ]


def _forgetting(connection: Connection, crm_id: str) -> list[str]:
    _itself(connection, crm_id)
    others = len(current_call().relais.patients.all_of(connection, crm_id)) - 1
    told = [say("The record goes, and all by which it was found. This cannot be undone.")]
    if others:
        told.append(
            count(
                "{count} record that was merged into it goes as well.",
                "{count} records that were merged into it go as well.",
                others,
            )
        )
    return [
        *told,
        count(
            "{count} study stays, belongs to nobody, and is identified again.",
            "{count} studies stay, belong to nobody, and are identified again.",
            _studies(connection, crm_id),
        ),
        say("What was sent stays where it is. The CRM may give the patient again."),
    ]


def _itself(connection: Connection, crm_id: str) -> Patient:
    """The record of this CrmId itself, even where it was merged; raises UnknownError."""
    call = current_call()
    return Patient.model_validate(call.relais.patients.row(connection, crm_id, call.caller.clinics).document)


def _studies(connection: Connection, crm_id: str) -> int:
    call = current_call()
    return queries.studies.count_of_patient(
        connection, call.relais.patients.all_of(connection, crm_id), call.caller.clinics
    )


def _names(one: Patient, other: Patient) -> dict[str, str]:
    return {"name": f"{name_of(one)} ({one.crm_id})".strip(), "other": f"{name_of(other)} ({other.crm_id})".strip()}


def _day(patient: Patient) -> str:
    return display.day(str(patient.birth_date or ""), language())


def _shown(patient: Patient) -> Mapping[str, Any]:
    return {"crm_id": patient.crm_id, "name": name_of(patient), "birth_date": str(patient.birth_date or "")}
