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
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from relais.clock import Clock
from relais.configuration import Completeness
from relais.database import Database, inserted_id, upsert
from relais.database.listing import index, shown
from relais.database.tables import feed, instance, series, study, study_modality
from relais.domain.states import StudyState
from relais.errors import OrthancError
from relais.journal import Journal, Subject
from relais.orthanc import Orthanc
from relais.orthanc.changes import Batch, Stored, read_batch, text_of
from relais.tasks import Tasks

log = logging.getLogger(__name__)

NAME = "orthanc"
BATCH = 500
POLL = 2.0
"""Seconds between looks when nothing rings: other nodes of the same Orthanc database store instances too."""
REST = 0.5
"""Seconds of rest after a batch while a flow lasts, so that batches are few and Orthanc keeps its processor."""
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
        journal: Journal,
        completeness: Completeness,
        protect: Callable[[set[str]], None],
        received: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._orthanc = orthanc
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._completeness = completeness
        self._protect = protect
        self._received = received
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
        ends_at = self._clock.monotonic() + REST
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

    def _store(self, connection: Connection, batch: Batch) -> None:
        now = self._clock.now()
        if not self._advance(connection, batch, now):
            return  # another node stored this batch
        by_study: dict[str, list[Stored]] = {}
        for each in batch.instances:
            parent = batch.series.get(each.series_id)
            if parent is not None and parent["ParentStudy"] in batch.studies:
                by_study.setdefault(parent["ParentStudy"], []).append(each)
        # All of them before anything else is locked: whoever records an event of one of these studies holds its row
        # and waits for the audit chain, which this transaction keeps from its first event to its end.
        uids = [text_of(batch.studies[each]["MainDicomTags"].get("StudyInstanceUID")) for each in by_study]
        connection.execute(
            select(study.c.id).where(study.c.study_instance_uid.in_(uids)).order_by(study.c.id).with_for_update()
        ).all()
        for orthanc_id, instances in by_study.items():
            self._store_study(connection, batch, batch.studies[orthanc_id], instances, now)

    def _advance(self, connection: Connection, batch: Batch, now: datetime) -> bool:
        if batch.since == 0:
            first = upsert(connection, feed).values(name=NAME, cursor=0, anchor="", seen_at=now)
            connection.execute(first.on_conflict_do_nothing())
        moved = connection.execute(
            update(feed)
            .where(feed.c.name == NAME, feed.c.cursor == batch.since)
            .values(cursor=batch.last, anchor=batch.anchor, seen_at=now)
        )
        return moved.rowcount == 1

    def _store_study(
        self,
        connection: Connection,
        batch: Batch,
        resource: dict[str, Any],
        instances: Sequence[Stored],
        now: datetime,
    ) -> None:
        uid = text_of(resource["MainDicomTags"].get("StudyInstanceUID"))
        row = connection.execute(select(study).where(study.c.study_instance_uid == uid).with_for_update()).one_or_none()
        if row is None:
            study_id = self._insert_study(connection, uid, resource, instances[0], now)
            state, sequence = None, 0
        else:
            study_id, state, sequence = row.id, row.state, row.sequence
        series_ids = self._store_series(connection, study_id, [batch.series[each.series_id] for each in instances])
        fresh, changed, sequence = _store_instances(
            connection, study_id, series_ids, instances, batch.contents, sequence
        )
        if not fresh and not changed:
            return
        _count_series(connection, study_id)
        modalities = _store_modalities(connection, study_id)
        quiet_until = now + self._completeness.quiet(modalities)
        connection.execute(
            update(study)
            .where(study.c.id == study_id)
            .values(
                state=StudyState.Receiving,
                orthanc_id=resource["ID"],
                orthanc_patient_id=resource["ParentPatient"],
                instances=study.c.instances + fresh,
                sequence=sequence,
                changed_at=now,
                quiet_until=quiet_until,
                completed_at=None,
                modalities="\\".join(sorted(modalities)),
            )
        )
        subject = Subject(id=study_id, study_instance_uid=uid)
        if state is None:
            self._journal.record(connection, "study.received", subject=subject, Instances=fresh)
        elif state != StudyState.Receiving:
            self._journal.record(connection, "study.reopened", subject=subject, Added=fresh, Changed=changed)
        self._tasks.schedule(
            connection,
            kind="route",
            lane="studies",
            key=f"route:{study_id}",
            run_at=quiet_until,
            payload={"Study": study_id},
        )

    def _insert_study(
        self, connection: Connection, uid: str, resource: dict[str, Any], first: Stored, now: datetime
    ) -> int:
        tags = {
            key: text_of(value)
            for key, value in {**resource["PatientMainDicomTags"], **resource["MainDicomTags"]}.items()
        }
        result = connection.execute(
            insert(study).values(
                study_instance_uid=uid,
                orthanc_id=resource["ID"],
                orthanc_patient_id=resource["ParentPatient"],
                state=StudyState.Receiving,
                instances=0,
                sequence=0,
                received_at=now,
                changed_at=now,
                origin={
                    "CallingAet": text_of(first.metadata.get("RemoteAET")),
                    "CalledAet": text_of(first.metadata.get("CalledAET")),
                    "RemoteIp": text_of(first.metadata.get("RemoteIP")),
                    "Kind": text_of(first.metadata.get("Origin")),
                },
                match_state="Pending",
                modalities="",
                **shown(tags),
            )
        )
        study_id: int = inserted_id(result)
        index(connection, study_id, tags)
        return study_id

    def _store_series(
        self, connection: Connection, study_id: int, resources: Sequence[dict[str, Any]]
    ) -> dict[str, int]:
        """The series' rows, made where new; answers their ids by Orthanc id.

        A series is known by its UID: a corrected PatientID gives it another Orthanc id.
        """
        wanted = {each["ID"]: each for each in resources}
        known = {
            row.series_instance_uid: row
            for row in connection.execute(select(series).where(series.c.study_id == study_id))
        }
        ids: dict[str, int] = {}
        for orthanc_id, each in wanted.items():
            tags = each["MainDicomTags"]
            before = known.get(text_of(tags.get("SeriesInstanceUID")))
            if before is not None:
                ids[orthanc_id] = before.id
                if before.orthanc_id != orthanc_id:
                    connection.execute(update(series).where(series.c.id == before.id).values(orthanc_id=orthanc_id))
            else:
                result = connection.execute(
                    insert(series).values(
                        study_id=study_id,
                        series_instance_uid=text_of(tags.get("SeriesInstanceUID")),
                        orthanc_id=orthanc_id,
                        modality=text_of(tags.get("Modality")),
                        number=text_of(tags.get("SeriesNumber")),
                        description=text_of(tags.get("SeriesDescription")),
                        instances=0,
                    )
                )
                ids[orthanc_id] = inserted_id(result)
        return ids


