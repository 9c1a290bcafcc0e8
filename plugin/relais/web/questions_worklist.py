"""What the API is asked about orders."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field

from relais.database.queries.worklist import OrderFilter
from relais.domain.document import Document, OneOf, Text
from relais.domain.states import OrderState
from relais.web.questions import Command, Paging


class OrderQuery(Paging):
    """Which orders. Whatever could name a patient is not here: a URL ends up in logs."""

    clinic: str | None = Field(None, description="Key of their clinic.", examples=["outremont"])
    day: date | None = Field(None, description="The day, or the first, as the clinic has it.", examples=["2026-11-23"])
    until: date | None = Field(None, description="The last day; the same if not given.", examples=["2026-11-29"])
    state: Annotated[OrderState, OneOf(OrderState)] | None = Field(
        None, description="Where they stand.", examples=["Scheduled"]
    )
    station_aet: str | None = Field(None, description="The machine that they are for.", examples=["CS8100"])

    @property
    def wanted(self) -> OrderFilter:
        """As the queries have it."""
        return OrderFilter(
            clinic=self.clinic,
            day=None if self.day is None else f"{self.day:%Y%m%d}",
            until=None if self.until is None else f"{self.until:%Y%m%d}",
            state=self.state,
            station_aet=self.station_aet,
        )


class StrayQuery(Paging):
    """Which studies without an order."""

    clinic: str | None = Field(None, description="Key of their clinic.", examples=["outremont"])


class OrderBody(Document):
    """An order: beside Clinic and CrmId the DICOM keywords of the patient, the requested procedure and the one step.

    AccessionNumber and ScheduledProcedureStepStartDate must be there; PatientName and PatientID too, unless the CRM's
    patient is known here. A sequence is a list of items.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "AccessionNumber": "A1001",
                    "Clinic": "outremont",
                    "CrmId": "C-1001",
                    "PatientName": "Tremblay^Zoé",
                    "PatientID": "1001",
                    "PatientBirthDate": "1984-05-17",
                    "PatientSex": "F",
                    "ScheduledProcedureStepStartDate": "2026-11-23",
                    "ScheduledProcedureStepStartTime": "09:30",
                    "ScheduledStationAETitle": "CS8100",
                    "Modality": "PX",
                    "RequestedProcedureDescription": "Panoramic",
                }
            ]
        },
    )

    clinic: str | None = Field(None, description="Key of the clinic whose machine it is for.", examples=["outremont"])
    crm_id: str | None = Field(None, description="The CRM's key of the patient.", examples=["C-1001"])

    def given(self, **address: str) -> dict[str, Any]:
        """What was given, with what the address says."""
        said = {**(self.model_extra or {}), **address}
        return {**said, "Clinic": self.clinic, "CrmId": self.crm_id}


class OrderLines(Document):
    """Orders, one a line, each as POST takes it."""

    MEDIA: ClassVar[tuple[str, ...]] = ("application/x-ndjson",)
    LARGEST_BODY: ClassVar[int] = 4_000_000

    text: bytes = Field(description="The lines.", examples=['{"AccessionNumber": "A1001", "CrmId": "C-1001"}'])

    @classmethod
    def of_bytes(cls, body: bytes) -> Self:
        """The body as it came."""
        return cls(text=body)


class TieCommand(Command):
    """Which order, and why."""

    accession_number: Text = Field(description="The order's.", examples=["A1001"])
