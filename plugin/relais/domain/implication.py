"""What follows from conditions without a study: that one holds whenever another does, or that one never can. Pure.

Both answers are sure where they are yes; no only says that nothing was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relais.domain import fields
from relais.domain.fields import FIELDS, Kind, find_field

SINGLE = frozenset({"StudyInstanceUID", "StudyDate", *(name for name in FIELDS if not name.startswith("Patient."))})
"""Fields that never have two values at once."""
_GROUPS = ("All", "Any", "None")
_ORDERED = ("LessThan", "AtLeast", "Between")


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """One question; a set's values and a single value stand as In."""

    field: str
    operator: str
    wanted: tuple[Any, ...]
    series: str | None
    ignore_case: bool

    def __str__(self) -> str:
        """As a person reads it."""
        wanted = ", ".join("…" if place > 3 else str(each) for place, each in enumerate(self.wanted[:5]))  # noqa: PLR2004
        return f"{self.field} {self.operator} {wanted}"


@dataclass(frozen=True, kw_only=True)
class Nest:
    """All, Any or None of several; SeriesWhere as it stands, which is only equal to itself."""

    operator: str
    parts: tuple[Tree, ...]
    text: str = ""

    def __str__(self) -> str:
        """As a person reads it."""
        return self.text or f"{self.operator} ({' / '.join(map(str, self.parts))})"


Tree = Leaf | Nest


def tree_of(document: Mapping[str, Any], sets: Mapping[str, Any], conditions: Mapping[str, Any]) -> Tree:
    """A valid condition, its names replaced by what they stand for."""
    if isinstance(name := document.get("Condition"), str):
        return tree_of(conditions[name], sets, conditions)
    if "SeriesWhere" in document:
        return Nest(operator="SeriesWhere", parts=(), text=repr(sorted(document.items())))
    for group in _GROUPS:
        if document.get(group) is not None:
            return Nest(operator=group, parts=tuple(tree_of(each, sets, conditions) for each in document[group]))
    operator, wanted = next(
        (key, value)
        for key, value in document.items()
        if key not in ("Field", "Series", "IgnoreCase") and value is not None
    )
    if operator == "InSet":
        operator, wanted = "In", sets[wanted]
    elif operator == "Equals":
        operator = "In"
    return Leaf(
        field=find_field(document["Field"]).name,
        operator=operator,
        wanted=tuple(wanted) if isinstance(wanted, list | tuple) else (wanted,),
        series=document.get("Series"),
        ignore_case=bool(document.get("IgnoreCase", False)),
    )


def implies(one: Tree | None, other: Tree | None) -> bool:
    """Whether `other` holds for every study for which `one` does; None always holds."""
    if isinstance(one, Leaf) and isinstance(other, Leaf):
        return _leaf_implies(one, other)
    if other is None or one == other:
        return True
    if isinstance(other, Nest) and other.operator == "All":
        return all(implies(one, each) for each in other.parts)
    if isinstance(one, Nest) and one.operator == "Any":
        return all(implies(each, other) for each in one.parts)
    return one is not None and _nest_implies(one, other)


def _nest_implies(one: Tree, other: Tree) -> bool:
    """By a part of either, or by what both deny."""
    found = False
    if isinstance(other, Nest) and other.operator == "Any":
        found = any(implies(one, each) for each in other.parts)
    if not found and isinstance(one, Nest) and one.operator == "All":
        found = any(implies(each, other) for each in one.parts)
    if not found and isinstance(one, Nest) and isinstance(other, Nest) and one.operator == other.operator == "None":
        found = all(any(implies(each, denied) for denied in one.parts) for each in other.parts)
    return found


def contradiction(tree: Tree) -> tuple[Tree, Tree] | None:
    """Two parts of a condition that can never hold together, where they are why it never holds."""
    if isinstance(tree, Leaf) or tree.operator in ("None", "SeriesWhere"):
        return None
    if tree.operator == "Any":
        inside = [contradiction(each) for each in tree.parts]
        return inside[0] if all(inside) else None
    parts = list(_conjuncts(tree))
    for each in parts:
        if isinstance(each, Nest) and (found := contradiction(each)):
            return found
    for place, one in enumerate(parts):
        for other in parts[place + 1 :]:
            if _exclude(one, other):
                return one, other
    return None


def _conjuncts(tree: Tree) -> Iterator[Tree]:
    """What must hold, each by itself."""
    if isinstance(tree, Nest) and tree.operator == "All":
        for each in tree.parts:
            yield from _conjuncts(each)
    else:
        yield tree


