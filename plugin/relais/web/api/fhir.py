"""FHIR R4 for other systems: Patient/$match (hl7.org/fhir/R4/patient-operation-match.html), and orders."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Response
from pydantic import ConfigDict, Field

from relais.domain.document import Document, Name, Problem, parse
from relais.domain.fhir import document_of, resource_of
from relais.domain.matching.decision import Grade, Judged
from relais.domain.patients import Patient, identity_of
from relais.web.answers import Answer
from relais.web.answers_worklist import OrderTaken
from relais.web.api.matches import clinic_of, record_asked
from relais.web.api.worklist import CONFLICT
from relais.web.composition import Call
from relais.web.errors import invalid
from relais.web.permissions import Permission
from relais.web.routes import Routes, json_answer

routes = Routes("/relais/v1/fhir")

FHIR = "application/fhir+json"
NOBODY = "asked"
"""Whom nobody has an id for yet: an id must stand there."""
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
GRADES = {
    Grade.Certain: "certain",
    Grade.Probable: "probable",
    Grade.Possible: "possible",
    Grade.CertainlyNot: "certainly-not",
}


class FhirParameter(Document):
    """One input of the operation."""

    model_config = ConfigDict(alias_generator=None, extra="ignore")

    name: str = Field(description="resource, onlyCertainMatches, count, or clinic (ours).", examples=["resource"])
    resource: dict[str, Any] | None = Field(None, description="The Patient.", examples=[{"resourceType": "Patient"}])
    value_boolean: bool | None = Field(None, alias="valueBoolean", description="Of a yes or no.", examples=[True])
    value_integer: int | None = Field(None, alias="valueInteger", description="Of a number.", examples=[3])
    value_string: Name | None = Field(None, alias="valueString", description="Of a text.", examples=["outremont"])


class FhirParameters(Document):
    """The FHIR resource Parameters with a Patient as far as it is known."""

    model_config = ConfigDict(alias_generator=None, extra="ignore")
    MEDIA: ClassVar[tuple[str, ...]] = (FHIR, "application/json")

    resource_type: str = Field(alias="resourceType", description="Parameters.", examples=["Parameters"])
    parameter: tuple[FhirParameter, ...] = Field(
        max_length=20,
        description="The Patient as `resource`; further inputs.",
        examples=[[{"name": "resource", "resource": {"resourceType": "Patient", "birthDate": "1984-05-17"}}]],
    )

    def of(self, name: str) -> FhirParameter | None:
        """The input of this name."""
        return next((each for each in self.parameter if each.name == name), None)


class FhirBundle(Answer):
    """The FHIR resource Bundle: the candidates, the likeliest first."""

    resource_type: str = Field("Bundle", alias="resourceType")
    type: str = Field("searchset", alias="type")
    total: int = Field(alias="total")
    entry: list[dict[str, Any]] = Field(
        alias="entry", description="Each with resource, and search: mode, score and the extension match-grade."
    )


@routes.post("/Patient/$match", Permission.ViewPatients, FhirBundle, body=FhirParameters)
def match(call: Call, body: FhirParameters) -> Response:
    """Who of the CRM's patients this is: at most three, each with its grade and score; nothing is kept."""
    given = body.of("resource")
    if body.resource_type != "Parameters":
        raise invalid([Problem("resourceType", "not-one-of", {"name": body.resource_type, "known": ["Parameters"]})])
    if given is None or given.resource is None or given.resource.get("resourceType") != "Patient":
        raise invalid([Problem("parameter", "fhir-without-patient")])
    named = body.of("clinic")
    clinic = clinic_of(call, named.value_string if named else None)
    systems = {
        uri: name
        for source in call.relais.configuration.patient_sources.values()
        for uri, name in source.systems.items()
    }
    asked = parse(Patient, {**document_of(given.resource, systems), "CrmId": NOBODY})
    parts = call.relais.matching
    with call.relais.database.read() as connection:
        found = parts.identify.whom(connection, identity_of(asked, call.relais.clock.now().date()), clinic)
        known = [(each, call.relais.patients.get(connection, each.crm_id)) for each in found.candidates]
    record_asked(call, found)
    only = body.of("onlyCertainMatches")
    certain_only = only is not None and only.value_boolean is True
    count = body.of("count")
    entries = [
        _entry(judged, patient)
        for judged, patient in known
        if patient is not None and (judged.grade is Grade.Certain or not certain_only)
    ]
    if count is not None and count.value_integer is not None:
        entries = entries[: max(0, count.value_integer)]
    answer = json_answer(FhirBundle, FhirBundle(total=len(entries), entry=entries))
    answer.content_type = f"{FHIR}; charset=utf-8"
    return answer


