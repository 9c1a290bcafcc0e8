"""When a study is complete, and why."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from relais.domain.completeness import Completion, Patience, completion

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
PATIENCE = Patience(quiet=timedelta(seconds=30), incomplete=timedelta(minutes=10), longest=timedelta(hours=1))


def at(instances: int, expected: int | None, *, minutes: float = 0) -> tuple[timedelta, Completion]:
    """How long after `minutes` of arriving, and why."""
    now = NOW + timedelta(minutes=minutes)
    moment, why = completion(PATIENCE, now=now, since=NOW, instances=instances, expected=expected)
    return moment - now, why


def test_a_study_of_unknown_size_is_complete_when_it_was_quiet() -> None:
    assert at(5, None) == (timedelta(seconds=30), Completion.Quiet)


def test_one_whose_every_image_is_there_is_complete_at_once() -> None:
    assert at(5, 5) == (timedelta(), Completion.Expected)
    assert at(6, 5) == (timedelta(), Completion.Expected)


def test_one_that_lacks_images_is_waited_for_and_then_said_to_be_incomplete() -> None:
    assert at(4, 5) == (timedelta(minutes=10), Completion.Incomplete)


def test_one_that_grows_for_ever_is_cut() -> None:
    assert at(900, None, minutes=59.9) == (timedelta(seconds=6), Completion.Cap)
    assert at(900, None, minutes=61) == (timedelta(), Completion.Cap)


@given(
    instances=st.integers(1, 1000),
    expected=st.none() | st.integers(1, 1000),
    minutes=st.floats(0, 600),
)
def test_it_is_never_complete_in_the_past_nor_waited_for_beyond_the_cap(
    instances: int, expected: int | None, minutes: float
) -> None:
    wait, _ = at(instances, expected, minutes=minutes)
    assert timedelta() <= wait <= max(timedelta(), timedelta(hours=1) - timedelta(minutes=minutes))
