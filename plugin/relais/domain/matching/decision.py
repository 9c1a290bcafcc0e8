"""Whose images these are: one of the CRM's people, nobody, or a question for a person. The default is the question.

A wrong match is far worse than a review, so what speaks against a match outweighs any number of bits.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from relais.domain.matching.evidence import Weight, card_contradicts, total, weigh
from relais.domain.matching.identity import Identity
from relais.domain.matching.likeness import LONGEST, is_newborn
from relais.domain.matching.model import DECIMALS, Counts, Feature, Frequencies, Level, Model, read, written
from relais.domain.matching.sieve import SHOWN

TWO = 2
"""How many kinds of identifier must agree."""
PLACES = 12
"""Decimals of a posterior: no platform's last digit decides."""

_SAME_NAME = frozenset({Level.Same, Level.Shared, Level.Truncated, Level.Damaged, Level.Near})
_MAYBE_SLIP = frozenset({Level.Truncated, Level.Near})
_SAME_DAY = frozenset({Level.Same, Level.NewYear, Level.DayMonthSwapped})


class Veto(StrEnum):
    """What forbids a match, whatever else agrees."""

    Sex = "Sex"
    Identifier = "Identifier"
    BirthDate = "BirthDate"
    Card = "Card"  # a NAM says another birth date, sex or initial


class State(StrEnum):
    """The three answers."""

    Matched = "Matched"
    Review = "Review"
    Unmatched = "Unmatched"


class Grade(StrEnum):
    """How sure one candidate is; FHIR's match-grade in our spelling."""

    Certain = "Certain"
    Probable = "Probable"
    Possible = "Possible"
    CertainlyNot = "CertainlyNot"


class Reason(StrEnum):
    """Why that answer was given."""

    EarlierLink = "EarlierLink"  # Matched: a person linked them before
    Identifier = "Identifier"  # Matched: nobody else has the identifier
    Order = "Order"  # Matched: the order is this person's
    Evidence = "Evidence"  # Matched: the posterior

    Failed = "Failed"
    RepeatedId = "RepeatedId"  # two candidates have one CRM id
    TooLittle = "TooLittle"  # nothing is known by which everybody would be found
    Capped = "Capped"  # not everybody was looked at
    Rejected = "Rejected"  # a person said no before
    EarlierLinkDisagrees = "EarlierLinkDisagrees"
    Newborn = "Newborn"  # a baby without a name of its own
    Vetoed = "Vetoed"
    NameDiffers = "NameDiffers"
    IdentifierElsewhere = "IdentifierElsewhere"  # somebody else has the identifier
    OneIdentifier = "OneIdentifier"  # a name alone, or one identifier alone
    RunnerUp = "RunnerUp"  # a namesake or twin is near
    OneField = "OneField"  # without one field it would be somebody else
    Unsure = "Unsure"  # the posterior is too small

    NoCandidate = "NoCandidate"  # Unmatched: nobody was found
    Nobody = "Nobody"  # Unmatched: nobody who was found is likely


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the CRM's people who may be meant.

    `confirmed`: a person linked this source's PatientID to them; `rejected`: a person said that they are not;
    `ordered`: the study's accession number is of their order.
    """

    crm_id: str
    identity: Identity
    confirmed: bool = False
    rejected: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate with all that was found: `bits` with the CRM's size taken off, and the posterior."""

    crm_id: str
    bits: float
    posterior: float
    weights: tuple[Weight, ...]
    vetoes: tuple[Veto, ...]
    grade: Grade


