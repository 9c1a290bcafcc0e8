"""Whose a study is, as persons say it: answers that outlive new decisions, and how each is taken back.

Nothing is changed or deleted: every answer, and every word that takes one back, is a row of `match` more. What was
said of a PatientID is looked at first when another study comes with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, inserted_id
from relais.database.patient_tables import match, waiting_key
from relais.database.queries import matches
from relais.database.tables import study
from relais.decide import Studies
from relais.domain.states import MatchKind, MatchState, ReviewDecision, ReviewReason, ReviewState
from relais.errors import StateError, UnknownError
from relais.identify import Identify
from relais.journal import Journal, Subject
from relais.labels import Labels
from relais.review_queue import ReviewQueue
from relais.safety_net import SafetyNet

SHOWN = 3
"""Candidates that a person has seen, and that "nobody" rejects."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a person says: it is this patient (`crm_id`), or none of the CRM's."""

    decision: ReviewDecision
    crm_id: str | None = None
    comment: str = ""

    def to_json(self) -> dict[str, Any]:
        """As the first of four eyes is kept."""
        return {"Decision": self.decision.value, "CrmId": self.crm_id, "Comment": self.comment}


class Links:
    """Keeps what persons say of studies."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        configuration: Configuration,
        identify: Identify,
        studies: Studies,
        queue: ReviewQueue,
        safety_net: SafetyNet,
        labels: Labels,
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._configuration = configuration
        self._identify = identify
        self._studies = studies
        self._queue = queue
        self._safety_net = safety_net
        self._labels = labels

    def say(self, study_instance_uid: str, verdict: Verdict, *, actor: str) -> ReviewState:
        """By hand: this study is that patient's, or nobody's. Open where a second person must say the same first.

        Raises UnknownError for a study, or a patient whom the study's clinic does not see.
        """
        self._ensure_asked(study_instance_uid, verdict)
        with self._database.write() as connection:
            row = find(connection, study_instance_uid)
            self.check(connection, row, verdict)
            if self._configuration.matching.four_eyes:
                self._queue.first_word(connection, row, verdict.to_json(), actor)
                return ReviewState.Open
            asked = matches.one(connection, row.match_id)
            made = self.keep(connection, row, asked, verdict, actor=actor)
            self._queue.resolve(connection, row, made, verdict.decision, verdict.crm_id, actor)
            return ReviewState.Resolved

    def take_back(self, study_instance_uid: str, *, actor: str, reason: str) -> None:
        """The study is not that patient's, or not nobody's: identify it again; raises StateError where it is neither.

        What Relais matched by itself is not matched to that patient again.
        """
        with self._database.write() as connection:
            row = find(connection, study_instance_uid)
            holding = matches.one(connection, row.match_id)
            persons = (MatchKind.Linked, MatchKind.Nobody)
            if holding is None or (row.match_state != MatchState.Matched and holding.kind not in persons):
                raise StateError("study-not-matched")
            self.undo(connection, row, holding, actor=actor, reason=reason)
            self._queue.reopen(connection, row, holding.id)

    # --- within a transaction, the study's row locked -----------------------------------------------------------------

    def check(self, connection: Connection, row: Row[Any], verdict: Verdict) -> None:
        """Raises UnknownError where the patient is none whom the study's clinic may see; StateError: is not active."""
        crm_id = verdict.crm_id
        if crm_id is not None and not self._identify.sees(connection, crm_id, row.clinic):
            if self._identify.sees(connection, crm_id, row.clinic, inactive=True):
                raise StateError("patient-not-active", name=crm_id)
            raise UnknownError("patient", crm_id)

    def keep(
        self, connection: Connection, row: Row[Any], asked: Row[Any] | None, verdict: Verdict, *, actor: str
    ) -> int:
        """The person's answer holds from now on, with the evidence that they saw (`asked`); answers its id."""
        linked = verdict.decision is ReviewDecision.Link
        evidence = None if asked is None else asked.answer
        made = self._insert(
            connection,
            row,
            asked,
            actor=actor,
            kind=MatchKind.Linked if linked else MatchKind.Nobody,
            state=MatchState.Matched if linked else MatchState.Unmatched,
            crm_id=verdict.crm_id,
            posterior=_posterior(evidence, verdict.crm_id),
            question=None if asked is None else asked.question,
            answer=evidence,
            comment=verdict.comment or None,
        )
        if not linked:
            for each in (evidence or {}).get("Candidates", ())[:SHOWN]:
                self._insert(
                    connection,
                    row,
                    asked,
                    actor=actor,
                    kind=MatchKind.Rejected,
                    state=MatchState.Unmatched,
                    crm_id=each["CrmId"],
                    cause_id=made,
                )
        connection.execute(delete(waiting_key).where(waiting_key.c.study_id == row.id))
        state = MatchState.Matched if linked else MatchState.Unmatched
        self._set(connection, row, made, state, verdict.crm_id)
        action = "study.matched" if linked else "study.unmatched"
        detail = {"CrmId": verdict.crm_id} if linked else {}
        self._journal.record(connection, action, actor=actor, subject=subject(row), **detail, Match=made)
        return made

    def undo(self, connection: Connection, row: Row[Any], holding: Row[Any], *, actor: str, reason: str) -> None:
        """Take back the answer that holds, and have the study identified anew; and those that followed from it."""
        automatic = holding.kind == MatchKind.Automatic
        made = self._insert(
            connection,
            row,
            holding,
            actor=actor,
            kind=MatchKind.Rejected if automatic else MatchKind.Undone,
            state=MatchState.Pending,
            crm_id=holding.crm_id,
            reason=ReviewReason.Undone if automatic else None,
            cause_id=holding.id,
            comment=reason,
        )
        rejected = select(match.c.crm_id).where(
            match.c.study_id == row.id, match.c.cause_id == holding.id, match.c.kind == MatchKind.Rejected
        )
        if not automatic:
            for crm_id in connection.execute(rejected).scalars().all():
                made = self._insert(
                    connection,
                    row,
                    holding,
                    actor=actor,
                    kind=MatchKind.Undone,
                    state=MatchState.Pending,
                    crm_id=crm_id,
                    cause_id=holding.id,
                )
        followers = [] if automatic or holding.crm_id is None else matches.followers(connection, holding)
        self._set(connection, row, made, MatchState.Pending, None)
        for study_id in followers:
            other = connection.execute(select(study).where(study.c.id == study_id)).one()
            self._studies.ask(connection, other)
        self._journal.record(
            connection,
            "match.undone",
            actor=actor,
            subject=subject(row),
            Match=holding.id,
            Others=len(followers),
            Reason=reason,
        )
        if automatic:
            self._safety_net.look(connection)

    def doubt(self, connection: Connection, row: Row[Any], holding: Row[Any] | None, *, actor: str) -> int:
        """A second look came to something else: until a person decides, it is nobody's; answers the answer's id."""
        made = self._insert(
            connection,
            row,
            holding,
            actor=actor,
            kind=MatchKind.Doubted,
            state=MatchState.Review,
            question=None if holding is None else holding.question,
            answer=None if holding is None else holding.answer,
        )
        self._set(connection, row, made, MatchState.Review, None)
        return made

    def _set(self, connection: Connection, row: Row[Any], match_id: int, state: MatchState, crm_id: str | None) -> None:
        values = {"match_id": match_id, "match_state": state.value, "crm_id": crm_id}
        connection.execute(update(study).where(study.c.id == row.id).values(values))
        self._labels.ask(connection, row.id)
        self._studies.ask(connection, row)

    def _insert(self, connection: Connection, row: Row[Any], about: Row[Any] | None, **values: Any) -> int:
        """One more answer, by a person, of the same PatientID and tags as what it is about."""
        return inserted_id(
            connection.execute(
                insert(match).values(
                    study_id=row.id,
                    at=self._clock.now(),
                    model="" if about is None else about.model,
                    patient_id="" if about is None else about.patient_id,
                    issuer_of_patient_id="" if about is None else about.issuer_of_patient_id,
                    tags={} if about is None else about.tags,
                    **values,
                )
            )
        )

    def _ensure_asked(self, study_instance_uid: str, verdict: Verdict) -> None:
        """Identify a study that never was, such as one that still arrives: an answer needs something to stand on."""
        with self._database.read() as connection:
            row = find(connection, study_instance_uid, lock=False)
            self.check(connection, row, verdict)
        if row.match_id is not None:
            return
        known, found = self._identify.read(row)
        with self._database.write() as connection:
            current = find(connection, study_instance_uid)
            if current.match_id is None:
                self._identify.write(connection, current, known, found)


def find(connection: Connection, study_instance_uid: str, *, lock: bool = True) -> Row[Any]:
    """The study's row; raises UnknownError."""
    statement = select(study).where(study.c.study_instance_uid == study_instance_uid)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise UnknownError("study", study_instance_uid)
    return row


def subject(row: Row[Any]) -> Subject:
    """The study, as the journal names it."""
    return Subject(id=row.id, study_instance_uid=row.study_instance_uid)


def _posterior(answer: dict[str, Any] | None, crm_id: str | None) -> float | None:
    candidates = [] if answer is None or crm_id is None else answer["Candidates"]
    return next((each["Posterior"] for each in candidates if each["CrmId"] == crm_id), None)
