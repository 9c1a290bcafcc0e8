"""When something may be done: windows of the day in a time zone, across its changes of the clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from relais.domain.document import Document, NotEmpty, OneOf, fault


def _time(text: str) -> str:
    try:
        moment = time.fromisoformat(text)
    except ValueError:
        raise fault("bad-time", name=text) from None
    if moment.tzinfo is not None or moment.strftime("%H:%M") != text:
        raise fault("bad-time", name=text)
    return text


TimeOfDay = Annotated[str, AfterValidator(_time)]
MIDNIGHT = "00:00"


class Day(StrEnum):
    """A day of the week, Monday first as `datetime.weekday` counts."""

    Monday = "Monday"
    Tuesday = "Tuesday"
    Wednesday = "Wednesday"
    Thursday = "Thursday"
    Friday = "Friday"
    Saturday = "Saturday"
    Sunday = "Sunday"


class Window(Document):
    """A span of the day on some days of the week; one whose end is not after its beginning ends the next day."""

    days: Annotated[tuple[Annotated[Day, OneOf(Day)], ...], NotEmpty] = Field(
        default=tuple(Day), description="The days on which it begins.", examples=[["Saturday", "Sunday"]]
    )
    from_: TimeOfDay = Field(default=MIDNIGHT, alias="From", description="When it begins.", examples=["19:00"])
    to: TimeOfDay = Field(
        default=MIDNIGHT, description="When it ends; 00:00 is the end of the day.", examples=["07:00"]
    )


def next_open(windows: Sequence[Window], zone: str, now: datetime) -> datetime:
    """The first instant from `now` (aware) on that lies in a window; `now` itself where there is no window.

    Times are those of the wall clock in `zone` (IANA): a window of 02:00 to 04:00 is an hour long in the night when
    clocks go forward, and three hours in the one when they go back.
    """
    if not windows:
        return now
    local = now.astimezone(ZoneInfo(zone))
    spans = [
        span for window in windows for offset in range(-1, 8) if (span := _span(window, local + timedelta(days=offset)))
    ]
    if any(begin <= now < end for begin, end in spans):
        return now
    return min(begin for begin, end in spans if begin > now and begin < end)


def _span(window: Window, day: datetime) -> tuple[datetime, datetime] | None:
    """The window that begins on this local day, as instants (UTC); None where it has no window that day."""
    if list(Day)[day.weekday()] not in window.days:
        return None
    begin, end = time.fromisoformat(window.from_), time.fromisoformat(window.to)
    last = day.date() + timedelta(days=1) if end <= begin else day.date()
    zone = day.tzinfo
    return (
        datetime.combine(day.date(), begin, zone).astimezone(UTC),
        datetime.combine(last, end, zone).replace(fold=1).astimezone(UTC),
    )
