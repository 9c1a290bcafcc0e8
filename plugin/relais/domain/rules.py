"""Rules: what a study must be like, and where it then goes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from relais.domain.conditions import MAXIMUM_DEPTH, OPERATORS, Condition, ConditionOutcome, depth
from relais.domain.document import DestinationNames, Document, Flag, OneOf, Text, fault
from relais.domain.facts import Facts, Origin
from relais.domain.fields import FIELDS
from relais.domain.priority import Priority

__all__ = ["FIELDS", "OPERATORS", "Condition", "ConditionOutcome", "Facts", "Origin", "Otherwise", "Rule"]


def _shallow(document: object) -> object:
    if depth(document) > MAXIMUM_DEPTH:
        raise fault("too-deep", limit=MAXIMUM_DEPTH)
    return document


class Rule(Document):
    """Where a study goes when a condition holds. Each rule that holds contributes; a Hold outweighs deliveries."""

    name: Text = Field(description="What the rule is called; every rule has its own name.", examples=["dental"])
    when: Annotated[Condition, BeforeValidator(_shallow)] | None = Field(
        default=None,
        description="The condition; a rule without one always holds.",
        examples=[{"Field": "Modality", "In": ["IO", "PX"]}],
    )
    deliver_to: DestinationNames = Field(
        default=(), description="The destinations the study is then owed to.", examples=[["vna-qc"]]
    )
    hold: Text | None = Field(
        default=None,
        description="The reason why the study then waits for a person, whatever other rules deliver.",
        examples=["second opinion asked for"],
    )
    priority: Annotated[Priority, OneOf(Priority)] = Field(
        default=Priority.Routine,
        description="How urgent these deliveries are; of several rules the most urgent counts.",
        examples=["Urgent"],
        json_schema_extra={"default": Priority.Routine.name},
    )
    purpose: Text = Field(
        default="Care",
        description="Why the images are sent; of several rules the most urgent counts.",
        examples=["Care"],
    )
    stop: Flag = Field(
        default=False,
        description="Whether the rules below are not asked once this one holds.",
        examples=[True],
    )
    enabled: Flag = Field(default=True, description="Whether the rule is asked at all.", examples=[False])

    @model_validator(mode="after")
    def _does_something(self) -> Rule:
        if not (self.deliver_to or self.hold or self.stop):
            raise fault("rule-without-effect")
        return self


class Otherwise(Document):
    """What becomes of a study for which no rule holds."""

    hold: Text | None = Field(
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
