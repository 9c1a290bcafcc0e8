"""The worker over the task table, on both databases."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from relais.clock import SystemClock
from relais.database import Database
from relais.database.tables import lane, task
from relais.domain.states import TaskState
from relais.tasks import Claim, Tasks
from relais.worker import ATTEMPTS, Handler, StoppingError, Worker
from tests.servers.clock import FakeClock
from tests.servers.waiting import eventually


def schedule(database: Database, tasks: Tasks, key: str, delay: float = 0, name: str = "lane") -> None:
    with database.write() as connection:
        run_at = SystemClock().now() + timedelta(seconds=delay)
        tasks.schedule(connection, kind="test", lane=name, key=key, run_at=run_at, payload={})


def states(database: Database) -> dict[str, str]:
    with database.read() as connection:
        return {row.key: row.state for row in connection.execute(select(task.c.key, task.c.state))}


@contextmanager
def working(
    database: Database, handler: Callable[[Tasks, Claim], None], lanes: dict[str, int]
) -> Iterator[tuple[Worker, Tasks]]:
    clock = SystemClock()
    tasks = Tasks(database, clock, owner="here/1")

    def handle(claim: Claim) -> None:
        handler(tasks, claim)

    handlers: dict[str, Handler] = {"test": handle}
    worker = Worker(database=database, clock=clock, tasks=tasks, handlers=handlers, lanes=lanes)
    try:
        yield worker, tasks
    finally:
        worker.stop(5)


def finish(database: Database) -> Callable[[Tasks, Claim], None]:
    def handle(tasks: Tasks, claim: Claim) -> None:
        with database.write() as connection:
            tasks.finish(connection, claim)

    return handle


def test_tasks_run_when_they_are_due(database: Database) -> None:
    with working(database, finish(database), {"lane": 2}) as (worker, tasks):
        worker.start("here")
        for number in range(5):
            schedule(database, tasks, f"key{number}", delay=number * 0.05)
        worker.wake()
        eventually(lambda: states(database) == {}, timeout=10, what="every task has run")


def test_a_lane_never_runs_more_than_its_places_and_does_not_slow_another(database: Database) -> None:
    go = threading.Event()
    most, now, lock = 0, 0, threading.Lock()

    def handle(tasks: Tasks, claim: Claim) -> None:
        nonlocal most, now
        if claim.lane == "slow":
            with lock:
                now += 1
                most = max(most, now)
            go.wait(10)
            with lock:
                now -= 1
        finish(database)(tasks, claim)

    with working(database, handle, {"slow": 2, "fast": 1}) as (worker, tasks):
        for number in range(5):
            schedule(database, tasks, f"slow{number}", name="slow")
            schedule(database, tasks, f"fast{number}", name="fast")
        worker.start("here")
        eventually(lambda: len(states(database)) == 5, timeout=10, what="the fast lane is empty")
        assert all(key.startswith("slow") for key in states(database))
        go.set()
        eventually(lambda: states(database) == {}, timeout=10, what="the slow lane is empty")
        assert most == 2


def test_a_suspect_lane_gets_one_place(database: Database) -> None:
    go = threading.Event()

    def handle(tasks: Tasks, claim: Claim) -> None:
        go.wait(10)
        finish(database)(tasks, claim)

    with database.write() as connection:
        connection.execute(insert(lane).values(name="lane", failures=1))
    with working(database, handle, {"lane": 4}) as (worker, tasks):
        for number in range(4):
            schedule(database, tasks, f"key{number}")
        assert [worker.turn() for _ in range(3)] == [1, 0, 0]
        go.set()


def test_what_a_task_raises_is_a_retry_and_in_the_end_a_dead_letter(database: Database) -> None:
    def handle(_tasks: Tasks, _claim: Claim) -> None:
        raise RuntimeError("no use")

    clock = FakeClock()
    tasks = Tasks(database, clock, owner="here/1")
    worker = Worker(
        database=database,
        clock=clock,
        tasks=tasks,
        handlers={"test": lambda claim: handle(tasks, claim)},
        lanes={"lane": 1},
    )
    with database.write() as connection:
        tasks.schedule(connection, kind="test", lane="lane", key="a", run_at=clock.now(), payload={})
    for number in range(ATTEMPTS):
        assert worker.turn() == 1, number
        eventually(lambda: worker.running() == [], timeout=10, what="the attempt ended")
        clock.advance(timedelta(minutes=6))
    assert states(database) == {"a": TaskState.Dead}
    with database.read() as connection:
        assert "no use" in connection.execute(select(task.c.error)).scalar_one()


def test_a_stop_gives_back_what_runs(database: Database) -> None:
    started = threading.Event()

    def handle(_tasks: Tasks, _claim: Claim) -> None:
        started.set()
        worker.stopping.wait(10)
        raise StoppingError

    with working(database, handle, {"lane": 1}) as (worker, tasks):
        schedule(database, tasks, "a")
        worker.start("here")
        assert started.wait(10)
        worker.stop(5)
        assert states(database) == {"a": TaskState.Waiting}
        assert not worker.alive()


def test_a_stop_does_not_wait_for_what_hangs(database: Database) -> None:
    started, go = threading.Event(), threading.Event()

    def handle(_tasks: Tasks, _claim: Claim) -> None:
        started.set()
        go.wait(30)

    with working(database, handle, {"lane": 1}) as (worker, tasks):
        schedule(database, tasks, "a")
        worker.start("here")
        assert started.wait(10)
        worker.stop(0.2)
        assert states(database) == {"a": TaskState.Waiting}
        go.set()


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_changes_no_wait(database: Database, hours: int) -> None:
    clock = FakeClock()
    tasks = Tasks(database, clock, owner="here/1")
    worker = Worker(
        database=database,
        clock=clock,
        tasks=tasks,
        handlers={"test": lambda claim: finish(database)(tasks, claim)},
        lanes={"lane": 1},
    )
    with database.write() as connection:
        run_at = clock.now() + timedelta(seconds=30)
        tasks.schedule(connection, kind="test", lane="lane", key="a", run_at=run_at, payload={})
    clock.jump(timedelta(hours=hours))
    assert worker.turn() == 0
    clock.advance(timedelta(seconds=29))
    assert worker.turn() == 0
    clock.advance(timedelta(seconds=1))
    assert worker.turn() == 1
    eventually(lambda: states(database) == {}, timeout=10, what="the task has run")
