"""The safety net under automatic matching: second looks at a random share of it, and a breaker.

The breaker trips where vetoes are too large a share of the decisions of a window, or too many second looks came to
something else; until a person resets it, what would have been matched automatically is for a person.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, upsert
from relais.database.patient_tables import matching_breaker, review
from relais.database.queries import matches
from relais.domain.states import BreakerReason, ReviewReason, ReviewState
from relais.errors import StateError
from relais.journal import Journal
from relais.tasks import Tasks

NAME = "matching"
_BREAKER = select(matching_breaker).where(matching_breaker.c.name == NAME)


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """A breaker that tripped: when, why, and what was counted."""

    tripped_at: datetime
    reason: BreakerReason
    counts: dict[str, int]


class SafetyNet:
    """Samples automatic matches, and stops them where too many go wrong."""

    def __init__(
        self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal, configuration: Configuration
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._options = configuration.matching

    def sampled(self) -> bool:
        """Whether this automatic match shall be looked at once more."""
        return random.random() < self._options.second_looks

    def tripped(self, connection: Connection) -> Breaker | None:
        """The breaker, while it is tripped."""
        row = connection.execute(_BREAKER).one_or_none()
        if row is None or row.tripped_at is None:
            return None
        return Breaker(tripped_at=row.tripped_at, reason=BreakerReason(row.reason), counts=dict(row.counts))

    def look(self, connection: Connection) -> None:
        """There was a veto, or a second look that came to something else: trip the breaker where that is too many."""
        row = connection.execute(_BREAKER.with_for_update()).one_or_none()
        if row is not None and row.tripped_at is not None:
            return
        bounds = self._options.breaker
        now = self._clock.now()
        since = now - timedelta(hours=bounds.window_hours)
        since = since if row is None else max(since, row.since)
        decisions, vetoes = matches.decided_since(connection, since)
        looks, errors = matches.looks_since(connection, since)
        if errors >= bounds.errors:
            reason = BreakerReason.Errors
        elif decisions >= bounds.decisions and vetoes > bounds.vetoes * decisions:
            reason = BreakerReason.Vetoes
        else:
            return
        counts: dict[str, Any] = {"Decisions": decisions, "Vetoes": vetoes, "Looks": looks, "Errors": errors}
        values: dict[str, Any] = {"since": since, "tripped_at": now, "reason": reason.value, "counts": counts}
        connection.execute(
            upsert(connection.dialect.name, matching_breaker)
            .values(name=NAME, **values)
            .on_conflict_do_update(index_elements=["name"], set_=values)
        )
        self._journal.record(connection, "matching.stopped", Reason=reason, **counts)
        self._journal.record(connection, "security.alert", Kind="matching-stopped", Reason=reason)

    def reset(self, *, actor: str, reason: str) -> None:
        """Match automatically again, and ask again what waits only for that; raises StateError where it is not tripped.

        What was counted before counts no longer.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            stopped = matching_breaker.c.name == NAME, matching_breaker.c.tripped_at.is_not(None)
            values = {"since": now, "tripped_at": None, "reason": None, "counts": None}
            if connection.execute(update(matching_breaker).where(*stopped).values(values)).rowcount == 0:
                raise StateError("matching-runs")
            waiting = select(review.c.study_id).where(
                review.c.state == ReviewState.Open, review.c.reason == ReviewReason.Breaker
            )
            for study_id in sorted(connection.execute(waiting).scalars()):
                self._tasks.schedule(
                    connection,
                    kind="rematch",
                    lane="studies",
                    key=f"rematch:study:{study_id}",
                    run_at=now,
                    payload={"Study": study_id},
                )
            self._journal.record(connection, "matching.resumed", actor=actor, Reason=reason)
