"""Test the connection to a destination or a source, step by step, and keep what was found as history.

A person asks for a test, or the task `test` of whatever has `TestEveryHours` runs in the lane "tests". Each step
has a thread of its own: one that its library cannot end in time is left behind, so that no caller waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
from relais.transports.sources.port import Source
from relais.transports.sources.probing import plan_of_source
from relais.worker import StoppingError

LANE = "tests"
KIND = "test"
KEPT = 500
"""How many tests of a destination or source are kept."""
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


SOURCE = "source:"
"""What the names of sources begin with in the history, where those of destinations begin with nothing."""


def of_source(name: str) -> str:
    """What the history calls the source of this name."""
    return SOURCE + name


class TestRunningError(Exception):
    """A test of this destination or source is under way."""

    __test__ = False  # for pytest, which collects what is named Test


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One test: `id` is its place in the history, `destination` the name there of what was tested."""

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


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What can be tested: its plan (with a test object or without), its patience in seconds, and its schedule."""

    plan: Callable[[bool], Plan]
    timeout: float
    hours: timedelta | None


class Connectivity:
    """Runs tests of destinations and sources, and remembers them."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        ourselves: Ourselves,
        sources: Mapping[str, Source],
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._subjects = _subjects(configuration, ourselves, sources)
        self._stopping = stopping
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def schedule(self) -> None:
        """At start: each is tested when its last test is old enough; one without a schedule is not."""
        now = self._clock.now()
        with self._database.write() as connection:
            newest = select(connectivity.c.destination, func.max(connectivity.c.at)).group_by(
                connectivity.c.destination
            )
            latest: dict[str, datetime] = {row[0]: row[1] for row in connection.execute(newest)}
            wanted = {name: each.hours for name, each in self._subjects.items() if each.hours}
            for name, hours in wanted.items():
                run_at = max(now, latest[name] + hours) if name in latest else now
                self._plan(connection, name, run_at)
            old = connection.execute(select(task.c.payload).where(task.c.kind == KIND)).scalars()
            for name in {payload["Destination"] for payload in old} - set(wanted):
                self._plan(connection, name, now)  # it finds that nobody wants it, and vanishes

    def __call__(self, claim: Claim) -> None:
        """The task: one test, and the next one planned."""
        name = claim.payload["Destination"]
        subject = self._subjects.get(name)
        every = None if subject is None else subject.hours
        if subject is None or not every:
            with self._database.write() as connection:
                self._tasks.finish(connection, claim)
            return
        try:
            began, steps = self._examine(name, subject, store=False)
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
        if name not in self._subjects:
            raise UnknownError("destination", name)
        return self._test(name, actor=actor, reason=reason, store=store)

    def test_source(self, name: str, *, actor: str, reason: str) -> Outcome:
        """The same for a source, which is asked a question; nothing is stored there."""
        if of_source(name) not in self._subjects:
            raise UnknownError("source", name)
        return self._test(of_source(name), actor=actor, reason=reason, store=False)

    def history(self, name: str, before: int | None = None, limit: int = KEPT) -> list[Outcome]:
        """The tests of a destination or source (`of_source`), the newest first, from before the test of this id."""
        statement = select(connectivity).where(connectivity.c.destination == name)
        if before is not None:
            statement = statement.where(connectivity.c.id < before)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(connectivity.c.id.desc()).limit(limit)).mappings().all()
        return [Outcome.of(row) for row in rows]

    def _test(self, name: str, *, actor: str, reason: str, store: bool) -> Outcome:
        began, steps = self._examine(name, self._subjects[name], store=store)
        with self._database.write() as connection:
            return self._keep(connection, name, began, steps, actor=actor, store=store, reason=reason)

    def _plan(self, connection: Connection, name: str, run_at: datetime) -> None:
        self._tasks.schedule(
            connection,
            kind=KIND,
            lane=LANE,
            key=f"{KIND}:{name}",
            run_at=run_at,
            payload={"Destination": name},
        )

    def _examine(self, name: str, subject: _Subject, *, store: bool) -> tuple[float, list[Step]]:
        """Run the steps; answers when that began, on the steady clock."""
        with self._lock:
            if name in self._running:
                raise TestRunningError(name)
            self._running.add(name)
        try:
            began = time.monotonic()
            return began, run(subject.plan(store), subject.timeout, self._stopping)
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
        detail: dict[str, Any] = {"Test": number, "Grade": values["grade"]}
        detail |= {} if reason is None else {"Reason": reason}
        if name.startswith(SOURCE):
            self._journal.record(connection, "source.tested", actor=actor, Source=name.removeprefix(SOURCE), **detail)
        else:
            self._journal.record(connection, "destination.tested", actor=actor, Destination=name, Store=store, **detail)
        return Outcome(id=number, **values)


def _subjects(
    configuration: Configuration, ourselves: Ourselves, sources: Mapping[str, Source]
) -> Mapping[str, _Subject]:
    """Everything that can be tested, by its name in the history."""

    def plan(destination: Destination) -> Callable[[bool], Plan]:
        return lambda store: plan_of(destination, sources=configuration.sources, ourselves=ourselves, store=store)

    def question(name: str) -> Callable[[bool], Plan]:
        return lambda _: plan_of_source(configuration.sources[name], sources[name], ourselves)

    of_destinations = {
        name: _Subject(plan=plan(each), timeout=float(each.timeout), hours=each.test_hours)
        for name, each in configuration.destinations.items()
    }
    of_sources = {
        of_source(name): _Subject(
            plan=question(name), timeout=float(configuration.sources[name].manners.timeout), hours=each.test_hours
        )
        for name, each in configuration.sources.items()
    }
    return {**of_destinations, **of_sources}


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
