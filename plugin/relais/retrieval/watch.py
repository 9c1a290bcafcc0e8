"""Watches: a source is asked again and again what is new there, or has changed.

It is asked by StudyDate alone, with days that overlap, and everything else is looked at here: archives match modalities
and institutions wrongly, or not at all. What was seen is remembered in the transaction that imports or announces it, so
that a study is seen once, however often the poll that found it is repeated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.configuration.sources import Then, Watch
from relais.database import Database, upsert
from relais.database.retrieval_tables import retrieval, sighting, study_import, watch, watch_poll
from relais.database.tables import task
from relais.domain.priority import Priority
from relais.domain.querying import Answer, Level
from relais.domain.retry import Backoff, ErrorClass
from relais.domain.sightings import Sighting, digest, judge, span
from relais.domain.states import Cause, RetrievalState
from relais.errors import UnknownError
from relais.journal import Journal
from relais.retrieval.imports import Order, StudyImports, Wanted
from relais.tasks import Claim, Tasks
from relais.transports.sources.port import AskingError, Source
from relais.transports.sources.windows import find_all
from relais.worker import StoppingError

KIND = "watch"
LANE = "watch:"
AT_ONCE = 200
"""Studies that one transaction takes."""
MOST = 100_000
"""Studies of one poll."""
SECONDS = 900.0
"""How long a poll may take."""
REMEMBERED = timedelta(days=90)
"""How long a study is remembered that the source no longer names, and a poll that found something."""
FRESHEN = timedelta(days=1)
LONGEST_BACKOFF = timedelta(hours=1)
LONGEST_TEXT = 500
WARNINGS = frozenset({"broken-uids", "untimed"})
"""Codes of what a person should know of a poll that saw all that could be seen."""

KEYS = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "ModalitiesInStudy", "NumberOfStudyRelatedInstances"),
    *("NumberOfStudyRelatedSeries", "AccessionNumber", "PatientID", "PatientName", "PatientBirthDate"),
    *("StudyDescription",),
)
INSTITUTION = "InstitutionName"


@dataclass(kw_only=True)
class Tally:
    """What a poll found."""

    answered: int = 0
    fresh: int = 0
    changed: int = 0
    skipped: int = 0
    unclear: int = 0
    import_id: int | None = None
    error: dict[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A study that is new, or otherwise than it was."""

    uid: str
    digest: str
    changed: bool
    sighting: Sighting
    answer: Answer = field(repr=False)


