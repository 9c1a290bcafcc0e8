"""The fictional households of pseudopeople, as JSON: run by the interpreter that has it, apart from ours.

`python households.py` writes {"Crm": [...], "Asked": [...]}: the census of 2020 as it was, and that of 2020 and of 2030
with the package's usual noise, each person with the number that says who it is.

The package simulates a population with its families, moves, births and deaths (Haddock et al. 2024), and brings a
sample of some ten thousand people along. Its noise swaps, mistypes, leaves out, and copies from others who live there.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

FIELDS = {
    "Who": "simulant_id",
    "FamilyName": "last_name",
    "GivenName": "first_name",
    "MiddleInitial": "middle_initial",
    "BirthDate": "date_of_birth",
    "Sex": "sex",
    "Number": "street_number",
    "Street": "street_name",
    "Flat": "unit_number",
}
"""Everybody lives in Anytown, whose postal code is 00000: that says nothing."""
SEED = 20_270_401


def main() -> None:
    """Three censuses."""
    package = importlib.import_module("pseudopeople")
    asked = [
        person for year in (2020, 2030) for person in _people(package.generate_decennial_census(year=year, seed=SEED))
    ]
    known = [*_people(package.generate_decennial_census(year=2020, seed=SEED, config=package.NO_NOISE))]
    json.dump({"Crm": known, "Asked": asked}, sys.stdout)


def _people(census: Any) -> Iterator[dict[str, str]]:
    columns = census[[*FIELDS.values()]].astype(object)
    for row in columns.where(columns.notna(), "").itertuples(index=False):
        yield {name: str(value) for name, value in zip(FIELDS, row, strict=True)}


if __name__ == "__main__":
    main()
