"""What the API is asked: query strings and bodies."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from relais.domain.document import Document, OneOf, Text
from relais.domain.facts import Facts
from relais.domain.states import DeliveryState, NotificationState, StudyState, TaskState

Uid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
Reason = Annotated[Text, StringConstraints(max_length=500)]


class Nothing(Document):
    """No parameters."""


class Paging(Document):
    """Which part of a list."""

    limit: int = Field(50, ge=1, le=500, description="The most items answered.", examples=[50])
    since: Key | None = Field(None, description="Next of the page before.", examples=["1234"])

    @property
    def before(self) -> int | None:
        """The key before which the page begins."""
        return None if self.since is None else int(self.since)


class StudyQuery(Paging):
    """Which studies. Whatever could name a patient is not here: a URL ends up in logs; POST to studies/search."""

    state: Annotated[StudyState, OneOf(StudyState)] | None = Field(
        None, description="Where they stand.", examples=["Held"]
    )
    clinic: str | None = Field(None, description="Key of their clinic.", examples=["outremont"])
    modality: str | None = Field(None, description="A modality that they contain.", examples=["PX"])
    destination: str | None = Field(None, description="Where they are owed or went.", examples=["vna-qc"])


class StudySearch(StudyQuery):
    """Which studies, by words of the patient's name and ids, accession number, description or UID."""

    text: str = Field(
        "",
        max_length=200,
        description="Words, or their beginnings; accents and case do not matter.",
        examples=["gagne"],
    )


class DeliveryQuery(Paging):
    """Which deliveries."""

    state: Annotated[DeliveryState, OneOf(DeliveryState)] | None = Field(
        None, description="Where they stand.", examples=["Failed"]
    )
    destination: str | None = Field(None, description="To where.", examples=["vna-qc"])
    study_instance_uid: Uid | None = Field(
        None, alias="StudyInstanceUID", description="Of which study.", examples=["1.2.3"]
    )


class NotificationQuery(Paging):
    """Which notifications."""

    state: Annotated[NotificationState, OneOf(NotificationState)] | None = Field(
        None, description="Where they stand.", examples=["Failed"]
    )
    subscriber: str | None = Field(None, description="To whom.", examples=["crm"])
    study_instance_uid: Uid | None = Field(
        None, alias="StudyInstanceUID", description="About which study.", examples=["1.2.3"]
    )


class TaskQuery(Paging):
    """Which tasks."""

    state: Annotated[TaskState, OneOf(TaskState)] | None = Field(
        None, description="Where they stand; Dead ones wait for a person.", examples=["Dead"]
    )


class AuditQuery(Document):
    """Which audit events."""

    limit: int = Field(50, ge=1, le=500, description="The most items answered.", examples=[50])
    since: Annotated[str, StringConstraints(max_length=300)] | None = Field(
        None, description="Next of the page before.", examples=["2026-04-01T12:00:00+00:00/7/router"]
    )
    study_instance_uid: Uid | None = Field(
        None, alias="StudyInstanceUID", description="About which study.", examples=["1.2.3"]
    )
    actor: str | None = Field(None, description="Who did it: a user's name, or relais.", examples=["alice"])
    action: str | None = Field(None, description="What was done.", examples=["study.held"])


class PreviewQuery(Document):
    """Which image."""

    width: int = Field(512, ge=16, le=2048, description="Pixels.", examples=[256])


class Command(Document):
    """Why a person does it; the audit keeps it."""

    reason: Reason = Field(description="Why, in a person's words.", examples=["the VNA was repaired"])


class Restart(Document):
    """Whether to go on; nothing to say is fine."""

    reason: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="Why.", examples=["the CRM was repaired"]
    )


class Evaluation(Document):
    """Facts, or a study whose facts are taken."""

    facts: Facts | None = Field(None, description="What rules may ask about.", examples=[{"Study": {"PatientID": "1"}}])
    study_instance_uid: Uid | None = Field(None, alias="StudyInstanceUID", description="A study.", examples=["1.2.3"])
