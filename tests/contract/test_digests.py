"""What each file is, is learnt when nothing is on its way; on both databases."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from relais.database import Database
from relais.database.tables import task
from relais.digests import DIGESTS, LOOK, PATIENCE, Digests
from relais.orthanc import Orthanc
from relais.tasks import Claim, Tasks
from relais.worker import StoppingError
from tests.servers.clock import FakeClock


class Looks(threading.Event):
    """A worker's stop: who waits for it lets the clock go on instead, and what is to happen at that look happens."""

    def __init__(self, clock: FakeClock, **happens: Callable[[], None]) -> None:
        super().__init__()
        self._clock = clock
        self._happens = happens
        self.count = 0

    def wait(self, timeout: float | None = None) -> bool:
        self.count += 1
        self._clock.advance(timedelta(seconds=timeout or 0))
        self._happens.get(f"at{self.count}", lambda: None)()
        return self.is_set()


@pytest.fixture(params=["retrieve", "deliver"])
def busy(request: pytest.FixtureRequest, database: Database, tasks: Tasks, clock: FakeClock) -> Claim:
    """Something is on its way."""
    return claimed(database, tasks, clock, request.param, "lane")


def claimed(database: Database, tasks: Tasks, clock: FakeClock, kind: str, lane: str) -> Claim:
    with database.write() as connection:
        tasks.schedule(connection, kind=kind, lane=lane, key=kind, run_at=clock.now(), payload={"Study": 7})
    (claim,) = tasks.claim(tasks.due({lane: 1}))
    return claim


def run(database: Database, tasks: Tasks, clock: FakeClock, looks: Looks) -> None:
    orthanc = Orthanc("http://127.0.0.1:1")  # a study without images: it is not asked
    digests = Digests(database=database, orthanc=orthanc, clock=clock, tasks=tasks, needed=True, stopping=looks)
    digests(claimed(database, tasks, clock, "digest", DIGESTS))


def kinds(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(task.c.kind)).scalars())


def test_what_is_on_its_way_goes_first(database: Database, tasks: Tasks, clock: FakeClock, busy: Claim) -> None:
    def end() -> None:
        with database.write() as connection:
            tasks.finish(connection, busy)

    looks = Looks(clock, at3=end)
    run(database, tasks, clock, looks)
    assert (looks.count, kinds(database)) == (3, [])


def test_it_does_not_wait_for_ever(database: Database, tasks: Tasks, clock: FakeClock, busy: Claim) -> None:
    looks = Looks(clock)
    run(database, tasks, clock, looks)
    assert (looks.count, kinds(database)) == (PATIENCE / LOOK, [busy.kind])


def test_a_stop_is_not_held_up(database: Database, tasks: Tasks, clock: FakeClock, busy: Claim) -> None:
    looks = Looks(clock)
    looks.set()
    with pytest.raises(StoppingError):
        run(database, tasks, clock, looks)
    assert sorted(kinds(database)) == sorted([busy.kind, "digest"])
