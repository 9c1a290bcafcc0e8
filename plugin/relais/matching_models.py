"""The matching model in force: sets of weights, each by its digest, of which a person makes one active.

Nothing deploys itself. Without an active one, the first set holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update

from relais.clock import Clock
from relais.database import Database
from relais.database.patient_tables import matching_model
from relais.domain.matching.model import FIRST, Model
from relais.domain.priority import Priority
from relais.errors import StateError, UnknownError
from relais.journal import Journal
from relais.tasks import Tasks

_ACTIVE = (
    select(matching_model.c.digest)
    .where(matching_model.c.activated_at.is_not(None))
    .order_by(matching_model.c.activated_at.desc())
    .limit(1)
)


def ask_waiting(connection: Connection, tasks: Tasks, now: datetime, *, after: int = 0) -> None:
    """Ask again, little by little, whose each study is that waits for a match, those with a greater id than this."""
    tasks.schedule(
        connection,
        kind="rematch",
        lane="studies",
        key=f"rematch:after:{after}",
        run_at=now,
        priority=Priority.Background,
        payload={"After": after},
    )


class Models:
    """Keeps models, and knows the active one."""

    def __init__(self, *, database: Database, clock: Clock, tasks: Tasks, journal: Journal) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._read = {FIRST.digest: FIRST}

    def active(self, connection: Connection) -> Model:
        """The model that decides now."""
        digest = connection.execute(_ACTIVE).scalar()
        return FIRST if digest is None else self.of(connection, digest)

    def of(self, connection: Connection, digest: str) -> Model:
        """The model of this digest; raises UnknownError."""
        if digest not in self._read:
            statement = select(matching_model.c.document).where(matching_model.c.digest == digest)
            document = connection.execute(statement).scalar()
            model = None if document is None else Model.from_json(document)
            if model is None or model.digest != digest:  # edited by hand: what it decided would not be told by its name
                raise UnknownError("model", digest)
            self._read[digest] = model
        return self._read[digest]

    def listing(self) -> list[RowMapping]:
        """Every model that was added, the newest first."""
        statement = select(matching_model).order_by(matching_model.c.added_at.desc(), matching_model.c.digest)
        with self._database.read() as connection:
            return list(connection.execute(statement).mappings())

    def add(self, model: Model, evaluation: Mapping[str, Any] | None, *, actor: str) -> None:
        """Keep a model; it decides nothing yet. Raises StateError where it is there already."""
        with self._database.write() as connection:
            self._add(connection, model, evaluation, actor)

    def activate(self, digest: str, *, actor: str, reason: str) -> None:
        """From now on this model decides, and what waits for a match is asked again.

        Raises UnknownError, and StateError where it does already.
        """
        with self._database.write() as connection:
            before = self.active(connection).digest
            if digest == before:
                raise StateError("model-active")
            known = select(matching_model.c.digest).where(matching_model.c.digest == digest)
            if connection.execute(known).scalar() is None:
                if digest != FIRST.digest:
                    raise UnknownError("model", digest)
                self._add(connection, FIRST, None, actor)
            values = {"activated_at": self._clock.now(), "activated_by": actor}
            connection.execute(update(matching_model).where(matching_model.c.digest == digest).values(values))
            self._journal.record(
                connection, "matching.model-activated", actor=actor, Model=digest, Before=before, Reason=reason
            )
            ask_waiting(connection, self._tasks, self._clock.now())

    def _add(self, connection: Connection, model: Model, evaluation: Mapping[str, Any] | None, actor: str) -> None:
        known = select(matching_model.c.digest).where(matching_model.c.digest == model.digest)
        if connection.execute(known).scalar() is not None:
            raise StateError("model-known")
        connection.execute(
            insert(matching_model).values(
                digest=model.digest,
                version=model.version,
                document=model.to_json(),
                evaluation=None if evaluation is None else dict(evaluation),
                added_at=self._clock.now(),
                added_by=actor,
            )
        )
        self._journal.record(connection, "matching.model-added", actor=actor, Model=model.digest)
