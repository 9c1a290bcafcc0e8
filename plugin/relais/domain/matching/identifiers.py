"""A person's identifiers: who issued them, and what Canadian health numbers say of their bearer.

Ten digits may be Ontario's, British Columbia's or Nova Scotia's: the issuer tells, and nothing is guessed. A check
digit is soft evidence: newborns and temporary numbers break naive checks, so a number is read whether it passes or not.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from relais.domain.words import fold

RAMQ, ONTARIO, BRITISH_COLUMBIA = "CA-QC", "CA-ON", "CA-BC"
"""The provinces whose health numbers are understood, by their codes (ISO 3166-2)."""
LONGEST = 256
"""Characters that are read of a text; what follows is not looked at."""

REMEMBERED = 1 << 14
"""Health numbers that are remembered as they were read."""

_OTHER_NAMES = {"RAMQ": RAMQ}
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MINUS = "\N{MINUS SIGN}"
_WILD_CARDS = frozenset("*?\N{REPLACEMENT CHARACTER}")
_NOBODY = re.compile(
    r"0|(.)\1+|([A-Z])\2{2,}([0-9])\3{2,}|123456789|1234567890|0123456789|WI|WALKIN|WALKINPATIENT"
    r"|NA|NIL|NULL|NONE|NOID|NOPID|NEW|NOUVEAU|AUCUNE?|SANS|INCONNUE?|UNK|UNKNOWN|UNDEFINED|TBD|ANON|ANONYME|ANONYMOUS"
    r"|(?:TEST|TESTS|TESTING|TESTPATIENT|PATIENTTEST|ESSAI|DEMO|DUMMY|DEFAULT|PATIENT|PHANTOM|FANTOME|QA|QC|TEMP)"
    r"[0-9]{0,4}"
)
_VERSION = re.compile(r"([0-9]{10})[A-Z]{1,2}")
_TEN = re.compile(r"[0-9]{10}")
_RAMQ = re.compile(r"([A-Z]{3})([A-Z])([0-9]{2})([0-9]{2})([0-9]{2})([0-9])([0-9])")
_WOMAN = 50
_CENTURIES = (1900, 2000)
_RAMQ_WEIGHTS = (1, 3, 7, 9, 1, 7, 1, 3, 4, 5, 7, 6, 9, 1)
_BC_WEIGHTS = (2, 4, 8, 5, 10, 9, 7, 3)


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier as `read_identifier` gives it; `system` is who issued it, empty where nobody says."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Ramq:
    """What a Quebec health insurance number (NAM) says of its bearer, beside its two last digits.

    `surname` is three letters, filled with X where the surname has fewer; `sex` is M or F; `births` are the days of
    both centuries, earliest first; `checks` is whether the check digit fits one of them.
    """

    surname: str
    initial: str
    sex: str
    births: tuple[date, ...]
    checks: bool


def read_identifier(system: str, value: str) -> Identifier | None:
    """The identifier, however it is spaced, dashed or in whatever case; None for a placeholder or with wild cards.

    Health numbers keep letters and digits alone, and Ontario's loses its version code, which changes with the card.
    `RAMQ` is another name of CA-QC.
    """
    issuer = _read_system(system)
    text = _plain(value)
    if not _WILD_CARDS.isdisjoint(text):
        return None
    if text.isascii() and text.isalnum():
        text = bare = text[:LONGEST]
    else:
        text = "".join(each for each in text if not _separates(each))[:LONGEST]
        bare = "".join(each for each in text if each.isalnum())
    if issuer in {RAMQ, ONTARIO, BRITISH_COLUMBIA}:
        text = bare
    if issuer == ONTARIO and (versioned := _VERSION.fullmatch(bare)):
        text = bare = versioned[1]
    return None if not bare or _NOBODY.fullmatch(bare) else Identifier(issuer, text)


@lru_cache(maxsize=REMEMBERED)
def read_ramq(value: str) -> Ramq | None:
    """What a NAM says; None where it has not a NAM's form: four letters, YYMMDD (month + 50 for women), two digits.

    The check digit is the sum, mod 10, of the weighted EBCDIC codes of letters, four-digit year, sex, month, day and
    sequence. Two public implementations agree on it; no official paper is known.
    """
    identifier = read_identifier(RAMQ, value)
    found = _RAMQ.fullmatch(identifier.value) if identifier else None
    if found is None:
        return None
    surname, initial, sequence, digit = found[1], found[2], found[6], found[7]
    year, month, day = int(found[3]), int(found[4]), int(found[5])
    sex = "F" if month > _WOMAN else "M"
    month -= _WOMAN if sex == "F" else 0
    days = (_day(century + year, month, day) for century in _CENTURIES)
    births = tuple(each for each in days if each is not None)
    if not births:
        return None
    digits = {_ramq_digit(f"{surname}{initial}{each.year}{sex}{each:%m%d}{sequence}") for each in births}
    return Ramq(surname, initial, sex, births, checks=sequence != "0" and int(digit) in digits)


def ontario_checks(value: str) -> bool:
    """Whether it is ten digits, the last Luhn's check digit (ISO/IEC 7812-1 annex B); a version code may follow."""
    digits = _ten_digits(ONTARIO, value)
    doubled = sum(sum(divmod(2 * each, 10)) for each in digits[::2])
    return bool(digits) and (doubled + sum(digits[1::2])) % 10 == 0


def bc_checks(value: str) -> bool:
    """Whether it is ten digits, the first 9, the last the check digit of those between (mod 11).

    The routine is the Ministry of Health's (conformance standards, PHN check digit); a sum that asks for 10 or 11 has
    no check digit, and such numbers are not issued.
    """
    digits = _ten_digits(BRITISH_COLUMBIA, value)
    if not digits or digits[0] != 9:  # noqa: PLR2004 - the first digit of every PHN
        return False
    total = sum(weight * digit for weight, digit in zip(_BC_WEIGHTS, digits[1:-1], strict=True))
    return digits[-1] == 11 - total % 11


@lru_cache(maxsize=REMEMBERED)
def _read_system(text: str) -> str:
    """Who issued it: upper case without accents, blanks and dashes as one dash."""
    spaced = "".join(" " if _separates(each) else each for each in _plain(text))
    system = "-".join(spaced.split())[:LONGEST].rstrip("-")
    return _OTHER_NAMES.get(system, system)


def _plain(text: str) -> str:
    """Without accents, the letters A to Z in upper case; others as `fold` leaves them, which stays so if done again."""
    return fold(text[:LONGEST]).translate(_UPPER)


def _separates(letter: str) -> bool:
    return letter in {" ", _MINUS} or not letter.isprintable() or unicodedata.category(letter) == "Pd"


def _ten_digits(system: str, value: str) -> tuple[int, ...]:
    identifier = read_identifier(system, value)
    return tuple(map(int, identifier.value)) if identifier and _TEN.fullmatch(identifier.value) else ()


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _ramq_digit(text: str) -> int:
    codes = text.encode("cp037")
    return sum(weight * code for weight, code in zip(_RAMQ_WEIGHTS, codes, strict=True)) % 10
