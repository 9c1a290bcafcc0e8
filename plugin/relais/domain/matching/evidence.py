"""What speaks for and against two identities being one person, in bits, field by field.

Fellegi & Sunter (1969): a comparison is worth the logarithm of how much likelier it is for one person than for two.
What is missing on either side is no weight, never a disagreement. The order of names, parts and identifiers is nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from relais.domain.matching.dates import DateLevel, compare_dates
from relais.domain.matching.identifiers import (
    BRITISH_COLUMBIA,
    ONTARIO,
    RAMQ,
    Ramq,
    bc_checks,
    ontario_checks,
    read_ramq,
)
from relais.domain.matching.identity import Identity
from relais.domain.matching.model import DECIMALS, Feature, Frequencies, Level, Model
from relais.domain.matching.phonetic import fonem
from relais.domain.matching.spelling import is_damaged, is_other_sex

LONGEST, MOST_PARTS, MOST_READINGS = 256, 6, 8
"""Of what is longer, or more, the rest is not compared."""
NEAR, CLOSE = 0.92, 0.85
"""Jaro-Winkler similarities (Winkler 1990) of a slip and of a resemblance."""
ADDRESSES = ((95.0, Level.Same), (75.0, Level.Near), (60.0, Level.Partly), (0.0, Level.Different))
"""From which likeness on, of 100, addresses are how near."""
SHORTEST_STEM, SHORTEST_IDENTIFIER = 4, 6
"""Letters from which on a beginning may be a truncated name, characters from which on one edit may be a slip."""

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
_CHECKS: dict[str, Callable[[str], bool]] = {
    RAMQ: lambda value: (found := read_ramq(value)) is not None and found.checks,
    ONTARIO: ontario_checks,
    BRITISH_COLUMBIA: bc_checks,
}


@dataclass(frozen=True, slots=True)
class Weight:
    """What one comparison says: bits for (or, below zero, against) one person, and the folded values compared."""

    field: Feature
    level: Level
    bits: float
    seen: str | None
    known: str | None

    @property
    def rank(self) -> tuple[str, str, float, str, str]:
        """A total order, so that ties end the same way everywhere."""
        return self.field, self.level, self.bits, self.seen or "", self.known or ""


Parts = tuple[str, ...]
Reading = tuple[Parts, Parts]
"""Parts of the family name and of the given name, each sorted."""


def weigh(asked: Identity, known: Identity, model: Model, frequencies: Frequencies) -> tuple[Weight, ...]:
    """All that can be compared, each feature in its fixed place.

    Of several ways to read the names the best is taken, but never one that leaves out a part which could be compared.
    What a NAM repeats of name, birth date and sex is not counted twice, nor is a postal code beside its address.
    """
    weights = [*_names(asked, known, model, frequencies)]
    if asked.birth_date is not None and known.birth_date is not None:
        level = Level(compare_dates(asked.birth_date, known.birth_date).name)
        if level is Level.Same and (known.birth_date.month, known.birth_date.day) == (1, 1):
            level = Level.NewYear
        dates = asked.birth_date.isoformat(), known.birth_date.isoformat()
        weights.append(_weight(Feature.BirthDate, level, model, *dates))
    if asked.sex and known.sex:
        level = Level.Same if asked.sex == known.sex else Level.Different
        weights.append(_weight(Feature.Sex, level, model, asked.sex, known.sex))
    weights += _identifiers(asked, known, model, weights)
    weights += _sets(Feature.Phone, asked.phones, known.phones, model)
    at_home = any(each.field is Feature.Phone and each.bits > 0 for each in weights)
    addresses = tuple(_addresses(asked.addresses, known.addresses, model, at_home=at_home))
    weights += addresses or _sets(Feature.PostalCode, asked.postal_codes, known.postal_codes, model)
    return tuple(weights)


def total(weights: Iterable[Weight]) -> float:
    """Their sum in bits; exact, whatever the order."""
    return round(math.fsum(each.bits for each in weights), DECIMALS)


def is_newborn(identity: Identity) -> bool:
    """Whether it is somebody's baby without a name of its own, such as `BB Tremblay`."""
    return any(
        any(_NEWBORN.fullmatch(part) or part in _CHILD for part in reading.given)
        or any(part in {"BB", "BEBE"} for part in reading.family)
        for reading in identity.names
    )


