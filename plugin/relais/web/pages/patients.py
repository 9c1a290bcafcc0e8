"""The CRM's patients: looked for, and one of them with all that is theirs."""

from __future__ import annotations

from flask import render_template, request

from relais.domain.states import ImportKind
from relais.texts import _
from relais.web.api.patients import imports
from relais.web.composition import current_call
from relais.web.pages.beside import about, name_of
from relais.web.pages.find_patient import studies_of, visible_patient
from relais.web.pages.patient_records import merged_into
from relais.web.pages.shell import pages
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing, Paging
from relais.web.requests import read_query

STUDIES_SHOWN = 100
IMPORTS_SHOWN = 12

KINDS = {
    ImportKind.Upload: _("Sent in pieces"),
    ImportKind.File: _("A file of the server"),
    ImportKind.Fhir: _("A FHIR server"),
    ImportKind.Index: _("Keys made anew"),
}


@pages.get("/patients")
@requires(Permission.ViewPatients)
def patients() -> str:
    """The page: nobody is shown who was not looked for."""
    read_query(request, Nothing)
    return render_template("patients.html", **_imports())


@pages.get("/patients-live")
@requires(Permission.ViewPatients)
def patients_live() -> str:
    """How far the imports are."""
    return render_template("patients-imports.html", **_imports())


def _imports() -> dict[str, object]:
    """The latest imports, for those who may import; and how many patients there are."""
    call = current_call()
    shown = imports(call, Paging(limit=IMPORTS_SHOWN)).items if call.caller.may(Permission.ChangePatients) else []
    with call.relais.database.read() as connection:
        amount = call.relais.patients.count(connection)
    return {"imports": shown, "kinds": KINDS, "amount": amount}


@pages.get("/patients/<crm:CrmId>")
@requires(Permission.ViewPatients)
def patient(CrmId: str) -> str:  # noqa: N803
    """One patient; looking at them is audited."""
    read_query(request, Nothing)
    call = current_call()
    with call.relais.database.read() as connection:
        found = visible_patient(connection, CrmId)
        studies = studies_of(connection, found.crm_id, STUDIES_SHOWN)
        merged = merged_into(connection, found.crm_id)
    with call.relais.database.write() as connection:
        call.relais.journal.record(connection, "patient.viewed", actor=call.caller.name, CrmId=found.crm_id)
    return render_template(
        "patient.html",
        crm_id=found.crm_id,
        asked_for=CrmId,
        name=name_of(found),
        lines=about(found),
        labels=found.labels,
        active=found.active,
        studies=studies,
        merged=merged,
    )
