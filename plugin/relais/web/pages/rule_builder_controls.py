"""Which controls a form needs for the options of a model; derived from it, so that a new option appears by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from relais.domain.conditions import GROUPS, OPERATORS, Condition
from relais.domain.document import Document
from relais.domain.rules import Rule

ControlKind = Literal["flag", "choice", "text", "date", "number", "list", "json"]

BUILT = frozenset({"Name", "When", "DeliverTo", "Hold", "Examples", "Enabled"})
"""Options of a rule for which the builder has a place of its own."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """One option as a form asks for it; `default` is what its absence means, as a document writes it."""

    name: str
    kind: ControlKind
    description: str
    default: Any = None
    choices: tuple[str, ...] = ()
    example: Any = None


@cache
def controls_of(model: type[Document]) -> Mapping[str, Control]:
    """The options of a model that stand by themselves, by name."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    own = definitions.get(model.__name__, schema)  # a model that contains itself stands among its definitions
    return {name: _control(name, each, definitions) for name, each in own["properties"].items()}


def _control(name: str, option: Mapping[str, Any], definitions: Mapping[str, Any]) -> Control:
    kinds = [_resolved(each, definitions) for each in option.get("anyOf", [option])]
    kinds = [each for each in kinds if each.get("type") != "null"]
    examples = option.get("examples") or [None]
    return Control(
        name=name,
        kind=_kind(kinds),
        description=str(option.get("description", "")),
        default=option.get("default"),
        choices=tuple(word for each in kinds for word in each.get("enum", ()) if isinstance(word, str)),
        example=examples[0],
    )


def _resolved(option: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = option.get("$ref")
    return definitions[reference.rsplit("/", 1)[-1]] if reference else option


def _kind(kinds: Collection[Mapping[str, Any]]) -> ControlKind:
    if any("enum" in each for each in kinds):
        return "choice"
    types = {each.get("type") for each in kinds}
    if types == {"boolean"}:
        return "flag"
    if types == {"array"}:
        return "list"
    if types and types <= {"integer", "number"}:
        return "number"
    if types and types <= {"string", "integer", "number"}:
        return "date" if any(str(each.get("format", "")).startswith("date") for each in kinds) else "text"
    return "json"


def of_question() -> dict[str, Control]:
    """What a question on a field may say beyond field, operator and value: its quantifier, for example."""
    known = {*GROUPS, *OPERATORS, "Field"}
    return {
        name: control
        for name, control in controls_of(Condition).items()
        if name not in known and control.kind in ("flag", "choice")
    }


def of_reference() -> tuple[str, ...]:
    """The options by which a condition names another, instead of asking a question itself."""
    known = {*GROUPS, *OPERATORS, "Field"}
    return tuple(
        name for name, control in controls_of(Condition).items() if name not in known and control.kind == "text"
    )


def of_operator(name: str) -> ControlKind:
    """How the value of an operator is given."""
    return controls_of(Condition)[name].kind


def of_rule() -> dict[str, Control]:
    """The options of a rule that need no place of their own in the builder."""
    return {name: control for name, control in controls_of(Rule).items() if name not in BUILT}
