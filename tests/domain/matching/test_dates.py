"""Birth dates: what is one, and how near two are."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relais.domain.matching.dates import OLDEST, DateLevel, compare_dates, read_birth_date

TODAY = date(2026, 6, 15)

law = settings(deadline=None, max_examples=100)
births = st.dates(date(1897, 1, 1), TODAY)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("19541228", date(1954, 12, 28)),
        ("1954-12-28", date(1954, 12, 28)),
        ("1954.12.28", date(1954, 12, 28)),
        (" 19541228 \0", date(1954, 12, 28)),
        ("20000229", date(2000, 2, 29)),
        ("20260615", TODAY),
        ("19541228" + " " * 248 + "and more", date(1954, 12, 28)),
        ("18960615", date(1896, 6, 15)),
        ("19000102", date(1900, 1, 2)),
        ("20000101", date(2000, 1, 1)),
    ],
)
def test_a_birth_date_is_read(text: str, read: date) -> None:
    assert read_birth_date(text, TODAY) == read


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "0",
            "00000000",
            "99999999",
            "1954",
            "195412",
            "541228",
            "28/12/1954",
            "1954/12/28",
            "1954-1228",
            "1954-12.28",
        ),
        *("19541301", "19540001", "19541200", "19540230", "19000229", "20260616", "20270101", "18960614", "10540101"),
        *("19000101", "1900-01-01", "18991230", "18991231", "19010101", "19040101", "19111111", "1970-01-01"),
        *("19541228-", "1954122*", "1954????", "1954-12-28T00:00:00", "\N{ARABIC-INDIC DIGIT ONE}9541228"),
    ],
)
def test_what_is_nobodys_birth_date_is_missing(text: str) -> None:
    assert read_birth_date(text, TODAY) is None


def test_the_age_that_is_still_believed_ends_with_the_birthday_even_on_a_leap_day() -> None:
    leap = date(2026 + OLDEST, 2, 28)
    assert read_birth_date("20260228", leap) == date(2026, 2, 28)
    assert read_birth_date("20260227", leap) is None
    assert read_birth_date("18960229", date(2026, 2, 28)) == date(1896, 2, 29)
    assert read_birth_date("18960229", date(2026, 3, 1)) is None


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("1954-12-28", "1954-12-28", DateLevel.Same),
        ("1954-05-04", "1954-04-05", DateLevel.DayMonthSwapped),
        ("1980-01-11", "1980-11-01", DateLevel.DayMonthSwapped),
        ("1954-05-04", "1955-04-05", DateLevel.Different),
        ("1954-12-28", "1954-12-29", DateLevel.OneDigit),
        ("1954-12-28", "1964-12-28", DateLevel.OneDigit),
        ("1954-12-28", "2954-12-28", DateLevel.OneDigit),
        ("1954-12-08", "1954-02-08", DateLevel.OneDigit),
        ("1999-12-31", "2000-12-31", DateLevel.Different),
        ("1954-12-28", "1945-12-28", DateLevel.Different),
        ("1954-12-28", "1954-10-03", DateLevel.YearOnly),
        ("1954-12-28", "1954-12-19", DateLevel.YearOnly),
        ("1954-12-28", "1955-12-29", DateLevel.Different),
        ("0954-12-28", "1954-12-28", DateLevel.OneDigit),
    ],
)
def test_how_near_two_dates_are(one: str, other: str, level: DateLevel) -> None:
    assert compare_dates(date.fromisoformat(one), date.fromisoformat(other)) is level
    assert compare_dates(date.fromisoformat(other), date.fromisoformat(one)) is level


def test_a_day_after_the_twelfth_has_no_swap() -> None:
    days = [date(1955, 1, 1) + timedelta(each) for each in range(365)]
    swapped = [(one, other) for one in days for other in days if compare_dates(one, other) is DateLevel.DayMonthSwapped]
    assert len(swapped) == 12 * 11
    assert max(one.day for one, _ in swapped) == 12


near = st.builds(lambda day, by: min(day + timedelta(by), TODAY), births, st.sampled_from([0, 1, 9, 10, 30, 365]))


@law
@given(births, births | near)
def test_comparing_has_no_first_and_second(one: date, other: date) -> None:
    assert compare_dates(one, other) is compare_dates(other, one)
    assert (compare_dates(one, other) is DateLevel.Same) == (one == other)
    if one.year == other.year:
        assert compare_dates(one, other) is not DateLevel.Different


@law
@given(births, st.sampled_from(["", "-", "."]), st.sampled_from(["", " ", "\0"]))
def test_reading_is_final_and_separators_never_matter(day: date, separator: str, padding: str) -> None:
    written = day.isoformat().replace("-", separator) + padding
    found = read_birth_date(written, TODAY)
    assert found == read_birth_date(day.isoformat(), TODAY)
    assert found in {day, None}
    assert found is None or read_birth_date(found.isoformat(), TODAY) == found


@law
@given(st.text() | st.from_regex(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}", fullmatch=True), st.dates())
def test_any_text_on_any_day_has_an_answer_that_could_be_a_persons(text: str, today: date) -> None:
    found = read_birth_date(text, today)
    assert found is None or (found <= today and today.year - found.year <= OLDEST)
