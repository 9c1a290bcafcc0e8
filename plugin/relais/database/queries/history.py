"""A destination over the last hours: what went there, how fast, what failed, and what waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Text, and_, case, cast, extract, func, select

from relais.database.tables import attempt, delivery
from relais.domain.states import DeliveryState

HOUR = timedelta(hours=1)
SECONDS = 3600
SAMPLES = 5_000
"""Of so many deliveries at most the latency is looked at, evenly picked: a median needs no more."""
WAITING = (DeliveryState.Scheduled, DeliveryState.InProgress)


@dataclass(frozen=True, kw_only=True)
class Hour:
    """What happened in the hour that began `at`; latency is in seconds, from being owed to being there.

    `backlog` is what waited at its end.
    """

    at: datetime
    instances: int = 0
    bytes: int = 0
    failures: int = 0
    completed: int = 0
    latency_median: float | None = None
    latency_p95: float | None = None
    backlog: int = 0


def of_destination(connection: Connection, destination: str, now: datetime, hours: int) -> list[Hour]:
    """The last `hours` hours, the oldest first; the last one is the one that runs."""
    last = int(now.timestamp()) // SECONDS * SECONDS
    starts = [last - SECONDS * back for back in reversed(range(hours))]
    since = datetime.fromtimestamp(starts[0], UTC)
    sent = _sent(connection, destination, since)
    latencies = _latencies(connection, destination, since)
    completed, backlog = _finished_and_waiting(connection, destination, since, starts)
    return [
        Hour(
            at=datetime.fromtimestamp(start, UTC),
            **sent.get(start, {}),
            completed=completed[start],
            latency_median=median(latencies[start]) if start in latencies else None,
            latency_p95=_percentile(latencies[start], 95) if start in latencies else None,
            backlog=backlog[index],
        )
        for index, start in enumerate(starts)
    ]


def _hour_of(column: Column[Any]) -> ColumnElement[Any]:
    """The beginning of the hour, in seconds since 1970."""
    seconds = extract("epoch", column)
    return seconds - seconds % SECONDS


def _sent(connection: Connection, destination: str, since: datetime) -> dict[int, dict[str, int]]:
    """What attempts achieved, by hour.

    The destination is looked up for each attempt: the other way round, SQLite would look at each of its deliveries.
    """
    whose = select(delivery.c.destination).where(delivery.c.id == attempt.c.delivery_id).scalar_subquery()
    failed = func.coalesce(cast(attempt.c.error, Text), "null") != "null"
    refused = func.coalesce(attempt.c.error["Refused"].as_integer(), attempt.c.instances)
    recent = (
        select(
            _hour_of(attempt.c.finished_at).label("hour"),
            case(
                (failed, case((refused < attempt.c.instances, attempt.c.instances - refused), else_=0)),
                else_=attempt.c.instances,
            ).label("instances"),
            case((failed, 0), else_=attempt.c.bytes).label("bytes"),
            case((failed, 1), else_=0).label("failures"),
            whose.label("destination"),
        )
        .where(attempt.c.finished_at >= since)
        .subquery()
    )
    statement = (
        select(recent.c.hour, func.sum(recent.c.instances), func.sum(recent.c.bytes), func.sum(recent.c.failures))
        .where(recent.c.destination == destination)
        .group_by(recent.c.hour)
    )
    return {
        int(hour): {"instances": int(instances), "bytes": int(size), "failures": int(failures)}
        for hour, instances, size, failures in connection.execute(statement)
    }


def _latencies(connection: Connection, destination: str, since: datetime) -> dict[int, list[float]]:
    """Seconds from owed to there, by the hour in which they ended, in order."""
    done = and_(
        delivery.c.destination == destination,
        delivery.c.finished_at >= since,
        delivery.c.state == DeliveryState.Completed,
    )
    amount = connection.execute(select(func.count()).where(done)).scalar_one()
    statement = select(delivery.c.finished_at, delivery.c.owed_since).where(done)
    if amount > SAMPLES:
        statement = statement.where(delivery.c.id % -(-amount // SAMPLES) == 0)
    found: dict[int, list[float]] = {}
    for finished_at, owed_since in connection.execute(statement):
        start = int(finished_at.timestamp()) // SECONDS * SECONDS
        found.setdefault(start, []).append(max(0.0, (finished_at - owed_since).total_seconds()))
    return {start: sorted(each) for start, each in found.items()}


def _finished_and_waiting(
    connection: Connection, destination: str, since: datetime, starts: Sequence[int]
) -> tuple[Counter[int], list[int]]:
    """How many were completed in each hour, and how many waited at the end of each."""
    mine = delivery.c.destination == destination
    owed, ended = _hour_of(delivery.c.owed_since), _hour_of(delivery.c.finished_at)
    waiting = select(owed, func.count()).where(mine, delivery.c.state.in_(WAITING)).group_by(owed)
    over = (
        select(owed, ended, delivery.c.state, func.count())
        .where(mine, delivery.c.finished_at >= since, delivery.c.state.not_in(WAITING))
        .group_by(owed, ended, delivery.c.state)
    )
    completed: Counter[int] = Counter()
    change: Counter[int] = Counter()  # of the backlog, by the hour in which it changed
    for hour, amount in connection.execute(waiting):
        change[max(int(hour), starts[0])] += amount
    for began, end, state, amount in connection.execute(over):
        change[max(int(began), starts[0])] += amount
        change[int(end)] -= amount
        if state == DeliveryState.Completed:
            completed[int(end)] += amount
    backlog, level = [], 0
    for start in starts:
        level += change[start]
        backlog.append(level)
    return completed, backlog


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest rank (ISO 3534-1)."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
