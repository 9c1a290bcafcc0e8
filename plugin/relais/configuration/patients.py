"""The options of the CRM's patients: how studies are matched with them, and where they come from."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from relais.configuration.secrets import Secret
from relais.configuration.values import WebUrl
from relais.domain.clinics import ClinicName
from relais.domain.document import Document, Flag, Text, Whole, fault

LONGEST_MINUTES = 10_080
"""A week."""


def _folder(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise fault("bad-folder")
    return path


def _share(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise fault("not-number")
    if not 0 <= value <= 1:
        raise fault("out-of-range", low=0, high=1)
    return float(value)


def _minutes(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise fault("not-number")
    if not 1 <= value <= LONGEST_MINUTES:
        raise fault("out-of-range", low=1, high=LONGEST_MINUTES)
    return timedelta(minutes=value)


PatientFolder = Annotated[Text, AfterValidator(_folder)]
Share = Annotated[float, BeforeValidator(_share)]
Minutes = Annotated[
    timedelta, BeforeValidator(_minutes), PlainSerializer(lambda span: int(span.total_seconds() // 60), return_type=int)
]


class MatchingBreaker(Document):
    """When automatic matching stops, until a person lets it go on."""

    window_hours: Annotated[Whole, Field(ge=1, le=720)] = Field(
        default=24, description="The hours that are looked at.", examples=[24]
    )
    vetoes: Share = Field(
        default=0.1,
        description="The share of decisions that a veto turned into a review, above which it stops.",
        examples=[0.1],
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    decisions: Annotated[Whole, Field(ge=1, le=1_000_000)] = Field(
        default=50, description="Fewer decisions than so many never stop it for their vetoes.", examples=[50]
    )
    errors: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        default=2, description="So many second looks that come to something else stop it.", examples=[2]
    )


class Matching(Document):
    """How it is found whose a study is, and how that is made safe."""

    four_eyes: Flag = Field(
        default=False, description="Whether two persons must decide the same in a review.", examples=[True]
    )
    second_looks: Share = Field(
        default=0.02,
        description="The share of automatic matches that a person looks at once more.",
        examples=[0.02],
        json_schema_extra={"minimum": 0, "maximum": 1},
    )
    claim_minutes: Annotated[Whole, Field(ge=1, le=120)] = Field(
        default=10, description="How long a review is a person's own who looks at it.", examples=[10]
    )
    breaker: MatchingBreaker = Field(
        default=MatchingBreaker(), description="When automatic matching stops.", examples=[{"Errors": 2}]
    )


class PatientSource(Document):
    """A FHIR R4 server whose patients are the CRM's."""

    url: WebUrl = Field(description="Its base address.", examples=["https://crm.example/fhir"])
    token: Secret | None = Field(
        default=None,
        description='The bearer token: a text, an environment variable {"Env": "NAME"} or a file {"File": "path"}.',
        examples=[{"Env": "CRM_TOKEN"}],
    )
    every: Minutes = Field(
        default=timedelta(minutes=60),
        alias="EveryMinutes",
        description="How often it is asked for what changed.",
        examples=[60],
        json_schema_extra={"default": 60, "minimum": 1, "maximum": LONGEST_MINUTES},
    )
    clinic: ClinicName | None = Field(
        default=None, description="The clinic whose patients they are; every clinic's if not given.", examples=["laval"]
    )
    systems: dict[Text, Text] = Field(
        default={},
        description="What the systems of its identifiers are called here, by their URI.",
        examples=[{"urn:example:ramq": "RAMQ"}],
    )
    most_deletions: Annotated[Whole, Field(ge=0)] = Field(
        default=100,
        alias="MostDeletions",
        description="So many patients deleted there since the last pull are forgotten; of more, nobody, and it fails.",
        examples=[100],
    )
    page: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        default=200, alias="PageSize", description="Patients asked for at once.", examples=[200]
    )
    timeout: Annotated[Whole, Field(ge=1, le=300)] = Field(
        default=30, alias="TimeoutSeconds", description="How many seconds an answer may take.", examples=[30]
    )
