"""The keys by which a person is looked for: two who share none are never compared.

A person is stored under every part of every name, at birth too; a study asks with names and days that may be swapped.
So whatever a person is stored under, the same person asks for, in whatever order the sender wrote names and birth date.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from functools import lru_cache
from itertools import combinations, product

from relais.domain.matching.identity import Identity
from relais.domain.matching.names import NameParts
from relais.domain.matching.phonetic import fonem

VERSION = 2
"""Of what people are found by: raised where somebody would get other keys, though read as before."""

MOST_SOUNDS = 12
"""How many sounds of a person are used: what a name of many words costs stays small.

First those of parts that are whole, then the guesses at the others, the longest of each before the rest.
"""

BEGINNING = 2
"""So much of a sound is asked beside a whole birth date, which finds most slips of the keyboard too."""

SHORTEST_CODE = 4
"""Characters of a postal code, in whatever country; a shorter number is a flat."""

REMEMBERED = 1 << 15
"""Parts of names whose sounds are remembered."""

_NO_SOUNDS: frozenset[str] = frozenset()
_LIKELY = "EOCIAU"  # what had an accent in French, likeliest first; L?Heureux too sounds as with a second E
_LIKELIEST = "EO"
_MOST_LOST = 2
_LOST = "?"


class Kind(StrEnum):
    """What a key is made of; names are their sounds."""

    Identifier = "Identifier"
    Phone = "Phone"
    GivenAndDate = "GivenAndDate"
    FamilyAndDate = "FamilyAndDate"
    NamesAndYear = "NamesAndYear"
    NamesAndDay = "NamesAndDay"
    Names = "Names"  # of those whose birth date the CRM does not have
    DateAndCode = "DateAndCode"
    NameAndHome = "NameAndHome"
    NameAndCode = "NameAndCode"
    Home = "Home"  # with its flat and its postal code: of who lives there, whatever they are called


Key = tuple[Kind, str]
Pair = tuple[str, str]
"""Two sounds in the order of the alphabet: which is the family name does not matter."""


def keys_of(identity: Identity) -> frozenset[Key]:
    """What a person in the CRM is found by: every part of the names, those at birth too.

    An identifier is a key by its value alone, for senders rarely say whose it is; its system counts in the comparison.
    """
    family, given = _sounds_by_side(identity)
    pairs: set[Pair] = set()
    for name in (*identity.names, *identity.birth_names):
        by_family = _sounds(name.family) & family
        by_given = _sounds(name.given) & given
        pairs.update(_pair(*both) for both in product(by_family, by_given or given))
    born = () if identity.birth_date is None else (identity.birth_date,)
    undated = () if born else _undated(pairs)
    at_home = _at_home(identity, family | given, born)
    return frozenset((*_keys(identity, family, given, pairs, born), *undated, *at_home))


def keys_asked(identity: Identity) -> frozenset[Key]:
    """What a study asks for: all that the same person may be stored under.

    Every part of a name may be family or given name, and day and month may be swapped.
    """
    family, given = _sounds_by_side(identity)
    every = family | given
    pairs = {_pair(*both) for both in combinations(every, 2)} | {(sound, sound) for sound in family & given}
    born = () if identity.birth_date is None else _either_way(identity.birth_date)
    keys = _keys(identity, every, every, pairs, born)
    return frozenset((*keys, *_undated(pairs), *_at_home(identity, every, born)))


def keys_of_years(identity: Identity, years: Iterable[int]) -> frozenset[Key]:
    """What a study without a birth date asks for: both names, with each of these years."""
    family, given = _sounds_by_side(identity)
    pairs = {_pair(*both) for both in combinations(family | given, 2)} | {(sound, sound) for sound in family & given}
    return frozenset((Kind.NamesAndYear, f"{one} {other} {year:04}") for (one, other), year in product(pairs, years))


def _keys(
    identity: Identity, family: Iterable[str], given: Iterable[str], pairs: Iterable[Pair], born: Iterable[date]
) -> Iterator[Key]:
    for identifier in identity.identifiers:
        yield Kind.Identifier, identifier.value
    for phone in identity.phones:
        yield Kind.Phone, phone
    for day in born:
        written = day.isoformat()
        year, month_and_day = written[:4], written[5:]
        for sound in {each[:BEGINNING] for each in given}:
            yield Kind.GivenAndDate, f"{sound} {written}"
        for sound in {each[:BEGINNING] for each in family}:
            yield Kind.FamilyAndDate, f"{sound} {written}"
        for one, other in pairs:
            yield Kind.NamesAndYear, f"{one} {other} {year}"
            yield Kind.NamesAndDay, f"{one} {other} {month_and_day}"


def _undated(pairs: Iterable[Pair]) -> Iterator[Key]:
    for one, other in pairs:
        yield Kind.Names, f"{one} {other}"


def _at_home(identity: Identity, sounds: Iterable[str], born: Iterable[date]) -> Iterator[Key]:
    homes = {address: home for address in identity.addresses if (home := _home(address))}
    codes = {*identity.postal_codes, *map(_last_number, identity.addresses)} - {""}
    for day, code in product(born, codes):
        yield Kind.DateAndCode, f"{day.isoformat()} {code}"
    for sound, home in product(sounds, {*homes.values()}):
        yield Kind.NameAndHome, f"{sound} {home}"
    for sound, code in product(sounds, codes):
        yield Kind.NameAndCode, f"{sound} {code}"
    for (address, home), code in product(homes.items(), codes):
        yield Kind.Home, f"{home} {' '.join(sorted(_numbers(address) - codes))} {code}"


def _home(address: str) -> str:
    """The first number of an address and the sound of its first name; empty where it begins with neither."""
    words = address.split()
    number = next((word for word in words if word[0].isdigit()), "")
    name = next((word for word in words if word.isalpha()), "")
    return f"{number} {fonem(name)}" if number and name else ""


def _numbers(address: str) -> frozenset[str]:
    """The house's, and the flat's."""
    return frozenset(word for word in address.split() if word[0].isdigit())


def _last_number(address: str) -> str:
    """The postal code where there is one, for it is written last; none where one digit is all of it, as in 00000."""
    words = [word for word in address.split()[1:] if len(word) >= SHORTEST_CODE and any(map(str.isdigit, word))]
    return words[-1] if words and len({*words[-1]}) > 1 else ""


def _sounds_by_side(identity: Identity) -> tuple[frozenset[str], frozenset[str]]:
    """The sounds of family and of given names; together no more than `MOST_SOUNDS`."""
    names: tuple[NameParts, ...] = (*identity.names, *identity.birth_names)
    family = _NO_SOUNDS.union(*(_sounds(name.family) for name in names))
    given = _NO_SOUNDS.union(*(_sounds(name.given) for name in names))
    if len(family) + len(given) <= MOST_SOUNDS:
        return family, given
    whole = _sounds(part for name in names for part in (*name.family, *name.given) if _LOST not in part)
    best_first = sorted(family | given, key=lambda sound: (sound not in whole, -len(sound), sound))
    kept = frozenset(best_first[:MOST_SOUNDS])
    return family & kept, given & kept


def _sounds(parts: Iterable[str]) -> frozenset[str]:
    return _NO_SOUNDS.union(*map(_sounds_of, parts))


@lru_cache(maxsize=REMEMBERED)
def _sounds_of(part: str) -> frozenset[str]:
    return frozenset(sound for guess in _guesses(part) if (sound := fonem(guess)))


def _guesses(part: str) -> tuple[str, ...]:
    """The part; where letters were lost, what it may have been; nothing for an initial, which says too little."""
    if len(part) == 1 and part.isascii():
        return ()
    if _LOST not in part:
        return (part,)
    first, *others = _pieces(part)
    if len(others) > _MOST_LOST:
        return (_LIKELIEST[0].join((first, *others)),)
    guesses = [first]
    for other in others:
        letters = _LIKELY if len(others) == 1 else _LIKELIEST
        guesses = [f"{guess}{letter}{other}" for guess in guesses for letter in letters]
    return tuple(guesses)


def _pieces(part: str) -> list[str]:
    """What stands around the lost letters; two marks in a row are the two bytes of one letter."""
    while _LOST * 2 in part:
        part = part.replace(_LOST * 2, _LOST)
    return part.split(_LOST)


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one <= other else (other, one)


def _either_way(day: date) -> tuple[date, ...]:
    try:
        return day, day.replace(month=day.day, day=day.month)
    except ValueError:
        return (day,)
