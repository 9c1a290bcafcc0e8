"""Orders as FHIR R4 writes them: ServiceRequest and Appointment (hl7.org/fhir/R4/servicerequest.html).

What is said is read, and what is not is left out: which of it an order needs is for `domain.orders` to say.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from relais.domain.document import DocumentError, Problem
from relais.domain.fhir import document_of, objects, text_of
from relais.domain.orders import START_DATE, START_TIME

IDENTIFIERS = {"ACSN": "AccessionNumber", "PLAC": "PlacerOrderNumberImagingServiceRequest"} | {
    "FILL": "FillerOrderNumberImagingServiceRequest"
}
"""DICOM keywords by the type of an identifier (HL7 table 0203)."""
PRIORITIES = {"routine": "ROUTINE", "urgent": "HIGH", "asap": "HIGH", "stat": "STAT"}
CODING_SCHEMES = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "http://www.ada.org/cdt": "CDT",
}
"""CodingSchemeDesignator (PS3.16 section 8) by the URI of a code system."""
MODALITIES = "http://dicom.nema.org/resources/ontology/DCM"
LONGEST_TEXT = 64


class Wish(StrEnum):
    """What a resource's status asks for."""

    Schedule = "Schedule"
    Cancel = "Cancel"
    Nothing = "Nothing"


REQUEST_STATUS: Mapping[str, Wish] = {
    "active": Wish.Schedule,
    "on-hold": Wish.Cancel,
    "revoked": Wish.Cancel,
    "entered-in-error": Wish.Cancel,
    "completed": Wish.Nothing,
}
"""draft and unknown are not orders yet."""
APPOINTMENT_STATUS: Mapping[str, Wish] = {
    **dict.fromkeys(("pending", "booked", "arrived", "checked-in"), Wish.Schedule),
    **dict.fromkeys(("cancelled", "noshow", "entered-in-error"), Wish.Cancel),
    "fulfilled": Wish.Nothing,
}
"""proposed and waitlist have no time yet."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a resource says: `document` has the DICOM keywords and CrmId, `start` the time if it says one.

    `request` is the id of the ServiceRequest that an Appointment is for; `places` are ids of Locations, of which one
    may be a clinic.
    """

    wish: Wish
    key: str
    document: Mapping[str, Any]
    start: date | datetime | None
    request: str | None = None
    places: tuple[str, ...] = ()

    def with_start(self, zone: ZoneInfo) -> dict[str, Any]:
        """The document with the start as the clinic's clocks have it."""
        if self.start is None:
            return dict(self.document)
        if not isinstance(self.start, datetime):
            return {**self.document, START_DATE: f"{self.start:%Y%m%d}"}
        local = self.start if self.start.tzinfo is None else self.start.astimezone(zone)
        return {**self.document, START_DATE: f"{local:%Y%m%d}", START_TIME: f"{local:%H%M%S}"}


def read_request(resource: Mapping[str, Any]) -> Asked:
    """A ServiceRequest; raises DocumentError."""
    status = _status(resource, REQUEST_STATUS)
    key = _key(resource)
    when = text_of(resource, "occurrenceDateTime")
    path = "occurrenceDateTime"
    period = resource.get("occurrencePeriod")
    if isinstance(period, Mapping):
        when, path = text_of(period, "start"), "occurrencePeriod.start"
    document = {
        **_common(resource, key),
        **_procedure(_object(resource, "code"), objects(resource, "orderDetail"), objects(resource, "category")),
        **_patient(resource, _object(resource, "subject")),
        "RequestedProcedurePriority": PRIORITIES.get(text_of(resource, "priority"), ""),
        "ReferringPhysicianName": text_of(_object(resource, "requester"), "display")[:LONGEST_TEXT],
        "ReasonForTheRequestedProcedure": _reason(resource),
        "RequestedProcedureComments": " ".join(text_of(each, "text") for each in objects(resource, "note")),
        "ScheduledStationAETitle": _ids(objects(resource, "performer"), "Device")[:1],
    }
    places = objects(resource, "locationReference")
    return Asked(
        wish=status,
        key=key,
        document=_filled(document),
        start=_moment(when, path) if when else None,
        places=tuple(_ids(places, "Location")),
    )


def read_appointment(resource: Mapping[str, Any]) -> Asked:
    """An Appointment, with its ServiceRequest where it contains that; raises DocumentError."""
    status = _status(resource, APPOINTMENT_STATUS)
    key = _key(resource)
    actors = [_object(each, "actor") for each in objects(resource, "participant")]
    patient = next((each for each in actors if "Patient/" in text_of(each, "reference")), {})
    based_on = [text_of(each, "reference") for each in objects(resource, "basedOn")]
    contained = next((each for each in based_on if each.startswith("#")), "")
    request = _contained(resource, contained)
    # What is contained has no status of its own that counts, and its id is a name inside this resource.
    whole = {**request, "status": "active", "id": key, "contained": resource.get("contained")}
    inner = read_request(whole).document if request else {}
    when = text_of(resource, "start")
    document = {
        **inner,
        **_filled(
            {
                **_common(resource, "" if inner else key),
                **_procedure({}, objects(resource, "serviceType"), objects(resource, "serviceCategory")),
                **_patient(resource, patient),
                "ScheduledProcedureStepDescription": text_of(resource, "description")[:LONGEST_TEXT],
                "CommentsOnTheScheduledProcedureStep": text_of(resource, "comment"),
                "ScheduledStationAETitle": _ids(actors, "Device")[:1],
            }
        ),
    }
    return Asked(
        wish=status,
        key=key,
        document=document,
        start=_moment(when, "start") if when else None,
        request=next((each.rpartition("/")[2] for each in based_on if "ServiceRequest/" in each), None),
        places=tuple(_ids(actors, "Location")),
    )


