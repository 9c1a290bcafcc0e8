"""Digests: what each image's file is, so that the same image sent again is known to be the same.

Only an Orthanc that overwrites instances tells of an image that was sent again, and it keeps no trace of the file that
was there before. So the MD5 of each file is asked for once its study is complete, when nothing is urgent.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from relais.clock import Clock
from relais.database import Database, queries
from relais.database.tables import instance
from relais.domain.priority import Priority
from relais.errors import OrthancError
from relais.orthanc import Orthanc
from relais.tasks import Claim, Tasks
from relais.worker import StoppingError

DIGESTS = "digests"
"""Their lane."""
AT_ONCE = 100
PATIENCE = 10.0
"""Seconds that each hundred waits at most for what is on its way: there may always be something."""
LOOK = 0.5


def overwrites(orthanc_configuration: Mapping[str, Any]) -> bool:
    """Whether this Orthanc replaces an instance that is sent again."""
    return str(orthanc_configuration.get("OverwriteInstances", False)) in ("True", "Always", "IfChanged")


class Digests:
    """Runs the task `digest` of a study."""

    def __init__(
        self,
        *,
        database: Database,
        orthanc: Orthanc,
        clock: Clock,
        tasks: Tasks,
        needed: bool,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock
        self._tasks = tasks
        self._needed = needed
        self._stopping = stopping

    def ask(self, connection: Connection, study_id: int) -> None:
        """The study is complete: learn its digests later."""
        if self._needed:
            self._tasks.schedule(
                connection,
                kind="digest",
                lane=DIGESTS,
                key=f"digest:{study_id}",
                run_at=self._clock.now(),
                priority=Priority.Background,
                payload={"Study": study_id},
            )

    def __call__(self, claim: Claim) -> None:
        """The task: so many images at once, until all are known."""
        self._let_pass()
        unknown = select(instance).where(instance.c.study_id == claim.payload["Study"], instance.c.content.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(unknown.order_by(instance.c.sequence).limit(AT_ONCE)).all()
        found = self._read(rows)
        with self._database.write() as connection:
            if found:
                connection.execute(_KNOWN, found)
            if len(rows) == AT_ONCE and found:
                self._tasks.retry(connection, claim, self._clock.now())
            else:
                self._tasks.finish(connection, claim)

    def _let_pass(self) -> None:
        """Wait while something is fetched or delivered: the whole way of an image is more urgent."""
        waits_until = self._clock.monotonic() + PATIENCE
        while self._clock.monotonic() < waits_until:
            with self._database.read() as connection:
                if not queries.tasks.run(connection, ("retrieve", "deliver")):
                    return
            if self._stopping.wait(LOOK):
                raise StoppingError

    def _read(self, rows: list[Row[Any]] | Any) -> list[dict[str, object]]:
        digests = {row.orthanc_id: self._digest(row.orthanc_id) for row in rows}
        # Asked afterwards: a file that is still the one of our row was so when its digest was read.
        files = {each["ID"]: each["FileUuid"] for each in self._orthanc.bulk(sorted(digests))} if digests else {}
        return [
            {"row": row.id, "its_file": row.file, "digest": digests[row.orthanc_id]}
            for row in rows
            if files.get(row.orthanc_id) == row.file and digests[row.orthanc_id]
        ]

    def _digest(self, orthanc_id: str) -> str:
        try:
            return self._orthanc.read(f"/instances/{orthanc_id}/attachments/dicom/md5").decode()
        except OrthancError:  # deleted meanwhile, or StoreMD5ForAttachments is false
            return ""


_KNOWN = (
    update(instance)
    .where(instance.c.id == bindparam("row"), instance.c.file == bindparam("its_file"))
    .values(content=bindparam("digest"))
)
