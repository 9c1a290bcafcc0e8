"""What the API is asked: query strings and bodies."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, StringConstraints

from relais.bulk import AT_ONCE, Act
from relais.database.queries.deliveries import DeliveryFilter
from relais.domain.document import Document, Name, NotEmpty, OneOf, Text
from relais.domain.facts import Facts
from relais.domain.priority import Priority
from relais.domain.states import DeliveryState, NotificationState, StudyState, TaskState

Uid = Annotated[str, StringConstraints(pattern=r"^[0-9.]{1,64}$")]
Key = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")]
Id = Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)]
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


class DeliveryFilters(Document):
    """Which deliveries, without their page."""

    state: Annotated[DeliveryState, OneOf(DeliveryState)] | None = Field(
        None, description="Where they stand.", examples=["Failed"]
    )
    destination: str | None = Field(None, description="To where.", examples=["vna-qc"])
    priority: Annotated[Priority, OneOf(Priority)] | None = Field(
        None, description="How urgent they are.", examples=["Stat"]
    )
    older_than: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        None, alias="OlderThanMinutes", description="Owed for longer than so many minutes.", examples=[60]
    )

    def wanted(self, now: datetime) -> DeliveryFilter:
        """As the queries take it."""
        return DeliveryFilter(
            state=self.state,
            destination=self.destination,
            priority=self.priority,
            owed_before=None if self.older_than is None else now - timedelta(minutes=self.older_than),
        )


class DeliveryQuery(DeliveryFilters, Paging):
    """Which deliveries."""

    study_instance_uid: Uid | None = Field(
        None, alias="StudyInstanceUID", description="Of which study.", examples=["1.2.3"]
    )

    def wanted(self, now: datetime) -> DeliveryFilter:
        """As the queries take it."""
        return replace(super().wanted(now), study_instance_uid=self.study_instance_uid)


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

    width: int = Field(
        512, ge=16, le=2048, description="Pixels that it is wide at most, and high at most.", examples=[256]
    )


class Command(Document):
    """Why a person does it; the audit keeps it."""

    reason: Reason = Field(description="Why, in a person's words.", examples=["the VNA was repaired"])


class Redirection(Command):
    """Where instead, and why."""

    destination: Name = Field(description="Who shall receive the study instead.", examples=["vna-2"])


class BulkCommand(Command):
    """What to do to which deliveries: those of Ids, or all that Filter finds."""

    action: Annotated[Act, OneOf(Act)] = Field(
        description="retry, hold, release, cancel or redirect.", examples=["retry"]
    )
    ids: Annotated[tuple[Id, ...], NotEmpty, Field(max_length=AT_ONCE)] | None = Field(
        None, description="Their ids.", examples=[[7, 9]]
    )
    filter: DeliveryFilters | None = Field(
        None,
        description="What they must be; without State those are meant to which the action can be done.",
        examples=[{"State": "Failed", "Destination": "vna-qc"}],
    )
    destination: Name | None = Field(
        None, description="Who shall receive the studies instead, for redirect.", examples=["vna-2"]
    )
    limit: Annotated[int, Field(strict=True, ge=1, le=AT_ONCE)] = Field(
        100, description="The most that are done in this piece.", examples=[100]
    )
    since: Key | None = Field(None, description="Next of the piece before.", examples=["1234"])


class HistoryQuery(Document):
    """Which hours."""

    hours: int = Field(24, ge=1, le=168, description="How many, the one that runs included.", examples=[24])


class Comparison(Command):
    """Which image, and why: looking at it is audited."""

    study_instance_uid: Uid = Field(alias="StudyInstanceUID", description="Its study.", examples=["1.2.3"])
    sop_instance_uid: Uid | None = Field(
        None,
        alias="SOPInstanceUID",
        description="The image; the study's first if not given.",
        examples=["1.2.3.4"],
    )


class Restart(Document):
    """Whether to go on; nothing to say is fine."""

    reason: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="Why.", examples=["the CRM was repaired"]
    )


class Evaluation(Document):
    """Facts, or a study whose facts are taken."""

    facts: Facts | None = Field(None, description="What rules may ask about.", examples=[{"Study": {"PatientID": "1"}}])
    study_instance_uid: Uid | None = Field(None, alias="StudyInstanceUID", description="A study.", examples=["1.2.3"])
