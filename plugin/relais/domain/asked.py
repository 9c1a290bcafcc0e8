"""Whom a study says its images are of: the attributes that name the patient, and the person they describe."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from relais.domain.attributes import MOST_ITEMS, texts
from relais.domain.matching.contact import read_address, read_phone, read_postal_code
from relais.domain.matching.dates import read_birth_date
from relais.domain.matching.identifiers import Identifier, read_identifier
from relais.domain.matching.identity import Identity
from relais.domain.matching.names import NameParts, read_pn

OTHER_IDS = "0010,1002"
"""OtherPatientIDsSequence, as Orthanc writes its tag."""
MOST_VALUES = 10
"""Of an attribute with more values, the rest is not looked at."""
_POSTAL_CODE = re.compile(r"\b[A-Za-z][0-9][A-Za-z][ -]?[0-9][A-Za-z][0-9]\b")
_KEYWORDS = (
    *("PatientName", "PatientBirthName", "OtherPatientNames", "PatientBirthDate", "PatientSex", "PatientAddress"),
    *("PatientTelephoneNumbers", "PatientID", "IssuerOfPatientID", "OtherPatientIDs", "AccessionNumber"),
)


@dataclass(frozen=True, kw_only=True)
class Demographics:
    """What images say of their patient (PS3.3 section C.7.1.1), as the sender wrote it.

    `tags` are by keyword, with a backslash between several values; `others` are further identifiers as pairs of issuer
    and value.
    """

    tags: Mapping[str, str]
    others: tuple[tuple[str, str], ...] = ()

    def values(self, keyword: str) -> tuple[str, ...]:
        """The values of an attribute that may have several."""
        return tuple(each for each in self.tags.get(keyword, "").split("\\")[:MOST_VALUES] if each)

    @property
    def shown(self) -> dict[str, str]:
        """Every value by keyword, for people."""
        others = [f"{value} ({issuer})" if issuer else value for issuer, value in self.others]
        return {**self.tags, **({"OtherPatientIDs": "\\".join(others)} if others else {})}

    def issuer(self, clinic: str | None) -> str:
        """Who gave the PatientID; where nobody says, a name for "somebody at that clinic"."""
        return self.tags.get("IssuerOfPatientID") or f"@{clinic or ''}"


def demographics(answer: Mapping[str, Any]) -> Demographics:
    """From an instance's attributes, as Orthanc answers `tags?short`."""
    found = texts(answer)
    tags = {keyword: found[keyword] for keyword in _KEYWORDS if keyword in found}
    items = answer.get(OTHER_IDS)
    others = dict.fromkeys(_others(items)) if isinstance(items, list) else {}
    others |= dict.fromkeys(("", value) for value in tags.pop("OtherPatientIDs", "").split("\\")[:MOST_VALUES] if value)
    return Demographics(tags=tags, others=tuple(others))


def asked_of(said: Demographics, today: date) -> Identity:
    """The person that these attributes describe; a placeholder, or what cannot be read, is not known."""
    ids = [(said.tags.get("IssuerOfPatientID", ""), said.tags.get("PatientID", "")), *said.others]
    identifiers = (read_identifier(issuer, value) for issuer, value in ids)
    names = (said.tags.get("PatientName", ""), *said.values("OtherPatientNames"))
    phones = (read_phone(each) for each in said.values("PatientTelephoneNumbers"))
    sex = said.tags.get("PatientSex", "").upper()
    places = said.values("PatientAddress")
    return Identity(
        names=_names(names),
        birth_names=_names(said.values("PatientBirthName")),
        identifiers=_distinct(identifiers),
        birth_date=read_birth_date(said.tags.get("PatientBirthDate", ""), today),
        sex=sex if sex in {"M", "F"} else "",
        phones=_distinct(phones),
        postal_codes=_distinct(read_postal_code(code) for each in places for code in _POSTAL_CODE.findall(each)),
        addresses=_distinct(read_address(each) for each in places),
    )


def without(identity: Identity, stopped: frozenset[Identifier]) -> Identity:
    """The same person without identifiers that say nothing."""
    kept = tuple(each for each in identity.identifiers if each not in stopped)
    return replace(identity, identifiers=kept)


def born_apart(one: Identity, other: Identity) -> bool:
    """Whether both birth dates are known, and two."""
    return None not in (one.birth_date, other.birth_date) and one.birth_date != other.birth_date


def named_apart(one: Identity, other: Identity) -> bool:
    """Whether neither name has all the parts of the other."""
    parts = [{part for name in each.names for part in (*name.family, *name.given)} for each in (one, other)]
    return all(parts) and not (parts[0] <= parts[1] or parts[1] <= parts[0])


def _others(items: Sequence[Any]) -> Iterator[tuple[str, str]]:
    for item in items[:MOST_ITEMS]:
        if isinstance(item, Mapping):
            found = texts(item)
            if value := found.get("PatientID"):
                yield found.get("IssuerOfPatientID", ""), value


def _names(written: Sequence[str]) -> tuple[NameParts, ...]:
    return tuple(dict.fromkeys(reading for each in written for reading in read_pn(each)))


def _distinct(found: Iterator[Any] | Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(each for each in found if each is not None))
