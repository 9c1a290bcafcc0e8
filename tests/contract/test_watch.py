"""Watches, on both databases, over an archive whose clock and arrivals are made up: each study is seen once."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from relais.configuration import load
from relais.database import Database
from relais.database.retrieval_tables import retrieval, study_import, watch, watch_poll
from relais.database.tables import event, task
from relais.domain.querying import Answer, Level, SourceState, matches
from relais.domain.retry import ErrorClass
from relais.journal import Journal
from relais.retrieval.imports import StudyImports
from relais.retrieval.watch import LANE, Watches
from relais.tasks import Tasks
from relais.transports.port import Stop
from relais.transports.sources.port import AskingError, Ended, Listed, Progress, Retrieved, Take
from tests.servers.clock import FakeClock


class Archive:
    """A source that knows what it was given, cuts at 25 answers, and fails when it is told to."""

    name = "pacs"

    def __init__(self) -> None:
        self.studies: dict[str, dict[str, str]] = {}
        self.series: dict[str, list[dict[str, str]]] = {}
        self.fails = 0

    def add(self, uid: str, date: datetime, **values: str) -> None:
        self.studies[uid] = {
            "StudyInstanceUID": uid,
            "StudyDate": f"{date:%Y%m%d}",
            "StudyTime": f"{date:%H%M%S}",
            "ModalitiesInStudy": "CT",
            **values,
        }

    def find(
        self,
        level: Level,
        keys: Mapping[str, str],
        *,
        limit: int,
        seconds: float,  # noqa: ARG002 - it is quick
        stopping: Stop,  # noqa: ARG002
        take: Take,
    ) -> Ended:
        if self.fails > 0:
            self.fails -= 1
            raise AskingError(SourceState.TimedOut, ErrorClass.Transient, "timeout", "nothing came")
        rows: Sequence[Answer] = list(self.studies.values())
        if level is Level.Series:
            rows = self.series.get(keys["StudyInstanceUID"], [])
        found = [row for row in rows if matches(keys, row)]
        for row in found[: min(limit, 25)]:
            take(row)
        return Ended(truncated=len(found) > min(limit, 25))

    def instances(self, study: str, series: str | None = None, *, stopping: Stop) -> Listed:
        raise NotImplementedError

    def retrieve(
        self,
        study: str,
        series: str | None = None,
        instances: Sequence[str] = (),
        *,
        progress: Progress,
        stopping: Stop,
    ) -> Retrieved:
        raise NotImplementedError

    def probe(self, seconds: float = 5.0) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Watching:
    """A watch of the archive, whose polls are run by hand."""

    def __init__(self, database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, **options: Any) -> None:
        self.archive = Archive()
        self.database, self.clock, self.tasks = database, clock, tasks
        configuration = load(
            {
                "Sources": {"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "Port": 104}},
                "Watches": {"new": {"Source": "pacs", "EverySeconds": 600, **options}},
            },
            directory=Path(),
        )
        sources = {"pacs": self.archive}
        imports = StudyImports(database=database, clock=clock, tasks=tasks, journal=journal, sources=sources)
        self.watches = Watches(
            database=database,
            clock=clock,
            tasks=tasks,
            journal=journal,
            configuration=configuration,
            imports=imports,
            sources=sources,
            stopping=threading.Event(),
        )
        self.watches.schedule()

    def poll(self) -> None:
        """Run the poll that is due next, when it is due."""
        with self.database.read() as connection:
            due = connection.execute(select(task.c.run_at).where(task.c.lane == LANE + "new")).scalar_one()
        self.clock.advance(max(timedelta(), due - self.clock.now()))
        (claim,) = self.tasks.claim(self.tasks.due({LANE + "new": 1}))
        self.watches(claim)

    def imported(self) -> Counter[str]:
        """How often each study was asked for."""
        with self.database.read() as connection:
            return Counter(connection.execute(select(retrieval.c.study_instance_uid)).scalars())

    def announced(self) -> list[Mapping[str, Any]]:
        with self.database.read() as connection:
            return [row.data for row in connection.execute(select(event).where(event.c.type == "study.announced"))]

    def row(self) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(watch)).one()


@pytest.mark.parametrize("seed", range(2))
def test_each_study_is_seen_once_under_skew_late_arrivals_and_failures(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, seed: int
) -> None:
    random = Random(seed)
    watching = Watching(database, clock, tasks, journal, Days=2, OverlapMinutes=90)
    begin = clock.now()
    skew = timedelta(minutes=random.randint(-90, 90))
    arrivals = []
    for number in range(60):
        arrives = begin + timedelta(seconds=random.randint(0, 7 * 86_400))
        made = arrives + skew - random.choice([timedelta(), timedelta(hours=3), timedelta(hours=40)])
        arrivals.append((arrives, f"1.2.{number}", made))
    arrivals.sort()
    while arrivals or watching.archive.fails:
        if random.random() < 0.2:
            watching.archive.fails = random.randint(1, 3)
        if random.random() < 0.1:
            clock.advance(timedelta(hours=random.randint(1, 30)))  # nobody polled: the router was down
        while arrivals and arrivals[0][0] <= clock.now():
            _, uid, made = arrivals.pop(0)
            watching.archive.add(uid, made)
        watching.poll()
        clock.advance(timedelta(hours=random.randint(0, 4)))
    watching.poll()
    assert watching.imported() == Counter({f"1.2.{number}": 1 for number in range(60)})
    with database.read() as connection:
        polls = connection.execute(select(watch_poll)).all()
    assert sum(row.fresh for row in polls) == 60
    assert not any(row.changed for row in polls)


def test_a_change_is_seen_once_and_what_waits_to_be_fetched_is_not_asked_for_twice(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    watching = Watching(database, clock, tasks, journal)
    watching.archive.add("1.2.1", clock.now(), NumberOfStudyRelatedInstances="1")
    watching.poll()
    watching.archive.add("1.2.1", clock.now(), NumberOfStudyRelatedInstances="2")
    watching.poll()
    assert watching.imported() == {"1.2.1": 1}, "it was not listed yet"
    with database.write() as connection:
        connection.execute(retrieval.update().values(listed_at=clock.now()))
    for _ in range(2):
        watching.archive.add("1.2.1", clock.now(), NumberOfStudyRelatedInstances="3")
        watching.poll()
    assert watching.imported() == {"1.2.1": 2}
    with database.read() as connection:
        causes = connection.execute(select(study_import.c.cause, study_import.c.cause_id)).all()
    assert set(causes) == {("Watch", "new")}


def test_what_the_study_does_not_tell_its_series_do_and_else_a_person_is_told(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    options = {"Modalities": ["PX"], "InstitutionNames": ["Outremont*"]}
    watching = Watching(database, clock, tasks, journal, **options)
    archive = watching.archive
    now = clock.now()
    archive.add("1.2.1", now, ModalitiesInStudy="PX\\PR", InstitutionName="OUTREMONT Nord")
    archive.add("1.2.2", now, ModalitiesInStudy="CT", InstitutionName="Outremont")
    archive.add("1.2.3", now, ModalitiesInStudy="")
    archive.series["1.2.3"] = [
        {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", "Modality": "PX", "InstitutionName": "outremont"}
    ]
    archive.add("1.2.4", now, ModalitiesInStudy="PX")
    watching.poll()
    assert set(watching.imported()) == {"1.2.1", "1.2.3"}
    assert [(each["StudyInstanceUID"], each["Unclear"]) for each in watching.announced()] == [("1.2.4", True)]


def test_a_watch_that_announces_imports_nothing(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    watching = Watching(database, clock, tasks, journal, Then="Announce")
    watching.archive.add("1.2.1", clock.now())
    watching.poll()
    watching.poll()
    assert [each["StudyInstanceUID"] for each in watching.announced()] == ["1.2.1"]
    assert not watching.imported()


def test_polls_that_fail_come_more_rarely_and_are_shown(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal
) -> None:
    watching = Watching(database, clock, tasks, journal)
    watching.archive.fails = 3
    begun = clock.now()
    for _ in range(3):
        watching.poll()
    row = watching.row()
    assert (row.failures, row.error["Code"], row.succeeded_at) == (3, "timeout", None)
    assert clock.now() - begun == timedelta(seconds=600 + 1200)
    watching.poll()
    row = watching.row()
    assert (row.failures, row.error) == (0, None)
    assert row.succeeded_at.astimezone(UTC) == clock.now()
