"""The labels by which the law judges: where a destination stands, what was assessed and agreed, and its purposes."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from relais.domain.document import Document, NotEmpty, OneOf, Region, Text, fault

QUEBEC = "CA-QC"


class Regime(StrEnum):
    """The law that a clinic's studies stand under, by its chapter in the statutes of Quebec."""

    Private = "P-39.1"  # protection of personal information in the private sector
    Health = "R-22.1"  # health and social services information


class Purpose(StrEnum):
    """What images may be sent for."""

    Care = "Care"
    Quality = "Quality"
    Teaching = "Teaching"
    Research = "Research"
    PublicHealth = "PublicHealth"
    Patient = "Patient"
    Insurance = "Insurance"
    Legal = "Legal"


def _day(value: object) -> object:
    if type(value) is date:
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise fault("bad-day")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise fault("bad-day") from None


Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day, written as 2027-04-01."""


class Jurisdiction(Document):
    """Under which law a destination stands."""

    storage: Region = Field(description="Where images are stored, ISO 3166-2.", examples=["CA-QC"])
    access: Annotated[tuple[Region, ...], NotEmpty] = Field(
        description="From where they can be looked at; access from elsewhere is a communication too.",
        examples=[["CA-QC"]],
    )


class Finding(StrEnum):
    """What an assessment found."""

    Adequate = "Adequate"
    AdequateIfDeidentified = "AdequateIfDeidentified"
    Inadequate = "Inadequate"


class _Dated(Document):
    """A document that holds from a day until another, in the time zone of the study's clinic."""

    reference: Text = Field(description="The document's reference.", examples=["EFVP-2026-04"])
    begins: Day | None = Field(
        default=None, description="The first day on which it holds; at once if not given.", examples=["2026-04-01"]
    )
    expires: Day = Field(description="The first day on which it no longer holds.", examples=["2027-04-01"])

    @model_validator(mode="after")
    def _in_order(self) -> _Dated:
        if self.begins is not None and self.begins >= self.expires:
            raise fault("not-ordered", low=self.begins.isoformat(), high=self.expires.isoformat())
        return self


class Assessment(_Dated):
    """The privacy assessment made before images leave Quebec (P-39.1 section 17, R-22.1 section 78)."""

    result: Annotated[Finding, OneOf(Finding)] = Field(
        description="What it found: Adequate, AdequateIfDeidentified or Inadequate.", examples=["Adequate"]
    )


class Agreement(_Dated):
    """The written agreement with whoever receives the images (P-39.1 section 17, R-22.1 section 77)."""
