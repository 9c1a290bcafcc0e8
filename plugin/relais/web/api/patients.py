"""The CRM's patients: one by one, in bulk, merged and forgotten."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping

from relais.database import queries
from relais.domain.document import Problem
from relais.patient_lines import read_patient
from relais.web.answers import DeliveryAnswer, Done, Page, StudyAnswer, page_of
from relais.web.answers_patient import (
    CrmPatientAnswer,
    ImportAnswer,
    ImportBegun,
    PatientForgotten,
    PatientPut,
    PieceTaken,
)
from relais.web.composition import Call
from relais.web.errors import RefusedError, invalid, not_found
from relais.web.permissions import Permission
from relais.web.questions import Command, Nothing, Paging
from relais.web.questions_patient import ImportCommand, Lines, Merging, PatientBody, PatientQuery
from relais.web.routes import Routes

routes = Routes("/relais/v1/patients")

ONE = "/<crm:CrmId>"
IMPORT = "/imports/<id:Id>"
MISSING = {404: "No such patient that the caller may see."}
OVER = {404: "No such import of the caller's.", 409: "It is over, or lines before are missing."}


@routes.get("", Permission.ViewPatients, Page[CrmPatientAnswer], query=PatientQuery)
def find(call: Call, query: PatientQuery) -> Page[CrmPatientAnswer]:
    """The CRM's patients, the one that came last first; looking at them is audited."""
    with call.relais.database.read() as connection:
        scope = call.caller.clinics
        rows = queries.patients.find(connection, query.clinic, scope, query.before, query.limit)
    if rows:
        _record(call, "patients.listed", Patients=[row["crm_id"] for row in rows])
    return page_of(rows, query.limit, CrmPatientAnswer.of)


@routes.get("/imports", Permission.ChangePatients, Page[ImportAnswer], query=Paging)
def imports(call: Call, query: Paging) -> Page[ImportAnswer]:
    """Imports of patients, the newest first: everybody's for callers of all clinics, else one's own."""
    actor = None if call.caller.clinics is None else call.caller.name
    with call.relais.database.read() as connection:
        rows = queries.patients.imports(connection, actor, query.before, query.limit)
    return page_of(rows, query.limit, lambda row: ImportAnswer.of(row, call.texts))


@routes.post(
    "/imports",
    Permission.ChangePatients,
    ImportBegun,
    body=ImportCommand,
    statuses={404: "No such file or source.", 409: "The configuration names no folder of patients."},
)
def begin(call: Call, body: ImportCommand) -> ImportBegun:
    """Begin an import: of a file, from a FHIR server, or, with `{}`, of lines that follow in pieces."""
    if body.file is None and body.source is None:
        return ImportBegun(Import=call.relais.patient_imports.begin(actor=call.caller.name))
    if call.caller.clinics is not None:
        raise RefusedError(403, "Files and servers may be imported by callers of all clinics only")
    if body.source is not None:
        return ImportBegun(Import=call.relais.patient_pull.begin(body.source, actor=call.caller.name))
    return ImportBegun(Import=call.relais.patient_imports.begin_file(body.file or "", actor=call.caller.name))


@routes.get(IMPORT, Permission.ChangePatients, ImportAnswer)
def progress(call: Call, Id: int) -> ImportAnswer:  # noqa: N803
    """Where an import stands, with the first lines that were refused, and why."""
    with call.relais.database.read() as connection:
        return ImportAnswer.of(_visible_import(connection, call, Id), call.texts)


@routes.post(IMPORT + "/lines/<id:Line>", Permission.ChangePatients, PieceTaken, body=Lines, statuses=OVER)
def piece(call: Call, Id: int, Line: int, body: Lines) -> PieceTaken:  # noqa: N803
    """Take a piece, the first line of which has the number Line; the first of all is 1.

    All of it is stored, or nothing; a bad line is reported, and the others are stored. A piece that was taken already
    is taken as done, so that it may be sent again after a failure.
    """
    _check_import(call, Id)
    scope = call.caller.clinics
    return PieceTaken(next_line=call.relais.patient_imports.piece(Id, Line, body.text, scope=scope))


@routes.post(IMPORT + "/complete", Permission.ChangePatients, Done, body=Nothing, statuses=OVER)
def complete(call: Call, Id: int, body: Nothing) -> Done:  # noqa: ARG001, N803
    """There are no more pieces."""
    _check_import(call, Id)
    call.relais.patient_imports.complete(Id)
    return Done()


@routes.post(IMPORT + "/cancel", Permission.ChangePatients, Done, body=Nothing, statuses=OVER)
def cancel(call: Call, Id: int, body: Nothing) -> Done:  # noqa: ARG001, N803
    """Take no more of it; what was stored stays."""
    _check_import(call, Id)
    call.relais.patient_imports.cancel(Id)
    return Done()