def accession_for(kind: str, key: str) -> str:
    """The accession number of a resource that has none: the same for the same resource, whoever asks and when."""
    digest = hashlib.sha256(f"{kind}/{key}".encode()).digest()
    return "F" + base64.b32encode(digest).decode()[:15]


def _status(resource: Mapping[str, Any], known: Mapping[str, Wish]) -> Wish:
    status = text_of(resource, "status")
    if status not in known:
        raise DocumentError([Problem("status", "not-one-of", {"name": status, "known": [*known]})])
    return known[status]


def _key(resource: Mapping[str, Any]) -> str:
    """The resource's id, or else its first identifier."""
    identifiers = (f"{text_of(each, 'system')}|{text_of(each, 'value')}" for each in objects(resource, "identifier"))
    key = text_of(resource, "id") or next((each for each in identifiers if not each.endswith("|")), "")
    if not key or len(key) > 200:  # noqa: PLR2004 - FHIR's ids have 64 characters, an identifier is longer
        raise DocumentError([Problem("id", "missing" if not key else "too-long", {"limit": 200})])
    return key


def _common(resource: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The identifiers; without an accession number, and with a key, one that is made of it."""
    found: dict[str, Any] = {}
    for each in objects(resource, "identifier"):
        for coding in objects(_object(each, "type"), "coding"):
            if keyword := IDENTIFIERS.get(text_of(coding, "code")):
                found[keyword] = text_of(each, "value")
    if key and "AccessionNumber" not in found:
        found["AccessionNumber"] = accession_for(text_of(resource, "resourceType"), key)
    return found


def _procedure(code: Mapping[str, Any], *others: Any) -> dict[str, Any]:
    concepts = [code, *(each for several in others for each in several)]
    codings = [coding for concept in concepts for coding in objects(concept, "coding")]
    modality = next((text_of(each, "code") for each in codings if _is_modality(each)), "")
    asked = next((each for each in codings if not _is_modality(each)), {})
    name = text_of(code, "text") or text_of(asked, "display") or next(iter(map(_named, concepts)), "")
    value = text_of(asked, "code")
    system = text_of(asked, "system")
    item = {
        "CodeValue": value,
        "CodingSchemeDesignator": CODING_SCHEMES.get(system, "99LOCAL"),
        "CodeMeaning": (text_of(asked, "display") or name or value)[:LONGEST_TEXT],
    }
    return {
        "Modality": modality,
        "RequestedProcedureDescription": name[:LONGEST_TEXT],
        "RequestedProcedureCodeSequence": [item] if value and len(value) <= 16 else [],  # noqa: PLR2004 - VR SH
    }


def _is_modality(coding: Mapping[str, Any]) -> bool:
    return text_of(coding, "system") == MODALITIES and bool(re.fullmatch("[A-Z]{2,16}", text_of(coding, "code")))


def _named(concept: Mapping[str, Any]) -> str:
    return text_of(concept, "text")


def _patient(resource: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, Any]:
    """The CRM's patient, or the one that the resource contains."""
    where = text_of(reference, "reference")
    if where.startswith("#"):
        said = document_of(_contained(resource, where))
        identifiers = said.get("Identifiers", [])
        named = "^".join((said.get("FamilyName", ""), said.get("GivenNames", ""))).strip("^")
        return {
            "PatientName": named or said.get("Name", ""),
            "PatientID": next((each["Value"] for each in identifiers), ""),
            "PatientBirthDate": said.get("BirthDate", ""),
            "PatientSex": said.get("Sex", "") if said.get("Sex") in ("M", "F", "O") else "",
        }
    crm_id = where.rpartition("Patient/")[2].partition("/")[0] if "Patient/" in where else ""
    return {"CrmId": crm_id or text_of(_object(reference, "identifier"), "value")}


def _reason(resource: Mapping[str, Any]) -> str:
    reasons = objects(resource, "reasonCode")
    said = (text_of(each, "text") or text_of(next(iter(objects(each, "coding")), {}), "display") for each in reasons)
    return next((each[:LONGEST_TEXT] for each in said if each), "")


def _moment(written: str, path: str) -> date | datetime:
    """A day, or a moment; without a zone it is the clinic's own time."""
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written):
            return date.fromisoformat(written)
        return datetime.fromisoformat(written)
    except ValueError:
        raise DocumentError([Problem(path, "bad-moment")]) from None


def _ids(references: list[Mapping[str, Any]], kind: str) -> list[str]:
    """The ids of what is referred to of this kind."""
    found = (text_of(each, "reference") for each in references)
    return [each.rpartition("/")[2] for each in found if f"{kind}/" in each]


def _contained(resource: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    wanted = reference.removeprefix("#")
    return next((each for each in objects(resource, "contained") if wanted and text_of(each, "id") == wanted), {})


def _object(resource: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = resource.get(key)
    return found if isinstance(found, Mapping) else {}


def _filled(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value not in ("", [], None)}
