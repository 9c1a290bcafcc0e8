"""Whole answers from sources that cut theirs: the question is asked again for fewer days (PS3.4 section C.2.2.2.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from relais.domain.querying import Answer, Level, halves, range_text
from relais.transports.port import Stop
from relais.transports.sources.port import Ended, Source, Take, Until

PARTS_OF_DAY = tuple(f"{hour:02}0000-{hour + 1:02}5959" for hour in range(0, 24, 2))
"""Two hours each, for a day that is cut by itself."""


def find_all(
    source: Source,
    keys: Mapping[str, str],
    first: date,
    last: date,
    *,
    limit: int,
    seconds: float,
    stopping: Stop,
    take: Take,
) -> Ended:
    """Every study of these days that matches, each once; `truncated` only where something may still be missing.

    That is where a part of a day is cut; or, with `only_untimed`, where a day had to be asked by hours, which does not
    find studies without a StudyTime. The newest days are asked first. Raises as `Source.find` does; what was taken
    before stays taken.
    """
    until = Until(stopping, seconds)
    seen: set[str] = set()
    dropped = 0
    truncated = by_hours = False

    def once(answer: Answer) -> None:
        uid = answer["StudyInstanceUID"]
        if uid not in seen and len(seen) < limit:
            seen.add(uid)
            take(answer)

    waiting: list[tuple[date, date, str]] = [(first, last, keys.get("StudyTime", ""))]
    while waiting:
        begin, end, hours = waiting.pop()
        asked = {**keys, "StudyDate": range_text(begin, end), **({"StudyTime": hours} if hours else {})}
        ended = source.find(Level.Study, asked, limit=limit + 1, seconds=until.left, stopping=stopping, take=once)
        dropped += ended.dropped
        if len(seen) >= limit:
            return Ended(truncated=ended.truncated or bool(waiting), dropped=dropped)
        if ended.truncated:
            parts = list(_parts(begin, end, hours))
            truncated = truncated or not parts
            by_hours = by_hours or begin == end
            waiting.extend(parts)
    return Ended(truncated=truncated or by_hours, dropped=dropped, only_untimed=by_hours and not truncated)


def _parts(begin: date, end: date, hours: str) -> Iterator[tuple[date, date, str]]:
    """Smaller windows, the newest last; none where it cannot be made smaller."""
    two = halves(begin, end)
    if two is not None:
        (later_begin, later_end), (earlier_begin, earlier_end) = two
        yield earlier_begin, earlier_end, hours
        yield later_begin, later_end, hours
    elif not hours:
        yield from ((begin, end, part) for part in PARTS_OF_DAY)