def card_contradicts(asked: Identity, known: Identity) -> bool:
    """Whether a NAM on either side says another birth date, sex or initial than the people it is held against.

    It may be a relative's card. One NAM on both sides is not asked for its initial, which usual names may not follow.
    """
    seen, held = _nams(asked), _nams(known)
    both = seen.keys() & held.keys()
    return any(
        _contradicts(ramq, identity, ask_initial=value not in both)
        for cards, people in ((seen, (asked, known)), (held, (asked,)))
        for value, ramq in cards.items()
        for identity in people
    )


def _weight(feature: Feature, level: Level, model: Model, seen: str, known: str) -> Weight:
    return Weight(feature, level, model.bits(feature, level), seen, known)


# --- names ------------------------------------------------------------------------------------------------------------


def _names(asked: Identity, known: Identity, model: Model, frequencies: Frequencies) -> tuple[Weight, ...]:
    found: list[tuple[Weight, ...]] = [()]
    for seen in _readings(asked):
        for held in _readings(known):
            straight = tuple(_as_read(seen, held, model, frequencies))
            found.append(straight)
            if all(seen) and all(held) and any(each.level is Level.Different for each in straight):
                swapped = Weight(
                    Feature.Order,
                    Level.Swapped,
                    model.bits(Feature.Order, Level.Swapped),
                    " ".join(seen[1]),
                    " ".join(seen[0]),
                )
                crosswise = (*_as_read((seen[1], seen[0]), held, model, frequencies), swapped)
                if not any(each.level is Level.Different for each in crosswise):
                    found.append(crosswise)
    return max(found, key=_preference)


def _preference(weights: tuple[Weight, ...]) -> tuple[int, float, list[tuple[str, str, float, str, str]]]:
    compared = sum(each.field is not Feature.Order for each in weights)
    return compared, total(weights), [each.rank for each in weights]


def _readings(identity: Identity) -> list[Reading]:
    """The distinct ways to read its names; a birth name alone goes with the given names it is known by."""
    found = {(_parts(each.family), _parts(each.given)) for each in identity.names}
    usual = {given for _, given in found} or {()}
    for birth in identity.birth_names:
        family, given = _parts(birth.family), _parts(birth.given)
        found |= {(family, given)} if given else {(family, each) for each in usual}
    return sorted(found)[:MOST_READINGS]


def _parts(parts: Sequence[str]) -> Parts:
    """The parts that name somebody, sorted."""
    cut = sorted(part[:LONGEST] for part in parts)
    named = [
        part
        for part in cut
        if part.strip("?") and part not in _NOBODY and part not in _CHILD and not _NEWBORN.fullmatch(part)
    ]
    return tuple(named[:MOST_PARTS])


def _as_read(seen: Reading, held: Reading, model: Model, frequencies: Frequencies) -> Iterator[Weight]:
    for feature, here, there, count in (
        (Feature.Family, seen[0], held[0], frequencies.family),
        (Feature.Given, seen[1], held[1], frequencies.given),
    ):
        if not here or not there:
            continue
        level, ours, theirs = _likeness(here, there, feature, frequencies)
        if level in {Level.Different, Level.Initial}:
            bits = model.bits(feature, level)
        else:
            people = frequencies.total
            rarities = (model.rarity(map(count, parts), people) for parts in (ours, theirs))
            bits = round(model.share(feature, level) * min(rarities), DECIMALS)
        yield Weight(feature, level, bits, " ".join(here), " ".join(there))


