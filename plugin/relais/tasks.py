"""Durable tasks: what is to be done later, in one table.

A task is claimed with a lease, and finished, retried or buried in the transaction that holds its effects. Each of these
is fenced by the owner and the claim's number: an owner that was paused, killed or too slow changes nothing
(`StaleClaimError`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects import sqlite

from relais.clock import Clock
from relais.database import Database, queries, upsert
from relais.database.tables import delivery, lane, notification, study, task
from relais.domain.priority import Priority
from relais.domain.states import TaskState

LEASE = timedelta(seconds=30)
CLAIMING = 7363002
"""PostgreSQL's advisory lock of nodes that claim tasks."""
AHEAD = 2
"""So many times a shared lane's limit one owner may hold while all are its own: it prepares what comes next."""
CRASHES = 20
"""A task that ended the process so often without a word is buried, so that it cannot do so for ever."""

AGES = {
    Priority.Urgent: timedelta(hours=8),
    Priority.Routine: timedelta(hours=4),
    Priority.Background: timedelta(hours=1),
}
"""How long a task of this priority is due before it gets the next."""


class StaleClaimError(Exception):
    """The task is no longer this owner's: its lease ran out and another has it, or it was finished."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Claim:
    """One task, leased to one owner."""

    id: int
    kind: str
    lane: str
    key: str
    priority: Priority
    payload: Mapping[str, Any]
    attempts: int
    owner: str
    number: int
    run_at: datetime


# Asked for once more while it ran, and then it did not end: the run to come is that once more, and not a second one.
_INTERRUPTED: dict[str, Any] = {
    "run_at": func.coalesce(task.c.again_at, task.c.run_at),
    "again_at": None,
    "owner": None,
    "lease_until": None,
}


class Tasks:
    """The task table, as one owner sees it; `suspects` lanes whose last attempt failed are tried at once."""

    def __init__(self, database: Database, clock: Clock, owner: str, *, suspects: int = 8) -> None:
        self._database = database
        self._clock = clock
        self._suspects = suspects
        self.owner = owner

    def schedule(
        self,
        connection: Connection,
        *,
        kind: str,
        lane: str,
        key: str,
        run_at: datetime,
        priority: Priority = Priority.Routine,
        payload: Mapping[str, Any],
    ) -> None:
        """See to it that the task of this key runs at `run_at`.

        One that waits is moved; one that runs will run once more; one that was given up is tried afresh.
        """
        values = {
            "kind": kind,
            "lane": lane,
            "key": key,
            "priority": priority,
            "state": TaskState.Waiting,
            "run_at": run_at,
            "attempts": 0,
            "claims": 0,
            "crashes": 0,
            "payload": dict(payload),
        }
        connection.execute(_schedule(connection.dialect.name), values)

    def due(self, limits: Mapping[str, int], busy: Mapping[str, int] | None = None) -> list[int]:
        """The tasks due in each open lane, as many as it has places: its limit less those that are `busy`.

        The most urgent come first, and then the oldest. A lane whose last attempt failed has one place until something
        succeeds; of these lanes only so many are tried at once.
        """
        now = self._clock.now()
        busy = busy or {}
        found: list[int] = []
        free: dict[str, int] = {}
        with self._database.read() as connection:
            gates = {row.name: row for row in connection.execute(_GATES)}
            suspects = self._suspects - sum(busy.get(name, 0) for name, gate in gates.items() if gate.failures)
            for name, limit in limits.items():
                gate = gates.get(name)
                if gate is not None and (gate.paused_at is not None or (gate.probe_at or now) > now):
                    continue
                if gate is None or gate.failures == 0:
                    free[name] = limit - busy.get(name, 0)
                elif suspects > 0 and not busy.get(name):
                    tried = queries.tasks.due(connection, now, {name: 1})
                    suspects -= len(tried)
                    found += tried
            return found + queries.tasks.due(connection, now, {name: most for name, most in free.items() if most > 0})

    def claim(self, due: Sequence[int], shared: Mapping[str, int] | None = None) -> list[Claim]:
        """Lease those of these tasks that nobody else took meanwhile, the most urgent and then the oldest first.

        `shared` are lanes whose limit holds over all nodes together; where all are this owner's, it is for the owner to
        see that no more than that are worked on at once.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            if shared and not self._database.sqlite:  # other nodes claim as well
                due = _within(connection, due, shared, self.owner)
            values = {"ids": due, "now": now, "claimer": self.owner, "until": now + LEASE}
            rows = connection.execute(_CLAIM, values).all()
        return [
            Claim(
                id=row.id,
                kind=row.kind,
                lane=row.lane,
                key=row.key,
                priority=Priority(row.priority),
                payload=row.payload,
                attempts=row.attempts,
                owner=self.owner,
                number=row.claims,
                run_at=row.run_at,
            )
            for row in sorted(rows, key=lambda row: (row.priority, row.run_at))
        ]

    def next_at(self, after: datetime) -> datetime | None:
        """When the next waiting task is due of those that were not due at `after`."""
        with self._database.read() as connection:
            moment: datetime | None = connection.execute(_NEXT, {"after": after}).scalar()
            return moment

    def heartbeat(self, claims: list[Claim]) -> None:
        """Keep these claims for another lease."""
        with self._database.write() as connection:
            connection.execute(
                update(task)
                .where(task.c.id.in_([claim.id for claim in claims]), task.c.owner == self.owner)
                .values(lease_until=self._clock.now() + LEASE)
            )

    def check(self, connection: Connection, claim: Claim) -> None:
        """Hold on to the claim within this transaction; raises StaleClaimError when it is lost."""
        if connection.execute(_CHECK, _fence(claim) | {"until": self._clock.now() + LEASE}).rowcount == 0:
            raise StaleClaimError(claim.key)

    def finish(self, connection: Connection, claim: Claim) -> None:
        """The task is done; if it was asked for again while it ran, it waits for that."""
        done = connection.execute(_FINISH, _fence(claim))
        if done.rowcount:
            return
        again = connection.execute(_RUN_AGAIN, _fence(claim))
        if again.rowcount == 0:
            raise StaleClaimError(claim.key)

    def retry(self, connection: Connection, claim: Claim, run_at: datetime, error: str | None = None) -> None:
        """Try the task again at `run_at`; with an error, that counts as a failed attempt."""
        wanted = case(
            (task.c.again_at < run_at, task.c.again_at),
            else_=bindparam("retry_at", run_at, task.c.run_at.type),
        )
        statement = (
            update(task)
            .where(_MINE)
            .values(
                state=TaskState.Waiting,
                run_at=wanted,
                again_at=None,
                owner=None,
                lease_until=None,
                attempts=task.c.attempts + (0 if error is None else 1),
                crashes=0,
                error=error,
            )
        )
        if connection.execute(statement, _fence(claim)).rowcount == 0:
            raise StaleClaimError(claim.key)

    def bury(self, connection: Connection, claim: Claim, error: str) -> None:
        """Give the task up: it stays as a dead letter until a person restarts it."""
        statement = (
            update(task)
            .where(_MINE)
            .values(
                state=TaskState.Dead,
                again_at=None,
                owner=None,
                lease_until=None,
                attempts=task.c.attempts + 1,
                error=error,
            )
        )
        if connection.execute(statement, _fence(claim)).rowcount == 0:
            raise StaleClaimError(claim.key)

    def restart(self, connection: Connection, task_id: int) -> bool:
        """Try a dead letter afresh, now; False when there is none of that number."""
        statement = (
            update(task)
            .where(task.c.id == task_id, task.c.state == TaskState.Dead)
            .values(state=TaskState.Waiting, run_at=self._clock.now(), attempts=0, crashes=0, error=None)
        )
        return connection.execute(statement).rowcount == 1

    def hurry(self, connection: Connection, name: str) -> None:
        """Whatever waits in this lane for another try is due now: the lane works again."""
        connection.execute(
            update(task)
            .where(task.c.lane == name, task.c.state == TaskState.Waiting, task.c.attempts > 0)
            .values(run_at=self._clock.now())
        )

    def age(self) -> None:
        """What has been due for long becomes more urgent, so that nothing waits for ever behind what is."""
        now = self._clock.now()
        for priority, age in AGES.items():
            old = and_(task.c.state == TaskState.Waiting, task.c.run_at < now - age, task.c.priority == priority)
            with self._database.read() as connection:
                if connection.execute(select(task.c.id).where(old).limit(1)).first() is None:
                    continue
            with self._database.write() as connection:
                connection.execute(update(task).where(old).values(priority=priority - 1))

    def reclaim(self, *, also_of: str | None = None) -> int:
        """Free the tasks whose lease ran out, and those of owners of this node that are gone; says how many."""
        now = self._clock.now()
        gone = task.c.lease_until < now
        if also_of is not None:
            gone = or_(gone, and_(task.c.owner.startswith(f"{also_of}/", autoescape=True), task.c.owner != self.owner))
        lost = and_(task.c.state == TaskState.Running, gone)
        with self._database.read() as connection:
            if connection.execute(select(task.c.id).where(lost).limit(1)).first() is None:
                return 0
        poisonous = task.c.crashes + 1 >= CRASHES
        with self._database.write() as connection:
            return connection.execute(
                update(task)
                .where(lost)
                .values(
                    state=case((poisonous, TaskState.Dead.value), else_=TaskState.Waiting.value),
                    error=case((poisonous, f"the process ended {CRASHES} times during this task"), else_=task.c.error),
                    crashes=task.c.crashes + 1,
                    **_INTERRUPTED,
                )
            ).rowcount

    def release(self, claim: Claim) -> None:
        """Give a claim back untouched, for the next start or another node; a lost one is nobody's business."""
        with self._database.write() as connection:
            statement = update(task).where(_MINE).values(state=TaskState.Waiting, **_INTERRUPTED)
            connection.execute(statement, _fence(claim))

    def shift(self, jump: timedelta) -> None:
        """The clock jumped: whatever waits moves with it, so that every wait stays as long as it was."""
        moments = {
            task: ("run_at", "again_at", "lease_until"),
            lane: ("probe_at", "bandwidth_free_at"),
            study: ("quiet_until", "receiving_since"),
            delivery: ("next_attempt",),
            notification: ("next_attempt",),
        }
        with self._database.write() as connection:
            for table, names in moments.items():
                for name in names:
                    column = table.c[name]
                    key = next(iter(table.primary_key.columns))
                    rows = connection.execute(select(key, column).where(column.is_not(None))).all()
                    if rows:
                        connection.execute(
                            update(table).where(key == bindparam("row")).values({name: bindparam("moment")}),
                            [{"row": row[0], "moment": row[1] + jump} for row in rows],
                        )


