"""What waits for a match is asked again, where a new or corrected patient, or another model, may answer it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from relais.clock import Clock
from relais.database import Database
from relais.database.patient_tables import patient
from relais.database.queries import matches
from relais.database.tables import study
from relais.decide import Studies
from relais.domain.matching.keys import keys_of
from relais.domain.patients import Patient, identity_of
from relais.identify import Identify
from relais.matching_models import ask_waiting
from relais.patient_index import hashed
from relais.tasks import Claim, Tasks

AT_ONCE = 100
"""Studies of one turn, where all are asked again."""


class Rematch:
    """The task `rematch`: of a patient (`Patient`, the id of its row), of one study (`Study`), or of all (`After`)."""

    def __init__(self, *, database: Database, clock: Clock, tasks: Tasks, identify: Identify, studies: Studies) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._identify = identify
        self._studies = studies

    def __call__(self, claim: Claim) -> None:
        """Decide again the studies of which the answer would be another now."""
        with self._database.read() as connection:
            asked = self._asked_about(connection, claim)
            rows = [
                row
                for each in asked
                if (row := connection.execute(select(study).where(study.c.id == each)).one_or_none()) is not None
                and self._identify.would_change(connection, row)
            ]
        with self._database.write() as connection:
            for row in rows:
                self._studies.ask(connection, row)
            if "After" in claim.payload and asked:
                ask_waiting(connection, self._tasks, self._clock.now(), after=asked[-1])
            self._tasks.finish(connection, claim)

    def _asked_about(self, connection: Connection, claim: Claim) -> list[int]:
        if "Study" in claim.payload:
            return [claim.payload["Study"]]
        if "After" in claim.payload:
            return list(matches.waiting_after(connection, claim.payload["After"], AT_ONCE))
        statement = select(patient.c.document).where(patient.c.id == claim.payload["Patient"])
        document = connection.execute(statement).scalar()
        if document is None:  # deleted meanwhile
            return []
        identity = identity_of(Patient.model_validate(document), self._clock.now().date())
        return list(matches.waiting_for(connection, sorted(hashed(keys_of(identity)))))
