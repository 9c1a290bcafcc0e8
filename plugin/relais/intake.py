"""Writes what a batch of changes says: the rows of its studies, series and instances, and what follows from them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError

from relais.clock import Clock
from relais.configuration import Completeness
from relais.database import inserted_id
from relais.database.listing import index, shown
from relais.database.tables import delivery, instance, series, study, study_modality
from relais.domain.clinics import Clinic, UnknownSender, resolve_clinic
from relais.domain.completeness import completion
from relais.domain.facts import Origin
from relais.domain.priority import Priority
from relais.domain.states import DeliveryState, StudyState
from relais.journal import Journal, Subject
from relais.lanes import DESTINATION
from relais.orthanc.changes import Batch, Stored, text_of
from relais.retrieval import arrivals
from relais.retrieval.arrivals import Fetched
from relais.tasks import Tasks

log = logging.getLogger(__name__)

LULL = timedelta(seconds=1)
"""How long a new study's first images are left alone at most: who sends, and Orthanc, need the processor then."""
NO_CLINICS: Mapping[str, Clinic] = {}


class Intake:
    """Stores batches, within the caller's transaction."""

    def __init__(
        self,
        *,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        completeness: Completeness,
        clinics: Mapping[str, Clinic] = NO_CLINICS,
        unknown: UnknownSender | None = None,
        streams: Collection[str] = (),
    ) -> None:
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._completeness = completeness
        self._clinics = clinics
        self._unknown = unknown
        self._own_times = any(each.defaults.quiet is not None for each in clinics.values())
        self._streams = streams  # destinations that receive while a study still arrives

    def store(self, connection: Connection, batch: Batch, *, apart: bool = False) -> list[str]:
        """Store every study of the batch.

        With `apart`, a study whose rows the database refuses leaves the others alone; the Orthanc ids of the refused
        are the answer. Else the database's error is raised.
        """
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
        now = self._clock.now()
        fetched = arrivals.fetched(connection, uids, now)
        refused: list[str] = []
        for orthanc_id, instances in by_study.items():
            resource = batch.studies[orthanc_id]
            from_source = fetched.get(text_of(resource["MainDicomTags"].get("StudyInstanceUID")))
            try:
                with connection.begin_nested():
                    self._store_study(connection, batch, resource, instances, now, from_source)
                    if from_source is not None:
                        arrivals.note(connection, from_source, [each.sop_instance_uid for each in instances], now)
            except (DataError, IntegrityError):
                if not apart:
                    raise
                log.exception("Orthanc's study %s was set apart: the database refuses its rows", orthanc_id)
                refused.append(orthanc_id)
        return refused

    def _store_study(
        self,
        connection: Connection,
        batch: Batch,
        resource: dict[str, Any],
        instances: Sequence[Stored],
        now: datetime,
        fetched: Fetched | None,
    ) -> None:
        uid = text_of(resource["MainDicomTags"].get("StudyInstanceUID"))
        row = connection.execute(_STUDY, {"uid": uid}).one_or_none()
        if row is None:
            origin = _origin(instances[0]) | ({} if fetched is None else fetched.origin)
            study_id = self._insert_study(connection, uid, resource, origin, now)
            state, sequence = None, 0
        else:
            origin, study_id, state, sequence = row.origin, row.id, row.state, row.sequence
            if origin.get("Route") is False and (fetched is None or fetched.route):
                # It was only to be kept, and now images come that are to be delivered.
                origin = {key: value for key, value in origin.items() if key != "Route"}
        series_ids, grew = self._store_series(
            connection, study_id, [batch.series[each.series_id] for each in instances]
        )
        fresh, changed, sequence = _store_instances(
            connection, study_id, series_ids, instances, batch.contents, sequence
        )
        if not fresh and not changed:
            return
        connection.execute(_COUNT_SERIES, {"of_study": study_id})
        modalities = set(row.modalities.split("\\")) if row and not grew else _modalities(connection, study_id)
        receiving = row is not None and row.state == StudyState.Receiving
        expected = fetched.expected if fetched is not None and fetched.expected else row.expected if row else None
        since = row.receiving_since if row is not None and receiving and row.receiving_since else now
        quiet_until, why = completion(
            self._completeness.patience(modalities, self._quiet(origin, resource)),
            now=now,
            since=since,
            instances=fresh + (row.instances if row is not None else 0),
            expected=expected,
        )
        connection.execute(
            _STUDY_GREW,
            {
                "of_study": study_id,
                "orthanc_study": resource["ID"],
                "orthanc_patient": resource["ParentPatient"],
                "fresh": fresh,
                "highest": sequence,
                "now": now,
                "quiet": quiet_until,
                "since": since,
                "why": why.value,
                "found": "\\".join(sorted(modalities)),
                "coming": expected,
                "begins": origin,
            },
        )
        subject = Subject(id=study_id, study_instance_uid=uid)
        if state is None:
            self._journal.record(connection, "study.received", subject=subject, Instances=fresh)
        elif state != StudyState.Receiving:
            self._journal.record(connection, "study.reopened", subject=subject, Added=fresh, Changed=changed)
        self._schedule(connection, "route", study_id, quiet_until)
        if row is None:
            # Where nobody receives while it arrives, it can wait to be known how many images it will have.
            begins = now if self._streams else now + min(LULL, (quiet_until - now) / 2)
            self._schedule(connection, "begin", study_id, begins)
        elif self._streams:
            self._stream(connection, study_id, now)

    def _quiet(self, origin: Mapping[str, Any], resource: dict[str, Any]) -> timedelta | None:
        """The quiet time that the study's clinic has of its own."""
        if not self._own_times:
            return None
        sender = Origin(calling_aet=origin["CallingAet"], called_aet=origin["CalledAet"], remote_ip=origin["RemoteIp"])
        names = [text_of(resource["MainDicomTags"].get("InstitutionName"))]
        clinic = resolve_clinic(sender, names, self._clinics, self._unknown).clinic
        return self._clinics[clinic].defaults.quiet if clinic else None

    def _schedule(self, connection: Connection, kind: str, study_id: int, run_at: datetime) -> None:
        self._tasks.schedule(
            connection,
            kind=kind,
            lane="studies",
            key=f"{kind}:{study_id}",
            run_at=run_at,
            payload={"Study": study_id},
        )

    def _stream(self, connection: Connection, study_id: int, now: datetime) -> None:
        """Those who receive while images arrive go on with these."""
        rows = connection.execute(
            select(delivery.c.id, delivery.c.destination, delivery.c.priority, delivery.c.attempts).where(
                delivery.c.study_id == study_id,
                delivery.c.destination.in_(self._streams),
                delivery.c.state == DeliveryState.InProgress,
            )
        )
        for row in rows:
            self._tasks.schedule(
                connection,
                kind="deliver",
                lane=DESTINATION + row.destination,
                key=f"deliver:{row.id}",
                run_at=now,
                priority=Priority(row.priority),
                payload={"Delivery": row.id},
            )

    def _insert_study(
        self, connection: Connection, uid: str, resource: dict[str, Any], origin: Mapping[str, Any], now: datetime
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
                origin=dict(origin),
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
    ) -> tuple[dict[str, int], bool]:
        """The series' rows, made where new; answers their ids by Orthanc id, and whether any is new.

        A series is known by its UID: a corrected PatientID gives it another Orthanc id.
        """
        wanted = {each["ID"]: each for each in resources}
        known = {row.series_instance_uid: row for row in connection.execute(_SERIES, {"of_study": study_id})}
        ids: dict[str, int] = {}
        grew = False
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
                grew = True
        return ids, grew


