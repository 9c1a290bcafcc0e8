"""Which rules hold for a study, and what it is therefore owed: pure, and explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_pascal

from relais.domain.document import OneOf
from relais.domain.facts import Facts
from relais.domain.look import Look
from relais.domain.outcomes import ConditionOutcome
from relais.domain.priority import Priority
from relais.domain.questions import explained
from relais.domain.rules import Otherwise, Rule
from relais.domain.urgency import urgency


class Verdict(StrEnum):
    """What became of one rule."""

    Held = "Held"  # its condition held: it contributed
    Failed = "Failed"  # its condition did not hold
    NotAsked = "NotAsked"  # a rule above held and said Stop
    Disabled = "Disabled"
    NotInForce = "NotInForce"  # the day is before ValidFrom or after ValidUntil


class Explain(StrEnum):
    """How much of its reasons a decision carries."""

    Nothing = "Nothing"  # the rules that held, and no reasons
    Smallest = "Smallest"  # of every rule the smallest set of answers that settled it
    Everything = "Everything"  # the outcome of every condition besides


_JSON = ConfigDict(alias_generator=to_pascal, extra="forbid")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedDelivery:
    """A study owed to one destination; `rules` ask for it, the most urgent gives priority and purpose."""

    destination: str
    priority: Annotated[Priority, OneOf(Priority)]
    purpose: str
    rules: tuple[str, ...] = ()
    pool: str | None = None  # which chose the destination
    back: bool = False  # whether a rule says that it may go back where it came from


@dataclass(kw_only=True, slots=True)  # not frozen, which takes thrice the time: every study has one for every rule
class RuleOutcome:
    """What became of one rule, and why.

    `because` is the smallest set of answers for which its condition held or failed: see `outcomes.because`. `condition`
    is the outcome of the whole condition, where that was asked for.
    """

    rule: str
    verdict: Verdict
    condition: ConditionOutcome | None = None
    deliver_to: tuple[str, ...] = ()
    hold: str | None = None
    because: tuple[ConditionOutcome, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The outcome by itself as a document; what is empty is left out."""
        document: dict[str, Any] = {"Rule": self.rule, "Verdict": self.verdict.value}
        if self.condition is not None:
            document["Condition"] = self.condition.to_json()
        if self.deliver_to:
            document["DeliverTo"] = list(self.deliver_to)
        if self.hold is not None:
            document["Hold"] = self.hold
        if self.because:
            document["Because"] = [each.to_json() for each in self.because]
        return document


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a study is owed, and why.

    Nothing is owed while `hold` has a reason; `held_back` is then what the study would have been owed without it.
    `otherwise` tells that no rule held. `not_back` are destinations that are asked for, and that are the system which
    the study was imported from. `kept` tells that the import wants it kept and not delivered: it is owed to nobody.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    deliveries: tuple[PlannedDelivery, ...] = ()
    held_back: tuple[PlannedDelivery, ...] = ()
    hold: str | None = None
    otherwise: bool = False
    outcomes: tuple[RuleOutcome, ...] = ()
    not_back: tuple[str, ...] = ()
    kept: bool = False

    def to_json(self) -> dict[str, Any]:
        """The document that from_json reads; what is empty is left out.

        It is short: `Rules` has a row for each outcome, with places in `Answers`, as an answer settles many rules.
        """
        answers: dict[int, tuple[int, ConditionOutcome]] = {}
        document: dict[str, Any] = {
            "Deliveries": [_delivery_json(each) for each in self.deliveries],
            "HeldBack": [_delivery_json(each) for each in self.held_back],
            "Hold": self.hold,
            "Otherwise": self.otherwise,
            "NotBack": list(self.not_back),
            "Kept": self.kept,
            "Rules": [_row(each, answers) for each in self.outcomes],
            "Answers": [answer.to_json() for _, answer in answers.values()],
        }
        return {key: value for key, value in document.items() if value or value == ""}

    @classmethod
    def from_json(cls, document: object) -> Decision:
        """A decision as it was stored."""
        return _DECISION.validate_python(_with_outcomes(document))


_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)


def _delivery_json(planned: PlannedDelivery) -> dict[str, Any]:
    document: dict[str, Any] = {
        "Destination": planned.destination,
        "Priority": planned.priority.name,
        "Purpose": str(planned.purpose),
    }
    if planned.rules:
        document["Rules"] = list(planned.rules)
    if planned.pool is not None:
        document["Pool"] = planned.pool
    if planned.back:
        document["Back"] = True
    return document


_Row = tuple[str, str, list[int], tuple[str, ...], str | None, dict[str, Any] | None]
"""Rule, verdict, places of the answers that settled it, DeliverTo, Hold, and the condition's whole outcome."""


