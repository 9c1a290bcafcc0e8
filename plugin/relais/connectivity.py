"""Test the connection to a destination, step by step, and keep what was found as history.

A person asks for a test, or the task `test` of a destination with `TestEveryHours` runs in the lane "tests". Each step
has a thread of its own: one that its library cannot end in time is left behind, so that no caller waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select

from relais.clock import Clock
from relais.configuration import Configuration, Destination
from relais.database import Database, inserted_id
from relais.database.tables import connectivity, task
from relais.domain.connectivity import Advice, Found, Grade, Step, StepName, grade_of_test, is_ready
from relais.errors import UnknownError
from relais.journal import Journal
from relais.tasks import Claim, Tasks
from relais.transports.probes import Action, Ourselves, Plan, plan_of
from relais.worker import StoppingError

LANE = "tests"
KIND = "test"
KEPT = 500
"""How many tests of a destination are kept."""
BEYOND_TIMEOUT = 8.0
"""Seconds that all steps together may take beyond the destination's timeout."""
CLOSING = 1.5
"""Seconds that their end may take besides."""
TURN = 0.1
"""Seconds between looks at whether Relais stops."""
GRACE = 0.5
"""Seconds in which a step that was too slow can still say so itself."""
BUSY = timedelta(minutes=1)
"""When a test from the schedule tries again that met one under way."""


class TestRunningError(Exception):
    """A test of this destination is under way."""

    __test__ = False  # for pytest, which collects what is named Test


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One test: `id` is its place in the history."""

    id: int
    destination: str
    at: datetime
    milliseconds: int
    grade: Grade
    actor: str
    steps: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, row: RowMapping) -> Outcome:
        """From a row of the history."""
        return cls(**{**row, "grade": Grade(row["grade"])})


class Connectivity:
    """Runs tests of destinations, and remembers them."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        ourselves: Ourselves,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._destinations = configuration.destinations
        self._sources = configuration.sources
        self._ourselves = ourselves
        self._stopping = stopping
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def schedule(self) -> None:
        """At start: each destination is tested when its last test is old enough; one without a schedule is not."""
        now = self._clock.now()
        with self._database.write() as connection:
            newest = select(connectivity.c.destination, func.max(connectivity.c.at)).group_by(
                connectivity.c.destination
            )
            latest: dict[str, datetime] = {row[0]: row[1] for row in connection.execute(newest)}
            wanted = {name: each.test_hours for name, each in self._destinations.items() if each.test_hours}
            for name, hours in wanted.items():
                run_at = max(now, latest[name] + hours) if name in latest else now
                self._plan(connection, name, run_at)
            old = connection.execute(select(task.c.payload).where(task.c.kind == KIND)).scalars()
            for name in {payload["Destination"] for payload in old} - set(wanted):
                self._plan(connection, name, now)  # it finds that nobody wants it, and vanishes

    def __call__(self, claim: Claim) -> None:
        """The task: one test, and the next one planned."""
        name = claim.payload["Destination"]
        destination = self._destinations.get(name)
        every = None if destination is None else destination.test_hours
        if destination is None or not every:
            with self._database.write() as connection:
                self._tasks.finish(connection, claim)
            return
        try:
            began, steps = self._examine(name, destination, store=False)
        except TestRunningError:
            with self._database.write() as connection:
                self._tasks.retry(connection, claim, self._clock.now() + BUSY)
            return
        with self._database.write() as connection:
            self._keep(connection, name, began, steps, actor="relais", store=False, reason=None)
            self._tasks.retry(connection, claim, self._clock.now() + every)

    def test(self, name: str, *, actor: str, reason: str, store: bool = False) -> Outcome:
        """Test now, and answer what was found; it takes the destination's timeout and ten seconds at most.

        Raises UnknownError, TestRunningError, and StoppingError when Relais ends meanwhile.
        """
        destination = self._destinations.get(name)
        if destination is None:
            raise UnknownError("destination", name)
        began, steps = self._examine(name, destination, store=store)
        with self._database.write() as connection:
            return self._keep(connection, name, began, steps, actor=actor, store=store, reason=reason)

    def history(self, name: str, before: int | None = None, limit: int = KEPT) -> list[Outcome]:
        """The tests of a destination, the newest first, from before the test of this id."""
        statement = select(connectivity).where(connectivity.c.destination == name)
        if before is not None:
            statement = statement.where(connectivity.c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(connectivity.c.id.desc()).limit(limit)).mappings().all()
        return [Outcome.of(row) for row in rows]

    def _plan(self, connection: Connection, name: str, run_at: datetime) -> None:
        self._tasks.schedule(
            connection,
            kind=KIND,
            lane=LANE,
            key=f"{KIND}:{name}",
            run_at=run_at,
            payload={"Destination": name},
        )

    def _examine(self, name: str, destination: Destination, *, store: bool) -> tuple[float, list[Step]]:
        """Run the steps; answers when that began, on the steady clock."""
        with self._lock:
            if name in self._running:
                raise TestRunningError(name)
            self._running.add(name)
        try:
            began = time.monotonic()
            plan = plan_of(destination, sources=self._sources, ourselves=self._ourselves, store=store)
            return began, run(plan, float(destination.timeout), self._stopping)
        finally:
            with self._lock:
                self._running.discard(name)

    def _keep(
        self,
        connection: Connection,
        name: str,
        began: float,
        steps: Sequence[Step],
        *,
        actor: str,
        store: bool,
        reason: str | None,
    ) -> Outcome:
        """Store the test, say so in the audit, and forget the oldest."""
        values: dict[str, Any] = {
            "destination": name,
            "at": self._clock.now(),
            "milliseconds": round((time.monotonic() - began) * 1000),
            "grade": grade_of_test(steps),
            "actor": actor,
            "steps": [step.to_json() for step in steps],
        }
        number = inserted_id(connection.execute(insert(connectivity).values(**values)))
        mine = connectivity.c.destination == name
        oldest = select(connectivity.c.id).where(mine).order_by(connectivity.c.id.desc()).offset(KEPT).limit(1)
        connection.execute(delete(connectivity).where(mine, connectivity.c.id <= oldest.scalar_subquery()))
        detail: dict[str, Any] = {"Destination": name, "Test": number, "Grade": values["grade"], "Store": store}
        detail |= {} if reason is None else {"Reason": reason}
        self._journal.record(connection, "destination.tested", actor=actor, **detail)
        return Outcome(id=number, **values)


