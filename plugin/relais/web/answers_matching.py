"""What the API answers about matches and reviews."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Row, RowMapping

from relais.domain.matching.decision import Judged, Match
from relais.domain.priority import Priority
from relais.domain.states import MatchKind, ReviewDecision, ReviewKind, ReviewState
from relais.texts_matching import say_reason, say_veto, say_weight
from relais.web.answers import Answer, MatchAnswer, PatientAnswer


class EvidenceAnswer(Answer):
    """What one comparison says."""

    field: str = Field(description="Family, Given, Order, BirthDate, Sex, Identifier, Phone, PostalCode or Address.")
    level: str = Field(description="How near the two are.")
    bits: float = Field(description="For (above 0) or against one person.")
    text: str = Field(description="The same in the caller's language.")


class CandidateAnswer(Answer):
    """One of the CRM's patients who may be meant."""

    crm_id: str
    posterior: float | None = Field(description="From 0 to 1, over all candidates and nobody.")
    grade: str | None = Field(description="Certain, Probable, Possible or CertainlyNot.")
    evidence: list[EvidenceAnswer]
    vetoes: list[str] = Field(description="What forbids the match, in the caller's language.")

    @classmethod
    def of(cls, judged: Judged, language: str) -> CandidateAnswer:
        """With words for people."""
        return cls(
            crm_id=judged.crm_id,
            posterior=judged.posterior,
            grade=judged.grade,
            evidence=[
                EvidenceAnswer(field=each.field, level=each.level, bits=each.bits, text=say_weight(each, language))
                for each in judged.weights
            ],
            vetoes=[say_veto(each, language) for each in judged.vetoes],
        )

    @classmethod
    def blinded(cls, crm_id: str) -> CandidateAnswer:
        """For a second look: who they are, and nothing of what was found."""
        return cls(crm_id=crm_id, posterior=None, grade=None, evidence=[], vetoes=[])


class MatchedAnswer(Answer):
    """Who these attributes would be."""

    state: str = Field(description="Matched, Review or Unmatched.")
    crm_id: str | None
    reason: str = Field(description="Why, in the caller's language.")
    nobody: float = Field(description="How likely it is none of the CRM's patients.")
    model: str = Field(description="SHA-256 of the weights.")
    candidates: list[CandidateAnswer] = Field(description="The likeliest first, three at most.")

    @classmethod
    def of(cls, found: Match, language: str) -> MatchedAnswer:
        """With words for people."""
        return cls(
            state=found.state,
            crm_id=found.crm_id,
            reason=say_reason(found.reason, language),
            nobody=found.nobody,
            model=found.model,
            candidates=[CandidateAnswer.of(each, language) for each in found.candidates],
        )


class SaidAnswer(Answer):
    """One answer to whose the study is."""

    id: int
    at: datetime
    actor: str
    kind: MatchKind
    state: str
    crm_id: str | None
    reason: str | None
    comment: str | None


class StudyMatchAnswer(Answer):
    """Whose a study is, with the evidence and all that was answered, the newest first."""

    state: str = Field(description="Pending, Matched, Review or Unmatched.")
    crm_id: str | None
    kind: MatchKind | None = Field(description="Automatic, or what a person did.")
    reason: str | None = Field(description="Why, in the caller's language.")
    posterior: float | None
    nobody: float | None
    model: str | None
    candidates: list[CandidateAnswer]
    history: list[SaidAnswer]


class ReviewAnswer(PatientAnswer):
    """One review in the queue."""

    id: int
    study_instance_uid: str = Field(alias="StudyInstanceUID")
    kind: ReviewKind
    state: ReviewState
    clinic: str | None
    reason: str = Field(description="Why a person is asked, in the caller's language.")
    urgency: str = Field(description="Stat, Urgent, Routine or Background.")
    opened_at: datetime
    match: int = Field(description="The answer that is asked about.")
    claimed_by: str | None = Field(description="Who looks at it now.")
    claimed_until: datetime | None
    first_by: str | None = Field(description="Who was the first of four eyes.")
    asked_crm: bool = Field(description="Whether the CRM was asked to create the patient.")
    resolved_at: datetime | None
    resolved_by: str | None
    decision: ReviewDecision | None
    crm_id: str | None = Field(description="Whom a person linked.")
    agreed: bool | None = Field(description="Of a second look: whether it came to the same.")

    @classmethod
    def values(cls, row: Any, now: datetime, language: str, *, patient: bool) -> dict[str, Any]:
        """From a row of `queries.reviews`; without `patient`, whatever could name one is null."""
        held = row["claimed_until"] is not None and row["claimed_until"] >= now
        return {
            **row,
            "match": row["match_id"],
            "reason": say_reason(row["reason"], language),
            "urgency": Priority(row["urgency"]).name,
            "claimed_by": row["claimed_by"] if held else None,
            "claimed_until": row["claimed_until"] if held else None,
            "first_by": row["first"]["By"] if row["first"] else None,
            "patient_name": row["patient_name"] if patient else None,
            "patient_id": row["study_patient_id"] if patient else None,
            "patient_birth_date": row["patient_birth_date"] if patient else None,
        }


