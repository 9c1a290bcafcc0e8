"""The invented people of Quebec: households with twins, namesakes, shared telephones, married and double names.

Everybody is made from the seed and the number of the household alone, so that a million need no memory; but for the
`Register`, by which no two have one NAM. Nothing here knows of weights.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from random import Random
from typing import Any

from relais.domain.matching.names import fold
from tests.matching.quebec_names import KINDS_OF_STREETS, STREETS, SURNAME, TOWNS, given_name

TODAY = date(2027, 4, 1)
PEOPLE_A_HOUSEHOLD = 2.52
"""How many there are on average, counted over 100,000 households."""
KNOWN = 0.8
"""Which part of the people is in the CRM."""
NAM_WEIGHTS = (1, 3, 7, 9, 1, 7, 1, 3, 4, 5, 7, 6, 9, 1)
NEW_NAMES = date(1981, 4, 2)
"""From then on spouses keep their names (Civil Code of Quebec, article 393)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody as they are; `used` is the family name that they go by where it is not that of birth."""

    key: str
    family: str
    given: str
    used: str = ""
    born: date
    sex: str
    nam: str
    number: str
    phone: str
    address: str
    is_known: bool
    has_twin: bool = False

    @property
    def name(self) -> str:
        """The family name that they go by."""
        return self.used or self.family

    def in_crm(self) -> dict[str, Any]:
        """As the CRM knows them: not everything of everybody, in the contract's words."""
        random = Random(f"crm {self.key}")
        numbers = [("RAMQ", self.nam, 0.85), ("CLINIC", self.number, 0.6)]
        patient: dict[str, Any] = {
            "CrmId": self.key,
            "FamilyName": self.name,
            "GivenNames": self.given,
            "BirthDate": self.born.isoformat(),
            "Identifiers": [
                {"System": system, "Value": value} for system, value, share in numbers if random.random() < share
            ],
        }
        if random.random() < 0.97:
            patient["Sex"] = self.sex
        if self.used and random.random() < 0.7:
            patient["BirthName"] = self.family
        if random.random() < 0.8:
            patient["Phones"] = [self.phone]
        if random.random() < 0.85:
            street, code = self.address.rsplit(", ", 1)
            patient |= {"Address": street, "PostalCode": code}
        return patient


Living = Callable[[int, int], list[Person]]
"""Who lives in a household, by the seed and its number."""


def households(number: int) -> int:
    """How many households have so many people in the CRM, nearly."""
    return round(number / KNOWN / PEOPLE_A_HOUSEHOLD)


def crm(number: int, seed: int, living: Living | None = None) -> Iterator[dict[str, Any]]:
    """The patients of a CRM of about so many people."""
    for household in range(households(number)):
        yield from (person.in_crm() for person in (living or people)(seed, household) if person.is_known)


class Register:
    """The people of so many households, each with a NAM of their own: those alike differ in its sequence, 1 to 9.

    In Quebec a NAM is one person's; `people` alone, of a million, would give thousands that of a stranger.
    """

    def __init__(self, seed: int, number: int) -> None:
        alike = Counter[str]()
        self._sequences = []
        for household in range(number):
            sequences = []
            for person in people(seed, household):
                alike[person.nam[:10]] += 1
                sequences.append(min(alike[person.nam[:10]], 9))
            self._sequences.append(bytes(sequences))

    def __call__(self, seed: int, household: int) -> list[Person]:
        """Everybody who lives there."""
        found = zip(people(seed, household), self._sequences[household], strict=True)
        return [
            replace(person, nam=nam(person.nam[:4], person.born, person.sex, sequence)) for person, sequence in found
        ]


@cache
def _days(first: int, last: int) -> tuple[date, int]:
    return date(first, 1, 1), (date(last, 12, 31) - date(first, 1, 1)).days


