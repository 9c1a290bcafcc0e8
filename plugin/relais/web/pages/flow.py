"""The picture of the dashboard: studies of today, from their sources through Relais to their destinations.

Two bundles of curves between three columns of equal rows. Heights are pixels; widths are hundredths of whatever room
the browser has, so that the picture fits a telephone and a wall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Literal

Health = Literal["well", "unsure", "down"]

ROW = 44
MOST_SOURCES = 8
THINNEST, THICKEST, GAP = 1.5, 18.0, 2.0


@dataclass(frozen=True, kw_only=True)
class Strand:
    """One curve: how many studies took that way today, and how well it is."""

    name: str
    studies: int
    health: Health
    path: str
    width: float


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`sources` come in from the left, `destinations` go out to the right; `others` were left out."""

    sources: Sequence[Strand]
    destinations: Sequence[Strand]
    others: int
    height: int
    row: int = ROW


def draw(
    sources: Mapping[str, int],
    owed: Mapping[str, int],
    destinations: Mapping[str, Health],
    pacs: Mapping[str, Health] | None = None,
) -> Picture:
    """Draw how many studies came from each source and are owed to each destination; every destination is shown.

    `pacs` are the sources that can be asked: they are shown without a study too, as far as there is room.
    """
    known = pacs or {}
    shown = dict(Counter(sources).most_common(MOST_SOURCES))
    idle = [name for name in known if name not in sources]
    shown |= dict.fromkeys(idle[: MOST_SOURCES - len(shown)], 0)
    healths: dict[str, Health] = {name: known.get(name, "well") for name in shown}
    height = max(len(shown), len(destinations), 1) * ROW
    most = max([*shown.values(), *owed.values(), 1])
    return Picture(
        sources=_bundle(shown, healths, height, most, inward=True),
        destinations=_bundle(owed, destinations, height, most, inward=False),
        others=max(len(sources) - MOST_SOURCES, 0),
        height=height,
    )


def _bundle(
    studies: Mapping[str, int], healths: Mapping[str, Health], height: int, most: int, *, inward: bool
) -> list[Strand]:
    """A strand for each name, from its row to Relais or the other way; at Relais they lie side by side."""
    widths = [_width(studies.get(name, 0), most) for name in healths]
    strands = []
    edge = (height - sum(widths) - GAP * (len(widths) - 1)) / 2
    for row, ((name, health), width) in enumerate(zip(healths.items(), widths, strict=True)):
        outer, inner = _middle(row, len(widths), height), edge + width / 2
        path = _curve(outer, inner) if inward else _curve(inner, outer)
        strands.append(Strand(name=name, studies=studies.get(name, 0), health=health, path=path, width=width))
        edge += width + GAP
    return strands


def _width(studies: int, most: int) -> float:
    """One study is still seen beside a thousand."""
    return round(THINNEST + (THICKEST - THINNEST) * log2(1 + studies) / log2(1 + most), 1)


def _middle(row: int, rows: int, height: int) -> float:
    """The middle of a row in a column whose rows stand in the middle of the height."""
    return (height - rows * ROW) / 2 + (row + 0.5) * ROW


def _curve(start: float, end: float) -> str:
    return f"M0 {start:g} C50 {start:g} 50 {end:g} 100 {end:g}"