def _likeness(seen: Parts, held: Parts, feature: Feature, frequencies: Frequencies) -> tuple[Level, Parts, Parts]:
    """How near they are, and the parts on either side that agree.

    Given names that share a part and differ in another are different people's: `Marie-Ève` and `Marie-Lou`.
    """
    given = feature is Feature.Given
    shared = Counter(seen) & Counter(held)
    common = tuple(sorted(shared.elements()))
    ours = sorted((Counter(seen) - shared).elements())
    theirs = sorted((Counter(held) - shared).elements())
    if not (ours or theirs) or _is_joined(seen, held) or _is_joined(held, seen):
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


def _is_joined(one: Parts, parts: Parts) -> bool:
    """Whether the one part is the others written together: `MARIEEVE`."""
    if len(one) != 1 or not 2 <= len(parts) <= 3 or len(one[0]) != sum(map(len, parts)):  # noqa: PLR2004
        return False
    return any("".join(order) == one[0] for order in permutations(parts))


def _aligned(
    ours: list[str], theirs: list[str], feature: Feature, frequencies: Frequencies
) -> list[tuple[Level, str, str]]:
    """The nearest pairs first, each part in one pair at most."""
    levels = (
        (_WORST.index(level), here, there)
        for here, one in enumerate(ours)
        for there, other in enumerate(theirs)
        if (level := _of_parts(one, other, feature, frequencies)) is not None
    )
    pairs: list[tuple[Level, str, str]] = []
    taken: tuple[set[int], set[int]] = set(), set()
    for index, here, there in sorted(levels):
        if here not in taken[0] and there not in taken[1]:
            pairs.append((_WORST[index], ours[here], theirs[there]))
            taken[0].add(here)
            taken[1].add(there)
    return pairs


def _of_parts(seen: str, held: str, feature: Feature, frequencies: Frequencies) -> Level | None:
    """How near two different parts are; None where they are not. A name that people have is neither slip nor stump."""
    if "?" in seen or "?" in held:
        return Level.Damaged if is_damaged(seen, held) else None
    given = feature is Feature.Given
    short, long = sorted((seen, held), key=len)
    if len(short) == 1:
        return None if short != long[0] else Level.Initial if given else Level.Partly
    if given and is_other_sex(short, long):
        return Level.Close
    people = frequencies.given(seen) if given else frequencies.family(seen)
    if long.startswith(short) and (len(short) < SHORTEST_STEM or not people):
        return Level.Truncated if len(short) >= SHORTEST_STEM else Level.Partly
    likeness = JaroWinkler.normalized_similarity(seen, held)
    if likeness >= NEAR:
        other = people and (given or long.startswith(short) or fonem(seen) != fonem(held))
        return Level.Close if other else Level.Near
    return Level.Close if likeness >= CLOSE else None


# --- identifiers and contacts -----------------------------------------------------------------------------------------


def _by_system(identity: Identity) -> dict[str, set[str]]:
    """Values by who issued them; a NAM whose check digit fits needs nobody to say so."""
    found: dict[str, set[str]] = {}
    for each in identity.identifiers:
        value = each.value[:LONGEST]
        system = RAMQ if not each.system and _CHECKS[RAMQ](value) else each.system
        found.setdefault(system, set()).add(value)
    return found


def _identifiers(asked: Identity, known: Identity, model: Model, others: Sequence[Weight]) -> Iterator[Weight]:
    if not asked.identifiers or not known.identifiers:
        return
    seen, held = _by_system(asked), _by_system(known)
    same = False
    for system in sorted((seen.keys() & held.keys()) - {""}):
        ours, theirs = seen[system], held[system]
        level = Level.Different
        if both := sorted(ours & theirs):
            level, same = Level.Same, True
            ours = theirs = {both[0]}
        elif any(_is_slip(system, one, other) for one in ours for other in theirs):
            level = Level.OneEdit if system in _CHECKS else Level.Close
        bits = model.bits(Feature.Identifier, level)
        if system == RAMQ:
            bits = _without_repeated(bits, others, model)
        yield Weight(Feature.Identifier, level, bits, ", ".join(sorted(ours)), ", ".join(sorted(theirs)))
    if not same:
        untyped = seen.get("", set()) & set().union(*held.values()) | held.get("", set()) & set().union(*seen.values())
        for value in sorted(untyped)[:1]:
            yield _weight(Feature.Identifier, Level.Untyped, model, value, value)