class FhirResource(Document):
    """A ServiceRequest, or an Appointment; what Relais does not know of it is not looked at."""

    model_config = ConfigDict(alias_generator=None, extra="allow")
    MEDIA: ClassVar[tuple[str, ...]] = (FHIR, "application/json")

    resource_type: str = Field(
        alias="resourceType", description="ServiceRequest or Appointment.", examples=["ServiceRequest"]
    )
    id: str | None = Field(None, description="The sender's own; needed without an identifier.", examples=["sr-17"])
    status: str = Field(description="Such as active, revoked; booked, cancelled.", examples=["active"])

    def resource(self, kind: str, **address: str) -> dict[str, Any]:
        """The resource; raises RefusedError where it is another one."""
        if self.resource_type != kind:
            names = {"name": self.resource_type, "known": [kind]}
            raise invalid([Problem("resourceType", "not-one-of", names)])
        if self.id is not None and address.get("id", self.id) != self.id:
            raise invalid([Problem("id", "id-differs")])
        own = {"resourceType": kind, "status": self.status, **({"id": self.id} if self.id else {})}
        return {**(self.model_extra or {}), **own, **address}


@routes.post("/ServiceRequest", Permission.ChangeOrders, OrderTaken, body=FhirResource, statuses=CONFLICT)
def request(call: Call, body: FhirResource) -> OrderTaken:
    """Make, change or cancel the order of this ServiceRequest, known by its id or its first identifier."""
    return _request(call, body.resource("ServiceRequest"))


@routes.put(
    "/ServiceRequest/<fhir:ResourceId>", Permission.ChangeOrders, OrderTaken, body=FhirResource, statuses=CONFLICT
)
def put_request(call: Call, ResourceId: str, body: FhirResource) -> OrderTaken:  # noqa: N803
    """The same, with the id in the address."""
    return _request(call, body.resource("ServiceRequest", id=ResourceId))


@routes.post("/Appointment", Permission.ChangeOrders, OrderTaken, body=FhirResource, statuses=CONFLICT)
def appointment(call: Call, body: FhirResource) -> OrderTaken:
    """Say when an order is, or make one: of the ServiceRequest that it is based on or contains, or of its own."""
    return _appointment(call, body.resource("Appointment"))


@routes.put("/Appointment/<fhir:ResourceId>", Permission.ChangeOrders, OrderTaken, body=FhirResource, statuses=CONFLICT)
def put_appointment(call: Call, ResourceId: str, body: FhirResource) -> OrderTaken:  # noqa: N803
    """The same, with the id in the address."""
    return _appointment(call, body.resource("Appointment", id=ResourceId))


def _request(call: Call, resource: dict[str, Any]) -> OrderTaken:
    found = call.relais.worklist.requests.request(resource, actor=call.caller.name, scope=call.caller.clinics)
    return OrderTaken.of(found)


def _appointment(call: Call, resource: dict[str, Any]) -> OrderTaken:
    found = call.relais.worklist.requests.appointment(resource, actor=call.caller.name, scope=call.caller.clinics)
    return OrderTaken.of(found)


def _entry(judged: Judged, patient: Patient) -> dict[str, Any]:
    grade = {"url": GRADE, "valueCode": GRADES[judged.grade]}
    search = {"extension": [grade], "mode": "match", "score": judged.posterior}
    return {"resource": resource_of(patient), "search": search}
