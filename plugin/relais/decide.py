"""② and ③ Identify and decide: a study that was quiet long enough is complete, and the rules say where it goes.

The task `route` of a study runs at its quiet deadline. Whose study it is `identify` finds out; the decision itself is
`judgement.judged`, a pure function: the rules, and the law. This module reads the facts, asks both, and writes what
follows in one transaction: the match, the decision, the deliveries and their tasks.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, insert, select, update

from relais import version_rows
from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, inserted_id
from relais.database.listing import index, shown
from relais.database.tables import decision as decision_table
from relais.database.tables import delivery, series, study
from relais.digests import Digests
from relais.domain.completeness import Completion, completion
from relais.domain.facts import Facts
from relais.domain.states import StudyState
from relais.errors import StateError, UnknownError
from relais.identify import Identify
from relais.journal import Journal, Subject
from relais.judgement import Judged, judged
from relais.ledger import Ledger
from relais.protect import Protect
from relais.reading import Known
from relais.receive import Feed
from relais.residency import restrictions_of
from relais.tasks import Claim, Tasks

MOST_INSTANCES = 1_000_000
NOT_YET = timedelta(milliseconds=20)
SOON = timedelta(seconds=1)
"""When to look again whether the parts of the version that became active are there."""


class Studies:
    """Completes and routes studies, and does to them what a person asks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        configuration: Configuration,
        feed: Feed,
        identify: Identify,
        ledger: Ledger,
        protect: Protect,
        digests: Digests,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._configuration = configuration
        self._feed = feed
        self._identify = identify
        self._ledger = ledger
        self._protect = protect
        self._digests = digests

    def __call__(self, claim: Claim) -> None:
        """The task: complete the study if it is quiet, decide, and plan its deliveries."""
        study_id = claim.payload["Study"]
        row = self._complete(claim, study_id)
        if row is None:
            return
        known, identified = self._identify.read(row)
        decided = self._judged(row, known.facts)
        with self._database.write() as connection:
            current = connection.execute(select(study).where(study.c.id == study_id).with_for_update()).one()
            if current.state == StudyState.Receiving or current.sequence != row.sequence:
                self._tasks.retry(connection, claim, current.quiet_until)
                return
            self._tasks.check(connection, claim)  # the task is locked before the audit chain, as everywhere
            if version_rows.active_digest(connection) != self._configuration.digest:
                self._tasks.retry(connection, claim, self._clock.now() + SOON)
                return
            if not self._identify.write(connection, current, known, identified):
                self._tasks.retry(connection, claim, self._clock.now())
                return
            self._apply(connection, current, known, decided)
            self._tasks.finish(connection, claim)

    def begin(self, claim: Claim) -> None:
        """The task of a study's first images: learn how many it will have, and begin what need not wait for them."""
        study_id = claim.payload["Study"]
        with self._database.read() as connection:
            row = connection.execute(select(study).where(study.c.id == study_id)).one()
        known, _ = self._identify.read(row)
        decided = self._judged(row, known.facts)
        streams = self._configuration.streams
        planned = [each for each in decided.deliveries if each.planned.destination in streams]
        with self._database.write() as connection:
            current = connection.execute(select(study).where(study.c.id == study_id).with_for_update()).one()
            self._tasks.check(connection, claim)
            if version_rows.active_digest(connection) != self._configuration.digest:
                self._tasks.retry(connection, claim, self._clock.now() + SOON)
                return
            if current.state == StudyState.Receiving:
                expected = known.tags.get("NumberOfStudyRelatedInstances") or next(
                    iter(known.facts.order.get("NumberOfStudyRelatedInstances", ())), ""
                )
                self._expect(connection, current, expected, known.facts.clinic)
                if planned and current.held_by is None:
                    values = {"decision_id": self._write(connection, current, known, decided)}
                    connection.execute(
                        update(study).where(study.c.id == study_id).values(**values, clinic=known.facts.clinic)
                    )
                    current = connection.execute(select(study).where(study.c.id == study_id)).one()
                    self._ledger.begin(connection, current, planned)
            self._tasks.finish(connection, claim)

    def _expect(self, connection: Connection, row: Row[Any], text: str, clinic: str | None) -> None:
        """The study is said to have so many instances (0020,1208): it is not complete before, nor long after."""
        if not text.isdecimal() or not 0 < int(text) <= MOST_INSTANCES:
            return
        found = connection.execute(select(series.c.modality).where(series.c.study_id == row.id).distinct()).scalars()
        own = self._configuration.clinics[clinic].defaults.quiet if clinic else None
        quiet_until, why = completion(
            self._configuration.completeness.patience(set(found), own),
            now=self._clock.now(),
            since=row.receiving_since or row.received_at,
            instances=row.instances,
            expected=int(text),
        )
        connection.execute(
            update(study)
            .where(study.c.id == row.id)
            .values(expected=int(text), quiet_until=quiet_until, completed_by=why.value)
        )
        self._ask(connection, row, quiet_until)

    def _judged(self, row: Row[Any], facts: Facts) -> Judged:
        now = self._clock.now()
        with self._database.read() as connection:
            restrictions = restrictions_of(connection, row.id, row.study_instance_uid, now, facts)
        patient = row.patient_id or row.study_instance_uid
        return judged(facts, self._configuration, now, patient=patient, restrictions=restrictions)

    def facts(self, study_instance_uid: str) -> Facts:
        """The facts of a study as they are now, for a dry run; raises UnknownError."""
        with self._database.read() as connection:
            return self._identify.read(_find(connection, study_instance_uid))[0].facts

    def route(self, study_instance_uid: str, *, actor: str, reason: str) -> None:
        """Decide the study again, now."""
        with self._database.write() as connection:
            row = _find(connection, study_instance_uid, lock=True)
            if row.state == StudyState.Receiving:
                raise StateError("study-receiving")
            if row.origin.get("Route") is False:  # it was imported to be kept: this person wants it delivered
                origin = {key: value for key, value in row.origin.items() if key != "Route"}
                connection.execute(update(study).where(study.c.id == row.id).values(origin=origin))
            self._journal.record(connection, "study.route-asked", actor=actor, subject=_subject(row), Reason=reason)
            self._ask(connection, row)

    def hold(self, study_instance_uid: str, *, actor: str, reason: str) -> None:
        """Keep the study and its deliveries back until a person releases it."""
        with self._database.write() as connection:
            row = _find(connection, study_instance_uid, lock=True)
            values: dict[str, Any] = {"held_by": actor, "hold_reason": reason}
            if row.state != StudyState.Receiving:  # one that still arrives is held when it is complete
                values["state"] = StudyState.Held
            connection.execute(update(study).where(study.c.id == row.id).values(values))
            self._journal.record(connection, "study.held", actor=actor, subject=_subject(row), Reason=reason)

    def release(self, study_instance_uid: str, *, actor: str, reason: str) -> None:
        """End a person's hold, and decide the study again."""
        with self._database.write() as connection:
            row = _find(connection, study_instance_uid, lock=True)
            if row.held_by is None:
                raise StateError("study-not-held")
            connection.execute(update(study).where(study.c.id == row.id).values(held_by=None, hold_reason=None))
            self._journal.record(connection, "study.released", actor=actor, subject=_subject(row), Reason=reason)
            if row.state != StudyState.Receiving:
                self._ask(connection, row)

    def ask_again(self, connection: Connection) -> int:
        """Decide again whatever waits and was decided under another configuration; says how many studies that are."""
        waiting = select(delivery.c.study_id).where(delivery.c.state.in_(("Scheduled", "InProgress", "Blocked")))
        rows = connection.execute(
            select(study)
            .join(decision_table, decision_table.c.id == study.c.decision_id)
            .where(
                decision_table.c.configuration != self._configuration.digest,
                (study.c.state == StudyState.Held) | ((study.c.state == StudyState.Routed) & study.c.id.in_(waiting)),
            )
        ).all()
        for row in rows:
            self._ask(connection, row)
        return len(rows)

    def ask(self, connection: Connection, row: Row[Any]) -> None:
        """Decide this study (a row of `study`) again, unless it still arrives: it will be decided then."""
        if row.state != StudyState.Receiving:
            self._ask(connection, row)

    def _ask_when_rules_begin(self, connection: Connection, row: Row[Any], facts: Facts) -> None:
        """A rule that begins to be valid may ask for another purpose, or another destination."""
        zone = ZoneInfo(facts.time_zone)
        today = self._clock.now().astimezone(zone).date()
        days = [each.valid_from for each in self._configuration.rules if each.valid_from and each.valid_from > today]
        if days:
            run_at = datetime.combine(min(days), time(), zone)
            payload = {"Study": row.id}
            self._tasks.schedule(
                connection, kind="route", lane="studies", key=f"rules:{row.id}", run_at=run_at, payload=payload
            )

    def _ask(self, connection: Connection, row: Row[Any], run_at: datetime | None = None) -> None:
        self._tasks.schedule(
            connection,
            kind="route",
            lane="studies",
            key=f"route:{row.id}",
            run_at=run_at or self._clock.now(),
            payload={"Study": row.id},
        )

    def _complete(self, claim: Claim, study_id: int) -> Row[Any] | None:
        """The study's row once it is complete; None when it is too early, and the task is put off."""
        now = self._clock.now()
        with self._database.write() as connection:
            row = connection.execute(select(study).where(study.c.id == study_id).with_for_update()).one()
            if row.state != StudyState.Receiving:
                return row
            if row.quiet_until > now:
                self._tasks.retry(connection, claim, row.quiet_until)
                return None
            # Quiet means that Orthanc stored nothing, not that nobody has looked.
            if self._feed.caught_up_at is None or self._feed.caught_up_at < row.quiet_until:
                self._feed.look()
                self._tasks.retry(connection, claim, now + NOT_YET)
                return None
            self._tasks.check(connection, claim)
            connection.execute(
                update(study).where(study.c.id == study_id).values(state=StudyState.Complete, completed_at=now)
            )
            detail = {"Instances": row.instances, "By": row.completed_by or Completion.Quiet.value}
            if row.expected is not None:
                detail["Expected"] = row.expected
            self._journal.record(connection, "study.complete", subject=_subject(row), **detail)
            self._digests.ask(connection, study_id)
            return row

    def _apply(self, connection: Connection, row: Row[Any], known: Known, found: Judged) -> None:
        """Write the decision and what follows from it."""
        decided = found.decision
        decision_id = self._write(connection, row, known, found)
        held = row.held_by is not None or decided.hold is not None
        connection.execute(
            update(study)
            .where(study.c.id == row.id)
            .values(
                state=StudyState.Held if held else StudyState.Routed,
                hold_reason=row.hold_reason if row.held_by is not None else decided.hold,
                decision_id=decision_id,
                clinic=known.facts.clinic,
                clinic_reason=known.clinic_reason,
                **(shown(dict(known.tags)) if known.tags else {}),
            )
        )
        if known.tags:
            index(connection, row.id, dict(known.tags) | {"StudyInstanceUID": row.study_instance_uid})
        if held:
            self._journal.record(
                connection,
                "study.held",
                subject=_subject(row),
                Reason=row.hold_reason if row.held_by else decided.hold,
            )
            return
        row = connection.execute(select(study).where(study.c.id == row.id)).one()
        self._ledger.plan(connection, row, found.deliveries)
        if any(each.refused for each in found.deliveries):
            self._ask_when_rules_begin(connection, row, known.facts)
        self._journal.record(
            connection,
            "study.routed",
            subject=_subject(row),
            Destinations=[each.planned.destination for each in found.deliveries if not each.refused],
        )
        self._protect.look(connection, row.id)

    def _write(self, connection: Connection, row: Row[Any], known: Known, found: Judged) -> int:
        """Keep a decision with its facts; answers its id."""
        return inserted_id(
            connection.execute(
                insert(decision_table).values(
                    study_id=row.id,
                    configuration=self._configuration.digest,
                    decided_at=self._clock.now(),
                    facts=known.facts.to_json(),
                    document=found.decision.to_json(),
                )
            )
        )


def _find(connection: Connection, study_instance_uid: str, *, lock: bool = False) -> Row[Any]:
    statement = select(study).where(study.c.study_instance_uid == study_instance_uid)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise UnknownError("study", study_instance_uid)
    return row


def _subject(row: Row[Any]) -> Subject:
    return Subject(id=row.id, study_instance_uid=row.study_instance_uid)
