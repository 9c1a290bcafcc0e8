"""② Identify: whose images these are, among the CRM's patients, or nobody's.

Asked while a study is decided, and written in the same transaction. The answer itself is `domain.matching.decision`, a
pure function; this module reads what it is asked with, and writes what follows: the answer with its evidence, the
study's state, the event, a review where a person must decide. What a person said outlives new decisions, until it is
undone or the images say something else of their patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from relais.clock import Clock
from relais.configuration import Configuration
from relais.database import Database, inserted_id
from relais.database.patient_tables import match as match_table
from relais.database.patient_tables import patient, waiting_key
from relais.database.queries import matches
from relais.database.tables import study
from relais.domain.asked import Demographics, asked_of, born_apart, named_apart, without
from relais.domain.facts import Facts, Values
from relais.domain.matching.decision import Match, Question, Reason, State
from relais.domain.matching.identifiers import read_identifier
from relais.domain.matching.identity import Identity
from relais.domain.patients import Patient, facts_of
from relais.domain.states import MatchKind, MatchState, ReviewReason
from relais.domain.urgency import urgency
from relais.journal import Journal, Subject
from relais.labels import Labels
from relais.matching_models import Models
from relais.patient_index import MOST_MERGES, Index, keys_to_ask
from relais.reading import Known, Reading
from relais.review_queue import ReviewQueue
from relais.safety_net import SafetyNet
from relais.stop_values import StopValues
from relais.worklist.arrivals import IMPORTED, NONE, Arrival, Arrivals, Ordered

WATCHED = (
    *("PatientName", "PatientBirthName", "OtherPatientNames", "PatientBirthDate", "PatientSex"),
    *("PatientID", "IssuerOfPatientID", "OtherPatientIDs"),
)
"""What must stay as it was for a person's answer to stand."""


