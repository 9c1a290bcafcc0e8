"""What form an option takes, read from the models: whatever they get later appears by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator

from relais.configuration.models import Section
from relais.configuration.secrets import Secret
from relais.domain.clinics import ClinicOrAll
from relais.domain.conditions import Condition
from relais.domain.document import DestinationName, Document, SourceName, check_clinic

SCALARS = frozenset({"text", "whole", "number", "day"})
"""Shapes that one line of text holds."""
_PLAIN: tuple[tuple[type, str], ...] = (
    (bool, "flag"),
    (int, "whole"),
    (float, "number"),
    (timedelta, "number"),
    (datetime, "text"),
    (date, "day"),
    (str, "text"),
    (Secret, "secret"),
)
ANY_CLINIC = "*"
_NAMES: tuple[tuple[object, str], ...] = (
    (get_args(DestinationName)[1], "Destinations"),
    (get_args(SourceName)[1], "Sources"),
    (AfterValidator(check_clinic), "Clinics"),
    (get_args(ClinicOrAll)[1], "Clinics"),
)
"""The validators of names, and the part of the section that defines the names they take."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One shape.

    `kind` is one of: text, whole, number, day, flag, choice, fixed, secret; lines (a list of scalars), boxes (a list
    of choices or names), pairs (names and scalars), rows (a list of objects); group (an object), kinds (one of several
    objects, told apart by Kind); condition, json (whatever else).
    """

    kind: str
    options: tuple[str, ...] = ()
    names: str | None = None
    everything: bool = False
    model: type[Document] | None = None
    kinds: Mapping[str, type[Document]] = field(default_factory=dict)
    key: Shape | None = None
    inner: Shape | None = None


JSON = Shape(kind="json")


def shape_of(annotation: Any, marks: tuple[object, ...] = ()) -> Shape:
    """The shape of what an annotation reads; `marks` are its metadata."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape_of(arguments[0], (*arguments[1:], *marks))
    if origin in (Union, UnionType):
        return _of_several([each for each in arguments if each is not NoneType], marks)
    if origin is Literal:
        return Shape(kind="fixed", options=tuple(map(str, arguments)))
    if origin is tuple:
        return _of_list(shape_of(arguments[0])) if arguments[1:] == (...,) else JSON
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, inner = shape_of(arguments[0]), shape_of(arguments[1])
        return Shape(kind="pairs" if inner.kind in SCALARS else "json", key=key, inner=inner)
    return _of_type(annotation, marks) if isinstance(annotation, type) else JSON


def _of_type(annotation: type, marks: tuple[object, ...]) -> Shape:
    if annotation is Condition:
        return Shape(kind="condition")
    if issubclass(annotation, Document):
        return Shape(kind="group", model=annotation)
    if issubclass(annotation, Enum):
        text = issubclass(annotation, StrEnum)
        return Shape(kind="choice", options=tuple(str(each.value) if text else each.name for each in annotation))
    kind = next((kind for known, kind in _PLAIN if issubclass(annotation, known)), "json")
    names = next((top for mark, top in _NAMES if mark in marks), None)
    return Shape(kind=kind, names=names, everything=get_args(ClinicOrAll)[1] in marks)


def _of_several(several: list[Any], marks: tuple[object, ...]) -> Shape:
    if len(several) == 1:
        return shape_of(several[0], marks)
    if set(several) <= {str, int, float}:
        return Shape(kind="number")  # what is written like a number is one, and whatever else is text
    kinds = {
        word: each
        for each in several
        if isinstance(each, type) and issubclass(each, Document) and "kind" in each.model_fields
        for word in get_args(each.model_fields["kind"].annotation)
    }
    return Shape(kind="kinds", kinds=kinds) if len(kinds) >= len(several) else JSON


def _of_list(inner: Shape) -> Shape:
    if inner.kind == "choice" or inner.names:
        return Shape(kind="boxes", inner=inner, options=inner.options, everything=inner.everything)
    if inner.kind in SCALARS:
        return Shape(kind="lines", inner=inner)
    return Shape(kind="rows" if inner.kind == "group" else "json", inner=inner)


@lru_cache(maxsize=256)
def shape_of_model(model: type[Document]) -> Mapping[str, Shape]:
    """The shape of each option of a model, by its key."""
    return {str(each.alias): shape_of(each.annotation, tuple(each.metadata)) for each in model.model_fields.values()}


@lru_cache(maxsize=256)
def described(model: type[Document]) -> Mapping[str, Mapping[str, Any]]:
    """The JSON Schema of each option of a model, by its key: description, default, examples."""
    properties: Mapping[str, Mapping[str, Any]] = model.model_json_schema(by_alias=True)["properties"]
    return properties


@lru_cache(maxsize=256)
def required(model: type[Document]) -> frozenset[str]:
    """The keys that must be given."""
    return frozenset(str(each.alias) for each in model.model_fields.values() if each.is_required())


def shapes_inside(shape: Shape, value: Mapping[str, Any]) -> Mapping[str, Shape]:
    """The shape of what stands under each key of an object, as far as the models know it."""
    model = shape.model or shape.kinds.get(str(value.get("Kind")))
    if model is not None:
        return shape_of_model(model)
    return {} if shape.inner is None else dict.fromkeys(value, shape.inner)


def shape_of_top(top: str) -> Shape:
    """The shape of a whole part of the section."""
    return shape_of_model(Section)[top]