def _store_instances(
    connection: Connection,
    study_id: int,
    series_ids: dict[str, int],
    instances: Sequence[Stored],
    contents: dict[str, str],
    sequence: int,
) -> tuple[int, int, int]:
    """New instances get the next sequence numbers, and so do those with other content.

    Answers how many are new, how many changed, and the highest number.
    """
    known = {
        row.sop_instance_uid: row
        for row in connection.execute(
            select(instance).where(
                instance.c.study_id == study_id,
                instance.c.sop_instance_uid.in_([each.sop_instance_uid for each in instances]),
            )
        )
    }
    new: dict[str, dict[str, object]] = {}  # the last of a SOPInstanceUID counts
    changed = 0
    for each in instances:
        before = known.get(each.sop_instance_uid)
        if before is None:
            sequence += 1
            new[each.sop_instance_uid] = {
                "study_id": study_id,
                "series_id": series_ids[each.series_id],
                "sop_instance_uid": each.sop_instance_uid,
                "orthanc_id": each.orthanc_id,
                "sequence": sequence,
                "file": each.file,
                "bytes": each.bytes,
            }
        elif before.file != each.file:
            content = contents.get(each.orthanc_id, "")
            same = bool(content) and before.content == content
            sequence += not same
            changed += not same
            connection.execute(
                update(instance)
                .where(instance.c.id == before.id)
                .values(
                    orthanc_id=each.orthanc_id,
                    series_id=series_ids[each.series_id],
                    file=each.file,
                    content=content,
                    bytes=each.bytes,
                    sequence=before.sequence if same else sequence,
                )
            )
    if new:
        connection.execute(insert(instance), list(new.values()))
    return len(new), changed, sequence


def _count_series(connection: Connection, study_id: int) -> None:
    counts = connection.execute(
        select(instance.c.series_id, func.count()).where(instance.c.study_id == study_id).group_by(instance.c.series_id)
    ).all()
    connection.execute(
        update(series).where(series.c.id == bindparam("row")).values(instances=bindparam("counted")),
        [{"row": row[0], "counted": row[1]} for row in counts],
    )


def _store_modalities(connection: Connection, study_id: int) -> set[str]:
    """Note the study's modalities for lists; answers them."""
    found = set(
        connection.execute(select(series.c.modality).where(series.c.study_id == study_id).distinct()).scalars()
    ) - {""}
    known = set(
        connection.execute(select(study_modality.c.modality).where(study_modality.c.study_id == study_id)).scalars()
    )
    if found - known:
        connection.execute(
            insert(study_modality),
            [{"modality": each, "study_id": study_id} for each in sorted(found - known)],
        )
    return found
