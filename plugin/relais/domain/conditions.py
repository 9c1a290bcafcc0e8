"""Conditions: one question about one field, or a nest of them; compiled once, explained every time.

A condition on a field holds if any of the field's values satisfies the operator. A missing value satisfies none
of them, `"Exists": false` excepted. Equals, In, LessThan, AtLeast and Between compare by the field's kind: numbers
(DS, IS and the binary ones), dates (DA), times (TM) and ages (AS) by what they mean, anything else as text by code
point; a number in the rule compares a text field's values as numbers. A value that is not of the kind satisfies
nothing. The other operators read the text as it stands. Text is exact: case and accents count, padding does not
(PS3.5 section 6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from relais.domain import fields
from relais.domain.document import Document, Flag, NotEmpty, check_clinic, fault, nearest
from relais.domain.facts import Values
from relais.domain.fields import Kind, find_field
from relais.domain.globs import compile_expression, compile_glob

MAXIMUM_DEPTH = 8
"""How deep All, Any and None may nest."""

Wanted = str | int | float | bool | tuple[str | int | float, ...]
Test = Callable[[str], object]
"""Whether one value satisfies an operator, as truth."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One way to ask; `compile` makes the test of one value, or raises a fault where that cannot be asked."""

    name: str
    meaning: str
    example: Wanted
    compile: Callable[[fields.Field, Any], Test]


def _reader(field: fields.Field, wanted: Iterable[Any]) -> Callable[[str], Any]:
    """How to read the field's values so that they compare with what is wanted."""
    numbers = [isinstance(value, int | float) for value in wanted]
    if field.kind is not Kind.Text or not any(numbers):
        return fields.READ[field.kind]
    if not all(numbers):
        raise fault("mixed-kinds")
    return fields.READ[Kind.Number]


def _comparable(field: fields.Field, read: Callable[[str], Any], wanted: object) -> Any:
    if isinstance(wanted, str) and not wanted.strip():
        raise fault("empty")
    if field.words and wanted not in field.words:
        raise fault("not-one-of", name=str(wanted), known=list(field.words), nearest=nearest(str(wanted), field.words))
    value = read(str(wanted).strip())
    if value is None:
        raise fault("not-of-kind", name=str(wanted), field=field.name, kind=field.kind.value)
    return value


def _ordered(field: fields.Field, *wanted: object) -> tuple[Callable[[str], Any], list[Any]]:
    if field.kind in (Kind.Word, Kind.Clinic):
        raise fault("without-order", name=field.name)
    read = _reader(field, wanted)
    return read, [_comparable(field, read, value) for value in wanted]


def _in(field: fields.Field, wanted: tuple[Any, ...]) -> Test:
    if not wanted:
        raise fault("empty")
    read = _reader(field, wanted)
    values = frozenset(_comparable(field, read, value) for value in wanted)
    if read is fields.READ[Kind.Text]:
        return values.__contains__
    return lambda value: read(value) in values


def _less_than(field: fields.Field, wanted: object) -> Test:
    read, (bound,) = _ordered(field, wanted)
    return lambda value: (seen := read(value)) is not None and seen < bound


def _at_least(field: fields.Field, wanted: object) -> Test:
    read, (bound,) = _ordered(field, wanted)
    return lambda value: (seen := read(value)) is not None and seen >= bound


def _between(field: fields.Field, wanted: tuple[Any, ...]) -> Test:
    try:
        first, last = wanted
    except ValueError:
        raise fault("not-two") from None
    read, (low, high) = _ordered(field, first, last)
    if low > high:
        raise fault("not-ordered", low=str(first), high=str(last))
    return lambda value: (seen := read(value)) is not None and low <= seen <= high


def _textual(make: Callable[[str], Test]) -> Callable[[fields.Field, str], Test]:
    def compile_text(_: fields.Field, wanted: str) -> Test:
        if not wanted:
            raise fault("empty")
        return make(wanted)

    return compile_text


