"""How near two names are: their parts, in whatever order, and the letters of parts that differ."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import permutations, product

from rapidfuzz.distance import JaroWinkler

from relais.domain.matching.identity import Identity
from relais.domain.matching.model import Feature, Frequencies, Level
from relais.domain.matching.phonetic import fonem
from relais.domain.matching.spelling import is_damaged, is_other_sex

LONGEST, MOST_PARTS, MOST_READINGS = 256, 6, 8
"""Of what is longer, or more, the rest is not compared."""
NEAR, CLOSE = 0.92, 0.85
"""Jaro-Winkler similarities (Winkler 1990) of a slip and of a resemblance."""
SHORTEST_STEM = 4
"""Letters from which on a beginning may be a truncated name."""
REMEMBERED = 1 << 15
"""Names whose parts that count are remembered: many people share them."""

Parts = tuple[str, ...]
Reading = tuple[Parts, Parts]
"""Parts of the family name and of the given name, each sorted."""

_FIRST_PARTS = frozenset({"MARIE", "JEAN", "JOSEPH", "THI"})
"""Parts that half a family may share."""
_NEWBORN = re.compile(r"(?:BB|BEBE|BABY)[A-Z0-9]?|NN|NEWBORN|NOUVEAU|NEONATE?|INFANT|FO?ETUS|JUMEAU|JUMELLE|TWIN")
_CHILD = frozenset({"FILLE", "FILS", "GARCON", "BOY", "GIRL"})
_NOBODY = frozenset(
    {"INCONNU", "INCONNUE", "UNKNOWN", "ANONYME", "ANONYMOUS", "ANON", "TEST", "PATIENT", "NULL", "NONE", "XX", "XXX"}
)
_WORST = (
    Level.Same,
    Level.Shared,
    Level.Truncated,
    Level.Damaged,
    Level.Near,
    Level.Initial,
    Level.Close,
    Level.Partly,
    Level.Different,
)


def is_newborn(identity: Identity) -> bool:
    """Whether it is somebody's baby without a name of its own, such as `BB Tremblay`."""
    return any(
        any(_NEWBORN.fullmatch(part) or part in _CHILD for part in reading.given)
        or any(part in {"BB", "BEBE"} for part in reading.family)
        for reading in identity.names
    )


def readings(identity: Identity) -> list[Reading]:
    """The distinct ways to read its names; a birth name alone goes with the given names it is known by."""
    found = {(parts(each.family), parts(each.given)) for each in identity.names}
    usual = {given for _, given in found} or {()}
    for birth in identity.birth_names:
        family, given = parts(birth.family), parts(birth.given)
        found |= {(family, given)} if given else {(family, each) for each in usual}
    return sorted(found)[:MOST_READINGS]


@lru_cache(maxsize=REMEMBERED)
def parts(named: Parts) -> Parts:
    """The parts that name somebody, sorted."""
    cut = sorted(part[:LONGEST] for part in named)
    kept = [
        part
        for part in cut
        if part.strip("?") and part not in _NOBODY and part not in _CHILD and not _NEWBORN.fullmatch(part)
    ]
    return tuple(kept[:MOST_PARTS])


def likeness(seen: Parts, held: Parts, feature: Feature, frequencies: Frequencies) -> tuple[Level, Parts, Parts]:
    """How near they are, and the parts on either side that agree.

    Given names that share a part and differ in another are different people's: `Marie-Ève` and `Marie-Lou`.
    """
    if seen == held:
        return Level.Damaged if any("?" in part for part in seen) else Level.Same, seen, seen
    if len(seen) == len(held) == 1:  # as below, where there is nothing to choose
        near = _of_parts(seen[0], held[0], feature, frequencies)
        return (Level.Different, (), ()) if near is None else (near, seen, held)
    return _as_always(seen, held, feature) or _of_several(seen, held, feature, frequencies)


@lru_cache(maxsize=REMEMBERED)
def _as_always(seen: Parts, held: Parts, feature: Feature) -> tuple[Level, Parts, Parts] | None:
    """How near they are, where it does not matter which names people have; None where it does."""
    given = feature is Feature.Given
    pairs = (_near_parts(one, other, given=given) for one, other in product(seen, held) if one != other)
    return None if any(unknown is not known for unknown, known in pairs) else _of_several(seen, held, feature, None)


