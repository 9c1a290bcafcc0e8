"""What scanners and registration desks make of a person: DICOM attributes, with the slips of people and programs.

How often is judgement, from what is published of registration errors; it is kept apart from the weights, and not
changed for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from relais.domain.matching.names import fold
from tests.matching.quebec import Person

KEYS = "azerty qsdfgh wxcvbn uiop jklm"
NICKNAMES = {"ALEXANDRE": "ALEX", "FREDERIC": "FRED", "BENJAMIN": "BEN", "CATHERINE": "CATH", "ROBERT": "BOB"}


@dataclass(frozen=True)
class Said:
    """A study's attributes by keyword, what went wrong with them, and which evidence they carry."""

    tags: Mapping[str, str]
    slips: tuple[str, ...]
    evidence: str


SLIPS: Mapping[str, float] = {
    "typo in the family name": 0.008,
    "typo in the given name": 0.012,
    "names swapped": 0.006,
    "family name truncated": 0.006,
    "half of a compound given name": 0.03,
    "a second given name": 0.04,
    "an initial": 0.004,
    "nickname": 0.01,
    "birth name for the married": 0.3,
    "half of a double name": 0.2,
    "mojibake": 0.01,
    "letters lost": 0.008,
    "a title": 0.01,
    "day and month swapped": 0.003,
    "a digit of the birth date": 0.005,
    "another birth date": 0.001,
    "no birth date": 0.004,
    "no sex": 0.03,
    "another sex": 0.001,
    "a relative's card": 0.002,
    "a slip in the number": 0.002,
    "moved": 0.1,
}
"""How often each happens to whom it can happen to."""


def said(person: Person, household: list[Person], random: Random) -> Said:
    """One study of that person."""
    slips = [slip for slip, share in SLIPS.items() if random.random() < share]
    happened: list[str] = []

    def happens(slip: str, *, where: bool = True) -> bool:
        if where and slip in slips:
            happened.append(slip)
            return True
        return False

    tags = {
        "PatientName": _name(person, random, happens),
        "PatientBirthDate": _birth_date(person, random, happens),
        "PatientSex": "" if happens("no sex") else _other(person.sex) if happens("another sex") else person.sex,
    }
    bearer = person
    others = [each for each in household if each.key != person.key]
    if happens("a relative's card", where=bool(others)):
        bearer = random.choice(others)
    evidence = _number(tags, bearer, random, happens)
    if random.random() < 0.25:
        tags["PatientTelephoneNumbers"] = person.phone
    if random.random() < 0.15 and not happens("moved"):
        tags["PatientAddress"] = fold(person.address) if random.random() < 0.5 else person.address
    return Said({keyword: value for keyword, value in tags.items() if value}, tuple(happened), evidence)


def _number(tags: dict[str, str], bearer: Person, random: Random, happens: Callable[..., bool]) -> str:
    """PatientID and its issuer; what the PatientID is to the CRM."""
    kind = random.random()
    if kind < 0.45:
        value = typo(bearer.nam, random) if happens("a slip in the number") else bearer.nam
        tags |= {"PatientID": value, **({"IssuerOfPatientID": "RAMQ"} if random.random() < 0.5 else {})}
        return "NAM"
    if kind < 0.62:
        tags |= {"PatientID": bearer.number, "IssuerOfPatientID": "CLINIC"}
        return "clinic's number"
    if kind < 0.9:
        tags |= {"PatientID": f"{random.randrange(10**7):07}", "IssuerOfPatientID": f"RIS-{random.randrange(5)}"}
        return "another system's number"
    tags["PatientID"] = random.choice(("", "0", "TEST", "W/I", "000000"))
    return "no number"


def _name(person: Person, random: Random, happens: Callable[..., bool]) -> str:
    family, given = _family(person, random, happens), _given(person, random, happens)
    if happens("names swapped"):
        family, given = given, family
    return _written(f"{family}^{given}", person.sex, random, happens)


def _family(person: Person, random: Random, happens: Callable[..., bool]) -> str:
    family = person.family if happens("birth name for the married", where=bool(person.used)) else person.name
    if happens("half of a double name", where="-" in family and not family.startswith("St")):
        family = random.choice(family.split("-"))
    if happens("typo in the family name"):
        family = typo(family, random)
    if happens("family name truncated", where=len(family) > 8):
        family = family[: random.randrange(6, 8)]
    return family


def _given(person: Person, random: Random, happens: Callable[..., bool]) -> str:
    given = person.given
    if happens("half of a compound given name", where="-" in given):
        given = random.choice(given.split("-"))
    if happens("a second given name"):
        given = f"{given} {random.choice(('Marie', 'Joseph', 'Anne', 'Louis', 'Claire'))}"
    if happens("nickname", where=fold(given) in NICKNAMES):
        given = NICKNAMES[fold(given)]
    if happens("an initial"):
        given = given[0]
    return typo(given, random) if happens("typo in the given name") else given


def _written(name: str, sex: str, random: Random, happens: Callable[..., bool]) -> str:
    """As bytes and capitals make of it."""
    if happens("mojibake", where=not name.isascii()):
        return name.encode().decode("latin-1")
    if happens("letters lost", where=not name.isascii()):
        return "".join(each if each.isascii() else "?" for each in name).upper()
    if happens("a title"):
        name = f"{name}^^MME" if sex == "F" else f"{name}^^M."
    return name if random.random() < 0.3 else "^".join(map(fold, name.split("^")))


def _birth_date(person: Person, random: Random, happens: Callable[..., bool]) -> str:
    born = person.born
    if happens("no birth date"):
        return ""
    if happens("day and month swapped", where=born.day <= 12):
        return f"{born:%Y%d%m}"
    if happens("a digit of the birth date"):
        place = random.choice((3, 5, 7))
        written = f"{born:%Y%m%d}"
        return f"{written[:place]}{random.randrange(10)}{written[place + 1 :]}"
    if happens("another birth date"):
        born += timedelta(days=random.randrange(-3000, 3000))
    return f"{born:%Y%m%d}"


def _other(sex: str) -> str:
    return "F" if sex == "M" else "M"


def typo(text: str, random: Random) -> str:
    """One slip of the keyboard: a letter too few, too many, another, or two swapped."""
    at = random.randrange(len(text))
    kind = random.randrange(4)
    near = next((row for row in KEYS.split() if text[at].lower() in row), KEYS.replace(" ", ""))
    letter = random.choice(near)
    if kind == 0 and len(text) > 2:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[:at] + letter + text[at:]
    if kind == 2 and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + letter + text[at + 1 :]
