"""Changes of a configuration's document, as values: what was handed in is never touched.

A place is a tuple of steps, keys and indices: `("Destinations", "vna", "Port")` is `Destinations.vna.Port`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from relais.configuration.models import Section
from relais.web.pages.network_shapes import Shape, shape_of_model, shapes_inside

Steps = tuple[str | int, ...]


class Absent:
    """Nothing stands there; JSON's null is something."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


def part(document: Any, steps: Steps) -> Any:
    """What stands at a place, or ABSENT."""
    for step in steps:
        if not _has(document, step):
            return ABSENT
        document = document[step]
    return document


def _has(document: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(document, Mapping) and step in document
    return isinstance(document, list) and 0 <= step < len(document)


def replaced(document: Any, steps: Steps, value: Any) -> Any:
    """The document with `value` at a place; missing objects on the way are made, an index of the length appends."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        items = list(document) if isinstance(document, list) else []
        if step >= len(items):
            return [*items, replaced(ABSENT, rest, value)]
        return [replaced(item, rest, value) if index == step else item for index, item in enumerate(items)]
    entries = dict(document) if isinstance(document, Mapping) else {}
    return entries | {step: replaced(entries.get(step, ABSENT), rest, value)}


def removed(document: Any, steps: Steps) -> Any:
    """The document without what stands at a place; objects and lists that become empty stay."""
    *way, last = steps
    holder = part(document, tuple(way))
    if isinstance(holder, Mapping):
        return replaced(document, tuple(way), {key: value for key, value in holder.items() if key != last})
    if isinstance(holder, list):
        return replaced(document, tuple(way), [value for index, value in enumerate(holder) if index != last])
    return document


def moved(document: Any, steps: Steps, before: int, after: int) -> Any:
    """The document with an item of the list at a place moved from one index to another."""
    items = list(part(document, steps))
    items.insert(after, items.pop(before))
    return replaced(document, steps, items)


def renamed(document: Any, top: str, name: str, other: str) -> Any:
    """The document in which a destination, a source, a clinic … has another name, wherever it is referred to."""
    places = sorted(references(document, top, name), key=len, reverse=True)
    for steps in places:
        document = _renamed_at(document, steps, name, other)
    entries = part(document, (top,))
    return replaced(document, (top,), {other if key == name else key: value for key, value in entries.items()})


def _renamed_at(document: Any, steps: Steps, name: str, other: str) -> Any:
    if part(document, steps) == name:
        return replaced(document, steps, other)
    holder = part(document, steps[:-1])  # a name that is a key
    return replaced(document, steps[:-1], {other if key == name else key: value for key, value in holder.items()})


def unreferred(document: Any, top: str, name: str) -> Any:
    """The document in which nothing refers to that name any more."""
    for steps in sorted(references(document, top, name), key=_last_first, reverse=True):
        document = removed(document, steps)
    return document


def _last_first(steps: Steps) -> tuple[int, tuple[str, ...]]:
    """Deeper places first, and later items of a list before earlier ones."""
    return len(steps), tuple(f"{step:09}" if isinstance(step, int) else step for step in steps)


def references(document: Any, top: str, name: str) -> tuple[Steps, ...]:
    """Every place that refers to that name of a part of the section, such as `Destinations`."""
    return tuple(steps for steps, of, found in _names(document) if of == top and found == name)


def _names(document: Any) -> Iterator[tuple[Steps, str, str]]:
    for alias, shape in shape_of_model(Section).items():
        value = part(document, (alias,))
        if value is not ABSENT:
            yield from _names_in(shape, value, (alias,))


def _names_in(shape: Shape, value: Any, at: Steps) -> Iterator[tuple[Steps, str, str]]:
    if shape.names and isinstance(value, str):
        yield at, shape.names, value
    elif shape.kind == "condition":
        yield from _names_of_condition(value, at)
    elif isinstance(value, list) and shape.inner is not None:
        for index, item in enumerate(value):
            yield from _names_in(shape.inner, item, (*at, index))
    elif isinstance(value, Mapping):
        if shape.key is not None and shape.key.names:
            yield from (((*at, key), shape.key.names, key) for key in value)
        for key, inside in shapes_inside(shape, value).items():
            if key in value:
                yield from _names_in(inside, value[key], (*at, key))


_IN_CONDITIONS = {"Clinic": "Clinics", "InSet": "Sets", "Condition": "Conditions"}
"""What a condition's field, or its key, names."""


def _names_of_condition(value: Any, at: Steps) -> Iterator[tuple[Steps, str, str]]:
    """The names in a condition: clinics that it compares with, sets and conditions that it uses."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _names_of_condition(item, (*at, index))
        return
    if not isinstance(value, Mapping):
        return
    of_field = _IN_CONDITIONS.get(str(value.get("Field")))
    for key, item in value.items():
        if isinstance(item, str) and key in _IN_CONDITIONS:
            yield (*at, key), _IN_CONDITIONS[key], item
        elif of_field and key == "Equals" and isinstance(item, str):
            yield (*at, key), of_field, item
        elif of_field and key == "In" and isinstance(item, list):
            yield from (((*at, key, i), of_field, each) for i, each in enumerate(item) if isinstance(each, str))
        elif isinstance(item, list | Mapping):
            yield from _names_of_condition(item, (*at, key))


Patch = list[list[Any]]
"""What leads from one document to another: `[[steps, value], …]`, without a value where something goes."""


def patch(before: Any, after: Any) -> Patch:
    """The smallest such list; lists of another length are replaced whole."""
    return list(_patch(before, after, ()))


def _patch(before: Any, after: Any, at: Steps) -> Iterator[list[Any]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from ([[*at, key]] for key in before if key not in after)
        for key, value in after.items():
            if key not in before:
                yield [[*at, key], value]
            else:
                yield from _patch(before[key], value, (*at, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from _patch(*pair, (*at, index))
    elif before != after or type(before) is not type(after):
        yield [list(at), after]


def is_change(given: Any) -> bool:
    """Whether it can be one entry of a patch."""
    return (
        isinstance(given, list)
        and len(given) in (1, 2)
        and isinstance(given[0], list)
        and bool(given[0])
        and all(isinstance(step, str | int) and not isinstance(step, bool) for step in given[0])
    )


def patched(document: Any, changes: Iterable[list[Any]]) -> Any:
    """The document after a patch."""
    for steps, *value in changes:
        document = replaced(document, tuple(steps), value[0]) if value else removed(document, tuple(steps))
    return document


Change = Callable[[Any], Any]
"""From one document to the next."""
