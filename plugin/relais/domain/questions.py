"""Conditions, compiled: whether they hold, as fast as can be, and what made them hold or fail.

Each kind of node answers the same three things. `held` stops as soon as it knows; `outcome` asks every part; `tell`
says besides which answer settles the node by itself, or None where it takes several: then `because` of the outcome has
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from relais.domain.fields import Field
from relais.domain.look import SHOWN_VALUES, Look, shorten
from relais.domain.operators import Operator, Wanted
from relais.domain.outcomes import ConditionOutcome, because

Told = tuple[bool, ConditionOutcome | None]


class Node(Protocol):
    """A condition as it is asked."""

    @property
    def held(self) -> Callable[[Look], bool]:
        """Says whether it holds."""

    @property
    def tell(self) -> Callable[[Look], Told]:
        """Says whether it holds, and the one answer that settles it, whatever all others are."""

    def outcome(self, look: Look) -> ConditionOutcome:
        """Whether it holds and why; every part is asked, none is skipped."""


def explained(node: Node, look: Look) -> tuple[bool, tuple[ConditionOutcome, ...]]:
    """Whether the node holds, and the smallest set of answers that settles it; see `because`."""
    held, found = node.tell(look)
    return held, (because(node.outcome(look)) if found is None else (found,))


class Question:
    """One field asked by one operator; asked once of a study, however many rules do."""

    __slots__ = ("_field", "_ignore_case", "_key", "_operator", "_wanted", "held")

    def __init__(self, field: Field, operator: Operator, wanted: Any, values: Any, *, ignore_case: bool) -> None:
        """`wanted` is what a person wrote, `values` what is compared: the values of a set for its name."""
        self._field, self._operator, self._ignore_case = field.name, operator.name, ignore_case
        self._wanted = _shown(wanted)
        self._key = key = f"{field.name} {operator.name} {wanted!r} {ignore_case}"
        test = operator.test(field, values, ignore_case=ignore_case)
        ask = _asks(field.name, operator.name, test, values, ignore_case=ignore_case)

        def held(look: Look) -> bool:
            known = look.answered.get(key)
            if known is None:
                known = look.answered[key] = ask(look)
            return known

        self.held: Callable[[Look], bool] = held

    def outcome(self, look: Look) -> ConditionOutcome:
        """The answer, with the values seen."""
        found = look.outcomes.get(self._key)
        if found is None:
            found = look.outcomes[self._key] = ConditionOutcome(
                held=self.held(look),
                operator=self._operator,
                field=self._field,
                wanted=self._wanted,
                seen=look.shown(self._field),
                ignore_case=self._ignore_case,
            )
        return found

    def tell(self, look: Look) -> Told:
        """The answer itself."""
        found = self.outcome(look)
        return found.held, found


def _asks(
    name: str, operator: str, test: Callable[[str], object], wanted: Any, *, ignore_case: bool
) -> Callable[[Look], bool]:
    if operator == "Exists":
        return lambda look: bool(look[name]) is wanted

    def exact(look: Look) -> bool:
        for value in look[name]:  # noqa: SIM110 - any() costs three times as much
            if test(value):
                return True
        return False

    def folded(look: Look) -> bool:
        return any(map(test, look.folded[name]))

    return folded if ignore_case else exact


def _shown(wanted: Any) -> Wanted:
    if not isinstance(wanted, tuple):
        one: Wanted = _shown_one(wanted)
        return one
    shown = tuple(map(_shown_one, wanted[:SHOWN_VALUES]))
    return shown if len(wanted) <= SHOWN_VALUES else (*shown, "…")


def _shown_one(wanted: Any) -> Any:
    return shorten(wanted) if isinstance(wanted, str) else wanted


class Group:
    """All, Any or None of several conditions."""

    __slots__ = ("_operator", "_parts", "held", "tell")

    def __init__(self, operator: str, parts: Sequence[Node]) -> None:
        self._operator, self._parts = operator, tuple(parts)
        tests = [part.held for part in parts]
        telling = [(part.held, part.tell) for part in parts]
        only = telling[0][1] if len(parts) == 1 else None
        settling, settled = operator != "All", operator == "Any"

        def held(look: Look) -> bool:
            for test in tests:
                if test(look) is settling:
                    return settled
            return not settled

        def tell(look: Look) -> Told:
            """The answer of the first part that settles the group by one answer."""
            verdict = not settled
            for test, tell_part in telling:
                if test(look) is settling:
                    verdict = settled
                    found = tell_part(look)[1]
                    if found is not None:
                        return settled, found
            return verdict, None if only is None else only(look)[1]

        self.held: Callable[[Look], bool] = held
        self.tell: Callable[[Look], Told] = tell

    def outcome(self, look: Look) -> ConditionOutcome:
        """The outcomes of all parts, and what follows."""
        children = tuple([part.outcome(look) for part in self._parts])
        held = [child.held for child in children]
        verdict = all(held) if self._operator == "All" else any(held) is (self._operator == "Any")
        return ConditionOutcome(held=verdict, operator=self._operator, children=children)


class EachSeries:
    """A condition asked of each series by itself: of how many it must hold."""

    __slots__ = ("_node", "_quantity", "_question", "held")

    def __init__(self, node: Node, quantity: str | int, *, question: bool = False) -> None:
        """`quantity` is Any, All, None or the least number; a question answers with what it asked."""
        self._node, self._quantity, self._question = node, quantity, question

        def held(look: Look) -> bool:
            return _suffices(self._held_by(look), len(look.series), quantity)

        self.held: Callable[[Look], bool] = held

    def _held_by(self, look: Look) -> int:
        return sum(map(self._node.held, look.series))

    def outcome(self, look: Look) -> ConditionOutcome:
        """The answer, with how many series are as the condition says, and one that is not as it should be."""
        count = self._held_by(look)
        held = _suffices(count, len(look.series), self._quantity)
        if self._question:
            asked = self._node.outcome(look)
            return replace(asked, held=held, series=str(self._quantity))
        unfit = next((each for each in look.series if self._node.held(each) is (self._quantity == "None")), None)
        return ConditionOutcome(
            held=held,
            operator="SeriesWhere",
            wanted=self._quantity,
            seen=(str(count), str(len(look.series))),
            children=() if held or unfit is None else (self._node.outcome(unfit),),
        )

    def tell(self, look: Look) -> Told:
        """The answer itself."""
        found = self.outcome(look)
        return found.held, found


def _suffices(count: int, total: int, quantity: str | int) -> bool:
    if isinstance(quantity, int):
        return count >= quantity
    if quantity == "None":
        return count == 0
    return count == total > 0 if quantity == "All" else count > 0


class Named:
    """A condition that has a name: asked once of a study, however many rules refer to it."""

    __slots__ = ("_node", "held")

    def __init__(self, name: str, node: Node) -> None:
        self._node = node
        test, key = node.held, f"Condition {name}"

        def held(look: Look) -> bool:
            known = look.answered.get(key)
            if known is None:
                known = look.answered[key] = test(look)
            return known

        self.held: Callable[[Look], bool] = held

    def outcome(self, look: Look) -> ConditionOutcome:
        """That of the condition."""
        return self._node.outcome(look)

    def tell(self, look: Look) -> Told:
        """That of the condition."""
        return self._node.tell(look)
