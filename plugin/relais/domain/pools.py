"""Which destination of a pool gets a study: by weight, and always the same one for a patient."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping


def choose(weights: Mapping[str, int], key: str) -> str | None:
    """The destination for `key`, such as a patient's id; None where no destination has a weight.

    Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): each gets
    its share, and a change of one weight moves only the keys that this destination gains or loses.
    """
    scores = {name: -weight / math.log(_chance(name, key)) for name, weight in weights.items() if weight > 0}
    return max(sorted(scores), key=scores.__getitem__, default=None)


def _chance(name: str, key: str) -> float:
    """A number in (0, 1) that the two decide."""
    digest = hashlib.sha256(f"{name}\0{key}".encode()).digest()
    return (int.from_bytes(digest[:8]) + 0.5) / 2**64
