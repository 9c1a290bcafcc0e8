"""The time, as a port: the steps ask it, tests turn it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy.exc import DBAPIError


class Clock(Protocol):
    """Wall-clock and monotonic time."""

    def now(self) -> datetime:
        """Aware UTC time."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class SystemClock:
    """This machine's clock."""

    def now(self) -> datetime:
        """Aware UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SharedClock:
    """The database's clock, which all its nodes share: read now and then, carried on by our monotonic one."""

    EVERY = 30.0

    def __init__(self, read: Callable[[], datetime]) -> None:
        self._read = read
        self._anchor = (read(), time.monotonic())

    def now(self) -> datetime:
        """Aware UTC time."""
        moment, steady = self._anchor
        elapsed = time.monotonic() - steady
        if elapsed > self.EVERY:
            try:
                moment, steady = self._anchor = (self._read(), time.monotonic())
            except DBAPIError:  # the database is away: our own clock carries on
                steady, moment = steady + elapsed, moment + timedelta(seconds=elapsed)
                self._anchor = (moment, steady)
            elapsed = time.monotonic() - steady
        return moment + timedelta(seconds=elapsed)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
