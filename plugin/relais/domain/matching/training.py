"""What a model learns from questions that were asked: how often each level is seen where two are one person.

Expectation-maximisation (Dempster, Laird and Rubin 1977) on the Fellegi-Sunter model: the posteriors of a model say
whom each question means, the levels seen with them say how likely each is for one person, and that makes the next one.
People's answers are never learnt from: they judge what was learnt.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from relais.domain.matching.decision import Question, State
from relais.domain.matching.evidence import weigh
from relais.domain.matching.model import DECIMALS, Feature, Level, Model

ROUNDS, ENOUGH = 10, 0.01
"""Rounds at most, and the change in bits of every weight with which it ends before."""
CHANCE_PAIRS, SEEN = 40_000, 30
"""Pairs of strangers that are compared at most, and how often a level must be seen among them to be counted."""
DOUBT = 20.0
"""So many imagined pairs speak for the model that is there."""

ONE_PERSON: Mapping[str, float] = {
    "Family.Different": 0.02,
    "Given.Different": 0.01,
    "Given.Initial": 0.005,
    "BirthDate.Same": 0.975,
    "BirthDate.NewYear": 0.975,
    "BirthDate.DayMonthSwapped": 0.005,
    "BirthDate.OneDigit": 0.01,
    "BirthDate.YearOnly": 0.003,
    "BirthDate.Different": 0.0055,
    "Sex.Same": 0.992,
    "Sex.Different": 0.008,
    "Identifier.Same": 0.95,
    "Identifier.OneEdit": 0.01,
    "Identifier.Close": 0.01,
    "Identifier.Untyped": 0.01,
    "Identifier.Different": 0.016,
    "Phone.Same": 0.65,
    "Phone.Different": 0.35,
    "PostalCode.Same": 0.7,
    "PostalCode.Different": 0.3,
    "Address.Same": 0.5,
    "Address.Near": 0.25,
    "Address.Partly": 0.05,
    "Address.Different": 0.2,
}
"""How likely each level is for one person, as judged when the first model was made."""
_UNLIKELIEST = 1e-9


@dataclass(frozen=True, kw_only=True)
class Example:
    """A question that was asked; `by_person` says that a person answered it, with `crm_id` or, with None, nobody."""

    question: Question
    by_person: bool = False
    crm_id: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Example:
        """A line of an export: {"Question", "ByPerson", "CrmId"}; raises KeyError, TypeError or ValueError."""
        return cls(
            question=Question.from_json(document["Question"]),
            by_person=document.get("ByPerson") is True,
            crm_id=document.get("CrmId"),
        )


def learn(examples: Sequence[Example], start: Model, *, version: str) -> Model:
    """The model in which the weights fit what is seen; shares of names and thresholds stay as they are.

    Always the same for the same examples. Without one in which anybody is likely, it is `start` by another name.
    """
    chance = _by_chance(examples, start)
    model = start
    for _ in range(ROUNDS):
        learnt = _round(examples, model, start, chance)
        change = max((abs(learnt[name] - bits) for name, bits in model.weights.items()), default=0.0)
        model = model.model_copy(update={"weights": learnt})
        if change < ENOUGH:
            break
    return Model.from_json({**model.to_json(), "Version": version, "Weights": dict(model.weights)})


def evaluate(examples: Sequence[Example], model: Model) -> dict[str, Any]:
    """What a model answers: how many of each state, and beside what people said.

    `Wrong` are automatic matches that people answered otherwise; `WrongAtMost` is the upper bound of their share with
    95 % confidence (Clopper and Pearson 1934).
    """
    states: Counter[str] = Counter({state.value: 0 for state in State})
    judged = wrong = found = linked = 0
    for example in examples:
        answer = example.question.answer(model)
        states[answer.state.value] += 1
        if not example.by_person:
            continue
        linked += example.crm_id is not None
        if answer.state is State.Matched:
            judged += 1
            wrong += answer.crm_id != example.crm_id
            found += answer.crm_id == example.crm_id
    return {
        "Version": model.version,
        "Digest": model.digest,
        "Questions": len(examples),
        **states,
        "AnsweredByPeople": sum(each.by_person for each in examples),
        "MatchedBeside": judged,
        "Wrong": wrong,
        "WrongAtMost": upper_bound(wrong, judged),
        "Recall": found / linked if linked else None,
    }


def upper_bound(wrong: int, judged: int) -> float:
    """The largest share of wrong ones that is not refuted at 95 % by so many of so many; 1 of none at all."""
    if wrong >= judged:
        return 1.0
    low, high = wrong / judged, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(wrong, judged, middle) > 0.05 else (low, middle)  # noqa: PLR2004
    return high


def _at_most(wrong: int, judged: int, share: float) -> float:
    """How likely so many or fewer are wrong, where each is with that probability."""
    whole = math.lgamma(judged + 1)
    return math.fsum(
        math.exp(
            whole
            - math.lgamma(each + 1)
            - math.lgamma(judged - each + 1)
            + (each * math.log(share) if each else 0.0)
            + (judged - each) * math.log1p(-share)
        )
        for each in range(wrong + 1)
    )


def _round(examples: Sequence[Example], model: Model, start: Model, chance: Mapping[str, float]) -> dict[str, float]:
    """One more: whom the model means, and what weights that speaks for."""
    seen, compared = _expected(examples, model)
    weights = dict(start.weights)
    for name, judged in ONE_PERSON.items():
        feature = name.partition(".")[0]
        likely = (seen[name] + DOUBT * judged) / (compared[feature] + DOUBT)
        by_chance = chance.get(name, judged / 2 ** start.weights[name])
        weights[name] = round(math.log2(max(likely, _UNLIKELIEST) / max(by_chance, _UNLIKELIEST)), DECIMALS)
    swapped = (seen["Order.Swapped"] + DOUBT * 2 ** start.weights["Order.Swapped"]) / (compared["Given"] + DOUBT)
    weights["Order.Swapped"] = round(math.log2(swapped), DECIMALS)
    return weights


def _expected(examples: Sequence[Example], model: Model) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """How often each level is expected with the person that is meant, and how often each feature is compared."""
    seen: defaultdict[str, float] = defaultdict(float)
    compared: defaultdict[str, float] = defaultdict(float)
    for example in examples:
        for candidate in example.question.answer(model).candidates:
            if candidate.posterior < model.review:
                continue
            for name in {f"{each.field}.{each.level}" for each in candidate.weights}:
                seen[name] += candidate.posterior
            for feature in {each.field for each in candidate.weights}:
                compared[feature] += candidate.posterior
    return seen, compared


def _by_chance(examples: Sequence[Example], model: Model) -> Mapping[str, float]:
    """How likely each level is for strangers, where enough show it: who was asked for, and another's candidates."""
    levels, compared = Counter[str](), Counter[str]()
    for weights in _strangers(examples, model):
        levels.update({f"{field}.{level}" for field, level in weights})
        compared.update({str(field) for field, _ in weights})
    return {
        name: times / compared[name.partition(".")[0]]
        for name, times in levels.items()
        if times >= SEEN and name in ONE_PERSON
    }


def _strangers(examples: Sequence[Example], model: Model) -> Iterator[list[tuple[Feature, Level]]]:
    """Who was asked for beside a candidate of another question, but not one that is likely: a patient returns."""
    likely = [_likely(each, model) for each in examples]
    known = [(place, each) for place, one in enumerate(examples) for each in one.question.candidates]
    random = Random(len(known))  # the same for the same examples
    for _ in range(min(CHANCE_PAIRS, (len(examples) - 1) * len(known))):
        asked = random.randrange(len(examples))
        of, candidate = known[random.randrange(len(known))]
        if of != asked and candidate.crm_id not in likely[asked]:
            question = examples[asked].question
            weights = weigh(question.asked, candidate.identity, model, question.counts)
            yield [(each.field, each.level) for each in weights]


def _likely(example: Example, model: Model) -> frozenset[str]:
    """The ids of those whom it may mean."""
    found = example.question.answer(model).candidates
    return frozenset(each.crm_id for each in found if each.posterior >= model.review)
