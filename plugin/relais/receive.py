"""① Receive: Orthanc's change feed becomes studies, series and instances.

`/changes` is Orthanc's own durable log. It is read in batches from a cursor that is stored in the transaction of the
rows that the batch produced, so a crash anywhere repeats a batch and changes nothing. A batch costs four requests,
whatever its size.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, select, update

from relais.clock import Clock
from relais.database import Database, upsert
from relais.database.tables import feed, instance
from relais.errors import OrthancError
from relais.intake import Intake
from relais.orthanc import Orthanc
from relais.orthanc.changes import Batch, Stored, read_batch, read_study
from relais.tasks import Claim, Tasks

log = logging.getLogger(__name__)

NAME = "orthanc"
BATCH = 500
POLL = 2.0
"""Seconds between looks when nothing rings: other nodes of the same Orthanc database store instances too."""
REST = 0.5
"""Seconds of rest after a batch while a flow lasts, so that batches are few and Orthanc keeps its processor."""
HURRY = 0.1
"""The same where a destination receives images while others still arrive."""
LULL = 0.05
"""Seconds without a new instance that end a flow, and with it the rest."""


class Feed:
    """Reads the change feed; `ring` wakes it, its own thread does the work."""

    def __init__(
        self,
        *,
        database: Database,
        orthanc: Orthanc,
        clock: Clock,
        tasks: Tasks,
        intake: Intake,
        protect: Callable[[set[str]], None],
        received: Callable[[], None] = lambda: None,
        rest: float = REST,
    ) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock
        self._tasks = tasks
        self._intake = intake
        self._protect = protect
        self._received = received
        self._pause = rest
        self._bell = threading.Event()
        self._asked = threading.Event()
        self._rang_at = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.caught_up_at: datetime | None = None
        """The moment at which the feed last saw that nothing was left to read."""
        self.lag = 0
        """Changes that Orthanc has and the feed has not, when it last looked."""

    def ring(self) -> None:
        """Something was stored. Called from Orthanc's own thread: returns at once."""
        self._rang_at = self._clock.monotonic()
        self._bell.set()

    def look(self) -> None:
        """Somebody waits for the feed to catch up: look now, also in the middle of a rest."""
        self._asked.set()
        self._bell.set()

    def start(self) -> None:
        """Begin to read, from where the last process ended."""
        self._thread = threading.Thread(target=self._loop, name="relais-feed", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Stop reading."""
        self._stopping.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread is not None and self._thread.is_alive()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._bell.clear()
            self._asked.clear()
            try:
                batch = self.step()
                wait = POLL if batch.done and not batch.instances else 0.0
                if batch.done and batch.instances:
                    self._rest()
            except Exception:
                log.exception("the change feed could not be read; trying again")
                wait = POLL
            if wait:
                self._bell.wait(wait)

    def _rest(self) -> None:
        """Let a flow that lasts go on for a while, unless somebody waits for what it brought."""
        ends_at = self._clock.monotonic() + self._pause
        while self._clock.monotonic() < min(ends_at, self._rang_at + LULL) and not self._stopping.is_set():
            if self._asked.wait(LULL):
                return

    def step(self) -> Batch:
        """Read one batch and store what it says."""
        looked_at = self._clock.now()
        batch = self._read()
        if batch.last != batch.since:
            patients = {each["ParentPatient"] for each in batch.studies.values()}
            self._protect(patients)
            with self._database.write() as connection:
                self._store(connection, batch)
            self._protect(patients)  # again: only now is it known that something of theirs is owed
            self._received()
        self.lag = 0 if batch.done else max(0, int(self._orthanc.get("/changes?last")["Last"]) - batch.last)
        if batch.done:
            self.caught_up_at = looked_at
        return batch

    def _read(self) -> Batch:
        with self._database.read() as connection:
            row = connection.execute(select(feed).where(feed.c.name == NAME)).one_or_none()
        cursor, anchor = (row.cursor, row.anchor) if row is not None else (0, "")
        batch = read_batch(self._orthanc, cursor, anchor, BATCH)
        if batch.last < cursor:
            log.warning("Orthanc's change log is not the one that was read up to %d: reading it from its start", cursor)
        return replace(batch, contents=self._contents(batch.instances))

    def _contents(self, instances: Sequence[Stored]) -> dict[str, str]:
        """The MD5 of those that were known with another file: only these can have other content."""
        files = {each.orthanc_id: each.file for each in instances}
        with self._database.read() as connection:
            known = connection.execute(
                select(instance.c.orthanc_id, instance.c.file).where(instance.c.orthanc_id.in_(files))
            ).all()
        return {row.orthanc_id: self._md5(row.orthanc_id) for row in known if files[row.orthanc_id] != row.file}

    def _md5(self, orthanc_id: str) -> str:
        try:
            return self._orthanc.read(f"/instances/{orthanc_id}/attachments/dicom/md5").decode()
        except OrthancError:  # deleted meanwhile, or StoreMD5ForAttachments is false: counts as other content
            return ""

    def __call__(self, claim: Claim) -> None:
        """The task of a study that the database refused: try it again, whole."""
        batch = read_study(self._orthanc, claim.payload["OrthancStudy"])
        batch = replace(batch, contents=self._contents(batch.instances))
        with self._database.write() as connection:
            self._intake.store(connection, batch)
            self._tasks.finish(connection, claim)
        self._received()

    def _store(self, connection: Connection, batch: Batch) -> None:
        if self._advance(connection, batch, self._clock.now()):  # else another node stored this batch
            for orthanc_study in self._intake.store(connection, batch, apart=True):
                self._tasks.schedule(
                    connection,
                    kind="receive",
                    lane="studies",
                    key=f"receive:{orthanc_study}",
                    run_at=self._clock.now(),
                    payload={"OrthancStudy": orthanc_study},
                )

    def _advance(self, connection: Connection, batch: Batch, now: datetime) -> bool:
        if batch.since == 0:
            first = upsert(connection.dialect.name, feed).values(name=NAME, cursor=0, anchor="", seen_at=now)
            connection.execute(first.on_conflict_do_nothing())
        moved = connection.execute(
            update(feed)
            .where(feed.c.name == NAME, feed.c.cursor == batch.since)
            .values(cursor=batch.last, anchor=batch.anchor, seen_at=now)
        )
        return moved.rowcount == 1
