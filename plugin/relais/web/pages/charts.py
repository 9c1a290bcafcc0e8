"""Charts as geometry: a value for each hour, in a drawing of fixed height that stretches to whatever width there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

HEIGHT = 100
"""Units of the drawing; a browser gives it its height in pixels."""
WIDTH = 1000


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One value as a bar: its left edge, top, width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The largest value that fits, a round one."""

    top: float

    def y(self, value: float) -> float:
        """How far below the upper edge a value lies."""
        return round(HEIGHT * (1 - value / self.top), 1)


def scale_of(values: Sequence[float | None]) -> Scale:
    """The scale from 0 to the next round number above all values: 1, 2 or 5 times a power of ten."""
    most = max((each for each in values if each is not None), default=0)
    if most <= 0:
        return Scale(top=1)
    power = 10.0 ** int(log10(most) // 1)
    return Scale(top=next(step * power for step in (1, 2, 5, 10) if step * power >= most))


def bars(values: Sequence[float], scale: Scale) -> list[Bar]:
    """A bar for each value that is not 0."""
    step = WIDTH / max(1, len(values))
    return [
        Bar(
            x=round(index * step + step * 0.1, 1),
            y=scale.y(value),
            width=round(step * 0.8, 1),
            height=round(HEIGHT - scale.y(value), 1),
        )
        for index, value in enumerate(values)
        if value > 0
    ]


def steps(values: Sequence[float], scale: Scale) -> str:
    """An area under a line of steps, as a path."""
    step = WIDTH / max(1, len(values))
    parts = [f"M0 {HEIGHT}"]
    for index, value in enumerate(values):
        parts.append(f"L{index * step:g} {scale.y(value):g} H{(index + 1) * step:g}")
    return " ".join([*parts, f"V{HEIGHT} Z"])


def line(values: Sequence[float | None], scale: Scale) -> str:
    """A line through the values, as a path; it is broken where there is none, and a lone value is a dash."""
    step = WIDTH / max(1, len(values))
    parts = []
    for index, value in enumerate(values):
        if value is None:
            continue
        before = index > 0 and values[index - 1] is not None
        after = index + 1 < len(values) and values[index + 1] is not None
        x, y = (index + 0.5) * step, scale.y(value)
        if before:
            parts.append(f"L{x:g} {y:g}")
        elif after:
            parts.append(f"M{x:g} {y:g}")
        else:
            parts.append(f"M{index * step:g} {y:g} h{step:g}")
    return " ".join(parts)
