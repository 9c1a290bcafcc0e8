"""Gives a batch up when the worker stops, or when its peer lets nothing through."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

SLOWEST = 64_000
"""Bytes a second under which a peer counts as one that does not answer."""
STEP = 0.25


class Watch:
    """What a transport's `stopping` asks, and its `progress` tells.

    A peer may stay silent for `seconds`, and take besides what the largest file takes at the slowest rate that is
    bearable; each instance that gets through begins anew.
    """

    def __init__(
        self, stopping: threading.Event, seconds: float, largest: int, progress: Callable[[int], None]
    ) -> None:
        self._stopping = stopping
        self._patience = seconds + largest / SLOWEST
        self._progress = progress
        self._through = 0
        self._until = time.monotonic() + self._patience

    def progress(self, through: int) -> None:
        """So many instances are through."""
        if through > self._through:
            self._through = through
            self._until = time.monotonic() + self._patience
        self._progress(through)

    @property
    def too_slow(self) -> bool:
        """Whether the peer let nothing through for too long."""
        return time.monotonic() > self._until

    def is_set(self) -> bool:
        """Whether the batch is to be given up."""
        return self._stopping.is_set() or self.too_slow

    def wait(self, timeout: float) -> bool:
        """Wait so many seconds at most; whether the batch is to be given up."""
        ends_at = time.monotonic() + timeout
        while not self.is_set() and (left := ends_at - time.monotonic()) > 0:
            self._stopping.wait(min(left, STEP))
        return self.is_set()
