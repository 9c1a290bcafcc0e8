"""The CRM's patients and their imports, as lists show them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, RowMapping, or_, select, true

from relais.database.patient_tables import patient, patient_import
from relais.database.queries.paging import Rows, Scope, page


def visible(scope: Scope) -> ColumnElement[bool]:
    """Whether a row of `patient` is one that the caller may see: their clinics' own, and those of all clinics."""
    return true() if scope is None else or_(patient.c.clinic.is_(None), patient.c.clinic.in_(sorted(scope)))


def find(connection: Connection, clinic: str | None, scope: Scope, before: int | None, limit: int) -> Rows:
    """Patients, the one that came last first; of one clinic, or of all."""
    statement = select(patient).where(visible(scope))
    if clinic is not None:
        statement = statement.where(patient.c.clinic == clinic)
    return page(connection, statement, patient.c.id, before, limit)


def imports(connection: Connection, actor: str | None, before: int | None, limit: int) -> Rows:
    """Imports, the newest first; those of one actor, or of everybody."""
    statement = select(patient_import)
    if actor is not None:
        statement = statement.where(patient_import.c.actor == actor)
    return page(connection, statement, patient_import.c.id, before, limit)


def one_import(connection: Connection, import_id: int) -> RowMapping | None:
    """One import."""
    statement = select(patient_import).where(patient_import.c.id == import_id)
    return connection.execute(statement).mappings().one_or_none()


def latest(connection: Connection, source: str) -> RowMapping | None:
    """The newest import from a FHIR server of this name."""
    statement = (
        select(patient_import)
        .where(patient_import.c.kind == "Fhir", patient_import.c.source == source)
        .order_by(patient_import.c.id.desc())
        .limit(1)
    )
    return connection.execute(statement).mappings().one_or_none()
