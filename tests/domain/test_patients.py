"""Patients of the CRM as documents, as people to compare, as facts for rules, and as FHIR has them."""

from datetime import date
from typing import Any

import pytest

from relais.domain.document import DocumentError, References, parse
from relais.domain.fhir import document_of, replaced_by, resource_of
from relais.domain.matching.identifiers import Identifier
from relais.domain.matching.identity import Identity
from relais.domain.patients import NOBODY, Patient, facts_of, identity_of, problems_of, together

TODAY = date(2026, 4, 1)
WHOLE: dict[str, Any] = {
    "CrmId": "C-1001",
    "Identifiers": [{"System": "RAMQ", "Value": "TREM 8051 0112"}, {"System": "CA-ON", "Value": "1234567897 AB"}],
    "FamilyName": "Tremblay-Gagnon",
    "GivenNames": "Marie-Ève",
    "BirthName": "Côté",
    "Names": [{"Use": "Former", "Name": "Roy, Marie-Ève"}],
    "BirthDate": "1980-01-01",
    "Sex": "F",
    "Phones": ["+1 (514) 555-0199", "n/a"],
    "Emails": ["marie@example.org"],
    "Address": "12, rue de l'Église, Laval",
    "PostalCode": "h7a 1a2",
    "Region": "CA-QC",
    "Clinic": "outremont",
    "Labels": ["orthodontics"],
}


def person(**document: Any) -> Identity:
    return identity_of(parse(Patient, {"CrmId": "C-1", **document}), TODAY)


def families(identity: Identity) -> set[tuple[str, ...]]:
    return {name.family for name in identity.names}


def test_a_patient_is_kept_as_it_was_given() -> None:
    patient = parse(Patient, WHOLE, References(clinics=frozenset({"outremont"})))
    assert patient.document() == WHOLE
    assert Patient.model_validate(patient.document()) == patient
    assert parse(Patient, {"CrmId": "C-1", "Sex": None, "Phones": None, "BirthDate": None}).document() == {
        "CrmId": "C-1"
    }


def test_what_is_said_is_read_into_one_form() -> None:
    identity = person(**{key: value for key, value in WHOLE.items() if key != "CrmId"})
    assert families(identity) == {("TREMBLAY", "GAGNON"), ("ROY",)}
    assert {name.family for name in identity.birth_names} == {("COTE",)}
    assert {name.given for name in (*identity.names, *identity.birth_names)} == {("MARIE", "EVE")}
    assert identity.identifiers == (Identifier("CA-QC", "TREM80510112"), Identifier("CA-ON", "1234567897"))
    assert identity.birth_date == date(1980, 1, 1)
    assert (identity.sex, identity.phones, identity.postal_codes) == ("F", ("5145550199",), ("H7A1A2",))
    assert identity.addresses == ("12 EGLISE LAVAL H7A1A2",)


def test_a_name_in_one_string_is_read_both_ways() -> None:
    assert ("TREMBLAY",) in families(person(Name="Marie-Ève Tremblay"))
    assert families(person(Name="Tremblay, Marie-Ève")) == {("TREMBLAY",)}
    assert families(person(Name="TREMBLAY^MARIE-EVE")) == {("TREMBLAY",)}
    assert {("TREMBLAY",), ("MARIE", "EVE")} <= families(person(Name="Tremblay Marie-Ève"))


@pytest.mark.parametrize(
    "document",
    [
        {"FamilyName": "...", "GivenNames": "-"},
        {"Identifiers": [{"System": "RAMQ", "Value": "0000"}, {"Value": "TEST"}, {"Value": "12*4"}]},
        {"BirthDate": "1900-01-01"},
        {"Sex": "X"},
        {"Sex": "U"},
        {"Phones": ["000 000-0000"]},
        {"PostalCode": "90210"},
        {"Address": "Laval"},
        {},
    ],
)
def test_placeholders_say_nothing(document: dict[str, Any]) -> None:
    assert person(**document) == Identity()


def test_the_names_of_one_who_was_merged_are_all_known() -> None:
    one, other = person(FamilyName="Gagné", BirthDate="1980-01-01"), person(FamilyName="Roy", BirthDate="1981-01-01")
    both = together(one, [other])
    assert families(both) == {("GAGNE",), ("ROY",)}
    assert both.birth_date == date(1980, 1, 1)


def test_facts_have_what_is_known_and_nothing_else() -> None:
    patient = parse(Patient, WHOLE)
    assert facts_of(patient, TODAY) == {
        "Region": ("CA-QC",),
        "PostalCode": ("h7a 1a2",),
        "Sex": ("F",),
        "Clinic": ("outremont",),
        "Labels": ("orthodontics",),
        "AgeYears": ("46",),
    }
    assert facts_of(NOBODY, TODAY) == {}
    for born, age in (("2008-04-01", "18"), ("2008-04-02", "17"), ("2026-04-01", "0")):
        assert facts_of(parse(Patient, {"CrmId": "C", "BirthDate": born}), TODAY)["AgeYears"] == (age,)
    assert "AgeYears" not in facts_of(parse(Patient, {"CrmId": "C", "BirthDate": "2026-04-02"}), TODAY)


