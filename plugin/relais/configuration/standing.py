"""Under which law somebody stands who receives images: what destinations and retrievers have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from relais.domain.document import Document, NotEmpty, OneOf
from relais.domain.labels import Agreement, Assessment, Jurisdiction, Purpose


class Standing(Document):
    """What the residency kernel asks of whoever receives images."""

    jurisdiction: Jurisdiction | None = Field(
        default=None,
        description="Under which law it stands; without it nothing is sent there.",
        examples=[{"Storage": "CA-QC", "Access": ["CA-QC"]}],
    )
    assessment: Assessment | None = Field(
        default=None,
        description="The privacy assessment of sending there, which anything outside Quebec needs.",
        examples=[{"Reference": "EFVP-2026-04", "Result": "Adequate", "Expires": "2027-04-01"}],
    )
    agreement: Agreement | None = Field(
        default=None,
        description="The written agreement with whoever receives, which anything outside Quebec needs.",
        examples=[{"Reference": "C-118", "Expires": "2028-01-01"}],
    )
    purposes: Annotated[tuple[Annotated[Purpose, OneOf(Purpose)], ...], NotEmpty] = Field(
        default=(Purpose.Care,),
        description="What it may receive images for: " + ", ".join(Purpose) + ".",
        examples=[["Care", "Teaching"]],
        json_schema_extra={"default": [Purpose.Care.value]},
    )
