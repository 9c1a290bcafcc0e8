"""What a caller may ask of the CRM's patients: to put, forget, merge and unmerge one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, null, or_, select, update

from relais.clock import Clock
from relais.database import Database
from relais.database.patient_tables import match, patient, patient_name
from relais.database.tables import decision, study
from relais.database.worklist_tables import worklist_item
from relais.decide import Studies
from relais.domain.forgetting import SAID, without_patient, without_seen
from relais.domain.patients import Patient
from relais.domain.states import MatchState, StudyState
from relais.errors import StateError, UnknownError
from relais.journal import Journal, Subject
from relais.patient_index import MOST_MERGES, PATIENTS, is_hidden
from relais.patient_store import Outcome, PatientStore, Prepared, Scope, prepare
from relais.tasks import Claim, Tasks

LANE = "patients"
"""The lane of what is done with many patients at once."""
FORGET = "forget"
PAGE = 500
"""Answers of matching that are looked through in one transaction of the task `forget`."""
SOON = timedelta(seconds=10)
"""When the database's log of writes is emptied, where somebody reads what is older."""


class Patients:
    """Keeps the CRM's patients; the task `forget` removes what the answers of matching hold of one."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        tasks: Tasks,
        journal: Journal,
        store: PatientStore,
        studies: Studies,
    ) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._journal = journal
        self._store = store
        self._studies = studies

    def row(self, connection: Connection, crm_id: str, scope: Scope = None) -> Row[Any]:
        """The record of this CrmId itself (a row of `patient`); raises UnknownError."""
        row = connection.execute(_BY_CRM_ID, {"ids": [crm_id]}).one_or_none()
        if row is None or is_hidden(row.clinic, scope):
            raise UnknownError("patient", crm_id)
        return row

    def get(self, connection: Connection, crm_id: str, scope: Scope = None) -> Patient | None:
        """The patient, or whom they became by merging; None where there is none that this scope may see."""
        for _ in range(MOST_MERGES):
            row = connection.execute(_BY_CRM_ID, {"ids": [crm_id]}).one_or_none()
            if row is None or is_hidden(row.clinic, scope):
                return None
            if row.merged_into is None:
                return Patient.model_validate(row.document)
            crm_id = row.merged_into
        return None

    def all_of(self, connection: Connection, crm_id: str) -> list[str]:
        """The CrmId and those of the records that were merged into it."""
        return [crm_id, *(row.crm_id for row in _merged_into(connection, crm_id))]

    def count(self, connection: Connection) -> int:
        """How many people there are; those who were merged into others are none."""
        return connection.execute(_TOTAL).scalar() or 0

    def put(self, given: Patient, *, actor: str, scope: Scope = None) -> Outcome:
        """Add the patient, or replace what is known of them; raises StateError where another clinic has this CrmId."""
        prepared = prepare(given, self._clock.now().date())
        with self._database.write() as connection:
            stored = self._store.store(connection, [prepared], scope=scope)
            if stored.refused:
                raise StateError("patient-of-another-clinic")
            (outcome,) = stored.outcomes
            if outcome is not Outcome.Unchanged:
                action = "patient.added" if outcome is Outcome.Added else "patient.changed"
                self._journal.record(connection, action, actor=actor, CrmId=given.crm_id)
            return outcome

    def forget(self, crm_id: str, *, actor: str, reason: str, scope: Scope = None) -> list[str]:
        """Forget the patient, who was merged into them, and their orders; answers the CrmIds.

        Their studies are identified again.

        Raises UnknownError.
        """
        with self._database.write() as connection:
            self._store.lock(connection)
            row = self.row(connection, crm_id, scope)
            gone = [row, *_merged_into(connection, crm_id)]
            ids = [row.crm_id for row in gone]
            concerned = or_(study.c.crm_id.in_(ids), _named(connection, ids))
            locked = select(study).where(concerned).order_by(study.c.id).with_for_update()
            studies = connection.execute(locked).all()
            self._store.drop(connection, gone)
            connection.execute(update(match).where(match.c.crm_id.in_(ids)).values(**_FORGOTTEN))
            decided = _forget_decisions(connection, [each.id for each in studies])
            orders = connection.execute(delete(worklist_item).where(worklist_item.c.crm_id.in_(ids))).rowcount
            theirs = [each for each in studies if each.crm_id in ids]
            for each in theirs:
                self._let_go(connection, each, actor)
            for each in studies:
                if each.crm_id not in ids and each.decision_id in decided:  # another's by now: the rules see that one
                    self._studies.ask(connection, each)
            self._tasks.schedule(
                connection,
                kind=FORGET,
                lane=LANE,
                key=f"{FORGET}:{crm_id}",
                run_at=self._clock.now(),
                payload={"CrmIds": ids},
            )
            detail: dict[str, Any] = {"CrmId": crm_id, "Others": ids[1:], "Studies": len(theirs), "Reason": reason}
            detail |= {"Orders": orders} if orders else {}
            self._journal.record(connection, "patient.forgotten", actor=actor, **detail)
        return ids

    def __call__(self, claim: Claim) -> None:
        """The task `forget`: where the patient was only one of several candidates, that goes too.

        A study of which that was the answer in force, such as one in review, is identified again.
        """
        after = 0
        wanted = set(claim.payload["CrmIds"])
        while True:
            with self._database.write() as connection:
                self._tasks.check(connection, claim)
                rows = connection.execute(_ANSWERS, {"after": after}).all()
                for row in rows:
                    if row.question and wanted & {each["CrmId"] for each in row.question["Candidates"]}:
                        connection.execute(update(match).where(match.c.id == row.id).values(**_FORGOTTEN))
                        for asked in connection.execute(_ANSWERED, {"study": row.study_id, "match": row.id}):
                            self._studies.ask(connection, asked)
            if len(rows) < PAGE:
                break
            after = rows[-1].id
        emptied = self._database.empty_log()
        with self._database.write() as connection:
            if emptied:
                self._tasks.finish(connection, claim)
            else:
                self._tasks.retry(connection, claim, self._clock.now() + SOON)

    def merge(self, crm_id: str, into: str, *, actor: str, reason: str, scope: Scope = None) -> None:
        """From now on this record is found as the patient `into`; raises UnknownError and StateError."""
        with self._database.write() as connection:
            self.merge_within(connection, crm_id, into, actor=actor, reason=reason, scope=scope)

    def merge_within(
        self, connection: Connection, crm_id: str, into: str, *, actor: str, reason: str, scope: Scope = None
    ) -> None:
        """The same within a transaction; one that raises has changed nothing."""
        self._store.lock(connection)
        row, other = self.row(connection, crm_id, scope), self.row(connection, into, scope)
        for each in (row, other):
            if each.merged_into is not None:
                raise StateError("patient-merged", name=each.merged_into)
        if row.id == other.id:
            raise StateError("patient-itself")
        if other.clinic is not None and row.clinic != other.clinic:
            raise StateError("patient-of-another-clinic")
        self._store.count(connection, removed=[self._prepared(row)])
        self._become(connection, row, other.crm_id)
        self._store.ask_again(connection, [other.id])
        self._journal.record(connection, "patient.merged", actor=actor, CrmId=crm_id, Into=into, Reason=reason)

    def unmerge(self, crm_id: str, *, actor: str, reason: str, scope: Scope = None) -> None:
        """This record is a patient of its own again; raises UnknownError, and StateError where it is one."""
        with self._database.write() as connection:
            self._store.lock(connection)
            row = self.row(connection, crm_id, scope)
            if row.merged_into is None:
                raise StateError("patient-not-merged")
            into = row.merged_into
            self._become(connection, row, None)
            self._store.count(connection, added=[self._prepared(row)])
            self._store.ask_again(connection, [row.id])
            detail = {"CrmId": crm_id, "From": into, "Reason": reason}
            self._journal.record(connection, "patient.unmerged", actor=actor, **detail)

    def _become(self, connection: Connection, row: Row[Any], into: str | None) -> None:
        values = {"merged_into": into, "changed_at": self._clock.now()}
        connection.execute(update(patient).where(patient.c.id == row.id).values(values))
        if into is not None:  # it is read together with this one from now on
            connection.execute(update(patient).where(patient.c.crm_id == into).values(compact_version=None))

    def _let_go(self, connection: Connection, row: Row[Any], actor: str) -> None:
        """A study whose patient is forgotten is nobody's, and identified again."""
        values = {"match_state": MatchState.Pending, "match_id": None, "crm_id": None}
        connection.execute(update(study).where(study.c.id == row.id).values(values))
        subject = Subject(id=row.id, study_instance_uid=row.study_instance_uid)
        self._journal.record(connection, "study.patient-forgotten", actor=actor, subject=subject)
        self._studies.ask(connection, row)

    def _prepared(self, row: Row[Any]) -> Prepared:
        return prepare(Patient.model_validate(row.document), self._clock.now().date())


