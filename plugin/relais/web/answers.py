"""What the API answers: one model a thing, read from the queries' rows, written in PascalCase, described in OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal
from sqlalchemy import RowMapping

from relais.domain.priority import Priority
from relais.domain.states import DeliveryState, StudyState


class Answer(BaseModel):
    """Something that the API answers with."""

    model_config = ConfigDict(
        alias_generator=to_pascal,
        populate_by_name=True,
        from_attributes=True,
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next: str | None = Field(description="What to give as Since for the next page; null on the last one.")


def page_of(rows: Sequence[RowMapping], limit: int, answer: Callable[[RowMapping], Item]) -> Page[Item]:
    """The page of these rows; a full one may have another after it."""
    following = str(rows[-1]["id"]) if len(rows) == limit else None
    return Page(items=[answer(row) for row in rows], next=following)


class Done(Answer):
    """The command was carried out."""

    done: bool = True


class MatchAnswer(Answer):
    """Whose images these are."""

    state: str = Field(description="Pending, Matched, Review or Unmatched.")
    crm_id: str | None = Field(None, description="The CRM's patient; null for callers who may not see patients.")
    posterior: float | None = Field(None, description="How likely it is the likeliest patient, from 0 to 1.")
    evidence: list[dict[str, Any]] = Field(
        [], description="Of one study: what spoke for and against that patient; Field, Bits and Text of each."
    )


class DecisionAnswer(Answer):
    """Which rules decided, by which configuration."""

    configuration: str = Field(description="SHA-256 of the configuration that was active.")
    decided_at: datetime
    rules: list[str] = Field(description="The names of the rules that held.")


class DeliveryAnswer(Answer):
    """One study owed to one destination."""

    id: int
    study_instance_uid: str = Field(alias="StudyInstanceUID")
    destination: str
    state: DeliveryState
    priority: str = Field(description="Stat, Urgent, Routine or Background.")
    purpose: str
    attempts: int = Field(description="Failed attempts since the last success.")
    instances: int = Field(description="Instances that the study has.")
    delivered: int = Field(description="Instances that the destination has.")
    created_at: datetime
    finished_at: datetime | None
    next_attempt: datetime | None
    last_error: dict[str, Any] | None
    reasons: list[dict[str, Any]] = Field(
        description="Rule, Pool, FailoverOf or RedirectedFrom asked for it; Hold and Canceled have a person's words; "
        "Refused is a code of what the law refuses, with its Values and Articles."
    )
    failover_of: str | None = Field(description="The destination that it stands in for.")
    proof: dict[str, Any] | None = Field(
        description="Kind, Instances and At of the proof; while it is awaited Kind, Transaction and AskedAt."
    )

    @classmethod
    def of(cls, row: Any) -> DeliveryAnswer:
        """From a row of `queries.deliveries`."""
        return cls.model_validate({**row, "priority": Priority(row["priority"]).name})


class PatientAnswer(Answer):
    """The patient as the images name them; all null for callers who may not see patients."""

    patient_name: str | None
    patient_id: str | None = Field(alias="PatientID")
    patient_birth_date: str | None


class StudyAnswer(PatientAnswer):
    """One study: where it stands and where it goes."""

    study_instance_uid: str = Field(alias="StudyInstanceUID")
    state: StudyState
    instances: int
    modalities: list[str]
    clinic: str | None
    origin: dict[str, Any] = Field(description="CallingAet, CalledAet, RemoteIp and Kind of the first instance.")
    accession_number: str | None
    study_date: str
    study_description: str | None
    received_at: datetime
    changed_at: datetime = Field(description="When the last instance arrived.")
    completed_at: datetime | None
    completed_by: str | None = Field(
        description="Why it counts as complete, or would: Quiet, Expected (all are there), Incomplete (some never "
        "came) or Cap (it grew for too long)."
    )
    expected: int | None = Field(description="How many instances it is said to have (0020,1208).")
    quiet_until: datetime | None
    hold_reason: str | None
    held_by: str | None
    match: MatchAnswer
    deliveries: list[DeliveryAnswer]

    @classmethod
    def of(cls, row: Any, deliveries: list[DeliveryAnswer], *, patient: bool) -> StudyAnswer:
        """From a row of `queries.studies`; without `patient`, whatever could name one is null."""
        return cls.model_validate(study_values(row, deliveries, patient=patient))


class SeriesAnswer(Answer):
    """One series of a study."""

    series_instance_uid: str = Field(alias="SeriesInstanceUID")
    modality: str
    number: str
    description: str | None
    instances: int


class StudyDetail(StudyAnswer):
    """A study with its series and its decision."""

    decision: DecisionAnswer | None
    series: list[SeriesAnswer]


class MomentAnswer(Answer):
    """One thing that happened to a study."""

    at: datetime
    kind: str
    detail: dict[str, Any]


class TimelineAnswer(Answer):
    """Everything that happened to a study, oldest first."""

    items: list[MomentAnswer]


class ExplanationAnswer(Answer):
    """Why a study goes where it goes: the facts, and each rule with why it held or not."""

    study_instance_uid: str = Field(alias="StudyInstanceUID")
    state: StudyState
    hold_reason: str | None
    clinic: str | None
    clinic_reason: dict[str, Any] | None
    configuration: str | None
    decided_at: datetime | None
    facts: dict[str, Any] | None = Field(description="As rules/evaluate takes them.")
    decision: dict[str, Any] | None


class EvaluationAnswer(Answer):
    """What would be decided."""

    configuration: str
    facts: dict[str, Any]
    decision: dict[str, Any]
    deliveries: list[dict[str, Any]] = Field(
        description="Destination and Purpose of each, with a destination in the place of a pool; whether it is "
        "Permitted by law, or the Reasons why not. Of a study that is held, what is kept back."
    )


def study_values(row: Any, deliveries: list[DeliveryAnswer], *, patient: bool) -> dict[str, Any]:
    """The values of a StudyAnswer."""
    values: dict[str, Any] = {
        **row,
        "modalities": [each for each in row["modalities"].split("\\") if each],
        "match": MatchAnswer(
            state=row["match_state"],
            crm_id=row["crm_id"] if patient else None,
            posterior=row["posterior"] if patient else None,
        ),
        "deliveries": deliveries,
    }
    if not patient:
        hidden = ("patient_name", "patient_id", "patient_birth_date", "accession_number", "study_description")
        values |= dict.fromkeys(hidden)
    return values
