"""Values as people read them: times, durations, numbers, names and UIDs, in a language and a time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

ELLIPSIS = "…"
LEAST_SHARE = 0.01
"""Percent: what is less, or more than the rest, is told as that."""


def relative(moment: datetime, now: datetime, language: str) -> str:
    """How long ago, or in how long: `3 min ago`."""
    return format_timedelta(moment - now, add_direction=True, format="short", locale=language)


def exact(moment: datetime, zone: tzinfo, language: str) -> str:
    """To the second, in a zone that is named."""
    local = moment.astimezone(zone)
    return f"{format_datetime(moment, 'medium', tzinfo=zone, locale=language)} {local.tzname()}"


def duration(span: timedelta, language: str) -> str:
    """How long something took: `0.4 s`, `12 s`, `3 min 20 s`, `2 d 4 h`: at most two units."""
    seconds = max(span.total_seconds(), 0)
    if seconds < 10:  # noqa: PLR2004 - from here on, tenths say nothing
        return _unit(round(seconds, 1), "second", language)
    left = round(seconds)
    parts: list[tuple[int, str]] = []
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        amount, left = divmod(left, size)
        if amount or parts:
            parts.append((amount, unit))
    return " ".join(_unit(amount, unit, language) for amount, unit in parts[:2] if amount)


def number(value: float, language: str) -> str:
    """With the language's separators."""
    return str(format_decimal(value, locale=language))


def share(probability: float, language: str) -> str:
    """A probability in percent, which is never rounded to certainty."""
    percent = 100 * probability
    text = f"{min(max(percent, LEAST_SHARE), 100 - LEAST_SHARE):.2f}".rstrip("0").rstrip(".")
    sign = "> " if percent > 100 - LEAST_SHARE else "< " if percent < LEAST_SHARE else ""
    return sign + str(
        format_percent(float(text) / 100, format="#,##0.## %" if language == "fr" else "#,##0.##%", locale=language)
    )


def size(count: int, language: str) -> str:
    """Bytes as `12 MB`."""
    for unit, scale in (("gigabyte", 10**9), ("megabyte", 10**6), ("kilobyte", 10**3)):
        if count >= scale:
            return str(format_unit(round(count / scale, 1), f"digital-{unit}", "short", locale=language))
    return str(format_unit(count, "digital-byte", "short", locale=language))


def day(text: str | None, language: str) -> str:
    """A DICOM date (PS3.5 section 6.2, DA) in the language; as it stands when it is none."""
    try:
        return str(format_date(date.fromisoformat(text or ""), "medium", locale=language))
    except ValueError:
        return text or ""


def weekday(moment: date, language: str) -> str:
    """A day in full: `Sunday, November 22, 2026`."""
    return str(format_date(moment, "full", locale=language))


def person(name: str | None) -> str:
    """A DICOM person name (PN) as `Tremblay, Émilie`: its first group that says anything."""
    group = next((each for each in (name or "").split("=") if each.strip("^ ")), "")
    family, *rest = (part.strip() for part in group.split("^"))
    given = " ".join(part for part in rest[:2] if part)
    return ", ".join(part for part in (family, given) if part)


def shortened(uid: str, ends: int = 10) -> str:
    """A UID without its middle."""
    return uid if len(uid) <= 2 * ends + 1 else f"{uid[:ends]}{ELLIPSIS}{uid[-ends:]}"


def midnight(now: datetime, zone: tzinfo) -> datetime:
    """When today began in that zone, in UTC."""
    return now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _unit(amount: float, unit: str, language: str) -> str:
    return str(format_unit(amount, f"duration-{unit}", "short", locale=language))