class ReviewPage(Answer):
    """One page of the queue, the most urgent first."""

    items: list[ReviewAnswer]
    next: str | None = Field(description="What to give as Since for the next page; null on the last one.")


class ReviewDetail(ReviewAnswer):
    """A review with what the images say, and the candidates."""

    tags: dict[str, str] = Field(description="What the images say of their patient, by DICOM keyword.")
    blinded: bool = Field(description="A second look: nothing is told of what was found.")
    candidates: list[CandidateAnswer]


class WaitingAnswer(Answer):
    """How much waits."""

    clinic: str | None
    kind: ReviewKind
    amount: int
    oldest: datetime


class WaitingList(Answer):
    """How much waits, by clinic and kind."""

    items: list[WaitingAnswer]


class Claimed(Answer):
    """The review is the caller's for a while."""

    done: bool = True
    until: datetime


class Resolved(Answer):
    """What a person said is kept."""

    done: bool = True
    state: ReviewState = Field(description="Open: a second person must say the same first.")


class SentAnswer(Answer):
    """What is at a destination already, and stays there."""

    delivery: int
    destination: str
    delivered: int
    finished_at: datetime | None


class ConsequencesAnswer(Answer):
    """What would follow."""

    sent: list[SentAnswer]
    now: list[dict[str, Any]] = Field(
        description="Destination and Purpose of each delivery that would be owed; whether it is Permitted, or Reasons."
    )
    added: list[str] = Field(description="Destinations to which it would go, and did not.")
    dropped: list[str] = Field(description="Destinations to which nothing more would go.")
    hold: str | None = Field(description="Why the rules would hold the study.")
    others: int = Field(description="Studies that were matched because of this link, and would be asked again.")


class ModelAnswer(Answer):
    """A set of weights."""

    digest: str
    version: str
    active: bool
    added_at: datetime | None = Field(description="Null for the first set, which is part of Relais.")
    added_by: str | None
    activated_at: datetime | None
    activated_by: str | None
    evaluation: dict[str, Any] | None


class ModelList(Answer):
    """Every model, the newest first."""

    items: list[ModelAnswer]


class ModelAdded(Answer):
    """The model is kept; it decides nothing yet."""

    done: bool = True
    digest: str


class BreakerAnswer(Answer):
    """Automatic matching is stopped."""

    tripped_at: datetime
    reason: str = Field(description="Why, in the caller's language.")
    counts: dict[str, int]


class MatchingAnswer(Answer):
    """How matching stands."""

    patients: int = Field(description="Patients of the CRM; without any, nothing is matched.")
    model: str = Field(description="SHA-256 of the weights that decide.")
    studies: dict[str, int] = Field(description="Studies by state of the match.")
    breaker: BreakerAnswer | None = Field(description="Why automatic matching is stopped; null while it runs.")


def candidates_of(found: Match | None, language: str) -> list[CandidateAnswer]:
    """The candidates of a stored answer; none where one of them was forgotten."""
    return [] if found is None else [CandidateAnswer.of(each, language) for each in found.candidates]


def matched(study: RowMapping, held: Row[Any] | None, language: str) -> MatchAnswer:
    """Whose a study is, with the evidence for whom it is, or who is likeliest."""
    answer = MatchAnswer(state=study["match_state"], crm_id=study["crm_id"], posterior=study["posterior"])
    if held is None or held.answer is None:
        return answer
    candidates = candidates_of(Match.from_json(held.answer), language)
    whose = [each for each in candidates if each.crm_id == study["crm_id"]] or candidates[:1]
    evidence = [
        each.model_dump(by_alias=True, include={"field", "bits", "text"}) for one in whose for each in one.evidence
    ]
    return answer.model_copy(update={"evidence": evidence})
