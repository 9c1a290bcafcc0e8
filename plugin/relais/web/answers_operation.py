"""What the API answers about the running of Relais: notices, tasks, the audit, health."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from relais.domain.states import NotificationState, TaskState
from relais.web.answers import Answer


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
    matching: str = Field(description="On, Off (the CRM has no patients) or Stopped (by the breaker).")
