"""When to try again, and after what not to.

Full jitter: a wait drawn evenly between nothing and a bound that doubles, so that a peer that comes back is not
met by everybody at once (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum


class ErrorClass(StrEnum):
    """What the caller must do about a failure."""

    Transient = "Transient"  # try again: network, time-out, out of resources
    Permanent = "Permanent"  # a person must look: refused by the peer for what it is
    Configuration = "Configuration"  # an administrator must mend a setting


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Waits that double from `first` to `maximum`."""

    first: timedelta
    maximum: timedelta

    def bound(self, failures: int) -> timedelta:
        """The longest wait after so many failures in a row (1 or more)."""
        doubled = self.first.total_seconds() * 2.0 ** min(failures - 1, 62)
        return min(timedelta(seconds=min(doubled, self.maximum.total_seconds())), self.maximum)

    def delay(self, failures: int, chance: float) -> timedelta:
        """The wait after so many failures; `chance` is drawn evenly from [0, 1)."""
        return self.bound(failures) * chance


LONGEST_WAIT = timedelta(days=1)
NOTIFICATION_SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Waits after the first, second, … failed attempt: three days and some hours in all (Standard Webhooks 1.0.0)."""


def notification_delay(failures: int, chance: float, wanted: timedelta | None) -> timedelta | None:
    """The wait before the next attempt, or None when the schedule is used up.

    Jitter adds up to a tenth. A subscriber's own Retry-After only ever lengthens the wait.
    """
    if failures > len(NOTIFICATION_SCHEDULE):
        return None
    delay = NOTIFICATION_SCHEDULE[failures - 1] * (1 + chance / 10)
    return max(delay, wanted or timedelta())


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The wait that a Retry-After header asks for, in seconds or as a date (RFC 9110 section 10.2.3): a day at most."""
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(timedelta(seconds=int(value[:9])), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(aware - now, timedelta()), LONGEST_WAIT)
