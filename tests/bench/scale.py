"""How much a run measures: everything, or just enough to see that the benchmarks work."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """`pairs` of interleaved measurements, each of `share` of the images, tasks or studies."""

    pairs: int
    share: float

    def of(self, count: int, *, step: int = 1) -> int:
        """The share of `count`, a multiple of `step`, and at least one step."""
        return max(step, round(count * self.share / step) * step)

    def orders(self) -> Iterator[bool]:
        """For each pair, whether ours goes first: turn and turn about, so that a drift hits both alike."""
        for pair in range(self.pairs):
            yield pair % 2 == 0


FULL = Scale(pairs=7, share=1.0)
QUICK = Scale(pairs=1, share=0.02)
