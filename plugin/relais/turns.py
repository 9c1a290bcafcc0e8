"""Turns: so many at once are sent to a destination, the most urgent first, while the next one is prepared."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from relais.tasks import Claim
from relais.worker import StoppingError

PATIENCE = 0.2
"""Seconds after which who waits for a turn looks whether everything stops."""


class Turns:
    """The places of each lane, on this node; the claims of tasks see to it that no other node sends besides."""

    def __init__(self, limits: Mapping[str, int], stopping: threading.Event) -> None:
        self._lanes = {name: _Lane(limit) for name, limit in limits.items()}
        self._stopping = stopping

    @contextmanager
    def queue(self, claim: Claim) -> Iterator[Turn]:
        """Stand in the lane's queue, as urgent and as old as the task is, for the length of the block."""
        turn = Turn(self._lanes[claim.lane], claim, self._stopping)
        turn.enter()
        try:
            yield turn
        finally:
            turn.leave()


class _Lane:
    """The queue of one lane."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.queue: set[Turn] = set()
        self.changed = threading.Condition()


class Turn:
    """The place of one delivery in its lane's queue."""

    def __init__(self, lane: _Lane, claim: Claim, stopping: threading.Event) -> None:
        self._lane = lane
        self.order = (claim.priority, claim.run_at, claim.id)
        self._stopping = stopping
        self.holds = False

    def enter(self) -> None:
        """Stand in the queue; whoever stands there already stays."""
        with self._lane.changed:
            self._lane.queue.add(self)

    def leave(self) -> None:
        """Nobody need wait for this one any more."""
        with self._lane.changed:
            self._lane.queue.discard(self)
            self._lane.changed.notify_all()

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Send for the length of the block; answers whether that had to be waited for. Raises StoppingError."""
        self.enter()
        with self._lane.changed:
            waits = not self._is_next()
            while not self._lane.changed.wait_for(self._is_next, PATIENCE):
                if self._stopping.is_set():
                    raise StoppingError
            self.holds = True
        try:
            yield waits
        finally:
            with self._lane.changed:
                self.holds = False
                self._lane.changed.notify_all()

    def _is_next(self) -> bool:
        """Whether a place is left when all who send, and all who come before, have theirs."""
        ahead = sum(each.holds or each.order < self.order for each in self._lane.queue if each is not self)
        return ahead < self._lane.limit
