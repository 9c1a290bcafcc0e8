"""What became of conditions, and the smallest part of it that explains the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from relais.domain.operators import Wanted

GROUPS = {
    "All": "Every condition inside holds",
    "Any": "At least one condition inside holds",
    "None": "No condition inside holds",
    "SeriesWhere": "Every condition inside holds for one and the same series; for AtLeast so many of them, or for "
    "All or None of them as Series says",
}

_SUMS = frozenset({"All", "Any", "None"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionOutcome:
    """Whether one condition held, with what was wanted and what was seen; a group has children instead.

    `series` is the quantifier of a question that was asked of each series. SeriesWhere wanted so many series, or All or
    None of them, and saw how many of how many are like that; its child is a series that tells against it, if any does.
    """

    held: bool
    operator: str
    field: str | None = None
    wanted: Wanted | None = None
    seen: tuple[str, ...] = ()
    children: tuple[ConditionOutcome, ...] = ()
    series: str | None = None
    ignore_case: bool = False
    forgotten: bool = False
    """What was seen was of a patient who was forgotten since."""

    @property
    def is_group(self) -> bool:
        """Whether it only sums up its children."""
        return self.operator in _SUMS

    def to_json(self) -> dict[str, Any]:
        """The outcome as a document; what is empty is left out."""
        document: dict[str, Any] = {"Held": self.held, "Operator": self.operator}
        if self.field is not None:
            document["Field"] = self.field
        if self.wanted is not None:
            document["Wanted"] = list(self.wanted) if isinstance(self.wanted, tuple) else self.wanted
        if self.seen:
            document["Seen"] = list(self.seen)
        if self.children:
            document["Children"] = [child.to_json() for child in self.children]
        if self.series is not None:
            document["Series"] = self.series
        if self.ignore_case:
            document["IgnoreCase"] = True
        if self.forgotten:
            document["Forgotten"] = True
        return document


def because(outcome: ConditionOutcome) -> tuple[ConditionOutcome, ...]:
    """The smallest set of answers for which the condition had to hold, or to fail, whatever all others had been.

    An answer that is `held` in it, where the condition failed, is one that the rule excludes. Where the same question
    stands at several places the set may be larger than the smallest, but nothing in it can be left out.
    """
    found = tuple(dict.fromkeys(_enough(outcome)))
    if len(found) > 1 and any(child.is_group for child in outcome.children) and _repeats(outcome):
        for each in found:
            fewer = tuple(other for other in found if other != each)
            if _follows(outcome, frozenset(fewer)) is not None:
                found = fewer
    return found


def _enough(outcome: ConditionOutcome) -> tuple[ConditionOutcome, ...]:
    if not outcome.is_group:
        return (outcome,)
    if outcome.held is (outcome.operator != "Any"):  # it took all of them
        return tuple(answer for child in outcome.children for answer in _enough(child))
    telling = outcome.operator != "All"  # what a child must be to settle it alone
    return min((_enough(child) for child in outcome.children if child.held is telling), key=len)


def _answers(outcome: ConditionOutcome) -> tuple[ConditionOutcome, ...]:
    if not outcome.is_group:
        return (outcome,)
    return tuple(answer for child in outcome.children for answer in _answers(child))


def _repeats(outcome: ConditionOutcome) -> bool:
    answers = _answers(outcome)
    return len(set(answers)) < len(answers)


def _follows(outcome: ConditionOutcome, known: frozenset[ConditionOutcome]) -> bool | None:
    """What the condition must be if only these answers are known; None if it is open."""
    if not outcome.is_group:
        return outcome.held if outcome in known else None
    parts = [_follows(child, known) for child in outcome.children]
    settling = outcome.operator != "All"
    if settling in parts:
        return outcome.operator == "Any"
    return None if None in parts else outcome.operator != "Any"
