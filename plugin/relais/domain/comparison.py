"""What changes for a study when one configuration takes the place of another: pure, and counted.

A plan says what one configuration would do with a study. Two plans of the same study make changes; the changes and
plans of many studies make a tally, from which tables and pictures of flows are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from relais.domain.priority import Priority
from relais.domain.residency import Reason


class ReplayState(StrEnum):
    """Where the comparison of past studies stands."""

    Waiting = "Waiting"
    Running = "Running"
    Completed = "Completed"
    Canceled = "Canceled"
    Failed = "Failed"


class Kind(StrEnum):
    """What changes for a study."""

    Added = "Added"  # it would also go there
    Removed = "Removed"  # it would no longer go there
    Refused = "Refused"  # the law would refuse what is asked for, or what went there before
    Permitted = "Permitted"  # what was refused would go there
    Dropped = "Dropped"  # what was refused would no longer be asked for
    Held = "Held"  # it would wait for a person
    Released = "Released"  # it would no longer wait for a person
    Clinic = "Clinic"  # it would count as another clinic's
    Priority = "Priority"  # the same delivery, more or less urgent
    Purpose = "Purpose"  # the same delivery, for another purpose


class Fate(StrEnum):
    """What becomes of a study on one way."""

    Sent = "Sent"
    Refused = "Refused"
    Held = "Held"


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """A delivery that rules ask for: permitted, or refused by law for these reasons."""

    destination: str
    priority: Priority = Priority.Routine
    purpose: str = "Care"
    refused: tuple[Reason, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is stored with a change."""
        document: dict[str, Any] = {"Priority": self.priority.name, "Purpose": self.purpose}
        return document | {"Reasons": [each.to_json() for each in self.refused]} if self.refused else document


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a configuration would do with a study: each destination stands in `ways` at most once.

    Nothing is sent while `hold` has a reason, whatever the ways are.
    """

    clinic: str | None = None
    hold: str | None = None
    ways: tuple[Way, ...] = ()

    @property
    def taken(self) -> Mapping[str, Way]:
        """The ways that the study would take or be refused on, by destination."""
        return {} if self.hold else {way.destination: way for way in self.ways}


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing that is different; `before` and `after` are None where there was or would be nothing."""

    kind: Kind
    destination: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def compare(before: Plan, after: Plan) -> tuple[Change, ...]:
    """What changes for the study: of the study itself first, then by destination in the order of the plans.

    A study that would be held, or no longer, has that change and besides one for each destination that loses or gets
    it. Ways of a study that is held both times are not compared, nor are the words of reasons.
    """
    return () if before == after else (*_of_study(before, after), *_of_ways(before.taken, after.taken))


def _of_study(before: Plan, after: Plan) -> Iterator[Change]:
    if before.clinic != after.clinic:
        yield Change(kind=Kind.Clinic, before={"Clinic": before.clinic}, after={"Clinic": after.clinic})
    if bool(before.hold) is not bool(after.hold):
        kind = Kind.Held if after.hold else Kind.Released
        yield Change(kind=kind, before=_held(before), after=_held(after))


def _held(plan: Plan) -> Mapping[str, Any] | None:
    return {"Hold": plan.hold} if plan.hold else None


def _of_ways(before: Mapping[str, Way], after: Mapping[str, Way]) -> Iterator[Change]:
    for name in {**before, **after}:
        was, is_ = before.get(name), after.get(name)
        for kind in _kinds(was, is_):
            yield Change(
                kind=kind,
                destination=name,
                before=None if was is None else was.to_json(),
                after=None if is_ is None else is_.to_json(),
            )


def _kinds(was: Way | None, is_: Way | None) -> Iterator[Kind]:
    if was is None or is_ is None:
        if was is not None:
            yield Kind.Dropped if was.refused else Kind.Removed
        if is_ is not None:
            yield Kind.Refused if is_.refused else Kind.Added
        return
    if bool(was.refused) is not bool(is_.refused):
        yield Kind.Refused if is_.refused else Kind.Permitted
    if was.priority != is_.priority:
        yield Kind.Priority
    if was.purpose != is_.purpose:
        yield Kind.Purpose


class Flow(NamedTuple):
    """A way that studies take: from a machine of a clinic to a destination; None for a study that is held."""

    calling_aet: str | None
    clinic: str | None
    destination: str | None
    fate: Fate


MOST_SOURCES = 300
OTHERS = "…"
"""The calling AE title of all sources beyond the first 300; no real one has this character (PS3.5 section 6.2, AE)."""


