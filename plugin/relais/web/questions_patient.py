"""What the API is asked about the CRM's patients."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from relais.domain.document import Document, Name, fault
from relais.domain.patients import CrmId, Person
from relais.web.questions import Command, Paging


class PatientQuery(Paging):
    """Which patients."""

    clinic: str | None = Field(None, description="Key of their clinic.", examples=["outremont"])


class PatientBody(Person):
    """What the CRM knows of a patient; CrmId may be left out, for the address has it."""

    crm_id: str | None = Field(None, description="As in the address.", examples=["C-1001"])


class Merging(Command):
    """Into whom, and why."""

    into: CrmId = Field(description="The CrmId of the patient whose this record is.", examples=["C-1002"])


class ImportCommand(Document):
    """What to import: a file of the folder, a source, or lines that follow in pieces."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        None, description="The name of a file in PatientFolder.", examples=["patients.ndjson"]
    )
    source: Name | None = Field(None, description="The name of one of PatientSources, asked now.", examples=["crm"])

    @model_validator(mode="after")
    def _one_way(self) -> ImportCommand:
        if self.file is not None and self.source is not None:
            raise fault("file-or-source")
        return self


class Lines(Document):
    """Patients, one a line, each as `patients/{CrmId}` answers it."""

    MEDIA: ClassVar[tuple[str, ...]] = ("application/x-ndjson",)
    LARGEST_BODY: ClassVar[int] = 4_000_000
    """Bytes of a piece: Orthanc keeps what it receives for a while."""

    text: bytes = Field(description="The lines.", examples=['{"CrmId": "C-1001", "Name": "Tremblay, Zoe"}'])

    @classmethod
    def of_bytes(cls, body: bytes) -> Self:
        """The body as it came."""
        return cls(text=body)
