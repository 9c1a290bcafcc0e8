"""What is owed cannot be deleted by Orthanc's own recycling.

With MaximumStorageSize or MaximumPatientCount, Orthanc deletes the oldest patients to make room, also those whose
studies are still owed to a destination. A patient is protected while something of theirs is owed; protection that
somebody else gave is left alone. A full disk of protected patients makes Orthanc refuse new images, and the sender is
told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, exists, insert, select

from relais.clock import Clock
from relais.database import Database
from relais.database.tables import delivery, protection, study
from relais.domain.states import OWED, StudyState
from relais.errors import OrthancError
from relais.orthanc import Orthanc
from relais.tasks import Claim, Tasks

MISSING = 404


def is_needed(orthanc_configuration: Mapping[str, Any]) -> bool:
    """Whether this Orthanc deletes patients by itself."""
    return any(orthanc_configuration.get(key, 0) != 0 for key in ("MaximumStorageSize", "MaximumPatientCount"))


class Protect:
    """Protects patients as their images arrive, and lets go of them when nothing is owed."""

    def __init__(self, *, database: Database, orthanc: Orthanc, clock: Clock, tasks: Tasks, needed: bool) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock
        self._tasks = tasks
        self._needed = needed

    def protect(self, patients: set[str]) -> None:
        """Protect these Orthanc patients, also again: storing a patient's only instance anew drops the protection."""
        if not self._needed:
            return
        for patient in sorted(patients):
            try:
                if self._orthanc.read(f"/patients/{patient}/protected") == b"1":
                    continue
                with self._database.write() as connection:
                    known = connection.execute(
                        select(protection).where(protection.c.orthanc_patient_id == patient)
                    ).one_or_none()
                    if known is None:
                        row = {"orthanc_patient_id": patient, "protected_at": self._clock.now()}
                        connection.execute(insert(protection).values(row))
                self._orthanc.put_text(f"/patients/{patient}/protected", "1")
            except OrthancError as error:
                if error.status != MISSING:  # deleted meanwhile
                    raise

    def look(self, connection: Connection, study_id: int) -> None:
        """Something of this study was settled: see later whether its patient may go.

        So may a patient whose last study a corrected PatientID gave to another.
        """
        if not self._needed:
            return
        its = select(study.c.orthanc_patient_id).where(study.c.id == study_id)
        left = select(protection.c.orthanc_patient_id).where(
            ~exists().where(study.c.orthanc_patient_id == protection.c.orthanc_patient_id)
        )
        for patient in connection.execute(its.union(left)).scalars().all():
            self._tasks.schedule(
                connection,
                kind="unprotect",
                lane="storage",
                key=f"unprotect:{patient}",
                run_at=self._clock.now(),
                payload={"Patient": patient},
            )

    def __call__(self, claim: Claim) -> None:
        """The task: let go of a patient of whom nothing is owed."""
        patient = claim.payload["Patient"]
        with self._database.read() as connection:
            ours = connection.execute(select(protection).where(protection.c.orthanc_patient_id == patient)).first()
            free = ours is not None and not _is_owed(connection, patient)
        if free:
            try:
                self._orthanc.put_text(f"/patients/{patient}/protected", "0")
            except OrthancError as error:
                if error.status != MISSING:
                    raise
        with self._database.write() as connection:
            if free and not _is_owed(connection, patient):
                connection.execute(delete(protection).where(protection.c.orthanc_patient_id == patient))
                self._tasks.finish(connection, claim)
            elif free:  # an image arrived between the two looks
                self._tasks.retry(connection, claim, self._clock.now())
            else:
                self._tasks.finish(connection, claim)
        if free and self._is_owed_now(patient):
            self.protect({patient})

    def _is_owed_now(self, patient: str) -> bool:
        with self._database.read() as connection:
            return _is_owed(connection, patient)


def _is_owed(connection: Connection, patient: str) -> bool:
    """Whether a study of this patient is not decided yet, or a delivery of one is not at its destination."""
    unsettled = select(study.c.id).where(study.c.orthanc_patient_id == patient, study.c.state != StudyState.Routed)
    owed = (
        select(delivery.c.id)
        .join(study, study.c.id == delivery.c.study_id)
        .where(study.c.orthanc_patient_id == patient, delivery.c.state.in_(OWED))
    )
    return bool(connection.execute(select(exists(unsettled) | exists(owed))).scalar())