@routes.post("/bulk", Permission.ChangePatients, ImportAnswer, body=Lines)
def bulk(call: Call, body: Lines) -> ImportAnswer:
    """Store many patients, one a line: an import in one piece, of 4 MB at most; bad lines are reported."""
    scope = call.caller.clinics
    import_id = call.relais.patient_imports.whole(body.text, actor=call.caller.name, scope=scope)
    with call.relais.database.read() as connection:
        return ImportAnswer.of(_visible_import(connection, call, import_id), call.texts)


@routes.get(ONE, Permission.ViewPatients, CrmPatientAnswer)
def show(call: Call, CrmId: str) -> CrmPatientAnswer:  # noqa: N803
    """One patient as the CRM gave it; looking at it is audited."""
    with call.relais.database.read() as connection:
        row = call.relais.patients.row(connection, CrmId, call.caller.clinics)
    _record(call, "patient.viewed", CrmId=CrmId)
    return CrmPatientAnswer.of(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it


@routes.put(
    ONE, Permission.ChangePatients, PatientPut, body=PatientBody, statuses={409: "Another clinic has this CrmId."}
)
def put(call: Call, CrmId: str, body: PatientBody) -> PatientPut:  # noqa: N803
    """Add a patient, or replace all that is known of one; what waits for a match is asked again."""
    if body.crm_id not in (None, CrmId):
        raise invalid([Problem("CrmId", "crm-id-differs")])
    terms = call.relais.patient_imports.terms(call.caller.clinics)
    patient = read_patient({**body.document(), "CrmId": CrmId}, terms)
    return PatientPut(outcome=call.relais.patients.put(patient, actor=call.caller.name, scope=call.caller.clinics))


@routes.delete(ONE, Permission.ChangePatients, PatientForgotten, statuses=MISSING)
def forget(call: Call, CrmId: str) -> PatientForgotten:  # noqa: N803
    """Forget a patient: the record, those merged into it, and the evidence of every match that names it.

    The patient's studies stay, and are identified again.
    """
    scope = call.caller.clinics
    return PatientForgotten(
        forgotten=call.relais.patients.forget(CrmId, actor=call.caller.name, reason="", scope=scope)
    )


@routes.post(ONE + "/forget", Permission.ChangePatients, PatientForgotten, body=Command, statuses=MISSING)
def forget_because(call: Call, CrmId: str, body: Command) -> PatientForgotten:  # noqa: N803
    """The same as DELETE, with the reason, which the audit keeps."""
    scope = call.caller.clinics
    gone = call.relais.patients.forget(CrmId, actor=call.caller.name, reason=body.reason, scope=scope)
    return PatientForgotten(forgotten=gone)


@routes.post(
    ONE + "/merge",
    Permission.ChangePatients,
    Done,
    body=Merging,
    statuses={409: "One of them was merged before, or they are of different clinics."},
)
def merge(call: Call, CrmId: str, body: Merging) -> Done:  # noqa: N803
    """This record is another patient's: from now on it is found as that one."""
    scope = call.caller.clinics
    call.relais.patients.merge(CrmId, body.into, actor=call.caller.name, reason=body.reason, scope=scope)
    return Done()


@routes.post(
    ONE + "/unmerge", Permission.ChangePatients, Done, body=Command, statuses={409: "The record was not merged."}
)
def unmerge(call: Call, CrmId: str, body: Command) -> Done:  # noqa: N803
    """This record is a patient of its own again."""
    scope = call.caller.clinics
    call.relais.patients.unmerge(CrmId, actor=call.caller.name, reason=body.reason, scope=scope)
    return Done()


@routes.get(ONE + "/studies", Permission.ViewPatients, Page[StudyAnswer], query=Paging)
def studies(call: Call, CrmId: str, query: Paging) -> Page[StudyAnswer]:  # noqa: N803
    """The studies that are matched with the patient, or with a record merged into it; the last to arrive first."""
    scope = call.caller.clinics
    with call.relais.database.read() as connection:
        call.relais.patients.row(connection, CrmId, scope)
        crm_ids = call.relais.patients.all_of(connection, CrmId)
        rows = queries.studies.of_patient(connection, crm_ids, scope, query.before, query.limit)
        deliveries = queries.deliveries.of_studies(connection, [row["id"] for row in rows])
    _record(call, "patient.studies-viewed", CrmId=CrmId, Studies=len(rows))

    def answer(row: RowMapping) -> StudyAnswer:
        mine = [DeliveryAnswer.of(each) for each in deliveries.get(row["id"], ())]
        return StudyAnswer.of(row, mine, patient=True)

    return page_of(rows, query.limit, answer)


def _record(call: Call, action: str, **detail: Any) -> None:
    with call.relais.database.write() as connection:
        call.relais.journal.record(connection, action, actor=call.caller.name, **detail)


def _check_import(call: Call, import_id: int) -> None:
    with call.relais.database.read() as connection:
        _visible_import(connection, call, import_id)


def _visible_import(connection: Connection, call: Call, import_id: int) -> RowMapping:
    row = queries.patients.one_import(connection, import_id)
    if row is None or not (call.caller.clinics is None or row["actor"] == call.caller.name):
        raise not_found("import", import_id)
    return row
