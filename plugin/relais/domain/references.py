"""Conditions that name one another: how far that goes, and where it goes in circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from relais.domain.conditions import GROUPS, MAXIMUM_DEPTH
from relais.domain.document import Problem, path_of

SHOWN_NAMES = 8


def circles(conditions: object) -> Iterator[Problem]:
    """Every circle of names once, and every condition from which too many names lead on, as they were written."""
    if not isinstance(conditions, Mapping):
        return
    names = {
        name: [each for each in dict.fromkeys(_names(document)) if each in conditions]
        for name, document in conditions.items()
        if isinstance(name, str)
    }
    lengths = _lengths(names)
    for name, length in lengths.items():
        if length > MAXIMUM_DEPTH:
            yield Problem(path_of(("Conditions", name)), "too-deep", {"limit": MAXIMUM_DEPTH})
    seen: set[str] = set()
    open_ = {name: inside for name, inside in names.items() if name not in lengths}
    for name in open_:
        way: dict[str, None] = {}
        at = name
        while at not in seen:
            seen.add(at)
            way[at] = None
            at = next(each for each in open_[at] if each in open_)
        if at in way:
            circle = list(way)[list(way).index(at) :]
            shown = circle if len(circle) <= SHOWN_NAMES else [*circle[:SHOWN_NAMES], "…"]
            values = {"way": " → ".join([*shown, at])}
            yield Problem(path_of(("Conditions", at)), "condition-circle", values)


def _names(document: Any, limit: int = MAXIMUM_DEPTH) -> Iterator[str]:
    """The names a condition refers to, before it is parsed."""
    if limit < 0 or not isinstance(document, Mapping):
        return
    if isinstance(named := document.get("Condition"), str):
        yield named
    for group in GROUPS:
        inside = document.get(group)
        for each in inside if isinstance(inside, list | tuple) else ():
            yield from _names(each, limit - 1)


def _lengths(names: Mapping[str, list[str]]) -> dict[str, int]:
    """How many names lead on from each condition at most; those that lead into a circle are left out."""
    users: dict[str, list[str]] = {}
    for name, inside in names.items():
        for each in inside:
            users.setdefault(each, []).append(name)
    open_ = {name: len(inside) for name, inside in names.items()}
    ready = [name for name, count in open_.items() if count == 0]
    lengths = dict.fromkeys(ready, 0)
    while ready:
        name = ready.pop()
        for user in users.get(name, ()):
            lengths_so_far = max(lengths.get(user, 0), lengths[name] + 1)
            open_[user] -= 1
            lengths[user] = lengths_so_far
            if open_[user] == 0:
                ready.append(user)
    return {name: length for name, length in lengths.items() if open_[name] == 0}