def test_every_problem_has_its_path() -> None:
    wrong = {
        "CrmId": "a b",
        "FamilyName": "x" * 257,
        "GivenNames": "a\x07b",
        "BirthDate": "1980-13-01",
        "Sex": "Femme",
        "Clinic": "nowhere",
        "Identifiers": [{"System": "RAMQ"}],
        "Names": [{"Use": "Nickname"}],
        "Nom": "Roy",
    }
    with pytest.raises(DocumentError) as error:
        parse(Patient, wrong, References(clinics=frozenset({"outremont"})))
    assert sorted((each.path, each.code) for each in error.value.problems) == [
        ("BirthDate", "bad-day"),
        ("Clinic", "unknown-clinic"),
        ("CrmId", "bad-crm-id"),
        ("FamilyName", "too-long"),
        ("GivenNames", "bad-text"),
        ("Identifiers[0].Value", "missing"),
        ("Names[0].Use", "not-one-of"),
        ("Nom", "unknown-key"),
        ("Sex", "not-one-of"),
    ]


def test_nobody_is_born_tomorrow_or_two_hundred_years_ago() -> None:
    for born, code in (("2026-04-02", "in-the-future"), ("1826-04-02", "too-long-ago")):
        patient = parse(Patient, {"CrmId": "C", "BirthDate": born})
        assert [each.code for each in problems_of(patient, TODAY)] == [code]
    assert not [*problems_of(parse(Patient, {"CrmId": "C", "BirthDate": "2026-04-01"}), TODAY)]


RESOURCE: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "F-1",
    "identifier": [{"system": "urn:example:ramq", "value": "TREM80510112"}, {"system": "urn:x"}, "text"],
    "name": [
        {"use": "maiden", "family": "Côté"},
        {"use": "official", "family": "Tremblay", "given": ["Marie", "Ève", 5]},
        {"use": "old", "text": "Roy, Marie"},
        {"use": "anonymous", "text": "A 1"},
    ],
    "telecom": [
        {"system": "phone", "value": "514 555-0199"},
        {"system": "email", "value": "m@example.org"},
        {"system": "fax", "value": "514 555-0100"},
    ],
    "gender": "female",
    "birthDate": "1980-01-01",
    "address": [
        {"use": "old", "line": ["1 rue A"]},
        {"line": ["12, rue B", "app. 3"], "city": "Laval", "state": "QC", "postalCode": "H7A 1A2", "country": "CA"},
    ],
}


def test_a_fhir_patient_is_read() -> None:
    found = document_of(RESOURCE, {"urn:example:ramq": "RAMQ"}, "laval")
    assert found == {
        "CrmId": "F-1",
        "Identifiers": [{"System": "RAMQ", "Value": "TREM80510112"}],
        "FamilyName": "Tremblay",
        "GivenNames": "Marie Ève",
        "Names": [{"Use": "Maiden", "FamilyName": "Côté"}, {"Use": "Former", "Name": "Roy, Marie"}],
        "BirthDate": "1980-01-01",
        "Sex": "F",
        "Phones": ["514 555-0199"],
        "Emails": ["m@example.org"],
        "Address": "12, rue B, app. 3, Laval",
        "PostalCode": "H7A 1A2",
        "Region": "CA-QC",
        "Clinic": "laval",
    }
    identity = identity_of(parse(Patient, found), TODAY)
    assert {name.family for name in identity.birth_names} == {("COTE",)}


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"name": "Tremblay", "telecom": {"system": "phone"}, "address": [None], "identifier": 5, "gender": ["x"]},
        {"birthDate": "1980", "link": "x"},
        {"birthDate": "1980-01", "link": [{"type": "replaced-by"}]},
    ],
)
def test_what_is_malformed_in_a_fhir_patient_is_left_out(resource: dict[str, Any]) -> None:
    assert document_of({"id": "F-1", **resource}) == {"CrmId": "F-1"}
    assert replaced_by(resource) is None


def test_who_was_replaced_is_told() -> None:
    for reference in ("Patient/F-9", "https://crm.example/fhir/Patient/F-9"):
        assert replaced_by({"link": [{"type": "replaced-by", "other": {"reference": reference}}]}) == "F-9"
    assert replaced_by({"link": [{"type": "seealso", "other": {"reference": "Patient/F-9"}}]}) is None


def test_a_patient_written_as_fhir_is_the_same_person() -> None:
    patient = parse(Patient, WHOLE)
    again = parse(Patient, document_of(resource_of(patient)))
    before, after = identity_of(patient, TODAY), identity_of(again, TODAY)
    assert set(before.names) == set(after.names)
    assert (before.identifiers, before.birth_date, before.sex) == (after.identifiers, after.birth_date, after.sex)
    assert (before.phones, before.postal_codes, before.addresses) == (
        after.phones,
        after.postal_codes,
        after.addresses,
    )
