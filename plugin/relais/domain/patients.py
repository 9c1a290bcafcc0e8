"""The CRM's patients: what may be said of one, and what matching and rules read of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, model_validator

from relais.domain.clinics import ClinicName
from relais.domain.document import Document, Flag, OneOf, Problem, Region, Text, at_most, fault
from relais.domain.facts import Values
from relais.domain.labels import Day
from relais.domain.matching.contact import read_address, read_phone, read_postal_code
from relais.domain.matching.dates import OLDEST, read_birth_date
from relais.domain.matching.identifiers import read_identifier
from relais.domain.matching.identity import Identity
from relais.domain.matching.names import NameParts, read_fields, read_pn, read_text

CRM_ID = r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
"""What a CrmId may be: it stands in addresses, and in the label of a study."""
MOST = 50
"""Identifiers, names, telephone numbers and labels that one patient may have of each."""
CACHED = 1 << 15
"""Names of each side that are remembered as they were read: many people share them."""

_ADDRESSES = frozenset({"bulk", "find", "imports", "match", "sources"})
"""What follows `patients/` in addresses that are not one patient's."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _printable(text: str) -> str:
    if not text.isprintable() and _UNPRINTABLE.search(text):
        raise fault("bad-text")
    return text


def _crm_id(text: str) -> str:
    if not re.fullmatch(CRM_ID, text) or text in _ADDRESSES:
        raise fault("bad-crm-id")
    return text


Line = Annotated[str, at_most(256), AfterValidator(_printable)]
Word = Annotated[Text, at_most(64), AfterValidator(_printable)]
Lines = Annotated[tuple[Line, ...], Field(max_length=MOST)]
CrmId = Annotated[str, AfterValidator(_crm_id)]


class Sex(StrEnum):
    """A patient's sex, as PatientSex has it (PS3.3 section C.7.1.1); X and U are a CRM's words for O and nothing."""

    Male = "M"
    Female = "F"
    Other = "O"
    X = "X"
    Unknown = "U"
    Nothing = ""


class NameUse(StrEnum):
    """What a name is."""

    Official = "Official"
    Birth = "Birth"
    Maiden = "Maiden"
    Usual = "Usual"
    Former = "Former"


class PatientIdentifier(Document):
    """An identifier, and who gave it."""

    system: Annotated[Line, Field(description="Who gave it: RAMQ, CA-ON, CA-BC or an issuer's own name.")] = ""
    value: Annotated[Word, Field(description="As it is written.", examples=["TREM80010112"])]


class PersonName(Document):
    """Another name of the patient, in two parts or in one string."""

    use: Annotated[NameUse, OneOf(NameUse)] = Field(
        default=NameUse.Usual, description="Official, Birth, Maiden, Usual or Former.", examples=["Maiden"]
    )
    family_name: Line = Field(default="", description="The family name.", examples=["Gagnon"])
    given_names: Line = Field(default="", description="The given names.", examples=["Marie-Ève"])
    name: Line = Field(default="", description="The whole name, in either order.", examples=["Gagnon, Marie-Ève"])