_DOCUMENT = select(patient.c.document).where(patient.c.crm_id == bindparam("crm_id"))
_MERGED = select(patient.c.merged_into).where(patient.c.crm_id == bindparam("crm_id"))


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What was found of a study; `standing` is the row of `match` that a person's answer keeps in force.

    `off`: there is nobody in the CRM, or no image any more, so nothing is asked and nothing written.
    """

    state: MatchState = MatchState.Pending
    crm_id: str | None = None
    reason: str | None = None
    match: Match | None = None
    question: Question | None = None
    said: Demographics = field(default_factory=lambda: Demographics(tags={}))
    patient: Mapping[str, Values] = field(default_factory=dict)
    ordered: Ordered = NONE
    standing: int | None = None
    held: Row[Any] | None = None
    off: bool = False

    def facts(self, facts: Facts) -> Facts:
        """The facts, with what rules may ask about the match and the patient."""
        ordered = {"order": self.ordered.facts} if self.ordered.item is not None else {}
        if self.off:
            return facts.model_copy(update=ordered) if ordered else facts
        return facts.model_copy(update={"match_state": self.state.value, "patient": self.patient, **ordered})


class Identify:
    """Asks whose a study is, and keeps the answers."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        configuration: Configuration,
        reading: Reading,
        index: Index,
        models: Models,
        queue: ReviewQueue,
        safety_net: SafetyNet,
        labels: Labels,
    ) -> None:
        self._database = database
        self._clock = clock
        self._journal = journal
        self._configuration = configuration
        self._reading = reading
        self._index = index
        self._stop_values = StopValues(clock=clock, journal=journal)
        self._models = models
        self._queue = queue
        self._safety_net = safety_net
        self._labels = labels
        self._arrivals = Arrivals(clock=clock, journal=journal, configuration=configuration)

    def read(self, row: Row[Any]) -> tuple[Known, Identified]:
        """What is known of the study (a row of `study`), and whose it is as far as can be told; nothing is written."""
        known = self._reading.read(row)
        identified = self.ask(row, known)
        return replace(known, facts=identified.facts(known.facts)), identified

    def ask(self, row: Row[Any], known: Known) -> Identified:
        """Whose the study is, with what is known of it."""
        with self._database.read() as connection:
            ordered = self._arrivals.find(connection, _arrival(row, known)) if known.patients else NONE
            if not known.patients or self.patients(connection) == 0:
                return Identified(ordered=ordered, off=True)
            said = known.patients[-1]
            held = matches.one(connection, row.match_id)
            stands = matches.standing(connection, row.id)
            found = self._answer(connection, row.id, said, known.facts.clinic, ordered.crm_id)
            state, why = self._limited(connection, known, found)
            reason: str | None = why
            crm_id = found.match.crm_id if state is MatchState.Matched else None
            standing = None
            if stands is not None and stands.kind == MatchKind.Doubted and stands.answer is not None:
                state, reason, crm_id, standing = MatchState.Review, ReviewReason.Doubted, None, stands.id
            elif stands is not None and stands.kind in (MatchKind.Linked, MatchKind.Nobody):
                whom = self._person(connection, stands.crm_id) if stands.crm_id else None
                if _same_patient(stands.tags, said):
                    if whom is not None or stands.crm_id is None:
                        state, reason, crm_id, standing = MatchState(stands.state), None, stands.crm_id, stands.id
                else:
                    state, reason, crm_id = MatchState.Review, ReviewReason.Changed, None
            return Identified(
                state=state,
                crm_id=crm_id,
                reason=reason,
                match=found.match,
                question=found.question,
                said=said,
                patient=self.patient_facts(connection, crm_id) if crm_id else {},
                ordered=ordered,
                standing=standing,
                held=held,
            )

    def question(self, connection: Connection, said: Demographics, clinic: str | None) -> tuple[Question, Match]:
        """What is asked of these attributes, without a study, and the answer."""
        arrival = Arrival(accession_number=said.tags.get("AccessionNumber", ""), clinic=clinic, said=said)
        ordered = self._arrivals.find(connection, arrival)
        found = self._answer(connection, 0, said, clinic, ordered.crm_id)
        return found.question, found.match

    def whom(self, connection: Connection, asked: Identity, clinic: str | None) -> Match:
        """Whom a person is, of whom no PatientID is known."""
        asked = without(asked, self._stop_values.among(connection, asked.identifiers))
        return self._match(connection, 0, asked, ("", ""), clinic).match

    def sees(self, connection: Connection, crm_id: str, clinic: str | None, *, inactive: bool = False) -> bool:
        """Whether a study of this clinic may be the patient's; `inactive`: or might be, were the patient active."""
        return bool(self._index.people(connection, [crm_id], clinic, inactive=inactive))

    def patients(self, connection: Connection) -> int:
        """How many people the CRM has; without any, nothing is matched."""
        return self._index.frequencies(connection).total

    def would_change(self, connection: Connection, row: Row[Any]) -> bool:
        """Whether a study that waits would get another answer now, by what its images said when it was asked last."""
        held = matches.one(connection, row.match_id)
        if held is None or held.kind != MatchKind.Automatic or held.question is None or held.answer is None:
            return True
        if held.reason == ReviewReason.Breaker and self._safety_net.tripped(connection) is None:
            return True
        asked = Question.from_json(held.question).asked
        source = held.patient_id, held.issuer_of_patient_id
        ordered = self._arrivals.whose(connection, row.order_id)
        found = self._match(connection, row.id, asked, source, row.clinic, ordered).match
        before = Match.from_json(held.answer)
        return _gist(found) != _gist(before)

    def patient_facts(self, connection: Connection, crm_id: str) -> Mapping[str, Values]:
        """What rules may ask about this patient."""
        person = self._person(connection, crm_id)
        return {} if person is None else facts_of(person, self._today())

    def write(self, connection: Connection, row: Row[Any], known: Known, found: Identified) -> bool:
        """Keep the answer, and what follows from it; `row` is locked. False where it was overtaken: ask again."""
        before = None if found.held is None else found.held.id
        if not found.off and (row.match_id != before or not self._still_there(connection, found)):
            return False
        if not self._arrivals.write(connection, row, found.ordered):
            return False
        if found.off:
            return True
        clinic = known.facts.clinic
        if row.state == "Complete" or _is_news(row, found):
            self._labels.ask(connection, row.id)
        if not _is_news(row, found):
            self._queue.keep(connection, row, clinic, urgency(known.facts))
            return True
        match_id = found.standing or self._insert(connection, row, clinic, found)
        values = {"match_id": match_id, "match_state": found.state.value, "crm_id": found.crm_id}
        connection.execute(update(study).where(study.c.id == row.id).values(values))
        self._remember_keys(connection, row.id, found)
        subject = Subject(id=row.id, study_instance_uid=row.study_instance_uid)
        if found.state is MatchState.Review:
            self._queue.ask(connection, row, match_id, found.reason or "", clinic, urgency(known.facts))
        else:
            self._queue.withdraw(connection, row)
            detail = {"CrmId": found.crm_id} if found.crm_id else {}
            action = "study.matched" if found.state is MatchState.Matched else "study.unmatched"
            self._journal.record(connection, action, subject=subject, **detail, Match=match_id)
        if found.standing is None:
            if found.state is MatchState.Matched and self._safety_net.sampled():
                self._queue.look_again(connection, row, match_id, clinic)
            if found.reason == Reason.Vetoed:
                self._safety_net.look(connection)
        return True

    # --- the question -------------------------------------------------------------------------------------------------

    def _answer(
        self, connection: Connection, study_id: int, said: Demographics, clinic: str | None, ordered: str | None
    ) -> _Answer:
        asked = asked_of(said, self._today())
        asked = without(asked, self._stop_values.among(connection, asked.identifiers))
        return self._match(connection, study_id, asked, self._source_id(connection, said, clinic), clinic, ordered)

    def _match(
        self,
        connection: Connection,
        study_id: int,
        asked: Identity,
        source: tuple[str, str],
        clinic: str | None,
        ordered: str | None = None,
    ) -> _Answer:
        """Ask the kernel; `source` is the PatientID by which earlier answers are found, and who gave it.

        `ordered` is whose study it is by its order.
        """
        linked, rejected = (
            {self._survivor(connection, each) for each in several}
            for several in matches.said_of(connection, study_id, *source)
        )
        model = self._models.active(connection)
        theirs = None if ordered is None else self._survivor(connection, ordered)
        question = self._index.question(
            connection, asked, clinic, model, confirmed=linked, rejected=rejected, ordered=theirs
        )
        return _Answer(question=question, match=question.answer(model))

    def _source_id(self, connection: Connection, said: Demographics, clinic: str | None) -> tuple[str, str]:
        """The PatientID by which earlier answers are found, and who gave it; none where it is nobody's own."""
        issuer = said.issuer(clinic)
        read = read_identifier(said.tags.get("IssuerOfPatientID", ""), said.tags.get("PatientID", ""))
        if read is None or self._stop_values.among(connection, (read,)):
            return "", issuer
        return read.value, issuer

    def _limited(self, connection: Connection, known: Known, found: _Answer) -> tuple[MatchState, str]:
        """The answer's state and reason; a match becomes a review where Relais may not match by itself."""
        state, reason = MatchState(found.match.state.value), found.match.reason.value
        if _differ(known.patients, self._today()):
            return MatchState.Review, ReviewReason.SeriesDiffer
        if found.match.state is State.Matched:
            if known.facts.clinic is None and self._configuration.clinics:
                return MatchState.Review, ReviewReason.NoClinic
            if self._safety_net.tripped(connection) is not None:
                return MatchState.Review, ReviewReason.Breaker
        return state, reason

    # --- the answer ---------------------------------------------------------------------------------------------------

    def _insert(self, connection: Connection, row: Row[Any], clinic: str | None, found: Identified) -> int:
        if found.match is None or found.question is None:
            raise ValueError(found.state)
        patient_id, issuer = self._source_id(connection, found.said, clinic)
        values = {
            "study_id": row.id,
            "at": self._clock.now(),
            "actor": "relais",
            "kind": MatchKind.Automatic,
            "state": found.state.value,
            "crm_id": found.crm_id,
            "reason": found.reason,
            "posterior": next((each.posterior for each in found.match.candidates), None),
            "model": found.match.model,
            "question": found.question.to_json(),
            "answer": found.match.to_json(),
            "patient_id": patient_id,
            "issuer_of_patient_id": issuer,
            "tags": found.said.shown,
        }
        match_id = inserted_id(connection.execute(insert(match_table).values(values)))
        if patient_id:
            self._stop_values.learn(connection, found.said, patient_id, issuer)
        return match_id

    def _remember_keys(self, connection: Connection, study_id: int, found: Identified) -> None:
        connection.execute(delete(waiting_key).where(waiting_key.c.study_id == study_id))
        waits = found.standing is None and found.state in (MatchState.Review, MatchState.Unmatched)
        if not waits or found.question is None:
            return
        rows = [
            {"key": key, "study_id": study_id}
            for key in sorted(set().union(*keys_to_ask(found.question.asked, self._today())))
        ]
        if rows:
            connection.execute(insert(waiting_key), rows)

    def _person(self, connection: Connection, crm_id: str) -> Patient | None:
        document = connection.execute(_DOCUMENT, {"crm_id": self._survivor(connection, crm_id)}).scalar()
        return None if document is None else Patient.model_validate(document)

    def _survivor(self, connection: Connection, crm_id: str) -> str:
        """Who the patient became by merging."""
        for _ in range(MOST_MERGES):
            following = connection.execute(_MERGED, {"crm_id": crm_id}).scalar()
            if following is None:
                break
            crm_id = following
        return crm_id

    def _still_there(self, connection: Connection, found: Identified) -> bool:
        """Whether the CRM has whoever the answer names; who deletes one waits until this transaction ends."""
        candidates = () if found.question is None else found.question.candidates
        named = {each.crm_id for each in candidates} | ({found.crm_id} if found.crm_id else set())
        statement = select(patient.c.id).where(patient.c.crm_id.in_(sorted(named))).order_by(patient.c.id)
        return len(connection.execute(statement.with_for_update(read=True)).all()) == len(named)

    def _today(self) -> date:
        return self._clock.now().date()


