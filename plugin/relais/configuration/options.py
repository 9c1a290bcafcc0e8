"""Every option of the section as a row of the manual's table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relais.configuration.models import schema


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option: its place, with `<name>` for a key of one's own choice and `[]` for each item of a list."""

    path: str
    description: str
    example: Any
    required: bool
    default: Any = None


def options() -> Iterator[Option]:
    """The options in the order of the models. Conditions have tables of their own: OPERATORS and FIELDS."""
    document = schema()
    yield from _options(document, document["$defs"], "")


def _options(model: Mapping[str, Any], models: Mapping[str, Any], place: str) -> Iterator[Option]:
    for name, option in model["properties"].items():
        path = f"{place}{name}"
        step, reference = _reference(option)
        yield Option(
            path=path,
            description=option.get("description") or models[str(reference)]["description"],
            example=option["examples"][0],
            required=name in model.get("required", ()),
            default=option.get("default"),
        )
        if reference and reference != "Condition":
            yield from _options(models[reference], models, f"{path}{step}.")


def _reference(option: Mapping[str, Any]) -> tuple[str, str | None]:
    """The model inside an option, and the step that leads to it."""
    for key, step in (("additionalProperties", ".<name>"), ("items", "[]")):
        if isinstance(option.get(key), dict) and "$ref" in option[key]:
            return step, option[key]["$ref"].rpartition("/")[2]
    for choice in (option, *option.get("anyOf", ()), *option.get("allOf", ())):
        if "$ref" in choice:
            return "", choice["$ref"].rpartition("/")[2]
    return "", None
