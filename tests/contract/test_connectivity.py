"""Tests of destinations as history: what is kept, who hears of it, and when the next one runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from relais.audit import verify
from relais.configuration import Configuration, load
from relais.connectivity import KEPT, LANE, Connectivity, TestRunningError, of_source
from relais.database import Database
from relais.database.tables import audit, connectivity, task
from relais.errors import UnknownError
from relais.journal import Journal
from relais.orthanc import Orthanc
from relais.tasks import Claim, StaleClaimError, Tasks
from relais.transports.probes import Ourselves
from relais.transports.sources.opening import open_source
from relais.worker import StoppingError
from tests.servers.clock import FakeClock
from tests.servers.dicom import make_study
from tests.servers.intelepacs import SETTINGS, IntelePacs
from tests.servers.ports import free_port
from tests.servers.proxy import Fault, Proxy
from tests.servers.scp import ArchiveScp
from tests.servers.waiting import eventually

DAY = timedelta(hours=24)


class Examiner:
    """What tests two destinations: `vna`, an archive that answers, and `gone`, where nobody listens."""

    def __init__(
        self, database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, port: int, pacs: int = 1
    ) -> None:
        self.database = database
        self.clock = clock
        self.tasks = tasks
        self.stopping = threading.Event()
        self._journal = journal
        self._ports = {"vna": port, "gone": free_port(), "pacs": pacs}
        self.steps = self.made({"vna": 24})

    def made(self, hours: dict[str, float]) -> Connectivity:
        """The step, with these schedules."""
        configuration, ours = self._configuration(hours), Ourselves.of({})
        return Connectivity(
            database=self.database,
            clock=self.clock,
            tasks=self.tasks,
            journal=self._journal,
            configuration=configuration,
            ourselves=ours,
            sources={
                name: open_source(Orthanc("http://127.0.0.1:9"), name, each, ours)
                for name, each in configuration.sources.items()
            },
            stopping=self.stopping,
        )

    def claim(self) -> list[Claim]:
        return self.tasks.claim(self.tasks.due({LANE: 5}))

    def tests(self) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(connectivity).order_by(connectivity.c.id)).all())

    def waiting(self) -> dict[str, Any]:
        with self.database.read() as connection:
            return {row.key: row for row in connection.execute(select(task))}

    def events(self) -> list[Any]:
        with self.database.read() as connection:
            return list(connection.execute(select(audit).order_by(audit.c.number)).all())

    def _configuration(self, hours: dict[str, float]) -> Configuration:
        destinations = {
            name: {
                "Kind": "Dicom",
                "Aet": "VNA",
                "Host": "127.0.0.1",
                "Port": port,
                "TimeoutSeconds": 2,
                **({"TestEveryHours": hours[name]} if name in hours else {}),
            }
            for name, port in self._ports.items()
            if name != "pacs"
        }
        pacs = {"Kind": "Dicom", "Aet": "PACS", "Host": "127.0.0.1", "TimeoutSeconds": 2}
        sources = {
            "pacs": {
                **pacs,
                "Port": self._ports["pacs"],
                "CallingAet": "RELAIS",
                "TestEveryHours": hours.get("pacs", 0),
            },
        }
        return load({"Destinations": destinations, "Sources": sources}, directory=Path())


@pytest.fixture
def archive() -> Iterator[ArchiveScp]:
    with ArchiveScp("VNA") as server:
        yield server


@pytest.fixture
def examiner(database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, archive: ArchiveScp) -> Examiner:
    return Examiner(database, clock, tasks, journal, archive.port)


def test_a_persons_test_is_kept_and_audited_with_its_reason(examiner: Examiner, archive: ArchiveScp) -> None:
    outcome = examiner.steps.test("vna", actor="alice", reason="new firewall", store=True)
    (row,) = examiner.tests()
    assert (row.id, row.destination, row.grade, row.actor) == (outcome.id, "vna", "Passed", "alice")
    assert (row.at, row.milliseconds) == (examiner.clock.now(), outcome.milliseconds)
    assert [each["Name"] for each in row.steps] == ["Name", "Connection", "Association", "Echo", "Store", "Find"]
    assert examiner.steps.history("vna") == [outcome]
    (event,) = examiner.events()
    assert (event.action, event.actor, event.study_instance_uid) == ("destination.tested", "alice", None)
    assert event.detail == {
        "Destination": "vna",
        "Test": outcome.id,
        "Grade": "Passed",
        "Store": True,
        "Reason": "new firewall",
    }
    assert len(archive.receptions) == 1


def test_a_failed_test_is_as_much_a_test(examiner: Examiner) -> None:
    outcome = examiner.steps.test("gone", actor="alice", reason="is it back")
    assert outcome.grade == "Failed"
    assert outcome.steps[1]["Advice"] == ["refused"]
    assert [step["Grade"] for step in outcome.steps[2:]] == ["Skipped"] * 4
    assert examiner.events()[-1].detail["Grade"] == "Failed"


def test_there_is_no_test_of_what_is_not_there(examiner: Examiner) -> None:
    with pytest.raises(UnknownError):
        examiner.steps.test("elsewhere", actor="alice", reason="typo")
    assert examiner.tests() == examiner.events() == []


@contextmanager
def held_up(examiner: Examiner, archive: ArchiveScp, run: Any) -> Iterator[threading.Thread]:
    """While this runs, the archive answers nothing."""
    with Proxy(archive.port) as proxy:
        proxy.fault = Fault.BLACK_HOLE
        examiner._ports["vna"] = proxy.port
        examiner.steps = examiner.made({"vna": 24})
        thread = threading.Thread(target=run)
        thread.start()
        eventually(lambda: proxy.connections >= 2, what="the association is under way")
        yield thread
        thread.join()


def test_one_test_of_a_destination_at_a_time(examiner: Examiner, archive: ArchiveScp) -> None:
    with held_up(examiner, archive, lambda: examiner.steps.test("vna", actor="alice", reason="slow")):
        with pytest.raises(TestRunningError):
            examiner.steps.test("vna", actor="bob", reason="impatient")
        assert examiner.steps.test("gone", actor="bob", reason="another one").grade == "Failed"
        examiner.steps.schedule()
        (claim,) = examiner.claim()
        examiner.steps(claim)  # the schedule steps back for the person
        again = examiner.waiting()["test:vna"]
        assert (again.state, again.attempts) == ("Waiting", 0)
        assert again.run_at == examiner.clock.now() + timedelta(minutes=1)
    assert [row.actor for row in examiner.tests()] == ["bob", "alice"]
    examiner.clock.advance(timedelta(minutes=1))
    (claim,) = examiner.claim()
    examiner.steps(claim)
    assert [row.actor for row in examiner.tests()] == ["bob", "alice", "relais"]


def test_the_end_of_relais_is_not_held_up(examiner: Examiner, archive: ArchiveScp) -> None:
    ended: list[type[BaseException]] = []

    def test() -> None:
        with pytest.raises(StoppingError) as raised:
            examiner.steps.test("vna", actor="alice", reason="just before")
        ended.append(raised.type)

    with held_up(examiner, archive, test) as thread:
        examiner.stopping.set()
        thread.join(1.0)
        assert ended == [StoppingError]
    assert examiner.tests() == []
    eventually(lambda: not [each for each in threading.enumerate() if "relais-test" in each.name], what="all ended")


def test_the_schedule_goes_on_from_the_last_test(examiner: Examiner) -> None:
    examiner.steps.schedule()
    (claim,) = examiner.claim()
    examiner.steps(claim)
    (row,) = examiner.tests()
    assert (row.actor, row.grade) == ("relais", "Passed")
    assert "Reason" not in examiner.events()[-1].detail
    assert examiner.waiting()["test:vna"].run_at == examiner.clock.now() + DAY
    examiner.clock.advance(DAY / 2)
    examiner.made({"vna": 24, "gone": 1}).schedule()  # a restart half way: the old one keeps its time
    waiting = examiner.waiting()
    assert waiting["test:vna"].run_at == examiner.clock.now() + DAY / 2
    assert waiting["test:gone"].run_at == examiner.clock.now()
    examiner.clock.advance(DAY * 3)
    examiner.made({"vna": 24}).schedule()
    assert examiner.waiting()["test:vna"].run_at == examiner.clock.now()


def test_a_schedule_that_is_taken_away_vanishes(examiner: Examiner) -> None:
    examiner.steps.schedule()
    (claim,) = examiner.claim()
    examiner.steps(claim)
    without = examiner.made({})
    without.schedule()
    (claim,) = examiner.claim()
    without(claim)
    assert examiner.waiting() == {}
    assert len(examiner.tests()) == 1


def test_a_task_that_lost_its_lease_keeps_nothing(examiner: Examiner) -> None:
    examiner.steps.schedule()
    (claim,) = examiner.claim()
    examiner.tasks.release(claim)
    with pytest.raises(StaleClaimError):
        examiner.steps(claim)
    assert examiner.tests() == examiner.events() == []


def test_the_newest_tests_are_kept(examiner: Examiner) -> None:
    old = {"milliseconds": 1, "grade": "Passed", "actor": "relais", "steps": [], "at": examiner.clock.now()}
    with examiner.database.write() as connection:
        for name in ("vna", "gone"):
            connection.execute(insert(connectivity), [{**old, "destination": name}] * (KEPT + 3))
    outcome = examiner.steps.test("gone", actor="alice", reason="the last")
    kept = examiner.steps.history("gone", limit=KEPT * 2)
    assert (len(kept), kept[0].id) == (KEPT, outcome.id)
    assert [each.id for each in kept] == sorted((each.id for each in kept), reverse=True)
    assert examiner.steps.history("gone", kept[1].id, 2) == kept[2:4]
    with examiner.database.read() as connection:
        others = select(func.count()).where(connectivity.c.destination == "vna")
        assert connection.execute(others).scalar() == KEPT + 3
    assert all(each.broken_at is None for each in verify(examiner.database))


def test_a_source_is_tested_by_a_question(
    database: Database, clock: FakeClock, tasks: Tasks, journal: Journal, archive: ArchiveScp
) -> None:
    with IntelePacs("PACS", SETTINGS["B"]) as pacs:
        pacs.hold(make_study().instances)
        examiner = Examiner(database, clock, tasks, journal, archive.port, pacs.port)
        outcome = examiner.steps.test_source("pacs", actor="alice", reason="new firewall")
        names = [each["Name"] for each in outcome.steps]
        assert (names, outcome.grade) == (["Name", "Connection", "Association", "Echo", "Question"], "Passed")
        assert examiner.steps.history(of_source("pacs")) == [outcome]
        assert examiner.steps.history("pacs") == []
        (event,) = examiner.events()
        assert (event.action, event.detail["Source"], event.detail["Reason"]) == (
            "source.tested",
            "pacs",
            "new firewall",
        )
        pacs.find_answers.append(0xA900)
        refused = examiner.steps.test_source("pacs", actor="alice", reason="again")
        assert (refused.grade, refused.steps[-1]["Advice"], refused.steps[-1]["Facts"]["Code"]) == (
            "Failed",
            ["question-refused"],
            "A900",
        )
        with pytest.raises(UnknownError):
            examiner.steps.test_source("vna", actor="alice", reason="no source")
        clock.advance(DAY)
        scheduled = examiner.made({"pacs": 24})
        scheduled.schedule()
        (claim,) = examiner.claim()
        scheduled(claim)
        assert scheduled.history(of_source("pacs"))[0].actor == "relais"
        assert examiner.waiting()["test:source:pacs"].run_at == clock.now() + DAY
