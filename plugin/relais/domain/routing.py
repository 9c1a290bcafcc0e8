"""Which rules hold for a study, and what it is therefore owed: pure, and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_pascal

from relais.domain.conditions import ConditionOutcome, Look
from relais.domain.document import OneOf
from relais.domain.facts import Facts, Values
from relais.domain.fields import Field
from relais.domain.priority import Priority
from relais.domain.rules import Otherwise, Rule


class Verdict(StrEnum):
    """What became of one rule."""

    Held = "Held"  # its condition held: it contributed
    Failed = "Failed"  # its condition did not hold
    NotAsked = "NotAsked"  # a rule above held and said Stop
    Disabled = "Disabled"


_JSON = ConfigDict(alias_generator=to_pascal, validate_by_name=True, extra="forbid")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedDelivery:
    """A study owed to one destination; `rules` ask for it, the most urgent gives priority and purpose."""

    destination: str
    priority: Annotated[Priority, OneOf(Priority)]
    purpose: str
    rules: tuple[str, ...] = ()
    pool: str | None = None  # which chose the destination


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleOutcome:
    """What became of one rule, and why: the outcome of its condition, if it was asked and has one."""

    rule: str
    verdict: Verdict
    condition: ConditionOutcome | None = None
    deliver_to: tuple[str, ...] = ()
    hold: str | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a study is owed, and why.

    Nothing is owed while `hold` has a reason; `held_back` is then what the study would have been owed without it.
    `otherwise` tells that no rule held.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    deliveries: tuple[PlannedDelivery, ...] = ()
    held_back: tuple[PlannedDelivery, ...] = ()
    hold: str | None = None
    otherwise: bool = False
    outcomes: tuple[RuleOutcome, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document that from_json reads; what is empty is left out."""
        document: dict[str, Any] = _DECISION.dump_python(self, mode="json", by_alias=True, exclude_defaults=True)
        return document

    @classmethod
    def from_json(cls, document: object) -> Decision:
        """A decision as it was stored."""
        return _DECISION.validate_python(document)


_DECISION: TypeAdapter[Decision] = TypeAdapter(Decision)


def decide(facts: Facts, rules: Sequence[Rule], otherwise: Otherwise, now: datetime) -> Decision:
    """What the study is owed at the instant `now` (aware), with every rule's reasons.

    Every enabled rule that holds contributes, down to the first that says Stop. Their order matters for nothing else
    but the order of the deliveries and which of two equally urgent rules gives the purpose.
    """
    outcomes, held = _ask(rules, _look(facts, now))
    planned = _plan(held, otherwise)
    reason = next((rule.hold for rule in held if rule.hold), None) if held else otherwise.hold
    return Decision(
        deliveries=() if reason else planned,
        held_back=planned if reason else (),
        hold=reason,
        otherwise=not held,
        outcomes=outcomes,
    )


def _ask(rules: Sequence[Rule], look: Look) -> tuple[tuple[RuleOutcome, ...], list[Rule]]:
    outcomes: list[RuleOutcome] = []
    held: list[Rule] = []
    stopped = False
    for rule in rules:
        condition = None
        if not rule.enabled:
            verdict = Verdict.Disabled
        elif stopped:
            verdict = Verdict.NotAsked
        else:
            condition = rule.when.evaluate(look) if rule.when else None
            verdict = Verdict.Held if condition is None or condition.held else Verdict.Failed
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
            )
        )
    return tuple(outcomes), held


def _plan(held: Sequence[Rule], otherwise: Otherwise) -> tuple[PlannedDelivery, ...]:
    if not held:
        return tuple(
            PlannedDelivery(destination=name, priority=Priority.Routine, purpose="Care")
            for name in otherwise.deliver_to
        )
    askers: dict[str, list[Rule]] = {}
    for rule in held:
        for name in rule.deliver_to:
            askers.setdefault(name, []).append(rule)
    planned = []
    for name, rules in askers.items():
        first = min(rules, key=lambda rule: rule.priority)
        planned.append(
            PlannedDelivery(
                destination=name,
                priority=first.priority,
                purpose=first.purpose,
                rules=tuple(rule.name for rule in rules),
            )
        )
    return tuple(planned)


_SHOWN_VALUES, _SHOWN_CHARACTERS = 20, 200


def _look(facts: Facts, now: datetime) -> Look:
    """Sees each field once, however many rules ask for it."""
    local = now.astimezone(ZoneInfo(facts.time_zone))
    cache: dict[str, tuple[Values, Values]] = {}

    def look(field: Field) -> tuple[Values, Values]:
        found = cache.get(field.name)
        if found is None:
            values = field.read(facts, local)
            shown = tuple(
                value if len(value) <= _SHOWN_CHARACTERS else value[: _SHOWN_CHARACTERS - 1] + "…"
                for value in values[:_SHOWN_VALUES]
            )
            found = cache[field.name] = values, shown
        return found

    return look
