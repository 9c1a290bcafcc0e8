"""A clock that stands still until a test turns it."""

import threading
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Wall-clock and monotonic time, both turned by hand; `relais.clock.Clock` is the port that it fits.

    `advance` lets time pass. `jump` sets the wall clock alone, as an administrator or NTP would.
    """

    def __init__(self, now: datetime = datetime(2026, 7, 2, 10, 15, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Aware UTC time."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        with self._lock:
            return self._monotonic

    def advance(self, span: timedelta) -> None:
        """Let so much time pass."""
        with self._lock:
            self._now += span
            self._monotonic += span.total_seconds()

    def jump(self, span: timedelta) -> None:
        """Set the wall clock forward, or back if negative; no time passes."""
        with self._lock:
            self._now += span
