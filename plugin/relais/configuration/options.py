"""Every option of the section as a row of the manual's table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relais.configuration.models import schema

ABSTRACT = frozenset({"Pool"})
"""Kinds that are told apart from all others: an option that all the others have needs no list of them."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option: its place, with `<name>` for a key of one's own choice and `[]` for each item of a list.

    Where models are told apart by their Kind, `kinds` are those for which it is as described here; none where that is
    every kind. The same path stands here several times when it means different things.
    """

    path: str
    description: str
    example: Any
    required: bool
    default: Any = None
    kinds: tuple[str, ...] = ()
    schema: Mapping[str, Any] = field(default_factory=dict)


def options() -> Iterator[Option]:
    """The options in the order of the models. Conditions have tables of their own: OPERATORS and FIELDS."""
    document = schema()
    yield from _options(document, document["$defs"], "")


def _options(model: Mapping[str, Any], models: Mapping[str, Any], place: str) -> Iterator[Option]:
    for name, option in model["properties"].items():
        path = f"{place}{name}"
        step, references = _references(option)
        yield Option(
            path=path,
            description=option.get("description") or models[references[0]]["description"],
            example=option["examples"][0],
            required=name in model.get("required", ()),
            default=option.get("default"),
            schema=option,
        )
        if len(references) > 1:
            yield from _of_kinds([models[each] for each in references], models, f"{path}{step}.")
        elif references and references != ["Condition"]:
            yield from _options(models[references[0]], models, f"{path}{step}.")


def _of_kinds(several: list[Mapping[str, Any]], models: Mapping[str, Any], place: str) -> Iterator[Option]:
    """The options of models that are told apart by their Kind: those that differ first, each once."""
    found: dict[tuple[str, str], tuple[Option, list[str]]] = {}
    for model in several:
        kind = model["properties"]["Kind"]["const"]
        for option in _options(model, models, place):
            meaning = json.dumps([option.description, option.required, option.schema], sort_keys=True, default=str)
            found.setdefault((option.path, meaning), (option, []))[1].append(kind)
    everybody = {model["properties"]["Kind"]["const"] for model in several} - ABSTRACT
    shared, own = [], []
    for option, kinds in found.values():
        if everybody <= set(kinds):
            shared.append(option)
        else:
            own.append(replace(option, kinds=tuple(kinds)))
    paths = list(dict.fromkeys(option.path for option in own))
    yield from sorted(own, key=lambda option: (not option.path.endswith(".Kind"), paths.index(option.path)))
    yield from shared


def _references(option: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The models inside an option, several where a Kind tells them apart, and the step that leads to them."""
    for key, step in (("additionalProperties", ".<name>"), ("items", "[]")):
        if isinstance(option.get(key), dict) and (inside := _models(option[key])):
            return step, inside
    for choice in (option, *option.get("anyOf", ()), *option.get("allOf", ())):
        if inside := _models(choice):
            return "", inside
    return "", []


def _models(place: Mapping[str, Any]) -> list[str]:
    return [each["$ref"].rpartition("/")[2] for each in (place, *place.get("oneOf", ())) if "$ref" in each]