def _is_slip(system: str, one: str, other: str) -> bool:
    """Whether they are one edit apart; two numbers that both pass their check are two numbers."""
    if min(len(one), len(other)) < SHORTEST_IDENTIFIER or DamerauLevenshtein.distance(one, other, score_cutoff=1) > 1:
        return False
    checks = _CHECKS.get(system)
    return checks is None or not (checks(one) and checks(other))


def _without_repeated(bits: float, others: Sequence[Weight], model: Model) -> float:
    """What a NAM adds to the name, birth date and sex that it repeats."""
    most = {
        Feature.Family: model.repeated_family,
        Feature.Given: model.repeated_given,
        Feature.BirthDate: math.inf,
        Feature.Sex: math.inf,
    }
    sign = math.copysign(1, bits)
    repeated = math.fsum(min(abs(each.bits), most.get(each.field, 0.0)) for each in others if each.bits * sign > 0)
    least = model.identifier_least if sign > 0 else 0.0
    return round(sign * max(abs(bits) - repeated, least), DECIMALS)


def _sets(feature: Feature, ours: Sequence[str], theirs: Sequence[str], model: Model) -> Iterator[Weight]:
    if both := sorted(set(ours) & set(theirs)):
        yield _weight(feature, Level.Same, model, both[0], both[0])
    elif ours and theirs:
        yield _weight(feature, Level.Different, model, ", ".join(sorted(set(ours))), ", ".join(sorted(set(theirs))))


def _addresses(ours: Sequence[str], theirs: Sequence[str], model: Model, *, at_home: bool) -> Iterator[Weight]:
    """The nearest two of the addresses; what a telephone says already, that they live together, counts once."""
    pairs = ((_alike(one, other), one, other) for one in ours for other in theirs)
    if nearest := max(pairs, default=None):
        likeness, one, other = nearest
        level = next(level for least, level in ADDRESSES if likeness >= least)
        bits = model.bits(Feature.Address, level)
        most = model.bits(Feature.Address, Level.Partly) if at_home else math.inf
        yield Weight(Feature.Address, level, min(bits, most), one, other)


def _alike(one: str, other: str) -> float:
    """0 to 100, whatever the order of words; what is left out counts little where both have the house's number."""
    one, other = one[:LONGEST], other[:LONGEST]
    numbers = [{word for word in each.split() if word[0].isdigit()} for each in (one, other)]
    alike = fuzz.token_set_ratio if numbers[0] & numbers[1] else fuzz.token_sort_ratio
    return round(alike(one, other), 3)


# --- what a card says of its bearer -----------------------------------------------------------------------------------


def _nams(identity: Identity) -> dict[str, Ramq]:
    read = ((value, read_ramq(value)) for value in _by_system(identity).get(RAMQ, ()))
    return {value: ramq for value, ramq in read if ramq is not None}


def _contradicts(ramq: Ramq, identity: Identity, *, ask_initial: bool) -> bool:
    born = identity.birth_date
    beyond = {DateLevel.YearOnly, DateLevel.Different}
    if born is not None and all(compare_dates(each, born) in beyond for each in ramq.births):
        return True
    if identity.sex and identity.sex != ramq.sex:
        return True
    initials = {part[0] for family, given in _readings(identity) if given for part in (*family, *given)}
    return ask_initial and bool(initials) and not initials & {ramq.initial, "?"}
