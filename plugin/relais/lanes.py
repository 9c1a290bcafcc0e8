"""Lanes: each destination and each subscriber has its own way, so that a dead one never slows another.

A lane whose peer cannot be reached is quiet until its next probe, then one attempt may try it; whatever else waits
there costs nothing. After `DOWN_AFTER` failures in a row it is down, and people are told; the first success brings it
up.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from relais.clock import Clock
from relais.database import Database, upsert
from relais.database.tables import lane
from relais.domain.retry import Backoff
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.tasks import Tasks

DOWN_AFTER = 3
DESTINATION = "destination:"
SUBSCRIBER = "subscriber:"
_LANE = select(lane).where(lane.c.name == bindparam("lane"))


class Lanes:
    """The state of each lane that is not simply open."""

    def __init__(
        self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal, limits: Mapping[str, int]
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self.limits = limits

    def failed(
        self,
        connection: Connection,
        name: str,
        error: Mapping[str, Any],
        backoff: Backoff,
        wait: timedelta | None = None,
    ) -> datetime:
        """The lane's peer could not be reached; answers when the lane will be probed: not before the `wait` it asks."""
        now = self._clock.now()
        row = connection.execute(select(lane).where(lane.c.name == name).with_for_update()).one_or_none()
        failures = (row.failures if row else 0) + 1
        # At least half the bound: a probe that follows at once teaches nothing.
        probe_at = now + max(backoff.delay(failures, 0.5 + random.random() / 2), wait or timedelta())
        goes_down = failures >= DOWN_AFTER and (row is None or row.down_since is None)
        values = {"failures": failures, "probe_at": probe_at, "last_error": dict(error)}
        if goes_down:
            values["down_since"] = now
        connection.execute(
            upsert(connection.dialect.name, lane)
            .values(name=name, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
        if goes_down and name.startswith(DESTINATION):
            destination = name.removeprefix(DESTINATION)
            self._journal.record(connection, "destination.down", Destination=destination, Error=error["Text"])
            self._tasks.schedule(  # whoever stands in for it takes over
                connection,
                kind="failover",
                lane="studies",
                key=f"failover:{name}",
                run_at=now,
                payload={"Destination": destination},
            )
        return probe_at

    def succeeded(self, connection: Connection, name: str) -> None:
        """Something got through: the lane is open, and what waited for that is due now."""
        row = connection.execute(_LANE, {"lane": name}).one_or_none()
        if row is None or row.failures == 0:
            return
        connection.execute(
            update(lane).where(lane.c.name == name).values(failures=0, probe_at=None, down_since=None, last_error=None)
        )
        self._tasks.hurry(connection, name)
        if row.down_since is not None and name.startswith(DESTINATION):
            self._journal.record(connection, "destination.up", Destination=name.removeprefix(DESTINATION))

    def reserve(self, connection: Connection, name: str, seconds: float, at_most: timedelta) -> datetime:
        """Take so many seconds of the lane's bandwidth; answers when they begin.

        Nothing is taken where that is further away than `at_most`. The lane keeps the moment until which it is spoken
        for (the generic cell rate algorithm, ITU-T I.371), so the limit holds over all nodes and over restarts.
        """
        now = self._clock.now()
        row = connection.execute(select(lane).where(lane.c.name == name).with_for_update()).one_or_none()
        starts = max(now, row.bandwidth_free_at or now) if row else now
        if starts <= now + at_most:
            values = {"bandwidth_free_at": starts + timedelta(seconds=seconds)}
            connection.execute(
                upsert(connection.dialect.name, lane)
                .values(name=name, failures=0, **values)
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )
        return starts

    def pause(self, name: str, *, actor: str, reason: str) -> None:
        """Start nothing more in this lane until it is resumed; what is under way ends."""
        self._known(name)
        with self._database.write() as connection:
            row = connection.execute(select(lane).where(lane.c.name == name).with_for_update()).one_or_none()
            if row is not None and row.paused_at is not None:
                raise StateError("lane-paused")
            values = {"paused_at": self._clock.now(), "paused_reason": reason}
            connection.execute(
                upsert(connection.dialect.name, lane)
                .values(name=name, failures=0, **values)
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )
            self._journal.record(connection, "lane.paused", actor=actor, Lane=name, Reason=reason)

    def resume(self, name: str, *, actor: str, reason: str) -> None:
        """Open a paused lane; one that waits for its probe is probed now."""
        self._known(name)
        with self._database.write() as connection:
            changed = connection.execute(
                update(lane)
                .where(lane.c.name == name, lane.c.paused_at.is_not(None) | (lane.c.failures > 0))
                .values(paused_at=None, paused_reason=None, probe_at=None)
            )
            if changed.rowcount == 0:
                raise StateError("lane-open")
            self._tasks.hurry(connection, name)
            self._journal.record(connection, "lane.resumed", actor=actor, Lane=name, Reason=reason)

    def _known(self, name: str) -> None:
        if name not in self.limits:
            raise UnknownError("destination", name.removeprefix(DESTINATION))
