"""Watching: a week of studies at a PACS whose clock is wrong, some days late, some changed, and hours out of reach."""

import random
import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from sqlalchemy import select

from relais.audit import Audit
from relais.configuration import Configuration, load
from relais.database import Database
from relais.database.tables import audit
from relais.domain.querying import Answer, Level, SourceState, read_range
from relais.domain.retry import ErrorClass
from relais.journal import Journal
from relais.retrieval.imports import StudyImports
from relais.retrieval.watch import LANE, LONGEST_BACKOFF, Watches
from relais.tasks import Tasks
from relais.transports.sources.port import AskingError, Ended, Listed, Retrieved, Take
from tests.bench.figures import Figure, Target, number
from tests.bench.scale import Scale
from tests.servers.clock import FakeClock

STUDIES = 10_000
WEEK = timedelta(days=7)
EVERY = timedelta(minutes=15)
DAYS = 2
SKEW = timedelta(hours=2)
"""By so much the PACS's day is ahead of ours."""
ROWS = 500
"""The PACS cuts its answers there."""
LATE, CHANGED = 0.1, 0.05
"""The shares of studies that arrive up to two days late, and that get another image an hour later."""
START = datetime(2026, 7, 6, 12, tzinfo=UTC)
AWAY = (START + timedelta(days=3), START + timedelta(days=3, hours=5))


@dataclass(frozen=True, kw_only=True)
class Filed:
    """A study of the PACS: the moment from which it is found, when another image comes, and what is answered."""

    at: datetime
    changes: datetime | None
    uid: str
    date: str
    time: str

    def answer(self, now: datetime) -> Answer:
        """What the PACS says of it now."""
        images = 2 if self.changes is not None and self.changes <= now else 1
        return {
            "StudyInstanceUID": self.uid,
            "StudyDate": self.date,
            "StudyTime": self.time,
            "ModalitiesInStudy": "PX",
            "NumberOfStudyRelatedInstances": str(images),
        }


class Pacs:
    """A source in virtual time (`relais.transports.sources.port.Source`), out of reach for some hours."""

    name = "pacs"

    def __init__(self, clock: FakeClock, filed: Sequence[Filed]) -> None:
        self._clock = clock
        self._by_day: dict[str, list[Filed]] = defaultdict(list)
        for each in sorted(filed, key=lambda each: each.at):
            self._by_day[each.date].append(each)

    def find(self, level: Level, keys: Mapping[str, str], *, take: Take, **_limits: Any) -> Ended:
        """Studies by day and time, the newest first, cut in silence at a limit that is known."""
        now = self._clock.now()
        if AWAY[0] <= now < AWAY[1]:
            raise AskingError(SourceState.Unreachable, ErrorClass.Transient, "refused", "out of reach")
        first, last = read_range(keys["StudyDate"]) or (None, None)
        if level is not Level.Study or first is None or last is None:
            raise AssertionError(f"a watch asks for studies by their days, not for {level} of {keys['StudyDate']}")
        begin, _, end = (keys.get("StudyTime") or "000000-235959").partition("-")
        found: list[Filed] = []
        for days in range((last - first).days + 1):
            filed = self._by_day[(first + timedelta(days=days)).strftime("%Y%m%d")]
            there = bisect_right(filed, now, key=lambda each: each.at)
            found += [each for each in filed[:there] if begin <= each.time <= end]
        found.sort(key=lambda each: each.date + each.time, reverse=True)
        for each in found[:ROWS]:
            take(each.answer(now))
        return Ended(truncated=len(found) >= ROWS)

    def instances(self, *_study: Any, **_options: Any) -> Listed:
        """Nothing is fetched here."""
        return Listed()

    def retrieve(self, *_study: Any, **_options: Any) -> Retrieved:
        """Nothing is fetched here."""
        return Retrieved(completed=0, failed=0, warnings=0, status="0000")

    def probe(self, _seconds: float = 0.0) -> None:
        """It is there."""

    def close(self) -> None:
        """It has no connections."""