def _origin(first: Stored) -> dict[str, Any]:
    """Where a study comes from, as its first image says."""
    return {
        "CallingAet": text_of(first.metadata.get("RemoteAET")),
        "CalledAet": text_of(first.metadata.get("CalledAET")),
        "RemoteIp": text_of(first.metadata.get("RemoteIP")),
        "Kind": text_of(first.metadata.get("Origin")),
    }


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
            _KNOWN, {"of_study": study_id, "uids": [each.sop_instance_uid for each in instances]}
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
                "sop_class_uid": text_of(each.metadata.get("SopClassUid")) or None,
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
        connection.execute(_NEW_INSTANCES, list(new.values()))
    return len(new), changed, sequence


def _modalities(connection: Connection, study_id: int) -> set[str]:
    """The study's modalities, noted for the lists' filter."""
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


# What every batch asks of every study is built once: building a statement costs more than running it.
_STUDY = select(study).where(study.c.study_instance_uid == bindparam("uid")).with_for_update()
_STUDY_GREW = (
    update(study)
    .where(study.c.id == bindparam("of_study"))
    .values(
        state=StudyState.Receiving,
        orthanc_id=bindparam("orthanc_study"),
        orthanc_patient_id=bindparam("orthanc_patient"),
        instances=study.c.instances + bindparam("fresh"),
        sequence=bindparam("highest"),
        changed_at=bindparam("now"),
        quiet_until=bindparam("quiet"),
        receiving_since=bindparam("since"),
        completed_by=bindparam("why"),
        completed_at=None,
        modalities=bindparam("found"),
        expected=bindparam("coming"),
        origin=bindparam("begins"),
    )
)
_SERIES = select(series).where(series.c.study_id == bindparam("of_study"))
_COUNT_SERIES = (
    update(series)
    .where(series.c.study_id == bindparam("of_study"))
    .values(
        instances=select(func.count()).where(instance.c.series_id == series.c.id).correlate(series).scalar_subquery()
    )
)
_KNOWN = select(instance).where(
    instance.c.study_id == bindparam("of_study"),
    instance.c.sop_instance_uid.in_(bindparam("uids", expanding=True)),
)
_NEW_INSTANCES = insert(instance)