def _exclude(one: Tree, other: Tree) -> bool:
    for first, second in ((one, other), (other, one)):
        if (
            isinstance(second, Nest)
            and second.operator == "None"
            and any(implies(first, each) for each in second.parts)
        ):
            return True
    if (
        not (isinstance(one, Leaf) and isinstance(other, Leaf))
        or one.field != other.field
        or one.series
        or other.series
    ):
        return False
    if _asks_nothing(one) or _asks_nothing(other):
        return not (_asks_nothing(one) and _asks_nothing(other))
    return one.field in SINGLE and _apart(one, other)


def _asks_nothing(leaf: Leaf) -> bool:
    """Whether it wants that there is no value."""
    return leaf.operator == "Exists" and leaf.wanted == (False,)


def _leaf_implies(one: Leaf, other: Leaf) -> bool:
    if one.field != other.field or (one.series, one.ignore_case) != (other.series, other.ignore_case):
        return False
    if one.series == "None":  # what is denied of every series
        return _covers(other, one)
    return _covers(one, other)


def _covers(one: Leaf, other: Leaf) -> bool:
    """Whether each value that satisfies `one` satisfies `other`."""
    if one == other:
        return True
    if "Exists" in (one.operator, other.operator):
        return other.operator == "Exists" and other.wanted == (True,) and not _asks_nothing(one)
    if one.operator == other.operator == "In" and _kind(one) is _kind(other):
        return set(_read(one)) <= set(_read(other))
    bounds = _interval(other)
    if bounds is None:
        return _text_covers(one, other)
    return _kind(one) is _kind(other) and _all_lie(one, bounds)


def _all_lie(leaf: Leaf, bounds: Interval) -> bool:
    """Whether each value that satisfies it lies within the bounds."""
    if leaf.operator == "In":
        return all(_lies(value, bounds) for value in _read(leaf))
    inner = _interval(leaf)
    return inner is not None and _within(inner, bounds)


def _text_covers(one: Leaf, other: Leaf) -> bool:
    """The same for the operators that read text as it stands."""
    wanted = other.wanted[0]
    if other.operator not in ("StartsWith", "Contains") or other.ignore_case:
        return one == other
    if one.operator == "In" and _texts(one) and find_field(one.field).kind is Kind.Text:
        texts = [str(each).strip() for each in one.wanted]
    elif one.operator in ("StartsWith", other.operator):
        texts = [str(one.wanted[0])]
    else:
        return False
    return all(each.startswith(wanted) if other.operator == "StartsWith" else wanted in each for each in texts)


Interval = tuple[Any, Any, bool]
"""From, to (None where open), and whether the end belongs to it."""


def _interval(leaf: Leaf) -> Interval | None:
    if leaf.operator not in _ORDERED:
        return None
    values = _read(leaf)
    if any(each is None for each in values):
        return None
    if leaf.operator == "LessThan":
        return None, values[0], False
    return (values[0], None, True) if leaf.operator == "AtLeast" else (values[0], values[1], True)


def _lies(value: Any, interval: Interval) -> bool:
    low, high, closed = interval
    if value is None:
        return False
    return (low is None or low <= value) and (high is None or value < high or (closed and value == high))


def _within(inner: Interval, outer: Interval) -> bool:
    below = outer[0] is None or (inner[0] is not None and inner[0] >= outer[0])
    if outer[1] is None or inner[1] is None:
        return below and outer[1] is None
    return below and (inner[1] < outer[1] or (inner[1] == outer[1] and (outer[2] or not inner[2])))


def _apart(one: Leaf, other: Leaf) -> bool:
    """Whether no single value satisfies both."""
    if one.ignore_case or other.ignore_case or _kind(one) is not _kind(other):
        return False
    if one.operator == other.operator == "In":
        return set(_read(one)).isdisjoint(_read(other))
    first, second = _interval(one), _interval(other)
    if first is not None and second is not None:
        return _before(first, second) or _before(second, first)
    for values, bounds in ((one, second), (other, first)):
        if values.operator == "In" and bounds is not None:
            return not any(_lies(value, bounds) for value in _read(values))
    return False


def _before(one: Interval, other: Interval) -> bool:
    """Whether the first ends before the second begins."""
    end, begin = one[1], other[0]
    if end is None or begin is None:
        return False
    return bool(end < begin or (end == begin and not one[2]))


def _texts(leaf: Leaf) -> bool:
    """Whether it wants texts; numbers compare as numbers, whatever the field's kind."""
    return not any(isinstance(each, int | float) for each in leaf.wanted)


def _kind(leaf: Leaf) -> Kind:
    """How its values compare."""
    kind = find_field(leaf.field).kind
    return kind if kind is not Kind.Text or _texts(leaf) else Kind.Number


def _read(leaf: Leaf) -> Sequence[Any]:
    """The wanted values as they are compared."""
    return [fields.READ[_kind(leaf)](str(each).strip()) for each in leaf.wanted]
