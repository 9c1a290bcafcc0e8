"""Conditions: one question about one field, or a nest of them; compiled once, when they are read.

A condition on a field holds if any of the field's values satisfies the operator; with `Series`, if that is so for any,
all or none of the series. A missing value satisfies no operator, `"Exists": false` excepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from math import isfinite
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from relais.domain.document import (
    Document,
    Flag,
    Name,
    NotEmpty,
    OneOf,
    References,
    at_most,
    check_clinic,
    fault,
    nearest,
)
from relais.domain.fields import Kind, find_field, is_dicom
from relais.domain.operators import OPERATORS
from relais.domain.outcomes import GROUPS, ConditionOutcome
from relais.domain.questions import EachSeries, Group, Named, Node, Question

__all__ = ["GROUPS", "OPERATORS", "Condition", "ConditionOutcome", "SetValues", "Shallow", "depth"]

MAXIMUM_DEPTH = 8
"""How deep groups may nest, and how many names may lead to one another."""
MOST_QUESTIONS = 500
"""How many questions a condition may ask, those of the conditions it names among them."""
LONGEST_WANTED = 1024
"""Characters of a value; no longer ones are kept of a study either."""


class Quantifier(StrEnum):
    """Of how many series a question must be answered so."""

    Any = "Any"
    All = "All"
    None_ = "None"


def _scalar(value: object) -> object:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if len(text) > LONGEST_WANTED:
            raise fault("too-long", limit=LONGEST_WANTED)
        if (isinstance(value, str | int) or isfinite(value)) and text.encode(errors="replace").decode() == text:
            return value
    raise fault("not-scalar")


Scalar = Annotated[str | int | float, BeforeValidator(_scalar)]
Pattern = Annotated[str, at_most(LONGEST_WANTED)]
SetValues = Annotated[tuple[Scalar, ...], NotEmpty]
_SET: TypeAdapter[tuple[Any, ...]] = TypeAdapter(SetValues)
_UNKNOWN = References()
_READING = ("Conditions", "")
"""How many conditions are being read, each because the one before names it."""


class Condition(Document):
    """`{"Field": …, <one operator>: …}`, `{<group>: [conditions]}` or `{"Condition": "its name"}`."""

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
    series_where: Annotated[tuple[Condition, ...] | None, NotEmpty] = Field(
        default=None,
        description=f"{GROUPS['SeriesWhere']}.",
        examples=[[{"Field": "Modality", "Equals": "CT"}, {"Field": "SliceThickness", "LessThan": 1}]],
    )
    condition: Name | None = Field(
        default=None, description="The name of a condition in Conditions, which then stands here.", examples=["dental"]
    )
    field: Annotated[str, at_most(LONGEST_WANTED)] | None = Field(
        default=None,
        description="A DICOM keyword, a way to one through sequences, or another field of the table of fields.",
        examples=["Modality"],
    )
    series: Annotated[Quantifier, OneOf(Quantifier)] | None = Field(
        default=None,
        description="Whether the question must hold for any series by itself, for all or for none; "
        "without it, values of the whole study count.",
        examples=["All"],
    )
    ignore_case: Flag = Field(
        default=False,
        description="Whether case, accents and repeated blanks of text count for nothing.",
        examples=[True],
    )
    equals: Scalar | None = Field(default=None, description=f"{OPERATORS['Equals'].meaning}.", examples=["PX"])
    in_: tuple[Scalar, ...] | None = Field(
        default=None, alias="In", description=f"{OPERATORS['In'].meaning}.", examples=[["IO", "PX"]]
    )
    in_set: Name | None = Field(default=None, description=f"{OPERATORS['InSet'].meaning}.", examples=["dental"])
    starts_with: Pattern | None = Field(
        default=None, description=f"{OPERATORS['StartsWith'].meaning}.", examples=["PANO"]
    )
    contains: Pattern | None = Field(default=None, description=f"{OPERATORS['Contains'].meaning}.", examples=["molar"])
    matches: Pattern | None = Field(default=None, description=f"{OPERATORS['Matches'].meaning}.", examples=["CS8?00*"])
    regex: Pattern | None = Field(default=None, description=f"{OPERATORS['Regex'].meaning}.", examples=["^[0-9]{8}$"])
    exists: Flag | None = Field(default=None, description=f"{OPERATORS['Exists'].meaning}.", examples=[True])
    less_than: Scalar | None = Field(default=None, description=f"{OPERATORS['LessThan'].meaning}.", examples=[18])
    at_least: Scalar | None = Field(
        default=None,
        description=f"{OPERATORS['AtLeast'].meaning}; beside SeriesWhere, of how many series it must hold at least.",
        examples=[18],
    )
    between: tuple[Scalar, ...] | None = Field(
        default=None, description=f"{OPERATORS['Between'].meaning}.", examples=[["08:00", "17:00"]]
    )
    _named: Condition | None = PrivateAttr(default=None)
    _set: tuple[Any, ...] | None = PrivateAttr(default=None)

    @field_validator("field")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        return name if name is None else find_field(name).name

    @field_validator("condition")
    @classmethod
    def _defined(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None:
            _find_condition(name, info)
        return name

    @field_validator("series")
    @classmethod
    def _of_series(cls, quantifier: Quantifier | None, info: ValidationInfo) -> Quantifier | None:
        name = info.data.get("field")
        if quantifier is not None and name is not None and not is_dicom(name):
            raise fault("field-without-series", name=name)
        return quantifier

    @field_validator(
        "equals", "in_", "in_set", "starts_with", "contains", "matches", "regex", "less_than", "at_least", "between"
    )
    @classmethod
    def _askable(cls, wanted: Any, info: ValidationInfo) -> Any:
        """The value, if its operator can ask the field for it."""
        name, operator = info.data.get("field"), OPERATORS[str(cls.model_fields[str(info.field_name)].alias)]
        if wanted is None:
            return None
        values = _find_set(wanted, info) if operator.name == "InSet" else wanted
        if name is not None:
            asked = find_field(name)
            operator.test(asked, values, ignore_case=bool(info.data.get("ignore_case")))
            if asked.kind is Kind.Clinic and operator.name in ("Equals", "In", "InSet"):
                for clinic in values if isinstance(values, tuple) else (values,):
                    check_clinic(str(clinic), info)
        return wanted

    @model_validator(mode="after")
    def _one_question(self, info: ValidationInfo) -> Condition:
        asked = self._asked()
        if self.series_where is not None:
            self._check_count(asked.pop("AtLeast", None))
        if len(asked) != 1:
            raise fault("not-one-operator", known=[*GROUPS, "Condition", *OPERATORS])
        (name,) = asked
        if (name in OPERATORS) is (self.field is None):
            raise fault("group-with-field" if self.field else "without-field")
        if self.ignore_case and (name == "Exists" or name not in OPERATORS):
            raise fault("ignore-case-without-text", name=name)
        if self.condition is not None:
            self._named = _find_condition(self.condition, info)
        if self.in_set is not None:
            self._set = _find_set(self.in_set, info)
        self._check_inside()
        self.node  # noqa: B018 - compiled now, so that asking only looks and compares
        return self

    def _check_count(self, count: object) -> None:
        if self.series is not None and count is not None:
            raise fault("series-and-count")
        if count is not None and (not isinstance(count, int) or count < 1):
            raise fault("not-a-count")

    def _check_inside(self) -> None:
        if self.series is not None and self.series_where is None and self.field is None:
            raise fault("series-without-question")
        if self.series_where is not None and any(inside.asks_series for inside in self._inside):
            raise fault("series-in-series")
        if self.questions > MOST_QUESTIONS:
            raise fault("too-many-questions", limit=MOST_QUESTIONS)

    def _asked(self) -> dict[str, Any]:
        """What is asked: the groups, operators and names that are given."""
        known = type(self).model_fields
        values = {
            str(known[name].alias): getattr(self, name)
            for name in self.model_fields_set - {"field", "series", "ignore_case"}
        }
        return {name: value for name, value in values.items() if value is not None}

    @property
    def _inside(self) -> tuple[Condition, ...]:
        named = () if self._named is None else (self._named,)
        return next((group for group in (self.all_, self.any_, self.none_, self.series_where) if group), named)

    @cached_property
    def asks_series(self) -> bool:
        """Whether it asks series by themselves."""
        return bool(self.series or self.series_where) or any(inside.asks_series for inside in self._inside)

    @cached_property
    def questions(self) -> int:
        """How many questions it asks in all."""
        return sum(inside.questions for inside in self._inside) or 1

    @cached_property
    def node(self) -> Node:
        """The condition as it is asked."""
        if self.series_where is not None:
            parts = [inside.node for inside in self.series_where]
            quantity = self.series.value if self.series else int(self.at_least or 1)
            return EachSeries(parts[0] if len(parts) == 1 else Group("All", parts), quantity)
        if self.condition is not None and self._named is not None:
            return Named(self.condition, self._named.node)
        ((name, wanted),) = self._asked().items()
        if self.field is None:
            return Group(name, [inside.node for inside in self._inside])
        values = wanted if self._set is None else self._set
        question = Question(find_field(self.field), OPERATORS[name], wanted, values, ignore_case=self.ignore_case)
        return EachSeries(question, self.series.value, question=True) if self.series else question


def _find_set(name: str, info: ValidationInfo) -> tuple[Any, ...]:
    known = info.context if isinstance(info.context, References) else _UNKNOWN
    if name not in known.sets:
        raise fault("unknown-set", name=name, nearest=nearest(name, known.sets))
    key = ("Sets", name)
    if key not in known.read:
        try:
            known.read[key] = _SET.validate_python(known.sets[name])
        except ValidationError:  # told where the set stands
            known.read[key] = None
    if known.read[key] is None:
        raise fault("refers-to-fault", name=name)
    values: tuple[Any, ...] = known.read[key]
    return values


def _find_condition(name: str, info: ValidationInfo) -> Condition:
    known = info.context if isinstance(info.context, References) else _UNKNOWN
    if name not in known.conditions:
        raise fault("unknown-condition", name=name, nearest=nearest(name, known.conditions))
    key = ("Conditions", name)
    if key not in known.read:
        known.read[key] = None  # as long as it is being read: in a circle
        known.read[_READING] = known.read.get(_READING, 0) + 1
        if known.read[_READING] <= MAXIMUM_DEPTH + 1:
            known.read[key] = _read_condition(known.conditions[name], known)
        known.read[_READING] -= 1
    if known.read[key] is None:
        raise fault("refers-to-fault", name=name)
    found: Condition = known.read[key]
    return found


def _read_condition(document: object, known: References) -> Condition | None:
    if depth(document) > MAXIMUM_DEPTH:
        return None
    try:
        return Condition.model_validate(document, context=known, by_name=False)
    except ValidationError:  # told where the condition stands
        return None


def depth(document: object, limit: int = MAXIMUM_DEPTH) -> int:
    """How deep the groups of a condition nest, before it is parsed; counts to one beyond the limit at most."""
    if limit < 0 or not isinstance(document, Mapping):
        return 0
    groups = [document[name] for name in GROUPS if isinstance(document.get(name), list | tuple)]
    return max((1 + depth(inside, limit - 1) for group in groups for inside in group), default=0)


def _shallow(document: object) -> object:
    if depth(document) > MAXIMUM_DEPTH:
        raise fault("too-deep", limit=MAXIMUM_DEPTH)
    return document


Shallow = Annotated[Condition, BeforeValidator(_shallow)]
"""A condition that does not nest too deep: one that a rule or a name has."""
