"""The worklist: the day's orders by clinic and time, what became of each, and the studies that came without one."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal

from flask import render_template, request
from pydantic import Field

from relais.database import queries
from relais.domain.document import Document
from relais.domain.states import OrderState, StrayReason
from relais.texts import _
from relais.web.answers_worklist import OrderAnswer, StrayAnswer
from relais.web.api import worklist as api
from relais.web.composition import current_call
from relais.web.pages import display
from relais.web.pages.shell import clinic_name, language, pages, say, zone_of
from relais.web.permissions import Permission, requires
from relais.web.questions import Nothing
from relais.web.questions_worklist import OrderBody, OrderQuery, StrayQuery
from relais.web.requests import read_body, read_query

SHOWN = 500
"""Orders of a day that a page shows; a clinic's filter brings the others."""
STRAYS_SHOWN = 20
NEAR = 7
"""Days between a study and the order that it may be made for."""
MODALITIES = ("CR", "CT", "DX", "IO", "MG", "MR", "NM", "OT", "PT", "PX", "US", "XA")

TABS = (
    (None, _("All")),
    (OrderState.Scheduled, _("Scheduled")),
    (OrderState.InProgress, _("In progress")),
    (OrderState.Completed, _("Completed")),
    (OrderState.Expired, _("Expired")),
    (OrderState.Canceled, _("Canceled")),
)

STRAYS = {
    StrayReason.NoAccessionNumber: _("it has no accession number"),
    StrayReason.UnknownAccessionNumber: _("no order has its accession number"),
    StrayReason.AnotherClinic: _("the order of its accession number is another clinic's"),
    StrayReason.AnotherPatient: _("its images name somebody else than the order"),
    StrayReason.Canceled: _("its order was canceled"),
}

CAN: dict[OrderState, tuple[str, ...]] = {
    OrderState.Scheduled: ("cancel",),
    OrderState.InProgress: ("cancel",),
    OrderState.Expired: ("cancel",),
}
"""What a person may do to an order in each state."""


class WorklistQuery(Document):
    """Which day of which clinic."""

    day: date | None = Field(None, description="The day; today if not given.")
    clinic: str | None = Field(None, description="Key of a clinic.")
    state: OrderState | None = Field(None, description="Where the orders stand.")


class NewOrder(Document):
    """An order as a person types it."""

    accession_number: str = Field(max_length=16)
    clinic: str = Field("", max_length=64)
    crm_id: str = Field("", max_length=64)
    patient_name: str = Field("", max_length=200)
    patient_id: str = Field("", alias="PatientID", max_length=64)
    patient_birth_date: str = Field("", max_length=10)
    patient_sex: Literal["", "F", "M", "O"] = ""
    day: str = Field(max_length=10)
    time: str = Field("", max_length=8)
    station: str = Field("", max_length=16)
    modality: str = Field("", max_length=16)
    procedure: str = Field("", max_length=64)

    @property
    def order(self) -> OrderBody:
        """As the API takes it."""
        family, _comma, given = self.patient_name.partition(",")
        said = {
            "AccessionNumber": self.accession_number.strip(),
            "PatientName": "^".join(each.strip() for each in (family, given) if each.strip()),
            "PatientID": self.patient_id.strip(),
            "PatientBirthDate": self.patient_birth_date,
            "PatientSex": self.patient_sex,
            "ScheduledProcedureStepStartDate": self.day,
            "ScheduledProcedureStepStartTime": self.time,
            "ScheduledStationAETitle": self.station.strip(),
            "Modality": self.modality,
            "RequestedProcedureDescription": self.procedure.strip(),
        }
        known = {"Clinic": self.clinic or None, "CrmId": self.crm_id.strip() or None}
        return OrderBody.model_validate({**{key: value for key, value in said.items() if value}, **known})


@pages.get("/worklist")
@requires(Permission.ViewOrders)
def worklist() -> str:
    """The page; looking at orders is audited."""
    query = read_query(request, WorklistQuery)
    found = _now(query)
    if found["orders"]:
        api.record(current_call(), "orders.listed", Orders=[each.id for each in found["orders"]])
    return render_template("worklist.html", **found, modalities=MODALITIES)


@pages.get("/worklist-live")
@requires(Permission.ViewOrders)
def worklist_live() -> str:
    """The day as it is now."""
    return render_template("worklist-live.html", **_now(read_query(request, WorklistQuery)))


