"""Where a person is reached: telephone numbers, postal codes and addresses, each in one form."""

from __future__ import annotations

import re

from relais.domain.matching import names
from relais.domain.words import fold

_LONGEST = 256
_DASHES = "-\N{HYPHEN}-\N{HORIZONTAL BAR}\N{MINUS SIGN}"
_WRITTEN = re.compile(rf"[+(]*[0-9][{_DASHES}0-9\s()./]*")
_TRUNK = re.compile(r"(?<=\+[2-9][0-9])\s*\(0\)|(?<=\+[2-9][0-9]{2})\s*\(0\)")
"""The 0 that is dialled within a country only, as in `+44 (0)20`."""
_NOT_DIGITS = re.compile(r"[^0-9]")
_NORTH_AMERICAN = re.compile(r"(?:[2-9][0-9]{2}){2}[0-9]{4}")
_ABROAD = re.compile(r"[2-9][0-9]{7,14}")
_REPEATED = re.compile(r"[0-9]{3}([0-9])\1*|([0-9])\2*")
_POSTAL_CODE = re.compile(r"[ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z][0-9][ABCEGHJ-NPRSTV-Z][0-9]")
_ANY_CODE = re.compile(r"(..)\1\1")
_CODE_APART = re.compile(r"\b([A-Z][0-9][A-Z]) ([0-9][A-Z][0-9])\b")
_WAYS = frozenset(
    {
        *(
            "AV",
            "AVE",
            "AVENUE",
            "BD",
            "BLVD",
            "BOUL",
            "BOULEVARD",
            "CH",
            "CHEMIN",
            "CIRCUIT",
            "CLOSE",
            "COURT",
            "CRES",
        ),
        *("CRESCENT", "CT", "DR", "DRIVE", "LANE", "PL", "PLACE", "RANG", "RD", "RG", "ROAD", "ROUTE", "RTE", "RUE"),
        *("APP", "APPARTEMENT", "APT", "BUREAU", "SUITE", "UNIT", "UNITE", "CANADA"),
        *("A", "AU", "AUX", "DE", "DES", "DU", "L", "LA", "LE", "LES"),
    }
)
"""What an address is written with or without."""
_SPELT = {"SAINT": "ST", "SAINTE": "STE", "STREET": "ST", "QUEBEC": "QC", "ONTARIO": "ON", "MTL": "MONTREAL"}
_SEPARATORS = re.compile(rf"[{_DASHES}\s]+")


def read_phone(text: str) -> str | None:
    """The first telephone number of a text; None for placeholders, and for numbers without an area code.

    Of North America ten digits, without the 1 and any extension (NXX-NXX-XXXX of the numbering plan); of elsewhere, if
    it is dialled from abroad (`+`, `00` or `011`), `+` and 8 to 15 digits (ITU-T E.164).
    """
    read = (_read_number(found[0]) for found in _WRITTEN.finditer(fold(text[:_LONGEST])))
    return next((number for number in read if number is not None), None)


def read_postal_code(text: str) -> str | None:
    """A Canadian postal code as `H2V1A1`; None for another country's, and for one pair over and over, as in `A1A 1A1`.

    The letters are those that Canada Post uses: never D, F, I, O, Q or U, and neither W nor Z at the start.
    """
    code = _SEPARATORS.sub("", fold(text[:_LONGEST])).upper()
    return code if _POSTAL_CODE.fullmatch(code) and not _ANY_CODE.fullmatch(code) else None


def read_address(text: str) -> str | None:
    """An address in one form: its words in their order, without kinds of streets and articles, the postal code in one.

    `123, rue de l'Église, app. 4, Laval (Québec) H7A 1A1` is `123 EGLISE 4 LAVAL QC H7A1A1`. None where there is no
    number or no name in it, for a town is no address.
    """
    words = [_SPELT.get(word, word) for word in _CODE_APART.sub(r"\1\2", names.fold(text)).split() if word not in _WAYS]
    address = " ".join(words)
    return address if any(map(str.isdigit, address)) and any(map(str.isalpha, words)) else None


def _read_number(written: str) -> str | None:
    abroad = written.lstrip("(").startswith("+")
    digits = _NOT_DIGITS.sub("", _TRUNK.sub("", written))
    if not abroad:
        dialled = re.fullmatch(r"(?:011|00)([1-9][0-9]{7,14})", digits)
        abroad, digits = bool(dialled), dialled[1] if dialled else digits
    if len(digits) == 11 and digits[0] == "1":  # noqa: PLR2004 - North America's country code and ten digits
        abroad, digits = False, digits[1:]
    if _REPEATED.fullmatch(digits):
        return None
    if abroad:
        return f"+{digits}" if _ABROAD.fullmatch(digits) else None
    return digits if _NORTH_AMERICAN.fullmatch(digits) else None
