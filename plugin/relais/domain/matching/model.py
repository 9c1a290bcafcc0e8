"""The matching model: how much each agreement and disagreement says, and from where on that is enough.

A model is a value with a version and a digest: whoever has it, what was compared and how common the names were, comes
to the same answer again.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from enum import StrEnum
from functools import cache, cached_property
from types import MappingProxyType
from typing import Annotated, Any, Protocol, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_pascal

from relais.domain.document import Document, Text, fault, nearest, parse

DECIMALS = 6
"""Bits are kept to so many decimals, so that no platform's last digit decides."""


class Feature(StrEnum):
    """What is compared of two people."""

    Family = "Family"
    Given = "Given"
    Order = "Order"
    BirthDate = "BirthDate"
    Sex = "Sex"
    Identifier = "Identifier"
    Phone = "Phone"
    PostalCode = "PostalCode"
    Address = "Address"


class Level(StrEnum):
    """How near the two are in one feature."""

    Same = "Same"
    Shared = "Shared"  # all parts of the shorter name are in the longer
    Truncated = "Truncated"
    Damaged = "Damaged"  # all but the letters that were lost
    Near = "Near"  # a slip of the keyboard
    Close = "Close"
    Partly = "Partly"  # too little to call it the same name
    Initial = "Initial"
    Swapped = "Swapped"  # family name and given name
    DayMonthSwapped = "DayMonthSwapped"
    OneDigit = "OneDigit"
    NewYear = "NewYear"  # the same first of January, which is noted for many whose day nobody knows
    YearOnly = "YearOnly"
    OneEdit = "OneEdit"  # of a number with a check digit; of others, which follow one another, Close
    Untyped = "Untyped"  # the same value, and one side does not say who issued it
    Different = "Different"


class Frequencies(Protocol):
    """How many people the CRM has, and how many of them have a part of a name (folded)."""

    @property
    def total(self) -> int:
        """People in the CRM."""

    def family(self, part: str) -> int:
        """How many have it in their family name."""

    def given(self, part: str) -> int:
        """How many have it in their given name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Frequencies as they were for one question; a part that was not asked for has none."""

    total: int
    families: Mapping[str, int]
    givens: Mapping[str, int]

    @classmethod
    def of(cls, parts: Iterable[str], frequencies: Frequencies) -> Counts:
        """What is asked now of these parts, which may be either name when names are swapped."""
        distinct = sorted(set(parts))
        return cls(
            total=frequencies.total,
            families={part: frequencies.family(part) for part in distinct},
            givens={part: frequencies.given(part) for part in distinct},
        )

    def family(self, part: str) -> int:
        """How many have it in their family name."""
        return self.families.get(part, 0)

    def given(self, part: str) -> int:
        """How many have it in their given name."""
        return self.givens.get(part, 0)


_NAME_LEVELS = ("Same", "Shared", "Truncated", "Damaged", "Near", "Close", "Partly")
_LEVELS: Mapping[str, tuple[str, ...]] = {
    "Family": ("Different",),
    "Given": ("Different", "Initial"),
    "Order": ("Swapped",),
    "BirthDate": ("Same", "NewYear", "DayMonthSwapped", "OneDigit", "YearOnly", "Different"),
    "Sex": ("Same", "Different"),
    "Identifier": ("Same", "OneEdit", "Close", "Untyped", "Different"),
    "Phone": ("Same", "Different"),
    "PostalCode": ("Same", "Different"),
    "Address": ("Same", "Near", "Partly", "Different"),
}
_WEIGHTS = frozenset(f"{feature}.{level}" for feature, levels in _LEVELS.items() for level in levels)
_SHARES = frozenset(f"{feature}.{level}" for feature in ("Family", "Given") for level in _NAME_LEVELS)


def _exactly(known: frozenset[str]) -> AfterValidator:
    """A mapping of these keys, all of them and no others, to finite numbers, that nobody changes."""

    def check(numbers: Mapping[str, float]) -> Mapping[str, float]:
        for name, number in numbers.items():
            if name not in known:
                raise fault("unknown-key", name=name, nearest=nearest(name, known), known=sorted(known))
            if not math.isfinite(number):
                raise fault("finite_number")
        if missing := sorted(known - set(numbers)):
            raise fault("missing", name=missing[0])
        return MappingProxyType({name: round(float(numbers[name]), DECIMALS) for name in sorted(known)})

    return AfterValidator(check)