@dataclass(kw_only=True)
class Tally:
    """How many studies were compared, and what of: counts of studies, everywhere."""

    studies: int = 0
    changed: int = 0
    unreadable: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    ways: Counter[tuple[Kind, str]] = field(default_factory=Counter)  # kinds by destination
    before: Counter[Flow] = field(default_factory=Counter)
    after: Counter[Flow] = field(default_factory=Counter)

    def add(self, calling_aet: str | None, before: Plan, after: Plan, changes: Iterable[Change]) -> None:
        """Count one study."""
        changes = tuple(changes)
        self.studies += 1
        self.changed += bool(changes)
        self.kinds.update({change.kind for change in changes})
        self.ways.update((change.kind, change.destination) for change in changes if change.destination is not None)
        self.before.update(_flows(calling_aet, before))
        self.after.update(_flows(calling_aet, after))

    def merge(self, other: Tally) -> None:
        """Count what another counted of other studies."""
        self.studies += other.studies
        self.changed += other.changed
        self.unreadable += other.unreadable
        self.kinds.update(other.kinds)
        self.ways.update(other.ways)
        known = {flow[:2] for flows in (self.before, self.after) for flow in flows}
        for mine, theirs in ((self.before, other.before), (self.after, other.after)):
            for flow, count in theirs.items():
                if flow[:2] not in known:
                    if len(known) >= MOST_SOURCES:
                        mine[Flow(OTHERS, None, flow.destination, flow.fate)] += count
                        continue
                    known.add(flow[:2])
                mine[flow] += count

    def totals(self) -> Mapping[str | None, tuple[Counter[Fate], Counter[Fate]]]:
        """For each destination what becomes of how many studies before and after; None has those that are held."""
        found: dict[str | None, tuple[Counter[Fate], Counter[Fate]]] = {}
        for index, flows in enumerate((self.before, self.after)):
            for flow, count in flows.items():
                found.setdefault(flow.destination, (Counter(), Counter()))[index][flow.fate] += count
        return found

    def to_json(self) -> dict[str, Any]:
        """The document that from_json reads."""
        return {
            "Studies": self.studies,
            "Changed": self.changed,
            "Unreadable": self.unreadable,
            "Kinds": dict(self.kinds),
            "Ways": [[*way, count] for way, count in self.ways.items()],
            "Before": [[*flow, count] for flow, count in self.before.items()],
            "After": [[*flow, count] for flow, count in self.after.items()],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Tally:
        """A tally as it was stored."""
        return cls(
            studies=document["Studies"],
            changed=document["Changed"],
            unreadable=document["Unreadable"],
            kinds=Counter({Kind(kind): count for kind, count in document["Kinds"].items()}),
            ways=Counter({(Kind(kind), name): count for kind, name, count in document["Ways"]}),
            before=_counted(document["Before"]),
            after=_counted(document["After"]),
        )


def _flows(calling_aet: str | None, plan: Plan) -> Iterator[Flow]:
    if plan.hold:
        yield Flow(calling_aet, plan.clinic, None, Fate.Held)
        return
    for way in plan.ways:
        yield Flow(calling_aet, plan.clinic, way.destination, Fate.Refused if way.refused else Fate.Sent)


def _counted(rows: Iterable[Any]) -> Counter[Flow]:
    return Counter({Flow(aet, clinic, name, Fate(fate)): count for aet, clinic, name, fate, count in rows})


@dataclass(frozen=True, kw_only=True)
class Line:
    """One sentence of a summary: so many studies, and what changes for them, at which destination if at one."""

    kind: Kind
    destination: str | None
    studies: int


_FIRST = (
    *(Kind.Refused, Kind.Held, Kind.Added, Kind.Removed, Kind.Permitted, Kind.Released, Kind.Clinic),
    *(Kind.Dropped, Kind.Purpose, Kind.Priority),
)


def summary(tally: Tally) -> tuple[Line, ...]:
    """What a person should read first: what the law refuses, what waits, then what goes elsewhere; many before few."""
    lines = [Line(kind=kind, destination=name, studies=count) for (kind, name), count in tally.ways.items()]
    with_destination = {line.kind for line in lines}
    lines += [
        Line(kind=kind, destination=None, studies=count)
        for kind, count in tally.kinds.items()
        if kind not in with_destination
    ]
    return tuple(sorted(lines, key=lambda line: (_FIRST.index(line.kind), -line.studies, line.destination or "")))