def run(plan: Plan, timeout: float, stopping: threading.Event) -> list[Step]:
    """Run the steps in their order, those that nothing stands against; raises StoppingError when Relais ends."""
    deadline = time.monotonic() + timeout + BEYOND_TIMEOUT
    done: list[Step] = []
    try:
        for name, action in plan.steps.items():
            if action is None:
                done.append(Step.skipped(name, Advice.NotAskedFor))
            elif not is_ready(name, done):
                done.append(Step.skipped(name, Advice.AfterFailure))
            else:
                left = max(GRACE, deadline - time.monotonic() - GRACE)
                done.append(_run_step(name, action, min(timeout, left), stopping))
    finally:
        closing = _start(plan.close, "relais-test-close")
        with suppress(FutureTimeoutError):
            closing.result(CLOSING)
    return done


def _run_step(name: StepName, action: Action, seconds: float, stopping: threading.Event) -> Step:
    began = time.monotonic()
    future = _start(lambda: action(seconds), f"relais-test-{name}")
    while True:
        elapsed = time.monotonic() - began
        try:
            found = future.result(max(0.0, min(TURN, seconds + GRACE - elapsed)))
            break
        except FutureTimeoutError:
            if stopping.is_set():
                raise StoppingError from None
            if elapsed > seconds + GRACE:
                found = Found(facts={"Seconds": round(seconds)}, advice=(Advice.NoAnswer,))
                break
    return Step.of(name, found, round((time.monotonic() - began) * 1000))


def _start(action: Any, name: str) -> Future[Any]:
    """Run it in a thread that nobody has to wait for; an executor's threads would hold up the end of the process."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(action())
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future
