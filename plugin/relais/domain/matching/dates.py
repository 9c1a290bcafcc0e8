"""Birth dates: how they are read, and how near two of them are."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum

OLDEST = 130
"""Years: nobody is known to have lived longer."""

_LONGEST = 256
_DATE = re.compile(r"([0-9]{4})([-.]?)([0-9]{2})\2([0-9]{2})")
_NO_DATES = frozenset(
    {
        date(1899, 12, 30),  # day 0 of spreadsheets and of Windows automation
        date(1899, 12, 31),
        date(1900, 1, 1),
        date(1901, 1, 1),
        date(1904, 1, 1),  # day 0 of Macintosh
        date(1911, 11, 11),
        date(1970, 1, 1),  # day 0 of Unix
    }
)


class DateLevel(StrEnum):
    """How near two dates are, nearest first."""

    Same = "Same"
    DayMonthSwapped = "DayMonthSwapped"
    OneDigit = "OneDigit"
    YearOnly = "YearOnly"
    Different = "Different"


def read_birth_date(text: str, today: date) -> date | None:
    """The day of birth that DA (PS3.5 section 6.2, with its old dots) or ISO 8601 writes; None if nobody's.

    Nobody's are a placeholder, a day that never was, a day after `today`, and one more than 130 years before it.
    """
    found = _DATE.fullmatch(text[:_LONGEST].strip(" \0\t\r\n"))
    if found is None:
        return None
    try:
        day = date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return None
    too_old = (day.year + OLDEST, day.month, day.day) < (today.year, today.month, today.day)
    return None if day in _NO_DATES or day > today or too_old else day


def compare_dates(one: date, other: date) -> DateLevel:
    """How near they are, whichever is first; a digit is one of YYYYMMDD."""
    if one == other:
        return DateLevel.Same
    if (one.year, one.month, one.day) == (other.year, other.day, other.month):
        return DateLevel.DayMonthSwapped
    if sum(left != right for left, right in zip(one.isoformat(), other.isoformat(), strict=True)) == 1:
        return DateLevel.OneDigit
    return DateLevel.YearOnly if one.year == other.year else DateLevel.Different
