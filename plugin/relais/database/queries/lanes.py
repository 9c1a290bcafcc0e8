"""Lanes: for each destination what waits, how long, and whether it moves."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from relais.database.queries.paging import counted
from relais.database.tables import delivery, feed, lane, subscriber
from relais.domain.states import DeliveryState

WAITING = (DeliveryState.Scheduled, DeliveryState.InProgress)
STUCK = (DeliveryState.Failed, DeliveryState.Held, DeliveryState.Blocked)


@dataclass(frozen=True, kw_only=True)
class LaneState:
    """One destination's lane: what is owed by state (`counts`), since when (`oldest`), and what was `completed`."""

    destination: str
    counts: dict[str, int] = field(default_factory=dict)
    oldest: datetime | None = None
    completed: int = 0
    paused_at: datetime | None = None
    paused_reason: str | None = None
    failures: int = 0
    down_since: datetime | None = None
    probe_at: datetime | None = None
    last_error: dict[str, Any] | None = None
    bandwidth_free_at: datetime | None = None

    @classmethod
    def of(cls, destination: str, counts: dict[str, int], gate: Row[Any] | None) -> LaneState:
        """From what is owed, and the row of its lane, where it has one."""
        if gate is None:
            return cls(destination=destination, counts=counts)
        return cls(
            destination=destination,
            counts=counts,
            paused_at=gate.paused_at,
            paused_reason=gate.paused_reason,
            failures=gate.failures,
            down_since=gate.down_since,
            probe_at=gate.probe_at,
            last_error=gate.last_error,
            bandwidth_free_at=gate.bandwidth_free_at,
        )

    @property
    def state(self) -> str:
        """Open, Waiting (its last attempt failed), Down or Paused."""
        if self.paused_at is not None:
            return "Paused"
        if self.down_since is not None:
            return "Down"
        return "Waiting" if self.failures else "Open"

    @property
    def backlog(self) -> int:
        """Deliveries that wait or are under way."""
        return sum(self.counts.get(state, 0) for state in WAITING)


def of_destinations(connection: Connection, names: Collection[str], since: datetime) -> list[LaneState]:
    """The lane of each of these destinations, in their order; `completed` counts what was finished since `since`."""
    owed: dict[str, dict[str, tuple[int, datetime]]] = {}
    statement = (
        select(delivery.c.destination, delivery.c.state, func.count(), func.min(delivery.c.owed_since))
        .where(delivery.c.destination.in_(names), delivery.c.state.in_([*WAITING, *STUCK]))
        .group_by(delivery.c.destination, delivery.c.state)
    )
    for destination, state, count, oldest in connection.execute(statement):
        owed.setdefault(destination, {})[state] = (count, oldest)
    finished = select(delivery.c.destination, func.count()).where(
        delivery.c.destination.in_(names),
        delivery.c.finished_at >= since,
        delivery.c.state + "" == DeliveryState.Completed,  # not by the index of states: nearly all are completed
    )
    completed = counted(connection, finished.group_by(delivery.c.destination))
    shut = gates(connection)
    states = []
    for name in names:
        mine = owed.get(name, {})
        oldest = min((since for state, (_, since) in mine.items() if state in WAITING), default=None)
        counts = {state: amount for state, (amount, _) in mine.items()}
        state = LaneState.of(name, counts, shut.get(lane_of(name)))
        states.append(replace(state, oldest=oldest, completed=completed.get(name, 0)))
    return states


def gates(connection: Connection) -> dict[str, Row[Any]]:
    """The rows of `lane` by name; a lane without one is open."""
    return {row.name: row for row in connection.execute(select(lane))}


def lane_of(destination: str) -> str:
    """The name of a destination's lane in the task table."""
    return f"destination:{destination}"


def disabled_subscribers(connection: Connection) -> dict[str, tuple[datetime, str | None]]:
    """Since when and why each disabled subscriber is."""
    rows = connection.execute(select(subscriber).where(subscriber.c.disabled_at.is_not(None)))
    return {row.name: (row.disabled_at, row.reason) for row in rows}


def feed_seen_at(connection: Connection) -> datetime | None:
    """When the change feed was last read to its end."""
    moment: datetime | None = connection.execute(select(func.max(feed.c.seen_at))).scalar()
    return moment