@pages.post("/worklist")
@requires(Permission.ChangeOrders)
def worklist_add() -> dict[str, Any]:
    """Add the order that a person typed."""
    answer = api.add(current_call(), read_body(request, NewOrder).order)
    return {"AccessionNumber": answer.accession_number, "Outcome": answer.outcome.value}


@pages.get("/worklist/<accession:AccessionNumber>")
@requires(Permission.ViewOrders)
def order(AccessionNumber: str) -> str:  # noqa: N803
    """One order; looking at it is audited."""
    read_query(request, Nothing)
    found = api.one(current_call(), AccessionNumber)
    return render_template("order.html", **_shown_one(found))


@pages.get("/worklist/<accession:AccessionNumber>/live")
@requires(Permission.ViewOrders)
def order_live(AccessionNumber: str) -> str:  # noqa: N803
    """Where it stands."""
    call = current_call()
    with call.relais.database.read() as connection:
        row = queries.worklist.one(connection, AccessionNumber, call.caller.clinics)
    return render_template("order-live.html", **_shown_one(OrderAnswer.of(row)) if row else {"order": None})


def _shown_one(found: OrderAnswer) -> dict[str, Any]:
    patient = current_call().caller.may(Permission.ViewPatients)
    return {"order": found, "clock": _clock(found), "can": CAN.get(found.state, ()), "patient": patient}


def _now(query: WorklistQuery) -> dict[str, Any]:
    call = current_call()
    scope = call.caller.clinics
    today = call.relais.clock.now().astimezone(zone_of(query.clinic)).date()
    day = query.day or today
    wanted = OrderQuery(day=day, clinic=query.clinic, state=query.state)
    with call.relais.database.read() as connection:
        rows = queries.worklist.by_time(connection, wanted.wanted, scope, SHOWN)
        counts = queries.worklist.counts(connection, OrderQuery(day=day, clinic=query.clinic).wanted, scope)
    orders = [OrderAnswer.of(row) for row in rows]
    kept = {"Day": query.day, "Clinic": query.clinic, "State": query.state}
    configuration = call.relais.configuration
    mine = [name for name in configuration.clinics if scope is None or name in scope]
    return {
        "query": query,
        "shown_day": day,
        "today": today,
        "before": day - timedelta(days=1),
        "after": day + timedelta(days=1),
        "headline": display.weekday(day, language()),
        "orders": orders,
        "clocks": {each.id: _clock(each) for each in orders},
        "full": len(orders) == SHOWN,
        "tabs": TABS,
        "counts": counts,
        "all": sum(counts.values()),
        "kept": {name: str(value) for name, value in kept.items() if value is not None},
        "clinics": [(name, clinic_name(name)) for name in mine],
        "strays": _strays(query.clinic) if call.caller.may(Permission.ViewStudies) else [],
        "why_stray": STRAYS,
        "can": CAN,
        "patient": call.caller.may(Permission.ViewPatients),
        "off": say("The worklist is switched off: no machine is answered.")
        if not configuration.worklist.enabled
        else "",
    }


def orders_for(clinic: str | None, received_at: datetime) -> list[tuple[str, str]]:
    """The orders that a study of a clinic may be made for: their accession numbers, and what a person knows them by.

    That they were looked at is audited.
    """
    call = current_call()
    day = received_at.astimezone(zone_of(clinic)).date()
    first, last = (f"{day + timedelta(days=apart):%Y%m%d}" for apart in (-NEAR, NEAR))
    with call.relais.database.read() as connection:
        rows = queries.worklist.awaited(connection, clinic, call.caller.clinics, first, last, SHOWN)
    patient = call.caller.may(Permission.ViewPatients)
    if rows:
        api.record(call, "orders.listed", Orders=[row["id"] for row in rows])
    return [(each.accession_number, _told(each, patient=patient)) for each in map(OrderAnswer.of, rows)]


def _told(order: OrderAnswer, *, patient: bool) -> str:
    said = order.order
    whom = display.person(said.get("PatientName")) if patient else ""
    parts = (
        display.day(order.day, language()),
        _clock(order),
        whom,
        said.get("RequestedProcedureDescription"),
        order.modality,
    )
    return " · ".join([*(part for part in parts if part), order.accession_number])


def _strays(clinic: str | None) -> list[StrayAnswer]:
    found: list[StrayAnswer] = api.strays(current_call(), StrayQuery(clinic=clinic, limit=STRAYS_SHOWN)).items
    return found


def _clock(order: OrderAnswer) -> str:
    """The time of the day as the clinic's clocks have it."""
    return f"{order.time[:2]}:{order.time[2:4]}" if len(order.time) >= 4 else order.time  # noqa: PLR2004 - HHMM
