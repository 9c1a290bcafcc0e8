"""The modality worklist, and who may fetch from us."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_validator

from relais.configuration.standing import Standing
from relais.configuration.values import Aet, Hours, Port
from relais.domain.clinics import ClinicOrAll
from relais.domain.document import Document, Flag, NotEmpty, Text, Whole
from relais.domain.globs import compile_glob


class Mpps(Document):
    """Where machines report what they perform (PS3.4 annex F)."""

    port: Port = Field(description="The DICOM port, another than Orthanc's.", examples=[4243])
    aet: Aet = Field(default="RELAIS", description="The AE title.", examples=["RELAIS"])


class Worklist(Document):
    """The scheduled procedures that machines ask for (PS3.4 annex K)."""

    enabled: Flag = Field(default=True, description="Whether machines are answered.", examples=[False])
    expire: Hours = Field(
        default=timedelta(hours=48),
        alias="ExpireHours",
        description="How many hours after its time an order expires that nobody has begun.",
        examples=[48],
        json_schema_extra={"default": 48},
    )
    limit: Annotated[Whole, Field(ge=1, le=10_000)] = Field(
        default=500, description="The most items that one question is answered.", examples=[200]
    )
    mpps: Mpps | None = Field(
        default=None,
        description="A service to which machines report what they perform; none if not given.",
        examples=[{"Port": 4243}],
    )


class UnknownRetrievers(StrEnum):
    """What becomes of a C-MOVE by somebody whom neither Retrievers nor Destinations know."""

    Allow = "Allow"
    Refuse = "Refuse"


class Retriever(Standing):
    """Somebody who may fetch from us by C-MOVE: judged by the law as a destination is."""

    aets: Annotated[tuple[Text, ...], NotEmpty] = Field(
        description="The AE titles to which they have it sent, as globs.", examples=[["READING*"]]
    )
    clinics: Annotated[tuple[ClinicOrAll, ...], NotEmpty] = Field(
        default=("*",), description="The clinics whose studies they may fetch; * is all.", examples=[["outremont"]]
    )

    @field_validator("aets")
    @classmethod
    def _globs(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in given:
            compile_glob(pattern)
        return given
