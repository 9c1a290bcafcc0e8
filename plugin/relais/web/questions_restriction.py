"""What the API is asked about restrictions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from relais.domain.document import Name, Region, Text
from relais.web.questions import Command, Uid

LongString = Annotated[Text, StringConstraints(max_length=64, strip_whitespace=True)]
"""A DICOM LO (PS3.5 section 6.2)."""


class RestrictionCommand(Command):
    """What shall not be sent of one study or of one patient: to some, or without Destinations and Regions to nobody."""

    study_instance_uid: Uid | None = Field(
        None, alias="StudyInstanceUID", description="Of which study; it need not be here yet.", examples=["1.2.3"]
    )
    patient_id: LongString | None = Field(
        None, alias="PatientID", description="Or of which patient, as the images have it.", examples=["RAMQ1234"]
    )
    issuer_of_patient_id: LongString | None = Field(
        None,
        alias="IssuerOfPatientID",
        description="Who gave that id; any if not given. Images without an issuer are meant too.",
        examples=["RAMQ"],
    )
    destinations: Annotated[tuple[Name, ...], Field(max_length=100)] = Field(
        (), description="To which destinations, by name.", examples=[["cloud"]]
    )
    regions: Annotated[tuple[Region, ...], Field(max_length=100)] = Field(
        (),
        description="To destinations that store images in these regions, or where they can be looked at from there; a "
        "country is all of it.",
        examples=[["CA-ON", "US"]],
    )
    since: AwareDatetime | None = Field(
        None, description="From when on; now if not given.", examples=["2026-12-01T00:00:00Z"]
    )
    until: AwareDatetime | None = Field(
        None, description="Until when; until it is lifted if not given.", examples=["2027-12-01T00:00:00Z"]
    )

    def ends_too_early(self, now: datetime) -> bool:
        """Whether it would be over before it begins, or is over."""
        return self.until is not None and self.until <= max(self.since or now, now)