def people(seed: int, household: int) -> list[Person]:
    """Everybody who lives there."""
    random = Random(f"{seed}:{household}")
    street = f"{random.randrange(1, 9999)}, {random.choice(KINDS_OF_STREETS)} {random.choice(STREETS)}"
    town, letter = random.choice(TOWNS)
    code = f"{letter}{random.randrange(1, 10)}{random.choice('ABCEGHJKLMNPRSTVXYZ')}"
    code += f" {random.randrange(1, 10)}{random.choice('ABCEGHJKLMNPRSTVXYZ')}{random.randrange(1, 10)}"
    address = f"{street}, {town} (Québec), {code}"
    phone = _phone(random)
    first_born = _born(random, 1932, 2003)
    father = _person(random, SURNAME.draw(random), "M", first_born, phone, address)
    if random.random() < 0.3:
        alone = (
            father if random.random() < 0.5 else _person(random, SURNAME.draw(random), "F", first_born, phone, address)
        )
        return _numbered(seed, household, [alone], random)
    born = first_born + timedelta(days=random.randrange(-1500, 2500))
    mother = _person(random, SURNAME.draw(random), "F", min(born, first_born), phone, address)
    if mother.born.year < NEW_NAMES.year - 22 and random.random() < 0.4:
        mother = replace(mother, used=father.family)
    found = [father, mother]
    born = max(father.born, mother.born) + timedelta(days=365 * random.randrange(20, 33))
    for _ in range(random.choice((0, 0, 1, 1, 2, 2, 3))):
        born += timedelta(days=random.randrange(400, 1800))
        if born < TODAY:
            found += _births(random, born, father, mother)
    return _numbered(seed, household, found, random)


def _births(random: Random, born: date, father: Person, mother: Person) -> Iterator[Person]:
    """A child, or twins; a name of both parents, and now and then the father's given name."""
    family = father.family
    if born.year >= NEW_NAMES.year and random.random() < 0.15:
        family = f"{mother.family.split('-')[0]}-{father.family.split('-')[0]}"
    sex = random.choice("FM")
    child = _person(random, family, sex, born, father.phone, father.address)
    if sex == "M" and random.random() < 0.02:
        child = replace(child, given=father.given)
    if random.random() >= 0.012:
        yield child
        return
    twin = _person(random, family, random.choice((sex, sex, "F", "M")), born, father.phone, father.address)
    if "-" in child.given and twin.sex == child.sex:
        other = given_name(random, sex, born.year).split("-")[-1]
        twin = replace(twin, given=f"{child.given.split('-')[0]}-{other}")
    for each in (child, twin):
        yield replace(each, has_twin=True)


def _person(random: Random, family: str, sex: str, born: date, phone: str, address: str) -> Person:
    adult = born.year < TODAY.year - 18
    return Person(
        key="",
        family=family,
        given=given_name(random, sex, born.year),
        born=born,
        sex=sex,
        nam="",
        number="",
        phone=_phone(random) if adult and random.random() < 0.6 else phone,
        address=address,
        is_known=random.random() < KNOWN,
    )


def _numbered(seed: int, household: int, found: list[Person], random: Random) -> list[Person]:
    twins: dict[tuple[str, date, str], int] = {}
    numbered: list[Person] = []
    for place, person in enumerate(found):
        letters = f"{fold(person.family).replace(' ', ''):X<3}"[:3] + fold(person.given)[0]
        stem = (letters, person.born, person.sex)
        twins[stem] = twins.get(stem, random.randrange(1, 6)) + 1
        number = f"C{seed % 10}{household:08}{place}"
        numbered.append(replace(person, key=f"{household}-{place}", nam=nam(*stem, twins[stem]), number=number))
    return numbered


def nam(letters: str, born: date, sex: str, sequence: int) -> str:
    """A NAM with its check digit, of EBCDIC codes and the four-digit year."""
    codes = f"{letters}{born.year}{sex}{born:%m%d}{sequence}".encode("cp037")
    digit = sum(weight * code for weight, code in zip(NAM_WEIGHTS, codes, strict=True)) % 10
    return f"{letters}{born:%y}{born.month + (50 if sex == 'F' else 0):02}{born:%d}{sequence}{digit}"


def _born(random: Random, first: int, last: int) -> date:
    start, days = _days(first, last)
    return start + timedelta(days=random.randrange(days))


def _phone(random: Random) -> str:
    area = random.choice(("514", "438", "418", "581", "450", "579", "819", "873"))
    return f"{area} {random.randrange(200, 999)}-{random.randrange(10000):04}"
