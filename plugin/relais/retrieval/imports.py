"""Imports: what a person, a watch or a prefetch wants fetched from a source, begun, ended, and begun again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from relais.clock import Clock
from relais.database import Database, inserted_id
from relais.database.queries.paging import counted
from relais.database.retrieval_tables import expected_instance, retrieval, study_import
from relais.domain.priority import Priority
from relais.domain.states import FETCHING, IMPORT, Cause, ImportState, RetrievalState, sources_of
from relais.errors import StateError, UnknownError
from relais.journal import Journal, Subject
from relais.tasks import Tasks
from relais.transports.sources.port import Source

KIND = "retrieve"
LANE = "source:"
MOST_STUDIES = 1_000
REMEMBERED = timedelta(days=90)
"""How long the list of what a source had is kept after its retrieval ended; what is missing stays named for ever."""
AT_ONCE = 200
"""Lists that one transaction forgets."""
FORGETTING = timedelta(hours=1)
"""Between two looks for old lists, once there are no more."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A study, or one series of it."""

    study: str
    series: str | None = None


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be fetched from where, by whom and why; `route` is whether it is delivered, or only kept."""

    source: str
    wanted: Sequence[Wanted]
    actor: str
    cause: Cause = Cause.Person
    cause_id: str | None = None
    route: bool = True
    priority: Priority = Priority.Routine
    reason: str = ""


class StudyImports:
    """Keeps imports."""

    def __init__(
        self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal, sources: Mapping[str, Source]
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self.sources = sources
        self._forgets_at = clock.now()
        self.canceled: set[int] = set()
        """The imports that were canceled while this process ran: what is fetched for them is broken off."""

    def begin(self, order: Order) -> int:
        """Begin to fetch; answers the import's id. Raises UnknownError."""
        with self._database.write() as connection:
            return self.add(connection, order)

    def add(self, connection: Connection, order: Order) -> int:
        """The same, within the caller's transaction."""
        if order.source not in self.sources:
            raise UnknownError("source", order.source)
        now = self._clock.now()
        import_id = inserted_id(
            connection.execute(
                insert(study_import).values(
                    source=order.source,
                    cause=order.cause.value,
                    cause_id=order.cause_id,
                    state=ImportState.Running,
                    route=order.route,
                    priority=order.priority,
                    actor=order.actor,
                    reason=order.reason,
                    created_at=now,
                )
            )
        )
        for each in dict.fromkeys(order.wanted):
            added = connection.execute(
                insert(retrieval).values(
                    import_id=import_id,
                    study_instance_uid=each.study,
                    series_instance_uid=each.series,
                    state=RetrievalState.Scheduled,
                    received=0,
                    attempts=0,
                    rounds=0,
                    warnings=[],
                )
            )
            self._schedule(connection, inserted_id(added), order.source, order.priority)
        self._journal.record(
            connection,
            "import.begun",
            actor=order.actor,
            Import=import_id,
            Source=order.source,
            Cause=order.cause.value,
            Studies=len({each.study for each in order.wanted}),
            Route=order.route,
            Reason=order.reason,
        )
        return import_id

    def cancel(self, import_id: int, *, actor: str, reason: str) -> None:
        """Fetch no more for it; what came stays. Raises UnknownError, StateError."""
        with self._database.write() as connection:
            self.cancel_within(connection, self.lock(connection, import_id), actor=actor, reason=reason)

    def cancel_within(self, connection: Connection, row: Row[Any], *, actor: str, reason: str) -> None:
        """The same, within the caller's transaction; `row` is the import's, locked."""
        if row.state != ImportState.Running:
            raise StateError("import-over")
        self._pieces(connection, row.id)
        connection.execute(
            update(retrieval)
            .where(retrieval.c.import_id == row.id, retrieval.c.state.in_(sorted(FETCHING)))
            .values(state=RetrievalState.Canceled, finished_at=self._clock.now(), next_at=None)
        )
        self.canceled.add(row.id)
        self._journal.record(connection, "import.canceled", actor=actor, Import=row.id, Reason=reason)
        self.settle(connection, row)

    def retry(self, import_id: int, *, actor: str, reason: str) -> None:
        """Fetch again what failed or was canceled, and at once what waits. Raises UnknownError, StateError."""
        with self._database.write() as connection:
            row = self.lock(connection, import_id)
            if row.state == ImportState.Completed:
                raise StateError("import-complete")
            if row.source not in self.sources:
                raise UnknownError("source", row.source)
            for each in self._pieces(connection, import_id):
                if each.state in (RetrievalState.Failed, RetrievalState.Canceled):
                    connection.execute(
                        update(retrieval)
                        .where(retrieval.c.id == each.id)
                        .values(
                            state=RetrievalState.Scheduled,
                            attempts=0,
                            rounds=0,
                            listed_at=None,
                            started_at=None,
                            finished_at=None,
                            next_at=None,
                            error=None,
                            warnings=[],
                        )
                    )
                elif each.state == RetrievalState.Scheduled:
                    connection.execute(update(retrieval).where(retrieval.c.id == each.id).values(next_at=None))
                else:
                    continue
                self._schedule(connection, each.id, row.source, Priority(row.priority))
            self._move(connection, row, ImportState.Running, finished_at=None)
            self.canceled.discard(import_id)
            self._journal.record(connection, "import.retried", actor=actor, Import=import_id, Reason=reason)

    def lock(self, connection: Connection, import_id: int) -> Row[Any]:
        """The import's row, locked; raises UnknownError. An import is locked before its retrievals, these by id."""
        statement = select(study_import).where(study_import.c.id == import_id).with_for_update()
        row = connection.execute(statement).one_or_none()
        if row is None:
            raise UnknownError("import", import_id)
        return row

    def settle(self, connection: Connection, row: Row[Any]) -> None:
        """End the import (its row, locked) if none of its retrievals goes on."""
        statement = select(retrieval.c.state, func.count()).where(retrieval.c.import_id == row.id)
        states: dict[str, int] = counted(connection, statement.group_by(retrieval.c.state))
        if any(states.get(each) for each in FETCHING) or row.state != ImportState.Running:
            return
        state = ImportState.Completed
        if states.get(RetrievalState.Failed):
            state = ImportState.Failed
        elif states.get(RetrievalState.Canceled):
            state = ImportState.Canceled
        self._move(connection, row, state, finished_at=self._clock.now())
        expected, received = connection.execute(
            select(
                func.coalesce(func.sum(retrieval.c.expected), 0), func.coalesce(func.sum(retrieval.c.received), 0)
            ).where(retrieval.c.import_id == row.id)
        ).one()
        self._journal.record(
            connection,
            "import.completed",
            Import=row.id,
            Source=row.source,
            Cause=row.cause,
            State=state.value,
            Studies=sum(states.values()),
            Expected=int(expected),
            Received=int(received),
        )
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        """Drop the lists of retrievals that ended long ago; their counts stay, and the names of what did not come."""
        now = self._clock.now()
        if now < self._forgets_at:
            return
        old = (
            select(retrieval.c.id)
            .where(retrieval.c.finished_at < now - REMEMBERED, retrieval.c.listed_at.is_not(None))
            .order_by(retrieval.c.finished_at)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True)
        )
        ids = connection.execute(old).scalars().all()
        mine = expected_instance.c.retrieval_id.in_(ids)
        connection.execute(delete(expected_instance).where(mine, expected_instance.c.received_at.is_not(None)))
        connection.execute(update(retrieval).where(retrieval.c.id.in_(ids)).values(listed_at=None))
        if len(ids) < AT_ONCE:
            self._forgets_at = now + FORGETTING

    def record(self, connection: Connection, action: str, row: Row[Any], owner: Row[Any] | None, **detail: Any) -> None:
        """Something happened to a retrieval; `owner` is the row of its study, if that is here."""
        uid = row.study_instance_uid
        subject = None if owner is None else Subject(id=owner.id, study_instance_uid=uid)
        more = {} if subject is not None else {"StudyInstanceUID": uid}
        self._journal.record(
            connection, action, subject=subject, Import=row.import_id, Source=row.source, **more, **detail
        )

    def _pieces(self, connection: Connection, import_id: int) -> Sequence[Row[Any]]:
        """The import's retrievals, locked."""
        statement = select(retrieval).where(retrieval.c.import_id == import_id).order_by(retrieval.c.id)
        return connection.execute(statement.with_for_update()).all()

    def _move(self, connection: Connection, row: Row[Any], state: ImportState, **values: Any) -> None:
        changed = connection.execute(
            update(study_import)
            .where(study_import.c.id == row.id, study_import.c.state.in_(sorted(sources_of(IMPORT, state))))
            .values(state=state, **values)
        )
        if changed.rowcount == 0:
            raise StateError("import-over")

    def _schedule(self, connection: Connection, retrieval_id: int, source: str, priority: Priority) -> None:
        self._tasks.schedule(
            connection,
            kind=KIND,
            lane=LANE + source,
            key=f"{KIND}:{retrieval_id}",
            run_at=self._clock.now(),
            priority=priority,
            payload={"Retrieval": retrieval_id},
        )
