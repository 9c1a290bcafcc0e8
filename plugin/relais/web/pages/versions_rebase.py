"""A draft that another version has overtaken: the draft with the other's changes taken in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rebased:
    """The draft on its new base; where both changed the same thing, the draft's word counts, and `both` names it."""

    document: Document
    both: tuple[str, ...]


def rebased(base: Mapping[str, Any], active: Mapping[str, Any], draft: Mapping[str, Any]) -> Rebased:
    """Take over what `active` changed since `base`, name by name; a list such as the rules is one thing."""
    document, both = _merged(base, active, draft, "", 2)
    return Rebased(document=document, both=tuple(both))


def _merged(
    base: Mapping[str, Any], active: Mapping[str, Any], draft: Mapping[str, Any], at: str, depth: int
) -> tuple[Document, list[str]]:
    document: Document = {}
    both: list[str] = []
    for key in dict.fromkeys((*draft, *active)):
        was, theirs, ours = (each.get(key, _ABSENT) for each in (base, active, draft))
        place = f"{at}.{key}" if at else key
        if ours in (was, theirs):
            chosen = theirs
        elif theirs == was:
            chosen = ours
        elif depth > 1 and all(isinstance(each, Mapping) for each in (was, theirs, ours)):
            chosen, inside = _merged(was, theirs, ours, place, depth - 1)
            both += inside
        else:
            chosen = ours
            both.append(place)
        if chosen is not _ABSENT:
            document[key] = chosen
    return document, both


_ABSENT: Any = object()
