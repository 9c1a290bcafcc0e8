"""Windows of the day, across midnight and across the changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.document import DocumentError, parse
from relais.domain.windows import Day, Window, next_open

ZONE = "America/Toronto"


def window(begin: str, end: str, *days: str) -> Window:
    return parse(Window, {"From": begin, "To": end, **({"Days": list(days)} if days else {})})


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE))


def opens(now: str, *windows: Window) -> str:
    found = next_open(windows, ZONE, local(now)).astimezone(ZoneInfo(ZONE))
    return found.strftime("%Y-%m-%d %H:%M")


def test_without_windows_it_is_always_open() -> None:
    assert opens("2026-06-01 03:00") == "2026-06-01 03:00"


def test_a_window_that_ends_the_next_day_is_open_on_both_sides_of_midnight() -> None:
    night = window("19:00", "07:00")
    assert opens("2026-06-01 12:00", night) == "2026-06-01 19:00"
    assert opens("2026-06-01 23:00", night) == "2026-06-01 23:00"
    assert opens("2026-06-02 06:59", night) == "2026-06-02 06:59"
    assert opens("2026-06-02 07:00", night) == "2026-06-02 19:00"


def test_a_window_begins_on_its_days_only() -> None:
    weekend = window("00:00", "00:00", "Saturday", "Sunday")
    assert opens("2026-06-03 12:00", weekend) == "2026-06-06 00:00"  # a Wednesday
    assert opens("2026-06-07 23:59", weekend) == "2026-06-07 23:59"
    friday_night = window("22:00", "04:00", "Friday")
    assert opens("2026-06-06 03:00", friday_night) == "2026-06-06 03:00"
    assert opens("2026-06-06 04:00", friday_night) == "2026-06-12 22:00"


def test_the_wall_clock_counts_when_clocks_change() -> None:
    small_hours = window("02:00", "04:00")
    # Forward on 2026-03-08: 2:00 does not exist, and the window is an hour long.
    before = datetime(2026, 3, 8, 6, 0, tzinfo=UTC)  # 1:00 EST
    begin = next_open([small_hours], ZONE, before)
    assert begin == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    assert next_open([small_hours], ZONE, datetime(2026, 3, 8, 8, 0, tzinfo=UTC)) > datetime(2026, 3, 9, tzinfo=UTC)
    # Back on 2026-11-01: 1:00 to 2:00 comes twice, and is open both times.
    twice = window("01:00", "02:00")
    for hour in (5, 6):
        moment = datetime(2026, 11, 1, hour, 30, tzinfo=UTC)
        assert next_open([twice], ZONE, moment) == moment
    assert next_open([twice], ZONE, datetime(2026, 11, 1, 7, 0, tzinfo=UTC)).day == 2


@pytest.mark.parametrize("text", ["9:00", "24:00", "12:60", "12:00:00", "noon", "12:00+01:00"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        window(text, "12:00")


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30]))


@given(
    begin=TIMES,
    end=TIMES,
    days=st.sets(st.sampled_from([day.value for day in Day]), min_size=1),
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_it_opens_within_a_week_and_a_day_and_is_then_open(begin: str, end: str, days: set[str], now: datetime) -> None:
    windows = [window(begin, end, *days)]
    moment = now.replace(tzinfo=UTC)
    opened = next_open(windows, ZONE, moment)
    assert moment <= opened <= moment + timedelta(days=8)
    assert next_open(windows, ZONE, opened) == opened