def _starts_with(wanted: str) -> Test:
    return lambda value: value.startswith(wanted)


def _contains(wanted: str) -> Test:
    return lambda value: wanted in value


_TABLE = (
    Operator(
        name="Equals",
        meaning="A value is this one",
        example="PX",
        compile=lambda field, wanted: _in(field, (wanted,)),
    ),
    Operator(name="In", meaning="A value is one of these", example=("IO", "PX"), compile=_in),
    Operator(name="StartsWith", meaning="A value starts with this", example="PANO", compile=_textual(_starts_with)),
    Operator(name="Contains", meaning="A value has this in it", example="molar", compile=_textual(_contains)),
    Operator(
        name="Matches",
        meaning="A whole value has this shape: * is any run of characters, ? any one",
        example="CS8?00*",
        compile=_textual(compile_glob),
    ),
    Operator(
        name="Regex",
        meaning="This regular expression (RE2) is found in a value; ^ and $ tie it to the ends",
        example="^[0-9]{8}$",
        compile=_textual(compile_expression),
    ),
    Operator(
        name="Exists",
        meaning="There is a value (true) or there is none (false)",
        example=True,
        compile=lambda _field, _wanted: bool,
    ),
    Operator(name="LessThan", meaning="A value is smaller, earlier or younger", example=18, compile=_less_than),
    Operator(name="AtLeast", meaning="A value is this or more", example=18, compile=_at_least),
    Operator(
        name="Between",
        meaning="A value lies between these two, or is one of them",
        example=("08:00", "17:00"),
        compile=_between,
    ),
)
OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _TABLE}
GROUPS = {
    "All": "Every condition inside holds",
    "Any": "At least one condition inside holds",
    "None": "No condition inside holds",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionOutcome:
    """Whether one condition held, with what was wanted and what was seen; a group has children instead."""

    held: bool
    operator: str
    field: str | None = None
    wanted: Wanted | None = None
    seen: tuple[str, ...] = ()
    children: tuple[ConditionOutcome, ...] = ()


Look = Callable[[fields.Field], tuple[Values, Values]]
"""Sees a field: its values, and the same shortened for display."""
Evaluate = Callable[[Look], ConditionOutcome]


def _scalar(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if text not in ("inf", "-inf", "nan") and text.encode(errors="replace").decode() == text:
            return value
    raise fault("not-scalar")


Scalar = Annotated[str | int | float, BeforeValidator(_scalar)]


class Condition(Document):
    """`{"Field": …, <one operator>: …}`, or `{"All" | "Any" | "None": [conditions]}`."""

    all_: Annotated[tuple[Condition, ...] | None, NotEmpty] = Field(
        default=None,
        alias="All",
        description=f"{GROUPS['All']}.",
        examples=[[{"Field": "Modality", "Equals": "PX"}]],
    )
    any_: Annotated[tuple[Condition, ...] | None, NotEmpty] = Field(
        default=None,
        alias="Any",
        description=f"{GROUPS['Any']}.",
        examples=[[{"Field": "Modality", "Equals": "PX"}]],
    )
    none_: Annotated[tuple[Condition, ...] | None, NotEmpty] = Field(
        default=None,
        alias="None",
        description=f"{GROUPS['None']}.",
        examples=[[{"Field": "Modality", "Equals": "SR"}]],
    )
    field: str | None = Field(
        default=None,
        description="A DICOM keyword or another field of the table of fields.",
        examples=["Modality"],
    )
    equals: Scalar | None = Field(default=None, description=f"{OPERATORS['Equals'].meaning}.", examples=["PX"])
    in_: tuple[Scalar, ...] | None = Field(
        default=None, alias="In", description=f"{OPERATORS['In'].meaning}.", examples=[["IO", "PX"]]
    )
    starts_with: str | None = Field(default=None, description=f"{OPERATORS['StartsWith'].meaning}.", examples=["PANO"])
    contains: str | None = Field(default=None, description=f"{OPERATORS['Contains'].meaning}.", examples=["molar"])
    matches: str | None = Field(default=None, description=f"{OPERATORS['Matches'].meaning}.", examples=["CS8?00*"])
    regex: str | None = Field(default=None, description=f"{OPERATORS['Regex'].meaning}.", examples=["^[0-9]{8}$"])
    exists: Flag | None = Field(default=None, description=f"{OPERATORS['Exists'].meaning}.", examples=[True])
    less_than: Scalar | None = Field(default=None, description=f"{OPERATORS['LessThan'].meaning}.", examples=[18])
    at_least: Scalar | None = Field(default=None, description=f"{OPERATORS['AtLeast'].meaning}.", examples=[18])
    between: tuple[Scalar, ...] | None = Field(
        default=None, description=f"{OPERATORS['Between'].meaning}.", examples=[["08:00", "17:00"]]
    )

    @field_validator("field")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else find_field(name).name

    @field_validator("equals", "in_", "starts_with", "contains", "matches", "regex", "less_than", "at_least", "between")
    @classmethod
    def _askable(cls, wanted: Any, info: ValidationInfo) -> Any:
        """The value, if its operator can ask the field for it."""
        name, operator = info.data.get("field"), OPERATORS[str(cls.model_fields[str(info.field_name)].alias)]
        if wanted is None or name is None:
            return wanted
        asked = find_field(name)
        operator.compile(asked, wanted)
        if asked.kind is Kind.Clinic and operator.name in ("Equals", "In"):
            for clinic in wanted if isinstance(wanted, tuple) else (wanted,):
                check_clinic(str(clinic), info)
        return wanted

    @model_validator(mode="after")
    def _one_question(self) -> Condition:
        asked = self._asked()
        if len(asked) != 1:
            raise fault("not-one-operator", known=[*GROUPS, *OPERATORS])
        if (next(iter(asked)) in GROUPS) is (self.field is not None):
            raise fault("group-with-field" if self.field else "without-field")
        self.evaluate  # noqa: B018 - compiled now, so that asking only looks and compares
        return self

    def _asked(self) -> dict[str, Any]:
        """The groups and operators that are given, by name."""
        known = type(self).model_fields
        values = {str(known[name].alias): getattr(self, name) for name in self.model_fields_set - {"field"}}
        return {name: value for name, value in values.items() if value is not None}

    @cached_property
    def evaluate(self) -> Evaluate:
        """Says whether the condition holds for what a look sees, and why; every part is asked, none is skipped."""
        ((name, wanted),) = self._asked().items()
        if self.field is None:
            return _compile_group(name, wanted)
        return _compile_question(find_field(self.field), OPERATORS[name], wanted)


def _compile_question(field: fields.Field, operator: Operator, wanted: Any) -> Evaluate:
    test, name = operator.compile(field, wanted), operator.name

    def question(look: Look) -> ConditionOutcome:
        values, seen = look(field)
        held = bool(values) is wanted if name == "Exists" else any(map(test, values))
        return ConditionOutcome(held=held, operator=name, field=field.name, wanted=wanted, seen=seen)

    return question


def _compile_group(operator: str, inside: tuple[Condition, ...]) -> Evaluate:
    parts = [condition.evaluate for condition in inside]

    def group(look: Look) -> ConditionOutcome:
        children = tuple([evaluate(look) for evaluate in parts])
        held = [child.held for child in children]
        verdict = all(held) if operator == "All" else any(held) is (operator == "Any")
        return ConditionOutcome(held=verdict, operator=operator, children=children)

    return group


def depth(document: object, limit: int = MAXIMUM_DEPTH) -> int:
    """How deep the groups of a condition nest, before it is parsed; counts to one beyond the limit at most."""
    if limit < 0 or not isinstance(document, Mapping):
        return 0
    groups = [document[name] for name in GROUPS if isinstance(document.get(name), list | tuple)]
    return max((1 + depth(inside, limit - 1) for group in groups for inside in group), default=0)
