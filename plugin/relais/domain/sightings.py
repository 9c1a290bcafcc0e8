"""What a watch makes of what a source answers: whether it looks for a study, and whether that changed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from relais.domain.globs import compile_glob
from relais.domain.words import fold

FARTHEST = timedelta(days=60)
"""How far back a watch looks after it could not poll for long, beyond the days that it always looks at."""
ZONES = timedelta(days=1)
"""A source writes its own local day, wherever it is."""


class Sighting(StrEnum):
    """Whether a watch looks for a study."""

    Wanted = "Wanted"
    Other = "Other"
    Unclear = "Unclear"  # the source does not tell what the watch asks about


def span(now: datetime, days: int, overlap: timedelta, succeeded_at: datetime | None) -> tuple[date, date]:
    """The first and the last day by StudyDate that a poll at `now` looks at.

    It looks back at least to the beginning of the last poll that saw everything, so that nothing falls between two.
    """
    since = now - timedelta(days=days)
    if succeeded_at is not None:
        since = max(min(since, succeeded_at), since - FARTHEST)
    return (since - overlap - ZONES).date(), (now + overlap + ZONES).date()


def judge(
    modalities: Iterable[str],
    institutions: Iterable[str],
    *,
    wanted: Sequence[str],
    names: Sequence[str],
) -> Sighting:
    """Whether a study with these values is one that the watch looks for; neither case nor accents count in names."""
    found, named = {each for each in modalities if each}, [each for each in institutions if each.strip()]
    if (wanted and found and not found & set(wanted)) or (names and named and not _named(named, names)):
        return Sighting.Other
    if (wanted and not found) or (names and not named):
        return Sighting.Unclear
    return Sighting.Wanted


def digest(answer: Mapping[str, str], keys: Iterable[str]) -> str:
    """A short digest of what a source says of a study; values in any order are the same."""
    told = [f"{key}={'|'.join(sorted(answer.get(key, '').split(chr(92))))}" for key in sorted(keys)]
    return blake2b("\n".join(told).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _named(names: Iterable[str], patterns: Iterable[str]) -> bool:
    globs = [compile_glob(fold(each.strip())) for each in patterns]
    return any(glob(fold(name)) for glob in globs for name in names)