@dataclass(frozen=True, slots=True)
class Match:
    """The answer, its reason, the best candidates first, and how likely it is nobody; `model` is the model's digest."""

    state: State
    crm_id: str | None
    reason: Reason
    candidates: tuple[Judged, ...]
    nobody: float
    model: str

    def to_json(self) -> dict[str, Any]:
        """As it is stored with the study."""
        document: dict[str, Any] = written(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Match:
        """As it was stored."""
        found: Match = read(cls, document)
        return found


def match(
    asked: Identity,
    candidates: Sequence[Candidate],
    model: Model,
    frequencies: Frequencies,
    *,
    capped: bool = False,
    aside: float = 0.0,
) -> Match:
    """Who it is. Never raises: what cannot be judged is for a person.

    `capped`: some key had more people than are looked at, so the right one may be missing; then nothing is certain.
    `aside`: what those weigh whom the sieve set aside.
    """
    try:
        return _match(asked, tuple(candidates), model, frequencies, capped=capped, aside=aside)
    except Exception:  # noqa: BLE001 - what cannot be judged is for a person, whatever it is
        digest = model.digest if isinstance(model, Model) else ""
        return Match(State.Review, None, Reason.Failed, (), 0.0, digest)


@dataclass(frozen=True, slots=True)
class _Case:
    """A candidate beside what was found of it."""

    candidate: Candidate
    judged: Judged
    levels: Mapping[Feature, Collection[Level]]
    same_name: bool

    @property
    def crm_id(self) -> str:
        return self.candidate.crm_id

    def has(self, feature: Feature, *levels: Level) -> bool:
        return not set(levels).isdisjoint(self.levels.get(feature, ()))

    @property
    def same_identifier(self) -> bool:
        return self.has(Feature.Identifier, Level.Same)

    @property
    def same_day(self) -> bool:
        return self.has(Feature.BirthDate, *_SAME_DAY)

    @property
    def other_name(self) -> bool:
        """Whether the given name is another, or one that a brother, sister or twin may have; or no name is the same."""
        given = self.has(Feature.Given, *_SAME_NAME)
        differs = self.has(Feature.Given, Level.Different, Level.Close)
        return differs or (self.has(Feature.Family, Level.Different) and not given)

    @property
    def same_demographics(self) -> bool:
        """The name, and the birth date where both sides have one; nothing against it."""
        dated = Feature.BirthDate in self.levels
        return self.same_name and (not dated or self.same_day) and not self.judged.vetoes

    @property
    def rank(self) -> tuple[Any, ...]:
        flags = self.candidate.confirmed, self.candidate.rejected, self.candidate.ordered
        return -self.judged.bits, self.crm_id, [each.rank for each in self.judged.weights], flags


def _match(
    asked: Identity,
    candidates: tuple[Candidate, ...],
    model: Model,
    frequencies: Frequencies,
    *,
    capped: bool,
    aside: float,
) -> Match:
    prior = -math.log2(max(frequencies.total, 1))
    cases = sorted((_judge(asked, each, model, frequencies, prior) for each in candidates), key=lambda each: each.rank)
    posteriors, nobody = _posteriors([each.judged.bits for each in cases], aside)
    cases = [
        replace(each, judged=replace(each.judged, posterior=posterior, grade=_grade(each, posterior, model)))
        for each, posterior in zip(cases, posteriors, strict=True)
    ]
    state, reason = _decide(asked, cases, model, capped=capped)
    chosen = _chosen(cases) if state is State.Matched else None
    judged = [replace(each.judged, grade=Grade.Certain) if each is chosen else each.judged for each in cases]
    return Match(state, chosen.crm_id if chosen else None, reason, tuple(judged[:SHOWN]), nobody, model.digest)


def _judge(asked: Identity, candidate: Candidate, model: Model, frequencies: Frequencies, prior: float) -> _Case:
    weights = weigh(asked, candidate.identity, model, frequencies)
    levels: dict[Feature, set[Level]] = {}
    for each in weights:
        levels.setdefault(each.field, set()).add(each.level)
    bits = round(prior + total(weights), DECIMALS)
    vetoes = tuple(_vetoes(asked, candidate.identity, levels))
    named = all(not _SAME_NAME.isdisjoint(levels.get(each, ())) for each in (Feature.Family, Feature.Given))
    slipped = any(not _MAYBE_SLIP.isdisjoint(levels.get(each, ())) for each in (Feature.Family, Feature.Given))
    return _Case(
        candidate=candidate,
        judged=Judged(candidate.crm_id, bits, 0.0, weights, vetoes, Grade.Possible),
        levels=levels,
        same_name=named and not (slipped and frequencies.total < model.names_known),
    )


def _vetoes(asked: Identity, known: Identity, levels: Mapping[Feature, Collection[Level]]) -> Iterator[Veto]:
    if Level.Different in levels.get(Feature.Sex, ()):
        yield Veto.Sex
    if Level.Different in levels.get(Feature.Identifier, ()):
        yield Veto.Identifier
    if not {Level.YearOnly, Level.Different}.isdisjoint(levels.get(Feature.BirthDate, ())):
        yield Veto.BirthDate
    if card_contradicts(asked, known):
        yield Veto.Card


def _posteriors(bits: Sequence[float], aside: float) -> tuple[list[float], float]:
    """Of each, and of nobody: `p_i = 2^w_i / (1 + sum of 2^w_j)`, with the largest taken off before the powers.

    `aside` is what those weigh in that sum who are not among them.
    """
    most = max(0.0, *bits) if bits else 0.0
    nobody = 2.0**-most
    powers = [2.0 ** (each - most) for each in bits]
    whole = math.fsum((nobody, *powers, aside * nobody))
    return [round(each / whole, PLACES) for each in powers], round(nobody / whole, PLACES)


def _grade(case: _Case, posterior: float, model: Model) -> Grade:
    if case.candidate.rejected or posterior < model.review:
        return Grade.CertainlyNot
    return Grade.Probable if posterior >= model.probable and not case.judged.vetoes else Grade.Possible


def _chosen(cases: Sequence[_Case]) -> _Case:
    """The only one who may be matched: a person's earlier link, else whoever leads."""
    return next((each for each in cases if each.candidate.confirmed), cases[0])


def _decide(asked: Identity, cases: Sequence[_Case], model: Model, *, capped: bool) -> tuple[State, Reason]:
    if len({each.crm_id for each in cases}) < len(cases):
        return State.Review, Reason.RepeatedId
    if not any(_stays_open(each, model) for each in cases):
        return _nobody(asked, cases, capped=capped)
    chosen = _chosen(cases)
    ground = _ground(chosen)
    unsure = ground is Reason.Evidence and chosen.judged.posterior < model.match
    objections = (
        *_objections(asked, chosen, [each for each in cases if each is not chosen], model),
        (capped, Reason.Capped),
        (unsure, Reason.Unsure),
    )
    objection = next((reason for stands, reason in objections if stands), None)
    return (State.Matched, ground) if objection is None else (State.Review, objection)


def _stays_open(case: _Case, model: Model) -> bool:
    """Whether a person should look before it is said to be nobody."""
    candidate = case.candidate
    linked = candidate.confirmed or candidate.ordered
    return linked or case.same_identifier or case.judged.posterior >= model.review


def _nobody(asked: Identity, cases: Sequence[_Case], *, capped: bool) -> tuple[State, Reason]:
    if capped:
        return State.Review, Reason.Capped
    if not (asked.birth_date and (asked.names or asked.birth_names)):  # without both, most are never found
        return State.Review, Reason.TooLittle
    return State.Unmatched, Reason.Nobody if cases else Reason.NoCandidate


def _ground(chosen: _Case) -> Reason:
    """On what a match would stand; the posterior is asked only where nothing else does."""
    if chosen.candidate.confirmed:
        return Reason.EarlierLink
    if chosen.same_identifier:
        return Reason.Identifier
    return Reason.Order if chosen.candidate.ordered and chosen.same_demographics else Reason.Evidence


def _objections(asked: Identity, chosen: _Case, others: Sequence[_Case], model: Model) -> Iterator[tuple[bool, Reason]]:
    """What may stand against a match, however likely it is; the first that does is told.

    Households share phones, and fathers and sons names, so beside the name two is a birth date or an identifier.
    """
    linked = chosen.candidate.confirmed
    unlike = not chosen.same_demographics or any(each.candidate.confirmed for each in others)
    demographics = (linked or chosen.candidate.ordered) and chosen.same_demographics
    agreeing = chosen.same_name + chosen.same_day + chosen.same_identifier
    held = any(each.same_identifier for each in others)
    near = any(each.candidate.ordered or each.judged.bits > chosen.judged.bits - model.margin for each in others)
    yield chosen.candidate.rejected, Reason.Rejected
    yield linked and unlike, Reason.EarlierLinkDisagrees
    yield is_newborn(asked), Reason.Newborn
    strict = model.overrule is None or chosen.judged.bits < model.overrule
    yield strict and bool(chosen.judged.vetoes), Reason.Vetoed
    yield strict and chosen.other_name, Reason.NameDiffers
    yield held, Reason.RunnerUp if chosen.same_identifier else Reason.IdentifierElsewhere
    yield strict and agreeing < TWO and not demographics, Reason.OneIdentifier
    yield near, Reason.RunnerUp
    yield any(_leads_without_a_field(each, chosen, model.margin / 2) for each in others), Reason.OneField


def _leads_without_a_field(other: _Case, chosen: _Case, margin: float) -> bool:
    """Whether the other would lead by so much if one field had not been sent."""
    ahead = other.judged.bits - chosen.judged.bits
    return any(
        ahead - _bits_of(other, (feature,)) + _bits_of(chosen, (feature,)) >= margin
        for feature in other.levels.keys() | chosen.levels.keys()
    )


def _bits_of(case: _Case, features: Collection[Feature]) -> float:
    return total(each for each in case.judged.weights if each.field in features)


# --- what a replay needs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that a decision rests on beside the model: asked again, it is answered the same, bit for bit."""

    asked: Identity
    candidates: tuple[Candidate, ...]
    counts: Counts
    capped: bool = False
    aside: float = 0.0

    @classmethod
    def of(
        cls,
        asked: Identity,
        candidates: Sequence[Candidate],
        frequencies: Frequencies,
        *,
        capped: bool = False,
        aside: float = 0.0,
    ) -> Question:
        """The question as it stands now, with how common the names are."""
        people = (asked, *(each.identity for each in candidates))
        names = [name for person in people for name in (*person.names, *person.birth_names)]
        parts = {part[:LONGEST] for name in names for part in (*name.family, *name.given)}
        return cls(
            asked=asked,
            candidates=tuple(candidates),
            counts=Counts.of(parts, frequencies),
            capped=capped,
            aside=aside,
        )

    def answer(self, model: Model) -> Match:
        """What `match` says of it."""
        return match(self.asked, self.candidates, model, self.counts, capped=self.capped, aside=self.aside)

    def to_json(self) -> dict[str, Any]:
        """As it is stored with the answer."""
        document: dict[str, Any] = written(self)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Question:
        """As it was stored; before anybody was set aside, nobody was."""
        found: Question = read(cls, {"Aside": 0.0, **document})
        return found