def _row(outcome: RuleOutcome, answers: dict[int, tuple[int, ConditionOutcome]]) -> _Row:
    """The outcome; `answers` are those that were written before it, by identity, and grow."""
    return (
        outcome.rule,
        outcome.verdict._value_,
        [answers.setdefault(id(each), (len(answers), each))[0] for each in outcome.because],
        outcome.deliver_to,
        outcome.hold,
        None if outcome.condition is None else outcome.condition.to_json(),
    )


def _with_outcomes(document: object) -> object:
    """The document with each rule by itself, as decisions were stored at first."""
    if not isinstance(document, Mapping) or "Rules" not in document:
        return document
    answers = document.get("Answers", ())
    whole = {key: value for key, value in document.items() if key not in ("Rules", "Answers")}
    whole["Outcomes"] = [
        {
            "Rule": rule,
            "Verdict": verdict,
            "Because": [answers[place] for place in because],
            "DeliverTo": deliver_to,
            "Hold": hold,
            "Condition": condition,
        }
        for rule, verdict, because, deliver_to, hold, condition in document["Rules"]
    ]
    return whole


def decide(
    facts: Facts,
    rules: Sequence[Rule],
    otherwise: Otherwise,
    now: datetime,
    *,
    explain: Explain = Explain.Smallest,
) -> Decision:
    """What the study is owed at the instant `now` (aware), with the reasons that are asked for.

    Every enabled rule that is in force and holds contributes, down to the first that says Stop. Their order matters for
    nothing else but the order of the deliveries and which of two equally urgent rules gives the purpose.
    """
    look = Look(facts, now)
    if explain is Explain.Nothing:
        held = _that_hold(rules, look)
        outcomes = tuple(
            RuleOutcome(rule=rule.name, verdict=Verdict.Held, deliver_to=rule.deliver_to, hold=rule.hold)
            for rule in held
        )
    else:
        outcomes, held = _ask(rules, look, everything=explain is Explain.Everything)
    planned = _plan(held, otherwise, look.facts)
    reason = next((rule.hold for rule in held if rule.hold), None) if held else otherwise.hold
    return Decision(
        deliveries=() if reason else planned,
        held_back=planned if reason else (),
        hold=reason,
        otherwise=not held,
        outcomes=outcomes,
    )


def _that_hold(rules: Sequence[Rule], look: Look) -> list[Rule]:
    held: list[Rule] = []
    today = look.local.date()
    for rule in rules:
        if rule.enabled and rule.in_force(today) and (rule.when is None or rule.when.node.held(look)):
            held.append(rule)
            if rule.stop:
                break
    return held


def _ask(rules: Sequence[Rule], look: Look, *, everything: bool) -> tuple[tuple[RuleOutcome, ...], list[Rule]]:
    outcomes: list[RuleOutcome] = []
    held: list[Rule] = []
    today = look.local.date()
    stopped = False
    for rule in rules:
        verdict, condition = Verdict.Held, None
        because: tuple[ConditionOutcome, ...] = ()
        if not rule.enabled:
            verdict = Verdict.Disabled
        elif (rule.valid_from or rule.valid_until) and not rule.in_force(today):
            verdict = Verdict.NotInForce
        elif stopped:
            verdict = Verdict.NotAsked
        elif rule.when is not None:
            node = rule.when.node
            is_held, because = explained(node, look)
            verdict = Verdict.Held if is_held else Verdict.Failed
            condition = node.outcome(look) if everything else None
        if verdict is Verdict.Held:
            held.append(rule)
            stopped = rule.stop
        outcomes.append(
            RuleOutcome(
                rule=rule.name,
                verdict=verdict,
                condition=condition,
                deliver_to=rule.deliver_to,
                hold=rule.hold,
                because=because,
            )
        )
    return tuple(outcomes), held


def _plan(held: Sequence[Rule], otherwise: Otherwise, facts: Facts) -> tuple[PlannedDelivery, ...]:
    usual = _usual(facts)
    if not held:
        return tuple(
            PlannedDelivery(destination=name, priority=usual(), purpose="Care") for name in otherwise.deliver_to
        )
    askers: dict[str, list[Rule]] = {}
    for rule in held:
        for name in rule.deliver_to:
            askers.setdefault(name, []).append(rule)
    planned = []
    for name, rules in askers.items():
        priorities = [usual() if rule.priority is None else rule.priority for rule in rules]
        priority = min(priorities)
        planned.append(
            PlannedDelivery(
                destination=name,
                priority=priority,
                purpose=rules[priorities.index(priority)].purpose,
                rules=tuple(rule.name for rule in rules),
                back=any(rule.back_to_source for rule in rules),
            )
        )
    return tuple(planned)


def _usual(facts: Facts) -> Callable[[], Priority]:
    """The priority of a delivery whose rule has none; looked for once, and only if it is asked for."""
    found: list[Priority] = []

    def usual() -> Priority:
        if not found:
            known = urgency(facts)
            found.append(Priority.Routine if known is None else known)
        return found[0]

    return usual
