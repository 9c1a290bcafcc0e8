"""FHIR's orders, in: a ServiceRequest or an Appointment makes, moves or cancels the order that it is known by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from relais.configuration import Configuration
from relais.database import Database
from relais.database.patient_tables import patient
from relais.domain.document import DocumentError, Problem
from relais.domain.fhir_orders import Asked, Wish, read_appointment, read_request
from relais.domain.orders import START_DATE, START_TIME
from relais.worklist.orders import Keys, Orders, Stored

TIMES = (START_DATE, START_TIME, "ScheduledProcedureStepEndDate", "ScheduledProcedureStepEndTime")

Scope = Collection[str] | None


class Requests:
    """Takes resources; the same one twice changes nothing."""

    def __init__(self, *, database: Database, configuration: Configuration, orders: Orders) -> None:
        self._database = database
        self._configuration = configuration
        self._orders = orders

    def request(self, resource: Mapping[str, Any], *, actor: str, scope: Scope) -> Stored | str | None:
        """Take a ServiceRequest; answers what is stored, the number of what was canceled, or None.

        One without a time of its own keeps that of its order, which an Appointment may have given. Raises
        DocumentError, StateError.
        """
        asked = read_request(resource)
        keys = Keys(request=asked.key)
        if asked.wish is not Wish.Schedule:
            return self._end(asked, keys, actor=actor, scope=scope)
        before = self._before(keys, scope)
        document = dict(asked.document)
        if asked.start is None:
            if before is None:
                raise DocumentError([Problem("occurrenceDateTime", "missing")])
            document |= {key: before.document[key] for key in TIMES if key in before.document}
        return self._put(asked, document, keys, before, actor=actor, scope=scope)

    def appointment(self, resource: Mapping[str, Any], *, actor: str, scope: Scope) -> Stored | str | None:
        """Take an Appointment: of an order that is known, it says when and where; else it is the order itself."""
        asked = read_appointment(resource)
        keys = Keys(appointment=asked.key)
        if asked.wish is not Wish.Schedule:
            return self._end(asked, keys, actor=actor, scope=scope)
        if asked.start is None:
            raise DocumentError([Problem("start", "missing")])
        before = self._before(keys, scope)
        if asked.request is not None:
            before = self._before(Keys(request=asked.request), scope) or before
        document = dict(asked.document)
        if before is not None:
            kept = {key: value for key, value in before.document.items() if key not in TIMES}
            mine = "AccessionNumber" if asked.request is not None else ""
            document = {**kept, **{key: value for key, value in document.items() if key != mine}}
        elif asked.request is not None and not document.get("RequestedProcedureDescription"):
            raise DocumentError([Problem("basedOn", "no-such-order", {"name": asked.request})])
        return self._put(asked, document, keys, before, actor=actor, scope=scope)

    def _put(
        self, asked: Asked, document: dict[str, Any], keys: Keys, before: Any, *, actor: str, scope: Scope
    ) -> Stored:
        crm_id = document.get("CrmId") or (before.crm_id if before is not None else None)
        clinic = self._clinic(asked, crm_id, before, scope)
        known = self._configuration.clinics.get(clinic or "")
        zone = ZoneInfo(known.time_zone if known else "UTC")
        start = asked.with_start(zone)
        given = {**document, **{key: start[key] for key in (START_DATE, START_TIME) if key in start}}
        if before is not None:
            given["StudyInstanceUID"] = before.study_instance_uid
        order = self._orders.read({**given, "CrmId": crm_id, "Clinic": clinic}, scope=scope)
        return self._orders.put(order, actor=actor, scope=scope, revive=True, keys=keys)

    def _end(self, asked: Asked, keys: Keys, *, actor: str, scope: Scope) -> str | None:
        if asked.wish is Wish.Nothing:
            return None
        return self._orders.cancel_by_key(keys, actor=actor, reason="", scope=scope)

    def _before(self, keys: Keys, scope: Scope) -> Any:
        with self._database.read() as connection:
            return self._orders.by_key(connection, keys, scope)

    def _clinic(self, asked: Asked, crm_id: str | None, before: Any, scope: Scope) -> str | None:
        """The clinic that is named as a place, that of the order, the caller's only one, or the patient's own."""
        clinics = self._configuration.clinics
        named = [each for each in asked.places if each in clinics]
        if named:
            return named[0]
        if before is not None:
            found: str | None = before.clinic
            return found
        mine = sorted(clinics if scope is None else set(scope) & set(clinics))
        if len(mine) == 1 or not mine or crm_id is None:
            return mine[0] if len(mine) == 1 else None
        with self._database.read() as connection:
            own = connection.execute(select(patient.c.clinic).where(patient.c.crm_id == crm_id)).scalar()
        return own if own in mine else None