class Person(Document):
    """What the CRM knows of a patient. All of it may be missing; null is the same as missing."""

    identifiers: Annotated[tuple[PatientIdentifier, ...], Field(max_length=MOST)] = Field(
        default=(),
        description="Health numbers and other identifiers.",
        examples=[[{"System": "RAMQ", "Value": "TREM80510112"}]],
    )
    family_name: Line = Field(default="", description="The family name.", examples=["Tremblay"])
    given_names: Line = Field(default="", description="The given names.", examples=["Marie-Ève"])
    name: Line = Field(
        default="",
        description='The whole name where its parts are not known: "Marie-Ève Tremblay" or "Tremblay, Marie-Ève".',
        examples=["Tremblay, Marie-Ève"],
    )
    birth_name: Line = Field(default="", description="The family name at birth.", examples=["Gagnon"])
    names: Annotated[tuple[PersonName, ...], Field(max_length=MOST)] = Field(
        default=(), description="Other names.", examples=[[{"Use": "Maiden", "FamilyName": "Gagnon"}]]
    )
    birth_date: Day | None = Field(default=None, description="The day of birth.", examples=["1980-01-01"])
    sex: Annotated[Sex, OneOf(Sex)] = Field(default=Sex.Nothing, description="M, F, O, X or U.", examples=["F"])
    phones: Lines = Field(default=(), description="Telephone numbers.", examples=[["514 555-0199"]])
    emails: Lines = Field(default=(), description="Addresses of e-mail.", examples=[["marie@example.org"]])
    address: Line = Field(default="", description="Where the patient lives.", examples=["12, rue de l'Église, Laval"])
    postal_code: Line = Field(default="", description="The postal code.", examples=["H2V 1G8"])
    region: Region | None = Field(default=None, description="Where the patient lives, ISO 3166-2.", examples=["CA-QC"])
    clinic: ClinicName | None = Field(
        default=None,
        description="The clinic whose patient it is; every clinic's if not given.",
        examples=["outremont"],
    )
    labels: Annotated[tuple[Word, ...], Field(max_length=MOST)] = Field(
        default=(), description="Words for rules to ask about.", examples=[["orthodontics"]]
    )
    active: Flag = Field(
        default=True, description="Whether new studies may be this patient's; what is linked stays.", examples=[False]
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if isinstance(given, dict) and None in given.values():
            return {key: value for key, value in given.items() if value is not None}
        return given

    def document(self) -> dict[str, Any]:
        """As it is stored and answered: only what was said."""
        found: dict[str, Any] = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return found


class Patient(Person):
    """A patient of the CRM."""

    crm_id: CrmId = Field(description="The CRM's own key of the patient.", examples=["C-1001"])


NOBODY: Final = Patient.model_construct(crm_id="")
"""A patient of whom nothing is known."""


def problems_of(patient: Person, today: date) -> Iterator[Problem]:
    """What is wrong with a patient on that day."""
    if patient.birth_date is None:
        return
    if patient.birth_date > today:
        yield Problem("BirthDate", "in-the-future")
    elif patient.birth_date.year < today.year - OLDEST - 1:
        yield Problem("BirthDate", "too-long-ago", {"years": OLDEST})


def identity_of(patient: Person, today: date) -> Identity:
    """The person, as matching compares them; what is a placeholder or cannot be read is not known."""
    code = read_postal_code(patient.postal_code) if patient.postal_code else None
    named = [*_readings(patient)]
    born = [*_born(patient, named)]
    for each in patient.names:
        (born if each.use in _AT_BIRTH else named).extend(_readings(each))
    return Identity(
        names=_distinct(named),
        birth_names=_distinct(born),
        identifiers=_known(read_identifier(each.system, each.value) for each in patient.identifiers),
        birth_date=patient.birth_date and read_birth_date(patient.birth_date.isoformat(), today),
        sex=patient.sex.value if patient.sex in _KNOWN_SEXES else "",
        phones=_known(map(read_phone, patient.phones)),
        postal_codes=_known([code]),
        addresses=_known(_addresses(patient, code)),
    )


def together(person: Identity, others: Iterable[Identity]) -> Identity:
    """One person with all the names, identifiers and numbers of those who turned out to be the same."""
    everybody = (person, *others)
    return Identity(
        names=_every(each.names for each in everybody),
        birth_names=_every(each.birth_names for each in everybody),
        identifiers=_every(each.identifiers for each in everybody),
        birth_date=person.birth_date,
        sex=person.sex,
        phones=_every(each.phones for each in everybody),
        postal_codes=_every(each.postal_codes for each in everybody),
        addresses=_every(each.addresses for each in everybody),
    )


def parts_of(identity: Identity) -> tuple[frozenset[str], frozenset[str]]:
    """The parts of family and of given names, for counting how many people have them."""
    every = (*identity.names, *identity.birth_names)
    return (
        frozenset(part for name in every for part in name.family),
        frozenset(part for name in every for part in name.given),
    )


def facts_of(patient: Person, today: date) -> Mapping[str, Values]:
    """What rules may ask about the patient (`Patient.*`); what is not known is not there."""
    found: dict[str, Values] = {
        "Region": (patient.region or "",),
        "PostalCode": (patient.postal_code,),
        "Sex": (patient.sex.value,),
        "Clinic": (patient.clinic or "",),
    }
    found = {name: values for name, values in found.items() if values != ("",)}
    if patient.labels:
        found["Labels"] = patient.labels
    born = patient.birth_date
    if born is not None and born <= today:
        found["AgeYears"] = (str(today.year - born.year - ((today.month, today.day) < (born.month, born.day))),)
    return found


_AT_BIRTH = frozenset({NameUse.Birth, NameUse.Maiden})
_KNOWN_SEXES = frozenset({Sex.Male, Sex.Female})


def _readings(name: Person | PersonName) -> Iterator[NameParts]:
    if name.family_name or name.given_names:
        family, given = _family(name.family_name), _given(name.given_names)
        if family.family or given.given:
            yield NameParts(family.family, given.given, damaged=family.damaged or given.damaged)
    if name.name:
        yield from read_pn(name.name) if "^" in name.name else read_text(name.name)


def _born(patient: Person, named: Iterable[NameParts]) -> Iterator[NameParts]:
    """The name at birth: a family name, with the given names that the patient has; or a whole one."""
    written = patient.birth_name
    if "^" in written:
        yield from read_pn(written)
    elif "," in written:
        yield from read_text(written)
    elif written:
        read = _family(written)
        for given in dict.fromkeys(each.given for each in named) or [()]:
            if read.family:
                yield NameParts(family=read.family, given=given, damaged=read.damaged)


@lru_cache(maxsize=CACHED)
def _family(text: str) -> NameParts:
    return read_fields(text, "")


@lru_cache(maxsize=CACHED)
def _given(text: str) -> NameParts:
    return read_fields("", text)


def _addresses(patient: Person, code: str | None) -> Iterator[str | None]:
    """With the postal code, as senders write it, where the CRM keeps it apart."""
    read = read_address(patient.address) if patient.address else None
    yield read if read is None or code is None or code in read.split() else f"{read} {code}"


def _known(found: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _distinct(names: Sequence[NameParts]) -> tuple[NameParts, ...]:
    return tuple(dict.fromkeys(names) if len(names) > 1 else names)


def _every(several: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(each for values in several for each in values))
