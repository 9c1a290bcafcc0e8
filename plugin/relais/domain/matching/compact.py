"""A person in one line of text, as it is kept beside the CRM's patient: what need not be read anew for each study.

The fields of an Identity in the order of `FIELDS`, a line each; of several values a tab stands between. No reader lets
a control character into a value, so nothing is quoted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from relais.domain.matching.identifiers import Identifier
from relais.domain.matching.identity import Identity
from relais.domain.matching.names import NameParts

VERSION = 1
"""Of how people are read, written here and turned into keys: raised where a patient would come out otherwise.

What was written by another version is read anew.
"""
FIELDS = 8
"""Birth date, sex, names, names at birth, identifiers, telephone numbers, postal codes, addresses."""
FIELD, VALUE, SIDE, SYSTEM = "\n", "\t", "^", " "
"""What stands between fields, between values, between the sides of a name, and after an identifier's system."""


def compact(identity: Identity) -> str:
    """The line; raises ValueError for a person whom no reader made."""
    fields = (
        "" if identity.birth_date is None else identity.birth_date.isoformat(),
        identity.sex,
        VALUE.join(map(_name, identity.names)),
        VALUE.join(map(_name, identity.birth_names)),
        VALUE.join([f"{each.system}{SYSTEM}{each.value}" for each in identity.identifiers]),
        VALUE.join(identity.phones),
        VALUE.join(identity.postal_codes),
        VALUE.join(identity.addresses),
    )
    line = FIELD.join(fields)
    if line.count(FIELD) != FIELDS - 1:
        raise ValueError(line.count(FIELD))
    return line


def expanded(line: str) -> Identity:
    """The person whom `compact` wrote; raises ValueError where it did not."""
    born, sex, names, birth_names, identifiers, phones, postal_codes, addresses = line.split(FIELD)
    return Identity(
        names=names_in(names),
        birth_names=names_in(birth_names),
        identifiers=identifiers_in(identifiers),
        birth_date=date.fromisoformat(born) if born else None,
        sex=sex,
        phones=values_in(phones),
        postal_codes=values_in(postal_codes),
        addresses=values_in(addresses),
    )


def values_in(field: str) -> tuple[str, ...]:
    """The values of a field."""
    return tuple(field.split(VALUE)) if field else ()


def names_in(field: str) -> tuple[NameParts, ...]:
    """The ways to read a name that a field has."""
    found = []
    for each in values_in(field):
        family, given, *damaged = each.split(SIDE)
        found.append(NameParts(tuple(family.split()), tuple(given.split()), damaged=bool(damaged)))
    return tuple(found)


def identifiers_in(field: str) -> tuple[Identifier, ...]:
    """The identifiers that a field has."""
    return tuple([Identifier(*each.split(SYSTEM)) for each in values_in(field)])


def _name(name: NameParts) -> str:
    return f"{_words(name.family)}{SIDE}{_words(name.given)}{SIDE if name.damaged else ''}"


def _words(parts: Iterable[str]) -> str:
    return " ".join(parts)
