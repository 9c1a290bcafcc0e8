"""How urgent a delivery is."""

from __future__ import annotations

from enum import IntEnum


class Priority(IntEnum):
    """The four priorities, most urgent first; a smaller number goes first."""

    Stat = 0
    Urgent = 1
    Routine = 2
    Background = 3
