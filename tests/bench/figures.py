"""Figures: what was measured, what was aimed at, and the table of both."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

Show = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A bound: at least `value`, or at most."""

    value: float
    at_most: bool = False

    def is_met(self, measured: float) -> bool:
        """Whether the measured value keeps the bound."""
        return measured <= self.value if self.at_most else measured >= self.value


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value: its samples, their unit, the target if there is one, and what was seen beside it."""

    name: str
    unit: str
    samples: Sequence[float]
    target: Target | None = None
    beside: str = ""

    @property
    def median(self) -> float:
        """The value that counts."""
        return median(self.samples)

    @property
    def is_met(self) -> bool:
        """Whether the median keeps the target; a figure without one always does."""
        return self.target is None or self.target.is_met(self.median)

    @property
    def cells(self) -> tuple[str, ...]:
        """The figure as a row of the table."""
        spread = f"{number(min(self.samples))} … {number(max(self.samples))}" if len(self.samples) > 1 else ""
        target = f"{'≤' if self.target.at_most else '≥'} {number(self.target.value)}" if self.target else ""
        met = "" if self.target is None else "met" if self.is_met else "**not met**"
        return (self.name, f"{number(self.median)} {self.unit}".strip(), spread, target, met, self.beside)


COLUMNS = ("Figure", "Median", "Spread", "Target", "", "Beside")


def table(figures: Iterable[Figure]) -> str:
    """A Markdown table that is readable as plain text too."""
    rows = [COLUMNS, *(figure.cells for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"


def ratio(ours: Sequence[float], peers: Sequence[float]) -> list[float]:
    """Ours over the peer's, pair by pair."""
    return [mine / theirs for mine, theirs in zip(ours, peers, strict=True)]


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
