"""Waits between attempts."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from relais.domain.retry import NOTIFICATION_SCHEDULE, Backoff, notification_delay

chances = st.floats(min_value=0, max_value=1, exclude_max=True)
spans = st.timedeltas(min_value=timedelta(), max_value=timedelta(days=30))


@given(first=spans, maximum=spans, failures=st.integers(min_value=1, max_value=10_000), chance=chances)
def test_a_wait_stays_within_its_bound_and_the_bound_within_the_maximum(
    first: timedelta, maximum: timedelta, failures: int, chance: float
) -> None:
    backoff = Backoff(first=first, maximum=maximum)
    assert timedelta() <= backoff.delay(failures, chance) <= backoff.bound(failures) <= maximum


@given(failures=st.integers(min_value=1, max_value=1000))
def test_the_bound_never_shrinks(failures: int) -> None:
    backoff = Backoff(first=timedelta(seconds=2), maximum=timedelta(minutes=15))
    assert backoff.bound(failures) <= backoff.bound(failures + 1)


def test_the_bound_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(first=timedelta(seconds=2), maximum=timedelta(seconds=15))
    assert [backoff.bound(number).total_seconds() for number in range(1, 6)] == [2, 4, 8, 15, 15]


def test_notifications_go_on_for_three_days_and_then_end() -> None:
    assert timedelta(days=3) <= sum(NOTIFICATION_SCHEDULE, timedelta()) <= timedelta(days=4)
    assert notification_delay(len(NOTIFICATION_SCHEDULE) + 1, 0, None) is None


@given(failures=st.integers(min_value=1, max_value=9), chance=chances, asked=spans)
def test_a_subscriber_can_lengthen_a_wait_but_not_shorten_it(failures: int, chance: float, asked: timedelta) -> None:
    own = notification_delay(failures, chance, None)
    delay = notification_delay(failures, chance, asked)
    assert own is not None
    assert delay == max(own, asked)
