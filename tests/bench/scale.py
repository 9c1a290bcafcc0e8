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

    def orders(self, times: int = 1) -> Iterator[bool]:
        """For each pair, whether ours goes first: turn and turn about, so that a drift hits both alike.

        A figure whose runs scatter by more than its distance to the target takes so many `times` the pairs.
        """
        for pair in range(self.pairs * times):
            yield pair % 2 == 0


FULL = Scale(pairs=7, share=1.0)
QUICK = Scale(pairs=1, share=0.02)
