"""What speaks for and against two identities being one person, in bits, field by field.

Fellegi & Sunter (1969): a comparison is worth the logarithm of how much likelier it is for one person than for two.
What is missing on either side is no weight, never a disagreement. The order of names, parts and identifiers is nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein

from relais.domain.matching.dates import DateLevel, compare_dates
from relais.domain.matching.identifiers import (
    BRITISH_COLUMBIA,
    ONTARIO,
    RAMQ,
    Identifier,
    Ramq,
    bc_checks,
    ontario_checks,
    read_ramq,
)
from relais.domain.matching.identity import Identity
from relais.domain.matching.likeness import LONGEST, Parts, Reading, likeness, readings
from relais.domain.matching.model import DECIMALS, Feature, Frequencies, Level, Model

ADDRESSES = ((95.0, Level.Same), (75.0, Level.Near), (60.0, Level.Partly), (0.0, Level.Different))
"""From which likeness on, of 100, addresses are how near."""
SHORTEST_IDENTIFIER = 6
"""Characters from which on one edit may be a slip."""

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
    weights += of_identifiers(by_system(asked.identifiers), by_system(known.identifiers), model, weights)
    weights += _sets(Feature.Phone, asked.phones, known.phones, model)
    at_home = any(each.field is Feature.Phone and each.bits > 0 for each in weights)
    addresses = tuple(_addresses(asked.addresses, known.addresses, model, at_home=at_home))
    weights += addresses or _sets(Feature.PostalCode, asked.postal_codes, known.postal_codes, model)
    return tuple(weights)


def total(weights: Iterable[Weight]) -> float:
    """Their sum in bits; exact, whatever the order."""
    return round(math.fsum(each.bits for each in weights), DECIMALS)


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
    for seen in readings(asked):
        for held in readings(known):
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
    return max(found, key=_preference) if len(found) > 2 else found[-1]  # noqa: PLR2004 - nothing and one way


def _preference(weights: tuple[Weight, ...]) -> tuple[int, float, list[tuple[str, str, float, str, str]]]:
    compared = sum(each.field is not Feature.Order for each in weights)
    return compared, total(weights), [each.rank for each in weights]


def _as_read(seen: Reading, held: Reading, model: Model, frequencies: Frequencies) -> Iterator[Weight]:
    for feature, here, there in ((Feature.Family, seen[0], held[0]), (Feature.Given, seen[1], held[1])):
        if not here or not there:
            continue
        level, bits = of_names(here, there, feature, model, frequencies)
        yield Weight(feature, level, bits, " ".join(here), " ".join(there))


def of_names(seen: Parts, held: Parts, feature: Feature, model: Model, frequencies: Frequencies) -> tuple[Level, float]:
    """How near one side of two names is, and what that says; neither is empty."""
    level, ours, theirs = likeness(seen, held, feature, frequencies)
    if level is Level.Different or level is Level.Initial:
        return level, model.bits(feature, level)
    count = frequencies.family if feature is Feature.Family else frequencies.given
    rarity = model.rarity(map(count, ours), frequencies.total)
    if theirs != ours:
        rarity = min(rarity, model.rarity(map(count, theirs), frequencies.total))
    return level, round(model.share(feature, level) * rarity, DECIMALS)


# --- identifiers and contacts -----------------------------------------------------------------------------------------


Values = Mapping[str, set[str]]
"""Identifiers by who issued them."""


def by_system(identifiers: Iterable[Identifier]) -> Values:
    """A NAM whose check digit fits needs nobody to say that it is one."""
    found: dict[str, set[str]] = {}
    for each in identifiers:
        value = each.value[:LONGEST]
        system = RAMQ if not each.system and _CHECKS[RAMQ](value) else each.system
        found.setdefault(system, set()).add(value)
    return found


def of_identifiers(seen: Values, held: Values, model: Model, others: Sequence[Weight]) -> Iterator[Weight]:
    """What identifiers say beside the other weights, some of which a NAM repeats."""
    if not seen or not held:
        return
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
    pairs = ((alike(one, other), one, other) for one in ours for other in theirs)
    if nearest := max(pairs, default=None):
        nearness, one, other = nearest
        level, bits = of_address(nearness, model, at_home=at_home)
        yield Weight(Feature.Address, level, bits, one, other)


def of_address(nearness: float, model: Model, *, at_home: bool) -> tuple[Level, float]:
    """What it says that the nearest addresses are so alike; `at_home`: a telephone says that they live together."""
    level = next(level for least, level in ADDRESSES if nearness >= least)
    bits = model.bits(Feature.Address, level)
    return level, min(bits, model.bits(Feature.Address, Level.Partly)) if at_home else bits


def alike(one: str, other: str) -> float:
    """0 to 100, whatever the order of words; what is left out counts little where both have the house's number."""
    one, other = one[:LONGEST], other[:LONGEST]
    numbers = [{word for word in each.split() if word[0].isdigit()} for each in (one, other)]
    compare = fuzz.token_set_ratio if numbers[0] & numbers[1] else fuzz.token_sort_ratio
    return round(compare(one, other), 3)


# --- what a card says of its bearer -----------------------------------------------------------------------------------


def _nams(identity: Identity) -> dict[str, Ramq]:
    read = ((value, read_ramq(value)) for value in by_system(identity.identifiers).get(RAMQ, ()))
    return {value: ramq for value, ramq in read if ramq is not None}


def _contradicts(ramq: Ramq, identity: Identity, *, ask_initial: bool) -> bool:
    born = identity.birth_date
    beyond = {DateLevel.YearOnly, DateLevel.Different}
    if born is not None and all(compare_dates(each, born) in beyond for each in ramq.births):
        return True
    if identity.sex and identity.sex != ramq.sex:
        return True
    initials = {part[0] for family, given in readings(identity) if given for part in (*family, *given)}
    return ask_initial and bool(initials) and not initials & {ramq.initial, "?"}