@cache
def _schedule(dialect: str) -> sqlite.Insert:
    """The upsert of `schedule`."""
    statement = upsert(dialect, task)
    new, running, dead = statement.excluded, task.c.state == TaskState.Running, task.c.state == TaskState.Dead
    return statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "run_at": case((running, task.c.run_at), else_=new.run_at),
            "again_at": case((running, new.run_at), else_=None),
            "state": case((running, task.c.state), else_=TaskState.Waiting.value),
            "attempts": case((dead, 0), else_=task.c.attempts),
            "crashes": case((dead, 0), else_=task.c.crashes),
            "lane": new.lane,
            "priority": new.priority,
            "payload": new.payload,
        },
    )


def _within(connection: Connection, due: Sequence[int], shared: Mapping[str, int], owner: str) -> list[int]:
    """Those for which their lane has a place; other nodes that claim wait until this transaction ends."""
    connection.execute(select(func.pg_advisory_xact_lock(CLAIMING)))
    rows = connection.execute(_LANES, {"ids": due, "claimer": owner}).all()
    lanes, busy = {row.id: row.lane for row in rows}, {row.lane: row.running for row in rows}
    places = {row.lane: shared[row.lane] * (1 if row.others else AHEAD) for row in rows if row.lane in shared}
    kept: list[int] = []
    for each in due:
        lane = lanes.get(each, "")
        if lane not in places or busy.get(lane, 0) < places[lane]:
            busy[lane] = busy.get(lane, 0) + 1
            kept.append(each)
    return kept