Bits = Annotated[float, Field(ge=0, le=64)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Model(Document):
    """One set of weights (bits) and thresholds.

    The parts of a name that agree are worth `-log2(frequency)` bits, within `rarity_least` and `rarity_most`, times the
    share of their level.
    """

    version: Text = Field(description="What people call it.", examples=["first"])
    weights: Annotated[Mapping[str, float], _exactly(_WEIGHTS)] = Field(description="Bits by feature and level.")
    shares: Annotated[Mapping[str, float], _exactly(_SHARES)] = Field(
        description="Which part of a name's bits counts, by feature and level."
    )
    rarity_least: Bits = Field(description="What the commonest name is worth.", examples=[1.0])
    rarity_most: Bits = Field(description="What the rarest name is worth.", examples=[13.0])
    identifier_least: Bits = Field(
        description="What a NAM is worth beside a name, a birth date and a sex that it repeats.", examples=[6.0]
    )
    repeated_family: Bits = Field(description="At most so much of a family name does a NAM repeat.", examples=[8.0])
    repeated_given: Bits = Field(description="At most so much of a given name does a NAM repeat.", examples=[3.5])
    match: Probability = Field(description="The posterior from which on it is this person.", examples=[0.999])
    review: Probability = Field(description="The posterior from which on a person looks.", examples=[0.01])
    probable: Probability = Field(description="The posterior from which on it is probable.", examples=[0.5])
    margin: Bits = Field(description="By how much the best must lead.", examples=[10.0])
    overrule: Bits | None = Field(
        description="From so many bits on nothing that differs forbids a match; null where relatives live together.",
        examples=[20.0],
    )
    names_known: int = Field(
        ge=0, description="From so many people on, a name that none of them has may be a misspelling.", examples=[1000]
    )

    def bits(self, feature: Feature, level: Level) -> float:
        """What the level says, in bits."""
        return self._bits[feature, level]

    def share(self, feature: Feature, level: Level) -> float:
        """Which part of the name's bits the level leaves."""
        return self.shares[f"{feature}.{level}"]

    def rarity(self, counts: Iterable[int], total: int) -> float:
        """What it says that two people share parts of a name which so many of `total` have, in bits."""
        people = max(total, 1)
        bits = math.fsum(math.log2(people / max(count, 1)) for count in counts)
        return min(max(bits, self.rarity_least), self.rarity_most)

    @cached_property
    def _bits(self) -> Mapping[tuple[Feature, Level], float]:
        return {(feature, level): bits for feature, level, bits in _by_level(self.weights)}

    @cached_property
    def spans(self) -> Mapping[Feature, tuple[float, float]]:
        """The least and the most that each feature may say, once; 0 where it is not compared."""
        said: dict[Feature, list[float]] = {feature: [0.0] for feature in Feature}
        for feature, _, bits in _by_level(self.weights):
            said[feature].append(bits)
        for feature, _, share in _by_level(self.shares):
            said[feature].append(share * self.rarity_most)
        said[Feature.Identifier].append(self.identifier_least)
        return {feature: (min(bits), max(bits)) for feature, bits in said.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex: what tells models apart."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As it is stored and shown."""
        return {
            str(field.alias): dict(value) if isinstance(value, Mapping) else value
            for name, field in type(self).model_fields.items()
            for value in (getattr(self, name),)
        }

    @classmethod
    def from_json(cls, document: object) -> Model:
        """As it was stored; raises DocumentError with every problem."""
        return parse(cls, document)


def _by_level(numbers: Mapping[str, float]) -> Iterator[tuple[Feature, Level, float]]:
    for name, number in numbers.items():
        feature, _, level = name.partition(".")
        yield Feature(feature), Level(level), number


FIRST = Model(
    version="first",
    weights={
        "Family.Different": -5.5,
        "Given.Different": -5.5,
        "Given.Initial": 2.0,
        "Order.Swapped": -3.0,
        "BirthDate.Same": 14.6,
        "BirthDate.NewYear": 9.0,
        "BirthDate.DayMonthSwapped": 8.0,
        "BirthDate.OneDigit": 5.0,
        "BirthDate.YearOnly": -2.0,
        "BirthDate.Different": -7.5,
        "Sex.Same": 0.95,
        "Sex.Different": -6.0,
        "Identifier.Same": 21.0,
        "Identifier.OneEdit": 11.0,
        "Identifier.Close": 0.0,
        "Identifier.Untyped": 4.0,
        "Identifier.Different": -6.0,
        "Phone.Same": 12.0,
        "Phone.Different": -1.5,
        "PostalCode.Same": 5.0,
        "PostalCode.Different": -0.5,
        "Address.Same": 9.0,
        "Address.Near": 7.0,
        "Address.Partly": 1.0,
        "Address.Different": -1.0,
    },
    shares={
        "Family.Same": 1.0,
        "Family.Shared": 0.6,
        "Family.Truncated": 0.6,
        "Family.Damaged": 0.6,
        "Family.Near": 0.55,
        "Family.Close": 0.2,
        "Family.Partly": 0.2,
        "Given.Same": 1.0,
        "Given.Shared": 0.6,
        "Given.Truncated": 0.6,
        "Given.Damaged": 0.6,
        "Given.Near": 0.55,
        "Given.Close": 0.2,
        "Given.Partly": 0.2,
    },
    rarity_least=1.0,
    rarity_most=13.0,
    identifier_least=6.0,
    repeated_family=8.0,
    repeated_given=3.5,
    match=0.999,
    review=0.01,
    probable=0.5,
    margin=10.0,
    overrule=None,
    names_known=1000,
)
"""The first set: published figures and judgement, before anything was learnt."""


# --- values as JSON ---------------------------------------------------------------------------------------------------


def written(value: object) -> Any:
    """Values of matching as JSON: dataclasses with PascalCase keys, days as 2027-04-01, mappings as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        return {to_pascal(each.name): written(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): written(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [written(each) for each in value]
    if isinstance(value, StrEnum):
        return value.value
    return value.isoformat() if isinstance(value, date) else value


def read(kind: Any, document: Any) -> Any:
    """The value of that kind, as it was written; raises KeyError, TypeError or ValueError where it was not."""
    options = get_args(kind)
    if type(None) in options:
        return None if document is None else read(options[0], document)
    if get_origin(kind) is tuple:
        return tuple(read(options[0], each) for each in document)
    if get_origin(kind) is Mapping:
        return {key: read(options[1], each) for key, each in document.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(**{name: read(each, document[to_pascal(name)]) for name, each in _hints(kind).items()})
    if kind is date:
        return date.fromisoformat(document)
    if kind in {bool, int, str} and type(document) is not kind:
        raise TypeError(document)
    return kind(document)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)
