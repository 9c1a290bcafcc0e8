"""The people of pseudopeople, as the CRM has them and as studies say them."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from zlib import crc32

from relais.domain.asked import Demographics, asked_of
from tests.matching.quality import Query
from tests.matching.quebec import TODAY

KNOWN = 80
"""Of a hundred people so many are in the CRM."""
SEXES = {"Female": "F", "Male": "M"}


def is_known(person: Mapping[str, str]) -> bool:
    """Whether the CRM has them: who lives with somebody known may be absent."""
    return crc32(person["Who"].encode()) % 100 < KNOWN


def document(person: Mapping[str, str]) -> dict[str, Any]:
    """As the CRM gives them."""
    return dict(_filled(person))


def _filled(person: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    born, address = _born(person), _address(person)
    yield "CrmId", person["Who"]
    yield "FamilyName", person["FamilyName"]
    yield "GivenNames", f"{person['GivenName']} {person['MiddleInitial']}".strip()
    if person["Sex"] in SEXES:
        yield "Sex", SEXES[person["Sex"]]
    if born:
        yield "BirthDate", born.isoformat()
    if address:
        yield "Address", address


def query(person: Mapping[str, str], known: Collection[str]) -> Query:
    """As a study says them, with whatever became of their attributes; `known` are the CRM's people."""
    born = _born(person)
    tags = {
        "PatientName": f"{person['FamilyName']}^{person['GivenName']}^{person['MiddleInitial']}",
        "PatientBirthDate": f"{born:%Y%m%d}" if born else "",
        "PatientSex": SEXES.get(person["Sex"], ""),
        "PatientAddress": _address(person),
    }
    asked = asked_of(Demographics(tags={keyword: value for keyword, value in tags.items() if value}), TODAY)
    return Query(asked, person["Who"] if person["Who"] in known else None, "")


def _born(person: Mapping[str, str]) -> date | None:
    try:
        return datetime.strptime(person["BirthDate"], "%m/%d/%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:  # noise makes days that never were
        return None


def _address(person: Mapping[str, str]) -> str:
    return " ".join(filter(None, (person["Number"], person["Street"], person["Flat"])))