def _of_several(
    seen: Parts, held: Parts, feature: Feature, frequencies: Frequencies | None
) -> tuple[Level, Parts, Parts]:
    given = feature is Feature.Given
    ours, theirs, common = _apart(seen, held)
    if _is_joined(seen, held) or _is_joined(held, seen):
        apart = max(seen, held, key=len)
        return Level.Damaged if any("?" in part for part in apart) else Level.Same, apart, apart
    if not ours or not theirs:
        level = Level.Partly if given and _FIRST_PARTS.issuperset(common) else Level.Shared
        return level, common, common
    aligned = _aligned(ours, theirs, feature, frequencies)
    worst = max((level for level, _, _ in aligned), key=_WORST.index, default=Level.Different)
    complete = len(aligned) == min(len(ours), len(theirs))
    if not complete or (given and common and worst is Level.Close):
        return (Level.Different, (), ()) if given or not common else (Level.Partly, common, common)
    return worst, (*common, *(one for _, one, _ in aligned)), (*common, *(other for _, _, other in aligned))


def _apart(seen: Parts, held: Parts) -> tuple[list[str], list[str], Parts]:
    """What only either side has, and what both have, as often as both have it."""
    ours, theirs, common = list(seen), [], []
    for part in held:
        if part in ours:
            ours.remove(part)
            common.append(part)
        else:
            theirs.append(part)
    return ours, theirs, tuple(common)


def _is_joined(one: Parts, parts: Parts) -> bool:
    """Whether the one part is the others written together: `MARIEEVE`."""
    if len(one) != 1 or not 2 <= len(parts) <= 3 or len(one[0]) != sum(map(len, parts)):  # noqa: PLR2004
        return False
    return any("".join(order) == one[0] for order in permutations(parts))


def _aligned(
    ours: list[str], theirs: list[str], feature: Feature, frequencies: Frequencies | None
) -> list[tuple[Level, str, str]]:
    """The nearest pairs first, each part in one pair at most."""
    levels = [
        (_WORST.index(level), here, there)
        for here, one in enumerate(ours)
        for there, other in enumerate(theirs)
        if (level := _of_parts(one, other, feature, frequencies)) is not None
    ]
    pairs: list[tuple[Level, str, str]] = []
    taken: tuple[set[int], set[int]] = set(), set()
    for index, here, there in sorted(levels):
        if here not in taken[0] and there not in taken[1]:
            pairs.append((_WORST[index], ours[here], theirs[there]))
            taken[0].add(here)
            taken[1].add(there)
    return pairs


def _of_parts(seen: str, held: str, feature: Feature, frequencies: Frequencies | None) -> Level | None:
    """How near two different parts are; None where they are not. A name that people have is neither slip nor stump."""
    given = feature is Feature.Given
    unknown, known = _near_parts(seen, held, given=given)
    if unknown is known or frequencies is None:
        return known
    return known if (frequencies.given(seen) if given else frequencies.family(seen)) else unknown


@lru_cache(maxsize=REMEMBERED)
def _near_parts(seen: str, held: str, *, given: bool) -> tuple[Level | None, Level | None]:
    """How near they are if nobody has the first part in their name, and if somebody has."""
    if "?" in seen or "?" in held:
        level = Level.Damaged if is_damaged(seen, held) else None
        return level, level
    short, long = (seen, held) if len(seen) <= len(held) else (held, seen)
    begins = long.startswith(short)
    if len(short) == 1 or (begins and len(short) < SHORTEST_STEM) or (given and is_other_sex(short, long)):
        level = _short(short, long, given=given)
        return level, level
    alike = JaroWinkler.normalized_similarity(seen, held)  # its score_cutoff would lose some that are at it
    known = Level.Close if alike >= CLOSE else None
    if begins:
        return Level.Truncated, known
    if alike >= NEAR and not given and fonem(seen) == fonem(held):
        known = Level.Near
    return Level.Near if alike >= NEAR else known, known


def _short(short: str, long: str, *, given: bool) -> Level | None:
    """Of an initial, a stump, or a brother's and a sister's form of one name."""
    if len(short) == 1:
        return None if short != long[0] else Level.Initial if given else Level.Partly
    return Level.Close if given and is_other_sex(short, long) else Level.Partly