class Watches:
    """Runs the task `watch` of each watch, for ever."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        imports: StudyImports,
        sources: Mapping[str, Source],
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._watches = configuration.watches
        self._imports = imports
        self._sources = sources
        self._stopping = stopping

    def schedule(self) -> None:
        """At start: each watch polls when its time has come; those that are no longer configured do not."""
        now = self._clock.now()
        with self._database.write() as connection:
            polled = {row.name: row.polled_at for row in connection.execute(select(watch))}
            for name, each in self._watches.items():
                self._plan(connection, name, max(now, polled[name] + each.every) if name in polled else now)
            kept = [LANE + name for name in self._watches]
            connection.execute(delete(task).where(task.c.kind == KIND, task.c.lane.not_in(kept)))

    def poll(self, name: str, *, actor: str, reason: str) -> None:
        """Poll now; raises UnknownError."""
        if name not in self._watches:
            raise UnknownError("watch", name)
        with self._database.write() as connection:
            self._plan(connection, name, self._clock.now())
            self._journal.record(connection, "watch.asked", actor=actor, Watch=name, Reason=reason)

    def __call__(self, claim: Claim) -> None:
        """The task: one poll, and the next one planned."""
        name = claim.payload["Watch"]
        wanted = self._watches.get(name)
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            row = connection.execute(select(watch).where(watch.c.name == name)).one_or_none()
            if wanted is None:
                self._tasks.finish(connection, claim)
                return
        begun, started, tally = self._clock.now(), time.monotonic(), Tally()
        first, last = span(
            begun, wanted.days, timedelta(minutes=wanted.overlap), None if row is None else row.succeeded_at
        )
        answers: dict[str, Answer] = {}
        source = self._sources[wanted.source]
        try:
            ended = find_all(
                source,
                dict.fromkeys(_keys(wanted), ""),
                first,
                last,
                limit=MOST,
                seconds=SECONDS,
                stopping=self._stopping,
                take=lambda answer: answers.update({answer["StudyInstanceUID"]: answer}),
            )
            tally.answered = len(answers)
            uids = sorted(answers)
            for place in range(0, len(uids), AT_ONCE):
                several = {uid: answers[uid] for uid in uids[place : place + AT_ONCE]}
                self._take(claim, name, wanted, source, several, tally)
        except AskingError as error:
            tally.error = _words(error.error_class, error.code, error.text)
        except InterruptedError:
            raise StoppingError from None
        else:
            if ended.only_untimed:
                tally.error = _words(ErrorClass.Permanent, "untimed", "studies without a time may be cut off")
            elif ended.truncated:
                tally.error = _words(ErrorClass.Permanent, "truncated", "the source cuts what it answers")
            elif ended.dropped:
                tally.error = _words(ErrorClass.Permanent, "broken-uids", str(ended.dropped))
        complete = tally.error is None or tally.error["Code"] in WARNINGS
        milliseconds = round((time.monotonic() - started) * 1000)
        self._end(claim, name, wanted, begun, milliseconds, tally, complete=complete)

    # --- what was answered --------------------------------------------------------------------------------------------

    def _take(
        self, claim: Claim, name: str, wanted: Watch, source: Source, answers: Mapping[str, Answer], tally: Tally
    ) -> None:
        """Import or announce what is new among these; one transaction."""
        mine = sighting.c.watch == name
        with self._database.read() as connection:
            rows = connection.execute(select(sighting).where(mine, sighting.c.study_instance_uid.in_(answers))).all()
        known = {row.study_instance_uid: row for row in rows}
        now = self._clock.now()
        news: list[Seen] = []
        for uid, answer in answers.items():
            if self._stopping.is_set():
                raise InterruptedError
            told = digest(answer, _keys(wanted))
            if uid not in known or known[uid].digest != told:
                found = self._judge(wanted, source, uid, answer)
                news.append(Seen(uid=uid, digest=told, changed=uid in known, sighting=found, answer=answer))
        stale = [uid for uid, row in known.items() if row.last_at < now - FRESHEN]
        if not news and not stale:
            return
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            if stale:
                connection.execute(
                    update(sighting).where(mine, sighting.c.study_instance_uid.in_(stale)).values(last_at=now)
                )
            for each in news:
                self._remember(connection, name, each, now)
            tally.import_id = self._act(connection, name, wanted, news) or tally.import_id
        tally.fresh += sum(not each.changed for each in news)
        tally.changed += sum(each.changed for each in news)
        tally.skipped += sum(each.sighting is Sighting.Other for each in news)
        tally.unclear += sum(each.sighting is Sighting.Unclear for each in news)

    def _act(self, connection: Connection, name: str, wanted: Watch, news: Sequence[Seen]) -> int | None:
        """Import what is wanted, or tell of it; tell of what is unclear, for a person."""
        imports = wanted.then is Then.Import
        for each in news:
            if each.sighting is Sighting.Unclear or (each.sighting is Sighting.Wanted and not imports):
                self._journal.record(
                    connection,
                    "study.announced",
                    StudyInstanceUID=each.uid,
                    Watch=name,
                    Source=wanted.source,
                    Changed=each.changed,
                    Unclear=each.sighting is Sighting.Unclear,
                )
        if not imports:
            return None
        uids = [each.uid for each in news if each.sighting is Sighting.Wanted]
        waiting = set(
            connection.execute(
                select(retrieval.c.study_instance_uid)
                .join(study_import, study_import.c.id == retrieval.c.import_id)
                .where(
                    retrieval.c.study_instance_uid.in_(uids),
                    retrieval.c.state == RetrievalState.Scheduled,
                    retrieval.c.listed_at.is_(None),
                    study_import.c.source == wanted.source,
                )
            ).scalars()
        )
        fetch = [Wanted(study=uid) for uid in uids if uid not in waiting]
        if not fetch:
            return None
        order = Order(
            source=wanted.source,
            wanted=fetch,
            actor="relais",
            cause=Cause.Watch,
            cause_id=name,
            route=wanted.route,
            priority=Priority.Routine,
        )
        return self._imports.add(connection, order)

    def _judge(self, wanted: Watch, source: Source, uid: str, answer: Answer) -> Sighting:
        """Whether the watch looks for the study; its series are asked where the study does not tell."""
        modalities, institutions = _values(answer, "ModalitiesInStudy"), _values(answer, INSTITUTION)
        found = judge(modalities, institutions, wanted=wanted.modalities, names=wanted.institution_names)
        if found is not Sighting.Unclear:
            return found
        series: list[Answer] = []
        keys = {"StudyInstanceUID": uid, "SeriesInstanceUID": "", "Modality": "", INSTITUTION: ""}
        source.find(Level.Series, keys, limit=1_000, seconds=SECONDS, stopping=self._stopping, take=series.append)
        return judge(
            modalities or [each.get("Modality", "") for each in series],
            institutions or [each.get(INSTITUTION, "") for each in series],
            wanted=wanted.modalities,
            names=wanted.institution_names,
        )

    def _remember(self, connection: Connection, name: str, each: Seen, now: datetime) -> None:
        statement = upsert(connection.dialect.name, sighting).values(
            watch=name,
            study_instance_uid=each.uid,
            digest=each.digest,
            first_at=now,
            changed_at=now,
            last_at=now,
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["watch", "study_instance_uid"],
                set_={"digest": each.digest, "changed_at": now, "last_at": now},
            )
        )

    def _end(
        self,
        claim: Claim,
        name: str,
        wanted: Watch,
        begun: datetime,
        milliseconds: int,
        tally: Tally,
        *,
        complete: bool,
    ) -> None:
        """Write what the poll found, and plan the next one."""
        now = self._clock.now()
        with self._database.write() as connection:
            self._tasks.check(connection, claim)
            before = connection.execute(select(watch).where(watch.c.name == name)).one_or_none()
            failures = 0 if complete else (before.failures if before is not None else 0) + 1
            values: dict[str, Any] = {"polled_at": begun, "failures": failures, "error": tally.error}
            if complete:
                values["succeeded_at"] = begun
            connection.execute(
                upsert(connection.dialect.name, watch)
                .values(name=name, **values)
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )
            again = before is not None and before.error is not None and tally.error is not None
            if tally.fresh or tally.changed or (tally.error is not None and not again):
                found = {each: getattr(tally, each) for each in Tally.__dataclass_fields__}
                connection.execute(insert(watch_poll).values(watch=name, at=begun, milliseconds=milliseconds, **found))
                connection.execute(
                    delete(watch_poll).where(watch_poll.c.watch == name, watch_poll.c.at < now - REMEMBERED)
                )
                old = now - REMEMBERED - timedelta(days=wanted.days)
                connection.execute(delete(sighting).where(sighting.c.watch == name, sighting.c.last_at < old))
            if complete or (tally.error or {}).get("Code") == "truncated":  # to ask more rarely finds no more
                self._tasks.retry(connection, claim, max(now, begun + wanted.every))
            else:
                backoff = Backoff(first=wanted.every, maximum=max(wanted.every, LONGEST_BACKOFF))
                wait = backoff.bound(min(failures, 20))
                self._tasks.retry(connection, claim, now + wait, (tally.error or {}).get("Code"))

    def _plan(self, connection: Connection, name: str, run_at: datetime) -> None:
        self._tasks.schedule(
            connection, kind=KIND, lane=LANE + name, key=f"{KIND}:{name}", run_at=run_at, payload={"Watch": name}
        )


def _keys(wanted: Watch) -> tuple[str, ...]:
    """What is asked: strict archives refuse keys that they need not know, so the institution only where it counts."""
    return (*KEYS, INSTITUTION) if wanted.institution_names else KEYS


def _values(answer: Answer, key: str) -> list[str]:
    return [each.strip() for each in answer.get(key, "").split("\\") if each.strip()]


def _words(error_class: ErrorClass, code: str, text: str) -> dict[str, str]:
    return {"Class": error_class.value, "Code": code, "Text": text[:LONGEST_TEXT]}
