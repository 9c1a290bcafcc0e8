"""The picture of a replay: studies from where they came to where they would go, as it is and as it would be.

Two drawings of the same rows: what changes keeps its place and changes its colour. Heights are pixels, widths are
hundredths of whatever room the browser has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Literal

from relais.domain.comparison import Fate, Flow

Change = Literal["same", "more", "fewer", "new", "gone"]
WayKey = tuple[str, str, Fate]
Flows = Mapping[WayKey, int]
"""How many studies went each way: source, destination and what became of them there."""
HELD = ""
"""The destination of studies that are held."""

ROW = 44
MOST_SOURCES = 10
THINNEST, THICKEST, GAP = 1.5, 14.0, 1.5
OTHERS = "…"
"""The name under which the smaller sources are one."""
UNKNOWN = "?"
"""The name of a source that nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One row: how many deliveries begin or end here, before and after."""

    name: str
    before: int
    after: int

    @property
    def more(self) -> int:
        """How many are added; below zero how many go."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Strand:
    """One way from a source to a destination, in one of the two drawings."""

    source: str
    destination: str
    fate: Fate
    studies: int
    change: Change
    path: str
    width: float


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way in both: what the table beside the picture says."""

    source: str
    destination: str
    fate: Fate
    before: int
    after: int
    change: Change


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`before` and `after` are drawn over the same rows; `ways` tells the same in words, what changed first."""

    sources: Sequence[Node]
    destinations: Sequence[Node]
    before: Sequence[Strand]
    after: Sequence[Strand]
    ways: Sequence[Way]
    height: int
    row: int = ROW


def by_clinic(flows: Mapping[Flow, int]) -> Counter[WayKey]:
    """The flows of a replay by clinic; a machine of no clinic stands for itself."""
    return _keyed(flows, lambda flow: flow.clinic or flow.calling_aet or UNKNOWN)


def by_machine(flows: Mapping[Flow, int]) -> Counter[WayKey]:
    """The flows of a replay by the AE title of the sender."""
    return _keyed(flows, lambda flow: flow.calling_aet or UNKNOWN)


def _keyed(flows: Mapping[Flow, int], source: Callable[[Flow], str]) -> Counter[WayKey]:
    sums = Counter[WayKey]()
    for flow, studies in flows.items():
        sums[source(flow), flow.destination or HELD, flow.fate] += studies
    return sums


def draw(before: Flows, after: Flows) -> Picture:
    """Draw both, on one scale; beyond MOST_SOURCES the smaller sources are drawn as one."""
    before, after = _with_largest(before, after)
    sources = _nodes(before, after, 0)
    destinations = _nodes(before, after, 1)
    height = max(len(sources), len(destinations), 1) * ROW
    rows = [node.name for node in sources], [node.name for node in destinations]
    most = max([*before.values(), *after.values(), 1])
    return Picture(
        sources=sources,
        destinations=destinations,
        before=_strands(before, after, before, rows, height, most),
        after=_strands(before, after, after, rows, height, most),
        ways=_ways(before, after),
        height=height,
    )


def _with_largest(before: Flows, after: Flows) -> tuple[Flows, Flows]:
    totals = Counter[str]()
    for flows in (before, after):
        for (source, _, _), studies in flows.items():
            totals[source] += studies
    kept = {name for name, _ in totals.most_common(MOST_SOURCES)}

    def merged(flows: Flows) -> Flows:
        sums = Counter[WayKey]()
        for (source, destination, fate), studies in flows.items():
            sums[source if source in kept else OTHERS, destination, fate] += studies
        return sums

    return merged(before), merged(after)


def _nodes(before: Flows, after: Flows, end: Literal[0, 1]) -> list[Node]:
    """The rows of one column, the busiest first."""
    was, will = Counter[str](), Counter[str]()
    for flows, sums in ((before, was), (after, will)):
        for way, studies in flows.items():
            sums[way[end]] += studies
    names = sorted({*was, *will}, key=lambda name: (name == HELD, -max(was[name], will[name]), name))
    return [Node(name=name, before=was[name], after=will[name]) for name in names]


def _strands(
    before: Flows, after: Flows, shown: Flows, rows: tuple[list[str], list[str]], height: int, most: int
) -> list[Strand]:
    """One drawing: at each end strands lie side by side in the order of the other end, and so never cross there."""
    sources, destinations = rows
    ways = [key for source in sources for end in destinations for fate in Fate if shown.get(key := (source, end, fate))]
    widths = {way: _width(shown[way], most) for way in ways}
    starts, ends = _places(ways, widths, sources, 0, height), _places(ways, widths, destinations, 1, height)
    return [
        Strand(
            source=way[0],
            destination=way[1],
            fate=way[2],
            studies=shown[way],
            change=_change(before.get(way, 0), after.get(way, 0)),
            path=f"M0 {starts[way]:g} C45 {starts[way]:g} 55 {ends[way]:g} 100 {ends[way]:g}",
            width=widths[way],
        )
        for way in ways
    ]


def _places(
    ways: Sequence[WayKey],
    widths: Mapping[WayKey, float],
    names: Sequence[str],
    end: Literal[0, 1],
    height: int,
) -> dict[WayKey, float]:
    """Where each strand touches its row: the strands of a row are stacked around its middle, and squeezed to fit."""
    places = {}
    for row, name in enumerate(names):
        own = [way for way in ways if way[end] == name]
        room = sum(widths[way] for way in own) + GAP * (len(own) - 1)
        squeeze = min(1.0, (ROW - 4) / room) if own else 1.0
        edge = (height - len(names) * ROW) / 2 + (row + 0.5) * ROW - room * squeeze / 2
        for way in own:
            places[way] = round(edge + widths[way] * squeeze / 2, 1)
            edge += (widths[way] + GAP) * squeeze
    return places


def _width(studies: int, most: int) -> float:
    """One study is still seen beside a thousand."""
    return round(THINNEST + (THICKEST - THINNEST) * log2(1 + studies) / log2(1 + most), 1)


def _change(before: int, after: int) -> Change:
    if before == after:
        return "same"
    if not before or not after:
        return "gone" if before else "new"
    return "more" if after > before else "fewer"


def _ways(before: Flows, after: Flows) -> list[Way]:
    ways = [
        Way(
            source=key[0],
            destination=key[1],
            fate=key[2],
            before=before.get(key, 0),
            after=after.get(key, 0),
            change=_change(before.get(key, 0), after.get(key, 0)),
        )
        for key in {**before, **after}
    ]
    return sorted(ways, key=lambda way: (way.change == "same", -abs(way.after - way.before), way.source))
