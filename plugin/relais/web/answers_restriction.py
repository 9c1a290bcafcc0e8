"""What the API answers about restrictions."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from relais.web.answers import Answer


class RestrictionAnswer(Answer):
    """What may not be sent, and who said so."""

    id: int
    study_instance_uid: str | None = Field(alias="StudyInstanceUID")
    patient_id: str | None = Field(alias="PatientID")
    issuer_of_patient_id: str | None = Field(alias="IssuerOfPatientID")
    destinations: list[str] = Field(description="To whom; where there are no Regions either, to everybody.")
    regions: list[str]
    reason: str
    by: str
    at: datetime
    since: datetime
    until: datetime | None
    lifted_by: str | None
    lifted_at: datetime | None
    lifted_reason: str | None


class RestrictionSet(Answer):
    """The restriction is in force, or will be."""

    done: bool = True
    restriction: int = Field(description="Its id.")
