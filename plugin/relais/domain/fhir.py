"""Patients as FHIR R4 writes them (hl7.org/fhir/R4/patient.html), to and from the contract's patient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from relais.domain.patients import MOST, NameUse, Patient

GENDERS = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
"""AdministrativeGender, by PatientSex's words."""
LONGEST = 256

_USES = {
    "official": NameUse.Official,
    "usual": NameUse.Usual,
    "maiden": NameUse.Maiden,
    "old": NameUse.Former,
}
_RANK = {"official": 0, "usual": 1, None: 2}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def document_of(
    resource: Mapping[str, Any], systems: Mapping[str, str] | None = None, clinic: str | None = None
) -> dict[str, Any]:
    """A Patient resource as the document that `Patient` reads; what is malformed or not known there is left out.

    `systems` are the names of identifiers' systems by their URI, and a birth date that is not a whole day is none.
    """
    names = sorted(objects(resource, "name"), key=lambda each: _RANK.get(text_of(each, "use") or None, 3))
    main = next((each for each in names if (text_of(each, "use") or None) in _RANK), None)
    others = [each for each in names if each is not main and text_of(each, "use") != "anonymous"]
    telecom = objects(resource, "telecom")
    places = sorted(objects(resource, "address"), key=lambda each: text_of(each, "use") in {"old", "temp", "billing"})
    birth_date = text_of(resource, "birthDate")
    found: dict[str, Any] = {
        "CrmId": text_of(resource, "id"),
        "Identifiers": [
            {"System": (systems or {}).get(text_of(each, "system"), text_of(each, "system")), "Value": value[:64]}
            for each in objects(resource, "identifier")
            if (value := text_of(each, "value"))
        ],
        **(_name(main) if main is not None else {}),
        "Names": [{"Use": _USES.get(text_of(each, "use"), NameUse.Former).value, **_name(each)} for each in others],
        "BirthDate": birth_date if _DAY.fullmatch(birth_date) else None,
        "Sex": GENDERS.get(text_of(resource, "gender"), ""),
        "Phones": [each for each in map(_phone, telecom) if each],
        "Emails": [text_of(each, "value") for each in telecom if text_of(each, "system") == "email"],
        **(_address(places[0]) if places else {}),
        "Clinic": clinic,
        "Active": False if resource.get("active") is False else None,
    }
    return {key: value for key, value in found.items() if value not in ("", [], None)}


def replaced_by(resource: Mapping[str, Any]) -> str | None:
    """The id of the Patient whose record this one turned out to be."""
    for each in objects(resource, "link"):
        other = each.get("other")
        if text_of(each, "type") == "replaced-by" and isinstance(other, Mapping):
            return text_of(other, "reference").rpartition("Patient/")[2] or None
    return None


def resource_of(patient: Patient) -> dict[str, Any]:
    """The patient as a Patient resource."""
    found: dict[str, Any] = {
        "resourceType": "Patient",
        "id": patient.crm_id,
        "identifier": [_without_empty({"system": each.system, "value": each.value}) for each in patient.identifiers],
        "name": [_without_empty(each) for each in _names(patient)],
        "telecom": [
            *({"system": "phone", "value": each} for each in patient.phones),
            *({"system": "email", "value": each} for each in patient.emails),
        ],
        "gender": {"M": "male", "F": "female", "O": "other", "X": "other", "U": "unknown"}.get(patient.sex.value),
        "birthDate": None if patient.birth_date is None else patient.birth_date.isoformat(),
    }
    place = _without_empty({"text": patient.address, "postalCode": patient.postal_code})
    inactive = {} if patient.active else {"active": False}
    return _without_empty({**found, "address": [place] if place else []}) | inactive


def _names(patient: Patient) -> Iterator[dict[str, Any]]:
    if patient.family_name or patient.given_names or patient.name:
        given = patient.given_names.split()
        yield {"use": "official", "family": patient.family_name, "given": given, "text": patient.name}
    if patient.birth_name:
        yield {"use": "maiden", "family": patient.birth_name}
    uses = {NameUse.Official: "official", NameUse.Usual: "usual", NameUse.Former: "old"}
    for each in patient.names:
        given = each.given_names.split()
        yield {"use": uses.get(each.use, "maiden"), "family": each.family_name, "given": given, "text": each.name}


def _name(name: Mapping[str, Any]) -> dict[str, str]:
    given = " ".join(_texts(name, "given"))
    family = text_of(name, "family")
    found = {"FamilyName": family, "GivenNames": given} if family or given else {"Name": text_of(name, "text")}
    return {key: value[:LONGEST] for key, value in found.items() if value}


def _phone(telecom: Mapping[str, Any]) -> str:
    return text_of(telecom, "value") if text_of(telecom, "system") in {"phone", "sms"} else ""


def _address(place: Mapping[str, Any]) -> dict[str, str]:
    lines = [*_texts(place, "line"), text_of(place, "city")]
    country, state = text_of(place, "country").upper(), text_of(place, "state").upper()
    region = f"CA-{state}" if country in {"", "CA", "CAN", "CANADA"} and re.fullmatch("[A-Z]{2}", state) else ""
    address = ", ".join(each for each in lines if each) or text_of(place, "text")
    return {"Address": address[:LONGEST], "PostalCode": text_of(place, "postalCode"), "Region": region}


def objects(resource: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects of a list; what is malformed is left out."""
    several = resource.get(key)
    return [each for each in several[:MOST] if isinstance(each, Mapping)] if isinstance(several, Sequence) else []


def _texts(resource: Mapping[str, Any], key: str) -> list[str]:
    several = resource.get(key)
    return [each.strip() for each in several[:MOST] if isinstance(each, str)] if isinstance(several, list) else []


def text_of(resource: Mapping[str, Any], key: str) -> str:
    """A text; empty where there is none."""
    value = resource.get(key)
    return value.strip() if isinstance(value, str) else ""


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value}
