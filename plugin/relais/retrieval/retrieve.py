"""Fetches one study, or a series of it, from a source until every instance that the source has is here.

The source is asked for the list of its SOP instances, which is kept. Then it is told to send what is missing: the
whole, next time the series that lack something, then image by image. After each round the feed is waited for, and each
expected instance is accounted for (`proof`): the status of a C-MOVE or C-GET proves nothing. All of it is in rows, so
that a kill anywhere repeats a step and loses nothing.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, queries
from relais.database.retrieval_tables import expected_instance, retrieval, study_import
from relais.database.tables import lane, study
from relais.domain.retry import Backoff, ErrorClass
from relais.domain.states import FETCHING, RETRIEVAL, Cause, RetrievalState, sources_of
from relais.domain.windows import next_open
from relais.errors import OrthancError, OrthancUnavailableError
from relais.lanes import Lanes
from relais.receive import Feed
from relais.retrieval.imports import StudyImports
from relais.retrieval.proof import Account, Proof
from relais.retrieval.rounds import Interruption, ListError, Trouble, expect, portions, sound
from relais.tasks import Claim, Tasks
from relais.transports.sources.port import AskingError, Listed, Source
from relais.turns import Turn, Turns
from relais.worker import StoppingError

log = logging.getLogger(__name__)

NOT_YET = 0.02
ATTEMPTS = 10
"""So often in a row nothing may come of what is missing before a person must look."""
FEW = 3
"""So often a source may say that it has nothing of the study, or refuse how it is asked: A801 may pass, too."""
GIVE_UP = timedelta(hours=24)
"""How long a source may be out of reach, or take nobody."""
BACKOFF = Backoff(first=timedelta(seconds=0.5), maximum=timedelta(minutes=10))


class Retrieve:
    """Runs the `retrieve` tasks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        lanes: Lanes,
        feed: Feed,
        configuration: Configuration,
        imports: StudyImports,
        proof: Proof,
        turns: Turns,
        stopping: threading.Event,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._lanes = lanes
        self._feed = feed
        self._configuration = configuration
        self._imports = imports
        self._proof = proof
        self._sources = imports.sources
        self._turns = turns
        self._stopping = stopping

    def __call__(self, claim: Claim) -> None:
        """The task: list, fetch what is missing, account for it; put off, or ended, in one transaction.

        While one is fetched, the next one's list is asked for, so that the source need not wait between two.
        """
        row = self._begin(claim)
        if row is not None:
            with self._turns.queue(claim) as turn:
                self._round(claim, row, turn)

    def _round(self, claim: Claim, row: Row[Any], turn: Turn) -> None:
        stop = Interruption(self._stopping, self._imports.canceled, row.import_id)
        source = self._sources[row.source]
        warnings: list[dict[str, Any]] = []
        trouble: Trouble | None = None
        begun = self._clock.now()
        account: Account | None = None
        try:
            if row.listed_at is None:
                self._list(row, source.instances(row.study_instance_uid, row.series_instance_uid, stopping=stop))
            account = self._proof.account(row.id)
            if not account.complete:
                if account.here:
                    self._note(row, account)
                with turn.take() as waited:
                    if waited and self._is_passed(claim):
                        self._put_off(claim, row)
                        return
                    begun = self._clock.now()
                    trouble = self._fetch(row, source, account, warnings, stop)
                turn.leave()
                self._await_feed(stop)
                account = self._proof.account(row.id)
        except AskingError as error:
            trouble = Trouble.of(error)
        except ListError as error:
            trouble = error.trouble
        except (OrthancError, OrthancUnavailableError) as error:
            trouble = Trouble(error_class=ErrorClass.Transient, code="orthanc", text=str(error))
        except InterruptedError:
            if self._stopping.is_set():
                raise StoppingError from None
        self._conclude(claim, row, account, trouble, warnings, begun)

    # --- beginning ----------------------------------------------------------------------------------------------------

    def _begin(self, claim: Claim) -> Row[Any] | None:
        """The retrieval with its import's columns, in progress; None where it is put off, or over."""
        now = self._clock.now()
        with self._database.write() as connection:
            row = self._locked(connection, claim.payload["Retrieval"])
            if row.state not in FETCHING:
                self._tasks.finish(connection, claim)
                return None
            source = self._configuration.sources.get(row.source)
            if source is None or row.source not in self._sources:
                self._end(connection, row, RetrievalState.InProgress)
                missing = Trouble(error_class=ErrorClass.Configuration, code="no-source", text=row.source)
                self._fail(connection, claim, row, missing)
                return None
            opens = self._opens(connection, claim, row, now)
            if opens > now:
                connection.execute(update(retrieval).where(retrieval.c.id == row.id).values(next_at=opens))
                self._tasks.retry(connection, claim, opens)
                return None
            self._tasks.check(connection, claim)
            self._end(connection, row, RetrievalState.InProgress, started_at=row.started_at or now, next_at=None)
        return row

    def _opens(self, connection: Connection, claim: Claim, row: Row[Any], now: datetime) -> datetime:
        """When it may begin: in a window, at the rate that is agreed, and not beside another of its study."""
        source = self._configuration.sources[row.source]
        clinic = self._configuration.clinics.get(source.clinic) if source.clinic else None
        windows = () if row.cause == Cause.Person else source.windows
        opens = next_open(windows, clinic.time_zone if clinic else "UTC", now)
        if opens > now:
            return opens
        beside = select(retrieval.c.id).where(
            retrieval.c.study_instance_uid == row.study_instance_uid,
            retrieval.c.state == RetrievalState.InProgress,
            retrieval.c.started_at > now - GIVE_UP,
            retrieval.c.id < row.id,
        )
        if connection.execute(beside.limit(1)).first() is not None:
            return now + timedelta(seconds=1)
        if row.started_at is None and source.studies_per_hour:
            starts = self._lanes.reserve(connection, claim.lane, 3600 / source.studies_per_hour, timedelta())
            return starts if starts > self._clock.now() else now
        return now

    def _is_passed(self, claim: Claim) -> bool:
        """Whether something more urgent came while it waited for its turn, or the source failed, or was paused."""
        with self._database.read() as connection:
            gate = connection.execute(select(lane).where(lane.c.name == claim.lane)).one_or_none()
            shut = gate is not None and (gate.paused_at is not None or gate.failures > 0)
            return shut or queries.tasks.is_passed(connection, claim.id, self._clock.now())

    def _put_off(self, claim: Claim, before: Row[Any]) -> None:
        """Back to the table: what is more urgent goes first."""
        with self._database.write() as connection:
            row = self._locked(connection, before.id)
            if row.state != RetrievalState.InProgress:
                self._tasks.finish(connection, claim)
                return
            self._end(connection, row, RetrievalState.Scheduled)
            self._tasks.retry(connection, claim, self._clock.now())

    def _list(self, row: Row[Any], listed: Listed) -> None:
        """Keep what the source has."""
        wanted = sound(listed)
        with self._database.write() as connection:
            connection.execute(select(retrieval.c.id).where(retrieval.c.id == row.id).with_for_update())
            expect(connection, row.id, wanted, self._clock.now())

    # --- fetching -----------------------------------------------------------------------------------------------------

    def _fetch(
        self, row: Row[Any], source: Source, account: Account, warnings: list[dict[str, Any]], stop: Interruption
    ) -> Trouble | None:
        """Tell the source to send what is missing; answers why not all of it came, as the source says."""
        trouble: Trouble | None = None
        for series, instances in portions(row, account):
            if stop.is_set():
                raise InterruptedError
            try:
                told = source.retrieve(
                    row.study_instance_uid, series, instances, progress=lambda _done, _total: None, stopping=stop
                )
            except AskingError as error:
                trouble = Trouble.of(error)
                self._blame(row, instances, trouble)
                if trouble.unreachable or trouble.error_class is ErrorClass.Configuration:
                    return trouble
                continue
            if told.failed > 0 or told.warnings > 0:
                words = {"Code": told.status, "Failed": max(told.failed, 0), "Warnings": max(told.warnings, 0)}
                warnings.append(words)
            if told.failed > 0:
                text = f"{told.failed} sub-operations failed"
                trouble = Trouble(error_class=ErrorClass.Transient, code=told.status, text=text)
                self._blame(row, instances, trouble)
        return trouble

    def _blame(self, row: Row[Any], instances: Sequence[str], trouble: Trouble) -> None:
        """An image that was asked for by itself has an error of its own."""
        if len(instances) != 1:
            return
        with self._database.write() as connection:
            connection.execute(
                update(expected_instance)
                .where(expected_instance.c.retrieval_id == row.id, expected_instance.c.sop_instance_uid == instances[0])
                .values(error=trouble.document)
            )

    def _note(self, row: Row[Any], account: Account) -> None:
        """What was here before counts as received, so that the progress that is shown is true."""
        with self._database.write() as connection:
            connection.execute(select(retrieval.c.id).where(retrieval.c.id == row.id).with_for_update())
            self._proof.write(connection, row.id, account)

    def _await_feed(self, stop: Interruption) -> None:
        """Until the feed has read all that Orthanc had stored by now."""
        moment = self._clock.now()
        while self._feed.caught_up_at is None or self._feed.caught_up_at < moment:
            self._feed.look()
            if stop.wait(NOT_YET):
                raise InterruptedError

    # --- ending -------------------------------------------------------------------------------------------------------

    def _conclude(
        self,
        claim: Claim,
        before: Row[Any],
        account: Account | None,
        trouble: Trouble | None,
        warnings: Sequence[Mapping[str, Any]],
        begun: datetime,
    ) -> None:
        """Write what became of this round, and what follows from it."""
        with self._database.write() as connection:
            owner = self._study(connection, before)
            row = self._locked(connection, before.id)
            if row.state != RetrievalState.InProgress:  # a person canceled it
                self._tasks.finish(connection, claim)
                return
            if account is not None:
                self._proof.write(connection, row.id, account)
            strange = self._strangers(connection, row, begun) if account is not None and not account.complete else []
            noted = [*row.warnings, *warnings, *strange]
            for each in strange:
                if each not in row.warnings:
                    self._imports.record(connection, "retrieval.wrong-study", row, owner, Came=each["StudyInstanceUID"])
            values = {"warnings": [each for place, each in enumerate(noted) if each not in noted[:place]]}
            if trouble is None or not trouble.unreachable:
                self._lanes.succeeded(connection, claim.lane)
            if account is not None and account.complete:
                self._end(
                    connection,
                    row,
                    RetrievalState.Completed,
                    finished_at=self._clock.now(),
                    error=None,
                    next_at=None,
                    **values,
                )
                self._tasks.finish(connection, claim)
                self._release(connection, row, owner)
                self._imports.record(connection, "retrieval.completed", row, owner, Instances=len(account.here))
                self._imports.settle(connection, self._imports.lock(connection, row.import_id))
                return
            connection.execute(update(retrieval).where(retrieval.c.id == row.id).values(**values))
            came = account is not None and len(account.here) > before.received
            self._go_on(connection, claim, row, trouble, asked=account is not None, came=came)

    def _go_on(
        self, connection: Connection, claim: Claim, row: Row[Any], trouble: Trouble | None, *, asked: bool, came: bool
    ) -> None:
        """Another round, or none; `asked`: there was one, `came`: and it brought something."""
        now = self._clock.now()
        attempts = 0 if came else row.attempts + 1
        if trouble is None:
            text = "the source says that it sent everything"
            trouble = Trouble(error_class=ErrorClass.Transient, code="not-received", text=text)
        few = trouble.code == "not-at-source" or trouble.error_class is ErrorClass.Configuration
        over = trouble.error_class is ErrorClass.Permanent or attempts >= (FEW if few else ATTEMPTS)
        if trouble.unreachable:
            over = row.started_at is not None and now - row.started_at > GIVE_UP
        if over and not came:
            self._fail(connection, claim, row, trouble)
            return
        run_at = now if came else now + BACKOFF.delay(attempts, 0.5 + random.random() / 2)
        if trouble.unreachable:
            run_at = self._lanes.failed(connection, claim.lane, trouble.document, BACKOFF)
        self._end(
            connection,
            row,
            RetrievalState.Scheduled,
            attempts=attempts,
            rounds=row.rounds + asked,
            next_at=run_at,
            error=trouble.document,
        )
        self._tasks.retry(connection, claim, run_at, trouble.code)

    def _fail(self, connection: Connection, claim: Claim, row: Row[Any], trouble: Trouble) -> None:
        """A person must look; what is missing stays named in `expected_instance`."""
        now = self._clock.now()
        self._tasks.finish(connection, claim)
        self._end(connection, row, RetrievalState.Failed, finished_at=now, next_at=None, error=trouble.document)
        self._imports.record(
            connection,
            "retrieval.failed",
            row,
            self._study(connection, row),
            Class=trouble.error_class.value,
            Code=trouble.code,
        )
        self._imports.settle(connection, self._imports.lock(connection, row.import_id))

    def _release(self, connection: Connection, row: Row[Any], owner: Row[Any] | None) -> None:
        """A study that was only kept is delivered from now on, where this import says so."""
        if owner is None or not row.route or owner.origin.get("Route") is not False:
            return
        origin = {key: value for key, value in owner.origin.items() if key != "Route"}
        connection.execute(update(study).where(study.c.id == owner.id).values(origin=origin))
        self._tasks.schedule(
            connection,
            kind="route",
            lane="studies",
            key=f"route:{owner.id}",
            run_at=max(self._clock.now(), owner.quiet_until or self._clock.now()),
            payload={"Study": owner.id},
        )

    def _strangers(self, connection: Connection, row: Row[Any], begun: datetime) -> list[dict[str, str]]:
        """Studies that came from the source meanwhile and that nobody asked for."""
        aet = getattr(self._configuration.sources[row.source], "aet", None)
        asked = select(retrieval.c.id).where(
            retrieval.c.study_instance_uid == study.c.study_instance_uid,
            retrieval.c.state.in_(sorted(FETCHING)) | (retrieval.c.finished_at >= begun),
        )
        came = connection.execute(
            select(study.c.study_instance_uid, study.c.origin).where(study.c.received_at >= begun, ~asked.exists())
        ).all()
        found = [each.study_instance_uid for each in came if each.origin.get("CallingAet") == aet]
        return [{"Code": "wrong-study", "StudyInstanceUID": uid} for uid in sorted(found)]

    # --- rows: the study is locked before the import, this before its retrieval, this before the task ---------------

    def _study(self, connection: Connection, row: Row[Any]) -> Row[Any] | None:
        statement = select(study).where(study.c.study_instance_uid == row.study_instance_uid).with_for_update()
        return connection.execute(statement).one_or_none()

    def _locked(self, connection: Connection, retrieval_id: int) -> Row[Any]:
        """The retrieval with its import's columns, both locked."""
        owner = select(retrieval.c.import_id).where(retrieval.c.id == retrieval_id)
        self._imports.lock(connection, connection.execute(owner).scalar_one())
        statement = (
            select(retrieval, study_import.c.source, study_import.c.cause, study_import.c.route)
            .join(study_import, study_import.c.id == retrieval.c.import_id)
            .where(retrieval.c.id == retrieval_id)
            .with_for_update(of=retrieval)
        )
        return connection.execute(statement).one()

    def _end(self, connection: Connection, row: Row[Any], state: RetrievalState, **values: Any) -> None:
        changed = connection.execute(
            update(retrieval)
            .where(retrieval.c.id == row.id, retrieval.c.state.in_(sorted(sources_of(RETRIEVAL, state))))
            .values(state=state, **values)
        )
        if changed.rowcount == 0:
            raise LookupError(state)
