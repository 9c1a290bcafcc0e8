"""The examples of the rules: what becomes of each study in them, and whether that is what was expected. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from relais.domain.clinics import Clinic, UnknownSender
from relais.domain.document import path_of
from relais.domain.routing import Explain
from relais.domain.rules import Example, Otherwise, Rule
from relais.domain.senders import decide_for_clinic


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What becomes of a study: the destinations it is owed to, by name, or the reason why it waits."""

    deliver_to: tuple[str, ...] = ()
    hold: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleOutcome:
    """One example of a rule, what was expected of it and what came instead, if it is another thing.

    `path` is its place in the section: `Rules[2].Examples[0]`.
    """

    path: str
    rule: str
    name: str | None
    expected: Expectation
    came: Expectation

    @property
    def passed(self) -> bool:
        """Whether what was expected came."""
        return self.expected == self.came


def run_examples(
    rules: Sequence[Rule],
    otherwise: Otherwise,
    now: datetime,
    *,
    clinics: Mapping[str, Clinic] = MappingProxyType({}),
    unknown: UnknownSender | None = None,
) -> tuple[ExampleOutcome, ...]:
    """Decide every example of every enabled rule as a study is: by all rules, with the defaults of its clinic.

    `now` (aware) is for the examples without a time.
    """

    def came(example: Example) -> Expectation:
        at = example.at or now
        if at.tzinfo is None:
            at = at.replace(tzinfo=ZoneInfo(example.facts.time_zone))
        decided = decide_for_clinic(
            example.facts, rules, otherwise, clinics=clinics, unknown=unknown, now=at, explain=Explain.Nothing
        )
        owed = sorted(planned.destination for planned in decided.deliveries)
        return Expectation(deliver_to=tuple(owed), hold=decided.hold)

    return tuple(
        ExampleOutcome(
            path=path_of(("Rules", index, "Examples", number)),
            rule=rule.name,
            name=example.name,
            expected=Expectation(deliver_to=tuple(sorted(example.deliver_to or ())), hold=example.hold),
            came=came(example),
        )
        for index, rule in enumerate(rules)
        if rule.enabled
        for number, example in enumerate(rule.examples)
    )
