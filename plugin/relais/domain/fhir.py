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
    names = sorted(_objects(resource, "name"), key=lambda each: _RANK.get(_text(each, "use") or None, 3))
    main = next((each for each in names if (_text(each, "use") or None) in _RANK), None)
    others = [each for each in names if each is not main and _text(each, "use") != "anonymous"]
    telecom = _objects(resource, "telecom")
    places = sorted(_objects(resource, "address"), key=lambda each: _text(each, "use") in {"old", "temp", "billing"})
    birth_date = _text(resource, "birthDate")
    found: dict[str, Any] = {
        "CrmId": _text(resource, "id"),
        "Identifiers": [
            {"System": (systems or {}).get(_text(each, "system"), _text(each, "system")), "Value": value[:64]}
            for each in _objects(resource, "identifier")
            if (value := _text(each, "value"))
        ],
        **(_name(main) if main is not None else {}),
        "Names": [{"Use": _USES.get(_text(each, "use"), NameUse.Former).value, **_name(each)} for each in others],
        "BirthDate": birth_date if _DAY.fullmatch(birth_date) else None,
        "Sex": GENDERS.get(_text(resource, "gender"), ""),
        "Phones": [each for each in map(_phone, telecom) if each],
        "Emails": [_text(each, "value") for each in telecom if _text(each, "system") == "email"],
        **(_address(places[0]) if places else {}),
        "Clinic": clinic,
    }
    return {key: value for key, value in found.items() if value not in ("", [], None)}


def replaced_by(resource: Mapping[str, Any]) -> str | None:
    """The id of the Patient whose record this one turned out to be."""
    for each in _objects(resource, "link"):
        other = each.get("other")
        if _text(each, "type") == "replaced-by" and isinstance(other, Mapping):
            return _text(other, "reference").rpartition("Patient/")[2] or None
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
    return _without_empty({**found, "address": [place] if place else []})


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
    family = _text(name, "family")
    found = {"FamilyName": family, "GivenNames": given} if family or given else {"Name": _text(name, "text")}
    return {key: value[:LONGEST] for key, value in found.items() if value}


def _phone(telecom: Mapping[str, Any]) -> str:
    return _text(telecom, "value") if _text(telecom, "system") in {"phone", "sms"} else ""


def _address(place: Mapping[str, Any]) -> dict[str, str]:
    lines = [*_texts(place, "line"), _text(place, "city")]
    country, state = _text(place, "country").upper(), _text(place, "state").upper()
    region = f"CA-{state}" if country in {"", "CA", "CAN", "CANADA"} and re.fullmatch("[A-Z]{2}", state) else ""
    address = ", ".join(each for each in lines if each) or _text(place, "text")
    return {"Address": address[:LONGEST], "PostalCode": _text(place, "postalCode"), "Region": region}


def _objects(resource: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    several = resource.get(key)
    return [each for each in several[:MOST] if isinstance(each, Mapping)] if isinstance(several, Sequence) else []


def _texts(resource: Mapping[str, Any], key: str) -> list[str]:
    several = resource.get(key)
    return [each.strip() for each in several[:MOST] if isinstance(each, str)] if isinstance(several, list) else []


def _text(resource: Mapping[str, Any], key: str) -> str:
    value = resource.get(key)
    return value.strip() if isinstance(value, str) else ""


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value}
