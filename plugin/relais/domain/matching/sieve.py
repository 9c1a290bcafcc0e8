"""Which of the people who were found can matter to an answer; the others are only counted.

A key that many people have brings many who are obviously somebody else. What speaks for each is what `evidence.weigh`
would say, to the last digit, but found without its words, a field of all of them at a time; who cannot change the
answer is set aside, and what all of those weigh together stays in the sum over everybody.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from heapq import nsmallest

from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler

from relais.domain.matching.compact import FIELD, SIDE, VALUE, expanded, identifiers_in, names_in
from relais.domain.matching.dates import compare_dates
from relais.domain.matching.evidence import (
    ADDRESSES,
    Weight,
    by_system,
    of_address,
    of_identifiers,
    of_names,
    total,
    weigh,
)
from relais.domain.matching.identity import Identity
from relais.domain.matching.likeness import CLOSE, LONGEST, Parts, Reading, parts, readings
from relais.domain.matching.model import DECIMALS, Feature, Frequencies, Level, Model

SHOWN = 3
"""Candidates that are kept with a decision."""
SLACK = 0.01
"""Bits by which the bounds are wider than they must be: sums are rounded."""
UNIT = 10**DECIMALS
"""Bits are added up as whole millionths, to which they are rounded: so their sum is exact in any order."""
_CLOSE = CLOSE - 0.001
"""A part of a name that is less alike than this is another name, if neither begins the other."""

Column = Sequence[int]
"""What one field says of each person."""
Side = tuple[bool, int, int]
"""Of one side of a name: whether it differs, whether both have it (0 or 1), and what that says."""
Named = tuple[int, int, int, int]
"""Of a name: how many sides are compared, what they say in sum, and of that the family name and the given name."""
_UNNAMED: Named = (0, 0, 0, 0)


class Sieve:
    """One question, held against many people as `compact` wrote them."""

    def __init__(self, asked: Identity, model: Model, frequencies: Frequencies) -> None:
        self._asked = asked
        self._model = model
        self._frequencies = frequencies
        self._by_system = by_system(asked.identifiers)
        self._values = {each.value[:LONGEST] for each in asked.identifiers}

    def sift(
        self, people: Mapping[str, str], confirmed: Collection[str], rejected: Collection[str]
    ) -> tuple[list[str], float]:
        """The ids of those who matter, in their order, and the sum of `2^bits` of the others.

        Who is confirmed, rejected or has an identifier of the asked always matters, and so do the best `SHOWN`.
        """
        if len(people) <= SHOWN:
            return sorted(people), 0.0
        prior = -math.log2(max(self._frequencies.total, 1))
        said = zip(people, self.totals(people.values()), strict=True)
        bits = {crm_id: round(prior + each, DECIMALS) for crm_id, each in said}
        kept = {crm_id for crm_id in (*confirmed, *rejected) if crm_id in people}
        if self._values:
            kept |= {crm_id for crm_id, line in people.items() if self._shares_identifier(line)}
        best = nsmallest(SHOWN, [(-each, crm_id) for crm_id, each in bits.items()])
        leader = -best[0][0]
        review = math.log2(self._model.review) if self._model.review else -math.inf
        least = review + max(0.0, leader)
        if kept or leader >= review - SLACK:  # somebody may be matched, and others may forbid it
            chosen = min([leader, *(bits[crm_id] for crm_id in confirmed if crm_id in bits)])
            least = min(least, chosen - self._reach())
        least -= SLACK
        kept.update([crm_id for _, crm_id in best], [crm_id for crm_id, each in bits.items() if each >= least])
        return sorted(kept), math.fsum([2.0**each for crm_id, each in bits.items() if crm_id not in kept])

    def totals(self, lines: Iterable[str]) -> list[float]:
        """What speaks for each of these people, as `total(weigh(...))`."""
        people = [*lines]
        fields = [line.split(FIELD) for line in people]
        if not fields:
            return []
        born, sexes, names, birth_names, identifiers, phones, codes, addresses = zip(*fields, strict=True)
        named, tied = self._named(names, birth_names)
        columns: list[Column] = [[each[1] for each in named], self._dates(born), self._sexes(sexes)]
        if self._values and any(identifiers):
            columns.append(self._identifiers(identifiers, named, columns[1], columns[2]))
        if self._asked.phones:
            columns.append(self._any_of(Feature.Phone, self._asked.phones, phones))
        at_home = columns[-1] if self._asked.phones else [0] * len(fields)
        columns.append(self._homes(addresses, codes, at_home))
        found = [each / UNIT for each in map(sum, zip(*columns, strict=True))]
        for place in tied:
            found[place] = total(weigh(self._asked, expanded(people[place]), self._model, self._frequencies))
        return found

    def _reach(self) -> float:
        """By how many bits somebody may trail whom a match names, and yet forbid it.

        That is the margin; or half of it, where they would be so far ahead if one field had not been sent.
        """
        model, systems = self._model, len(self._by_system)
        least, most = model.spans[Feature.Identifier]
        slips = [model.bits(Feature.Identifier, each) for each in (Level.OneEdit, Level.Close)]
        one_by_one = systems * max(model.identifier_least, *slips)
        one_by_one += max(0.0, model.bits(Feature.Identifier, Level.Untyped))
        widest = max(
            *(most - least for feature, (least, most) in model.spans.items() if feature is not Feature.Identifier),
            max(systems * most, one_by_one) - systems * least if systems else 0.0,
        )
        return max(model.margin, widest - model.margin / 2)

    def _shares_identifier(self, line: str) -> bool:
        field = line.split(FIELD)[4]
        return bool(field) and any(each.value[:LONGEST] in self._values for each in identifiers_in(field))

    def _says(self, feature: Feature, level: Level) -> int:
        return _units(self._model.bits(feature, level))

    # --- names --------------------------------------------------------------------------------------------------------

    def _named(self, names: Sequence[str], birth_names: Sequence[str]) -> tuple[list[Named], list[int]]:
        """What names say, and the places of those of which two ways to read them say the same, but each side not."""
        known = [*zip(names, birth_names, strict=True)]
        read = {each: _held(*each) for each in dict.fromkeys(known)}
        ways = [_Way(seen, self._model, self._frequencies) for seen in readings(self._asked)]
        for way in ways:
            way.prepare({family for held in read.values() for family, _ in held})
        best: dict[tuple[str, str], Named] = {}
        tied = set()
        for each, held in read.items():
            found = [said for way in ways for reading in held for said in way.held_against(*reading)]
            best[each] = first = max(found, default=_UNNAMED)
            if len(found) > 1 and any(other[:2] == first[:2] and other != first for other in found):
                tied.add(each)
        return [best[each] for each in known], [place for place, each in enumerate(known) if each in tied]

    # --- the other fields ---------------------------------------------------------------------------------------------

    def _dates(self, born: Sequence[str]) -> Column:
        if self._asked.birth_date is None:
            return [0] * len(born)
        written = self._asked.birth_date.isoformat()
        year, rest, different = written[:4], written[5:], self._says(Feature.BirthDate, Level.Different)
        said = {
            each: different
            if each and each[:4] != year and each[5:] != rest
            else self._date(self._asked.birth_date, each)
            for each in set(born)
        }
        return [said[each] for each in born]

    def _date(self, day: date, born: str) -> int:
        if not born:
            return 0
        level = Level(compare_dates(day, date.fromisoformat(born)).name)
        if level is Level.Same and born.endswith("-01-01"):
            level = Level.NewYear
        return self._says(Feature.BirthDate, level)

    def _sexes(self, sexes: Sequence[str]) -> Column:
        if not self._asked.sex:
            return [0] * len(sexes)
        same, different = (self._says(Feature.Sex, level) for level in (Level.Same, Level.Different))
        return [0 if not each else same if each == self._asked.sex else different for each in sexes]

    def _identifiers(self, fields: Sequence[str], named: Sequence[Named], dates: Column, sexes: Column) -> Column:
        return [
            self._identified(field, name, dated, sex) if field else 0
            for field, name, dated, sex in zip(fields, named, dates, sexes, strict=True)
        ]

    def _identified(self, field: str, named: Named, dated: int, sex: int) -> int:
        others = [
            Weight(feature, Level.Same, said / UNIT, None, None)
            for feature, said in (
                (Feature.Family, named[2]),
                (Feature.Given, named[3]),
                (Feature.BirthDate, dated),
                (Feature.Sex, sex),
            )
        ]
        found = of_identifiers(self._by_system, by_system(identifiers_in(field)), self._model, others)
        return sum(_units(each.bits) for each in found)

    def _any_of(self, feature: Feature, ours: Iterable[str], fields: Sequence[str]) -> Column:
        """Whether one of these values is among those of a field."""
        wanted = frozenset(ours)
        same, different = (self._says(feature, level) for level in (Level.Same, Level.Different))
        return [0 if not each else different if wanted.isdisjoint(each.split(VALUE)) else same for each in fields]

    def _homes(self, addresses: Sequence[str], codes: Sequence[str], phones: Column) -> Column:
        """The nearest of the addresses; the postal code where there is none on either side."""
        ours = self._asked.addresses
        by_code = (
            self._any_of(Feature.PostalCode, self._asked.postal_codes, codes)
            if self._asked.postal_codes
            else [0] * len(codes)
        )
        if not ours:
            return by_code
        near = _nearest(ours, {each for field in addresses if field for each in field.split(VALUE)})
        nearer = [least for least, _ in ADDRESSES[-2::-1]]
        said = [
            [_units(of_address(least, self._model, at_home=at_home)[1]) for least in (0.0, *nearer)]
            for at_home in (False, True)
        ]
        found = []
        for field, code, phone in zip(addresses, by_code, phones, strict=True):
            if field:
                nearest = near[field] if VALUE not in field else max(near[each] for each in field.split(VALUE))
                found.append(said[phone > 0][bisect_right(nearer, nearest)])
            else:
                found.append(code)
        return found


class _Way:
    """One way to read the name that is asked for, held against others."""

    def __init__(self, reading: Reading, model: Model, frequencies: Frequencies) -> None:
        family, given = reading
        self._whole = bool(family and given)
        self._swapped = _units(model.bits(Feature.Order, Level.Swapped))
        self._family = _Sides(family, Feature.Family, model, frequencies)
        self._given = _Sides(given, Feature.Given, model, frequencies)
        self._given_first = _Sides(given, Feature.Family, model, frequencies)
        self._family_last = _Sides(family, Feature.Given, model, frequencies)

    def prepare(self, families: Collection[str]) -> None:
        """Compare all these at once."""
        self._family.prepare(families)

    def held_against(self, family: str, given: str) -> Sequence[Named]:
        """As it was read, and with the sides swapped where nothing differs then."""
        differs, whole, first = self._family[family]
        other, both, last = self._given[given]
        straight = whole + both, first + last, first, last
        if not (self._whole and whole and both and (differs or other)):
            return (straight,)
        other, _, last = self._family_last[given]
        if other or self._given_first[family][0]:
            return (straight,)
        first = self._given_first[family][2]
        return straight, (2, first + last + self._swapped, first, last)


class _Sides(dict[str, Side]):
    """What one side of a name says beside that of others, found once."""

    def __init__(self, seen: Parts, feature: Feature, model: Model, frequencies: Frequencies) -> None:
        super().__init__()
        self._seen = seen
        self._feature = feature
        self._model = model
        self._frequencies = frequencies

    def prepare(self, several: Collection[str]) -> None:
        """Find those of one part that are another name, by the rules of `likeness`: most are."""
        if len(self._seen) != 1 or "?" in self._seen[0]:
            return
        (seen,) = self._seen
        if len(seen) == 1:
            return
        begins = seen[:2]
        far = [
            each
            for each in several
            if (each[:2] != begins or not (each.startswith(seen) or seen.startswith(each)))
            and each[1:]
            and " " not in each
            and "?" not in each
        ]
        near = {
            each
            for each, _, _ in process.extract(
                seen, far, scorer=JaroWinkler.normalized_similarity, score_cutoff=_CLOSE, limit=None
            )
        }
        differs = True, 1, _units(self._model.bits(self._feature, Level.Different))
        self.update({each: differs for each in far if each not in near and parts((each,))})

    def __missing__(self, written: str) -> Side:
        held = parts(tuple(written.split()))
        if not self._seen or not held:
            side = False, 0, 0
        else:
            level, bits = of_names(self._seen, held, self._feature, self._model, self._frequencies)
            side = level is Level.Different, 1, _units(bits)
        self[written] = side
        return side


def _units(bits: float) -> int:
    units: int = round(bits * UNIT)
    return units


def _held(names: str, birth_names: str) -> Sequence[tuple[str, str]]:
    """The ways to read the names of one person."""
    if not birth_names and names.count(SIDE) == 1:
        family, _, given = names.partition(SIDE)
        return ((family, given),)
    read = readings(Identity(names=names_in(names), birth_names=names_in(birth_names)))
    return [(" ".join(family), " ".join(given)) for family, given in read]


def _nearest(ours: Sequence[str], others: Collection[str]) -> Mapping[str, float]:
    """How alike each of the others and the nearest of ours are, as `evidence.alike` has it."""
    found = dict.fromkeys(others, 0.0)
    for each in ours:
        one = each[:LONGEST]
        numbers = {word for word in one.split() if word[0].isdigit()}
        cut = {other: other[:LONGEST] for other in others}
        numbered = {other for other, text in cut.items() if not numbers.isdisjoint(text.split())} if numbers else ()
        for scorer, some in (
            (fuzz.token_set_ratio, {other: cut[other] for other in numbered}),
            (fuzz.token_sort_ratio, {other: text for other, text in cut.items() if other not in numbered}),
        ):
            for _, nearness, other in process.extract(one, some, scorer=scorer, limit=None):
                found[other] = max(found[other], round(nearness, 3))
    return found