def run(scale: Scale) -> list[Figure]:
    """One week on SQLite; raises AssertionError where a study was seen twice, or never."""
    filed = _filed(scale.of(STUDIES))
    began = monotonic()
    with TemporaryDirectory(prefix="relais-bench-") as folder:
        told, polls, longest = _watched(f"sqlite:///{folder}/relais.db", filed)
    seconds = monotonic() - began
    seen = Counter(uid for uid, changed in told if not changed)
    changed = Counter(uid for uid, changed in told if changed)
    missed = sum(each.uid not in seen for each in filed)
    twice = sum(times > 1 for times in seen.values())
    changes = sum(each.changes is not None for each in filed)
    lost = changes - sum(changed.values())
    # What changed while the PACS was away was seen for the first time as it is now.
    hidden = sum(
        each.changes is not None and each.changes > AWAY[0] and each.at < AWAY[1] + LONGEST_BACKOFF for each in filed
    )
    if missed or twice or not 0 <= lost <= hidden:
        raise AssertionError(f"{missed} studies never seen, {twice} more than once, {lost} of {changes} changes lost")
    what = f"A week of {len(filed):,} studies"
    return [
        Figure(
            name=f"{what}: never seen, or seen more than once",
            unit="",
            samples=[missed + twice],
            target=Target(value=0, at_most=True),
            beside=f"{LATE:.0%} up to {DAYS} days late, {CHANGED:.0%} changed, PACS away for {AWAY[1] - AWAY[0]}",
        ),
        Figure(
            name=f"{what}: the longest of {polls} polls", unit="s", samples=[longest], beside=f"{number(seconds)} s"
        ),
    ]


def _filed(studies: int) -> list[Filed]:
    """Studies over the week, by the PACS's own day and time."""
    chance = random.Random(11)
    filed = []
    for place in range(studies):
        made = START + WEEK * (place / studies)
        late = chance.random() < LATE
        at = made + (timedelta(days=DAYS) * chance.random() if late else timedelta(minutes=10) * chance.random())
        changes = at + timedelta(hours=1) if chance.random() < CHANGED else None
        shown = made + SKEW
        filed.append(
            Filed(at=at, changes=changes, uid=f"1.2.826.{place}", date=f"{shown:%Y%m%d}", time=f"{shown:%H%M%S}")
        )
    return filed


def _watched(url: str, filed: Sequence[Filed]) -> tuple[list[tuple[str, bool]], int, float]:
    """What was announced: UID, and whether as changed; how many polls there were, and the longest, in seconds."""
    clock = FakeClock(START)
    database = Database(url)
    database.upgrade()
    tasks = Tasks(database, clock, owner="bench/1")
    journal = Journal(audit=Audit(clock, "bench"), clock=clock, tasks=tasks, subscribers={})
    sources = {"pacs": Pacs(clock, filed)}
    watches = Watches(
        database=database,
        clock=clock,
        tasks=tasks,
        journal=journal,
        configuration=_configuration(),
        imports=StudyImports(database=database, clock=clock, tasks=tasks, journal=journal, sources=sources),
        sources=sources,
        stopping=threading.Event(),
    )
    watches.schedule()
    polls, longest = 0, 0.0
    while clock.now() < START + WEEK + timedelta(days=DAYS, hours=3):
        for claim in tasks.claim(tasks.due({f"{LANE}new": 1})):
            began = monotonic()
            watches(claim)
            polls, longest = polls + 1, max(longest, monotonic() - began)
        clock.advance(EVERY)
    with database.read() as connection:
        rows = connection.execute(select(audit.c.detail).where(audit.c.action == "study.announced")).scalars()
        told = [(each["StudyInstanceUID"], each["Changed"]) for each in rows]
    database.close()
    return told, polls, longest


def _configuration() -> Configuration:
    section: dict[str, Any] = {
        "Sources": {"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": 104}},
        "Watches": {
            "new": {"Source": "pacs", "EverySeconds": round(EVERY.total_seconds()), "Days": DAYS, "Then": "Announce"}
        },
    }
    return load(section, directory=Path())