@dataclass(frozen=True, kw_only=True)
class _Answer:
    question: Question
    match: Match


def _is_news(row: Row[Any], found: Identified) -> bool:
    """Whether anything that a person or a rule sees is other than what the study has."""
    held = found.held
    if held is None or (row.match_state, row.crm_id) != (found.state.value, found.crm_id):
        return True
    if found.standing is not None:
        return bool(held.id != found.standing)
    if held.kind != MatchKind.Automatic or held.reason != found.reason or held.tags != found.said.shown:
        return True
    if held.answer is None or found.match is None:
        return held.answer is not found.match
    shown = [each["CrmId"] for each in held.answer["Candidates"]]
    return shown != [each.crm_id for each in found.match.candidates]


def _gist(found: Match) -> tuple[State, str | None, Reason, list[str]]:
    return found.state, found.crm_id, found.reason, [each.crm_id for each in found.candidates]


def _arrival(row: Row[Any], known: Known) -> Arrival:
    """What says which order a study was made for."""
    told = known.facts.dicom("RequestAttributesSequence.AccessionNumber")
    return Arrival(
        accession_number=known.tags.get("AccessionNumber", "") or next(iter(told), ""),
        study_instance_uid=row.study_instance_uid,
        clinic=known.facts.clinic,
        said=known.patients[-1],
        imported=bool(row.origin.get(IMPORTED)),
        tied=row.tied_order_id,
    )


def _same_patient(before: Mapping[str, str], now: Demographics) -> bool:
    """Whether the images say of their patient what they said when a person decided."""
    return all(before.get(keyword, "") == now.shown.get(keyword, "") for keyword in WATCHED)


def _differ(patients: tuple[Demographics, ...], today: date) -> bool:
    """Whether the series of one study name different people."""
    distinct = {tuple(sorted(each.tags.items())): each for each in patients}
    first, *others = [asked_of(each, today) for each in distinct.values()] or [Identity()]
    return any(born_apart(first, each) or named_apart(first, each) for each in others)
