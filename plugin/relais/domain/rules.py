"""Rules: what a study must be like, and where it then goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from relais.domain.conditions import OPERATORS, Condition, ConditionOutcome, Shallow
from relais.domain.document import DestinationNames, Document, Flag, OneOf, Text, at_most, fault
from relais.domain.facts import Facts, Origin
from relais.domain.fields import FIELDS
from relais.domain.labels import Day, Purpose
from relais.domain.priority import Priority

__all__ = [
    "FIELDS",
    "OPERATORS",
    "Condition",
    "ConditionOutcome",
    "Example",
    "Facts",
    "Origin",
    "Otherwise",
    "Rule",
    "Rules",
]

MOST_RULES = 5_000
MOST_EXAMPLES = 2_000
"""Of all rules together: each is decided by all of them whenever a configuration is checked."""
LONGEST_NAME, LONGEST_REASON = 200, 500


def _moment(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}", value):
        raise fault("bad-moment")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise fault("bad-moment") from None


Moment = Annotated[datetime, BeforeValidator(_moment)]
Label = Annotated[Text, at_most(LONGEST_NAME)]
Reason = Annotated[Text, at_most(LONGEST_REASON)]


class Example(Document):
    """A study as it could be, and what is expected to become of it."""

    name: Label | None = Field(default=None, description="What it is an example of.", examples=["a panoramic"])
    facts: Facts = Field(
        default=Facts(),
        description="What is known of the study, as `rules/evaluate` takes it.",
        examples=[{"Series": [{"Modality": "PX"}], "Clinic": "outremont"}],
    )
    at: Moment | None = Field(
        default=None,
        description="When it is decided; at the clinic, if without an offset. Now, if not given.",
        examples=["2026-04-06T17:30"],
    )
    deliver_to: DestinationNames | None = Field(
        default=None,
        description="All destinations to which the study is then owed, in any order; none in an empty list.",
        examples=[["vna-qc"]],
    )
    hold: Reason | None = Field(
        default=None, description="The reason why the study then waits.", examples=["no rule matched"]
    )

    @model_validator(mode="after")
    def _expects_one_thing(self) -> Example:
        if (self.deliver_to is None) is (self.hold is None):
            raise fault("not-one-way")
        return self


class Rule(Document):
    """Where a study goes when a condition holds. Each rule that holds contributes; a Hold outweighs deliveries."""

    name: Label = Field(description="What the rule is called; every rule has its own name.", examples=["dental"])
    when: Shallow | None = Field(
        default=None,
        description="The condition; a rule without one always holds.",
        examples=[{"Field": "Modality", "In": ["IO", "PX"]}],
    )
    deliver_to: DestinationNames = Field(
        default=(), description="The destinations the study is then owed to.", examples=[["vna-qc"]]
    )
    hold: Reason | None = Field(
        default=None,
        description="The reason why the study then waits for a person, whatever other rules deliver.",
        examples=["second opinion asked for"],
    )
    priority: Annotated[Priority, OneOf(Priority)] | None = Field(
        default=None,
        description="How urgent these deliveries are, as urgent as the study if not given; "
        "of several rules the most urgent counts.",
        examples=["Urgent"],
    )
    purpose: Annotated[Purpose, OneOf(Purpose)] = Field(
        default=Purpose.Care,
        description="Why the images are sent: " + ", ".join(Purpose) + "; of several rules the most urgent counts.",
        examples=["Care"],
        json_schema_extra={"default": Purpose.Care.value},
    )
    stop: Flag = Field(
        default=False,
        description="Whether the rules below are not asked once this one holds.",
        examples=[True],
    )
    back_to_source: Flag = Field(
        default=False,
        description="Whether an imported study may also go back to the system that it was imported from.",
        examples=[True],
    )
    enabled: Flag = Field(default=True, description="Whether the rule is asked at all.", examples=[False])
    valid_from: Day | None = Field(
        default=None, description="The first day on which the rule is asked, at the clinic.", examples=["2026-09-01"]
    )
    valid_until: Day | None = Field(
        default=None, description="The last day on which the rule is asked, at the clinic.", examples=["2026-12-31"]
    )
    examples: tuple[Example, ...] = Field(
        default=(),
        description="The rule's own tests; they are run whenever a configuration is checked.",
        examples=[[{"Facts": {"Series": [{"Modality": "PX"}]}, "DeliverTo": ["vna-qc"]}]],
    )

    @model_validator(mode="after")
    def _does_something(self) -> Rule:
        if not (self.deliver_to or self.hold or self.stop):
            raise fault("rule-without-effect")
        if self.valid_from and self.valid_until and self.valid_from > self.valid_until:
            raise fault("not-ordered", low=self.valid_from.isoformat(), high=self.valid_until.isoformat())
        return self

    def in_force(self, day: date) -> bool:
        """Whether the rule is asked on that day."""
        return (self.valid_from or day) <= day <= (self.valid_until or day)


def _not_too_many(rules: object) -> object:
    if isinstance(rules, list | tuple) and len(rules) > MOST_RULES:
        raise fault("too-many", limit=MOST_RULES)
    given = [rule.get("Examples") for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []
    if sum(len(each) for each in given if isinstance(each, list)) > MOST_EXAMPLES:
        raise fault("too-many-examples", limit=MOST_EXAMPLES)
    return rules


Rules = Annotated[tuple[Rule, ...], BeforeValidator(_not_too_many)]


class Otherwise(Document):
    """What becomes of a study for which no rule holds."""

    hold: Reason | None = Field(
        default=None, description="The reason why it waits for a person.", examples=["no rule matched"]
    )
    deliver_to: DestinationNames = Field(
        default=(), description="The destinations it is owed to.", examples=[["vna-qc"]]
    )

    @model_validator(mode="after")
    def _one_way(self) -> Otherwise:
        if bool(self.deliver_to) is (self.hold is not None):
            raise fault("not-one-way")
        return self