_BY_CRM_ID = select(patient).where(patient.c.crm_id.in_(bindparam("ids", expanding=True)))
_TOTAL = select(patient_name.c.patients).where(patient_name.c.side == PATIENTS, patient_name.c.part == "")
_MERGED_INTO = select(patient).where(patient.c.merged_into.in_(bindparam("ids", expanding=True)))
_ANSWERED = select(study).where(study.c.id == bindparam("study"), study.c.match_id == bindparam("match"))
_ANSWERS = (
    select(match.c.id, match.c.study_id, match.c.question)
    .where(match.c.id > bindparam("after"), match.c.question.is_not(None))
    .order_by(match.c.id)
    .limit(PAGE)
)
_FORGOTTEN = {"question": null(), "answer": null()}


def _named(connection: Connection, ids: list[str]) -> ColumnElement[bool]:
    """Studies that were ever these patients', or have an order of theirs.

    Those that still arrive and were decided in advance are among them: whose they are is not yet told.
    """
    orders = connection.execute(select(worklist_item).where(worklist_item.c.crm_id.in_(ids))).all()
    return or_(
        study.c.id.in_(select(match.c.study_id).where(match.c.crm_id.in_(ids))),
        study.c.id.in_([each.study_id for each in orders if each.study_id is not None]),
        study.c.tied_order_id.in_([each.id for each in orders]),
        study.c.accession_number.in_([each.accession_number for each in orders]),
        study.c.study_instance_uid.in_([each.study_instance_uid for each in orders]),
        and_(study.c.state == StudyState.Receiving, study.c.match_id.is_(None), study.c.decision_id.is_not(None)),
    )


def _forget_decisions(connection: Connection, studies: list[int]) -> set[int]:
    """Take what the CRM said of patients and orders out of these studies' decisions; answers which had any of it."""
    rows = connection.execute(select(decision).where(decision.c.study_id.in_(studies))).all()
    told = [row for row in rows if any(each in row.facts for each in SAID)]
    for row in told:
        values = {"facts": without_patient(row.facts), "document": without_seen(row.document)}
        connection.execute(update(decision).where(decision.c.id == row.id).values(values))
    return {row.id for row in told}


def _merged_into(connection: Connection, crm_id: str) -> list[Row[Any]]:
    """The records that were merged into this one, and into those."""
    found: dict[str, Row[Any]] = {}
    wanted = [crm_id]
    while wanted:
        rows = connection.execute(_MERGED_INTO, {"ids": wanted}).all()
        wanted = [each.crm_id for each in rows if each.crm_id not in found]
        found |= {each.crm_id: each for each in rows}
    return list(found.values())
