"""What Orthanc's own pages and scripts see of a match: a label on the study, and the CRM's id as metadata."""

from __future__ import annotations

from sqlalchemy import Connection, select

from relais.clock import Clock
from relais.database import Database
from relais.database.tables import study
from relais.domain.states import MatchState
from relais.errors import OrthancError
from relais.orthanc import Orthanc
from relais.tasks import Claim, Tasks

LABELS = {
    MatchState.Matched: "relais-matched",
    MatchState.Review: "relais-review",
    MatchState.Unmatched: "relais-unmatched",
}
METADATA = 4310
"""The number of the study's metadata that has the CRM's id; from 1024 on they are free for users."""
MISSING = 404


class Labels:
    """Tells Orthanc whose a study is, over loopback HTTP, after the transaction that made it so."""

    def __init__(self, *, database: Database, orthanc: Orthanc, clock: Clock, tasks: Tasks) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock
        self._tasks = tasks

    def ask(self, connection: Connection, study_id: int) -> None:
        """See to it that Orthanc is told what will be true after this transaction."""
        self._tasks.schedule(
            connection,
            kind="label",
            lane="storage",
            key=f"label:{study_id}",
            run_at=self._clock.now(),
            payload={"Study": study_id},
        )

    def __call__(self, claim: Claim) -> None:
        """The task: make label and metadata as the study's row says; nothing where the study is gone."""
        with self._database.read() as connection:
            row = connection.execute(select(study).where(study.c.id == claim.payload["Study"])).one_or_none()
        if row is not None:
            try:
                self._tell(f"/studies/{row.orthanc_id}", MatchState(row.match_state), row.crm_id)
            except OrthancError as error:
                if error.status != MISSING:  # deleted meanwhile
                    raise
        with self._database.write() as connection:
            self._tasks.finish(connection, claim)

    def _tell(self, path: str, state: MatchState, crm_id: str | None) -> None:
        found = self._orthanc.get(path)
        labels = found.get("Labels")
        if labels is not None:  # Orthanc 1.12.0 and later
            wanted = LABELS.get(state)
            for label in LABELS.values():
                if label in labels and label != wanted:
                    self._orthanc.delete(f"{path}/labels/{label}")
            if wanted is not None and wanted not in labels:
                self._orthanc.put_text(f"{path}/labels/{wanted}", "")
        place = f"{path}/metadata/{METADATA}"
        known = self._orthanc.get(f"{path}/metadata?expand").get(str(METADATA))
        if crm_id is not None and known != crm_id:
            self._orthanc.put_text(place, crm_id)
        elif crm_id is None and known is not None:
            self._orthanc.delete(place)
