"""What the API answers: one model a thing, read from the queries' rows, written in PascalCase, described in OpenAPI."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_pascal

from relais.domain.priority import Priority
from relais.domain.states import DeliveryState, NotificationState, StudyState, TaskState


class Answer(BaseModel):
    """Something that the API answers with."""

    model_config = ConfigDict(
        alias_generator=to_pascal, populate_by_name=True, from_attributes=True, frozen=True, hide_input_in_errors=True
    )


Item = TypeVar("Item")


class Page(Answer, Generic[Item]):
    """One page of a list, newest first."""

    items: list[Item]
    next: str | None = Field(description="What to give as Since for the next page; null on the last one.")


class Done(Answer):
    """The command was carried out."""

    done: bool = True


class MatchAnswer(Answer):
    """Whose images these are."""

    state: str = Field(description="Pending, Matched, Review or Unmatched.")
    crm_id: str | None = None
    posterior: float | None = None
    evidence: list[dict[str, Any]] = []


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
    reasons: list[dict[str, Any]]
    proof: Any | None

    @classmethod
    def of(cls, row: Any) -> DeliveryAnswer:
        """From a row of `queries.deliveries`."""
        return cls.model_validate({**row, "priority": Priority(row["priority"]).name})


class AttemptAnswer(Answer):
    """One batch that was sent, or not."""

    started_at: datetime
    finished_at: datetime
    instances: int
    bytes: int
    error: dict[str, Any] | None


class DeliveryDetail(DeliveryAnswer):
    """A delivery with its latest attempts, newest first."""

    history: list[AttemptAnswer]


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


class DestinationAnswer(Answer):
    """A destination and the state of its lane."""

    name: str
    kind: str
    aet: str
    host: str
    port: int
    concurrency: int
    state: str = Field(description="Open, Waiting (its last attempt failed), Down or Paused.")
    backlog: int = Field(description="Deliveries that wait or are under way.")
    counts: dict[str, int] = Field(description="What is owed, by state of the delivery.")
    oldest: datetime | None = Field(description="Since when the oldest of the backlog is owed.")
    completed_last_day: int
    failures: int = Field(description="Failed attempts in a row.")
    down_since: datetime | None
    next_probe: datetime | None
    paused_at: datetime | None
    paused_reason: str | None
    last_error: dict[str, Any] | None


class NotificationAnswer(Answer):
    """One event, told to one subscriber."""

    id: int
    event_id: str = Field(description="The webhook-id, the same on every attempt.")
    type: str
    at: datetime
    study_instance_uid: str | None = Field(alias="StudyInstanceUID")
    subscriber: str
    state: NotificationState
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    next_attempt: datetime | None
    last_status: int | None
    last_error: str | None


class NotificationAttempt(Answer):
    """One POST to the subscriber."""

    at: datetime
    milliseconds: int
    status: int | None
    error: str | None
    answer: str | None


class NotificationDetail(NotificationAnswer):
    """A notification with its data and its latest attempts, newest first."""

    data: dict[str, Any]
    history: list[NotificationAttempt]


class SubscriberAnswer(Answer):
    """Somebody who is told about events."""

    name: str
    url: str
    events: list[str]
    include_patient: bool
    enabled: bool
    disabled_at: datetime | None
    reason: str | None
    counts: dict[str, int] = Field(description="Notifications by state.")


class TaskAnswer(Answer):
    """A durable task."""

    id: int
    kind: str
    lane: str
    key: str
    state: TaskState
    run_at: datetime
    attempts: int
    error: str | None


class AuditAnswer(Answer):
    """One event of the hash chain."""

    node: str
    number: int
    at: datetime
    actor: str
    action: str
    study_instance_uid: str | None = Field(alias="StudyInstanceUID")
    detail: dict[str, Any]
    previous: str
    hash: str


class VerificationAnswer(Answer):
    """What a check of one node's chain found."""

    node: str
    events: int
    head: str
    intact: bool
    broken_at: int | None
    reason: str | None


class Check(Answer):
    """One thing that must be well for studies to flow."""

    name: str
    healthy: bool
    message: str


class HealthAnswer(Answer):
    """Whether studies flow: every check."""

    healthy: bool
    checks: list[Check]


class SystemAnswer(Answer):
    """Versions, who calls, and what the self-check found."""

    version: str
    orthanc: str
    python: str
    database: str
    node: str
    configuration: str = Field(description="SHA-256 of the active configuration.")
    user: str
    permissions: list[str]
    language: str
    findings: list[str]


def study_values(row: Any, deliveries: list[DeliveryAnswer], *, patient: bool) -> dict[str, Any]:
    """The values of a StudyAnswer."""
    values: dict[str, Any] = {
        **row,
        "modalities": [each for each in row["modalities"].split("\\") if each],
        "match": MatchAnswer(state=row["match_state"]),
        "deliveries": deliveries,
    }
    if not patient:
        hidden = ("patient_name", "patient_id", "patient_birth_date", "accession_number", "study_description")
        values |= dict.fromkeys(hidden)
    return values