def _fence(claim: Claim) -> dict[str, Any]:
    """The parameters of `_MINE`."""
    return {"claim_id": claim.id, "claim_owner": claim.owner, "claim_number": claim.number}


# What the loop asks again and again is built once: building a statement costs more than running it.
_MINE = and_(
    task.c.id == bindparam("claim_id"),
    task.c.state == TaskState.Running,
    task.c.owner == bindparam("claim_owner"),
    task.c.claims == bindparam("claim_number"),
)
_CHECK = update(task).where(_MINE).values(lease_until=bindparam("until"))
_FINISH = delete(task).where(_MINE, task.c.again_at.is_(None))
_RUN_AGAIN = (
    update(task)
    .where(_MINE)
    .values(
        state=TaskState.Waiting,
        run_at=task.c.again_at,
        again_at=None,
        owner=None,
        lease_until=None,
        attempts=0,
        crashes=0,
    )
)
_GATES = select(lane).where(or_(lane.c.paused_at.is_not(None), lane.c.failures > 0))
_wanted = task.alias("wanted")
_CLAIM = (
    update(task)
    .where(
        task.c.id.in_(
            select(_wanted.c.id)
            .where(
                _wanted.c.id.in_(bindparam("ids", expanding=True)),
                _wanted.c.state == TaskState.Waiting,
                _wanted.c.run_at <= bindparam("now"),
            )
            .with_for_update(skip_locked=True)  # waiting for another's lock could end in a circle
        )
    )
    .values(
        state=TaskState.Running, owner=bindparam("claimer"), lease_until=bindparam("until"), claims=task.c.claims + 1
    )
    .returning(task)
)
_running = task.alias("running")
_now_running = select(func.count()).where(_running.c.lane == task.c.lane, _running.c.state == TaskState.Running)
_LANES = select(
    task.c.id,
    task.c.lane,
    _now_running.scalar_subquery().label("running"),
    _now_running.where(_running.c.owner != bindparam("claimer")).scalar_subquery().label("others"),
).where(task.c.id.in_(bindparam("ids", expanding=True)))
_NEXT = select(func.min(task.c.run_at)).where(task.c.state == TaskState.Waiting, task.c.run_at > bindparam("after"))
