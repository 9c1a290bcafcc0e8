"""Sources: the PACS that can be asked and fetched from, and what is done with them without a person's asking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from relais.configuration.destinations import Destination, DicomDestination, MoveDestination
from relais.configuration.dicom_access import DicomAccess
from relais.configuration.secrets import Secret
from relais.configuration.values import LONGEST, Aet, Hours, Seconds
from relais.configuration.web_access import WebAccess
from relais.domain.clinics import ClinicName, ClinicOrAll
from relais.domain.document import DestinationName, Document, Flag, NotEmpty, OneOf, SourceName, Text, Whole, fault
from relais.domain.globs import compile_glob
from relais.domain.querying import Level
from relais.domain.windows import Window


class Retrieval(StrEnum):
    """How studies are fetched from a source (PS3.4 annex C)."""

    Move = "C-MOVE"
    Get = "C-GET"


class Root(StrEnum):
    """The information model of questions (PS3.4 section C.6)."""

    Study = "Study"
    Patient = "Patient"


class Profile(StrEnum):
    """A known system."""

    IntelePACS = "IntelePACS"
    Generic = "Generic"
    Orthanc = "Orthanc"
    Dcm4chee = "dcm4chee"


class CharacterSet(StrEnum):
    """In what questions are written that are not ASCII (PS3.3 section C.12.1.1.2)."""

    Latin1 = "ISO_IR 100"
    Unicode = "ISO_IR 192"


@dataclass(frozen=True, kw_only=True)
class Manners:
    """How a source wants to be asked; `limit` is 0 where it never cuts its answers, None where nobody knows."""

    root: Root = Root.Study
    levels: tuple[Level, ...] = (Level.Study, Level.Series, Level.Instance)
    wildcards: bool = True
    limit: int | None = None
    character_set: CharacterSet = CharacterSet.Latin1
    retrieve: Retrieval = Retrieval.Move
    timeout: int = 30
    retrieve_timeout: int = 120


PROFILES: Mapping[Profile, Manners] = {
    Profile.Generic: Manners(),
    Profile.IntelePACS: Manners(limit=500, timeout=60, retrieve_timeout=180),
    Profile.Orthanc: Manners(levels=tuple(Level), limit=0, character_set=CharacterSet.Unicode),
    Profile.Dcm4chee: Manners(levels=tuple(Level), limit=0, character_set=CharacterSet.Unicode),
}
"""What a source is like that does not say otherwise."""


class SourceCommon(Document):
    """What every source has, whatever its kind."""

    profile: Annotated[Profile, OneOf(Profile)] = Field(
        default=Profile.Generic,
        description="The system that it is, which sets what is not given of Root, Levels, Limit, "
        "CharacterSet, Retrieve and the timeouts: " + ", ".join(Profile) + ".",
        examples=["IntelePACS"],
    )
    levels: Annotated[tuple[Annotated[Level, OneOf(Level)], ...], NotEmpty] | None = Field(
        default=None,
        description="The levels at which it may be asked; the profile's if not given.",
        examples=[["Study", "Series", "Instance"]],
    )
    wildcards: Flag = Field(default=True, description="Whether it takes * and ? in questions.", examples=[False])
    limit: Annotated[Whole, Field(ge=0, le=1_000_000)] | None = Field(
        default=None,
        description="The number of answers at which it cuts them, 0 if it never does; the profile's if not given.",
        examples=[500],
    )
    timeout: Annotated[Whole, Field(ge=1, le=600)] | None = Field(
        default=None,
        alias="TimeoutSeconds",
        description="How many seconds it may take to accept us, to answer first, and between answers; the profile's "
        "if not given.",
        examples=[30],
    )
    retrieve_timeout: Annotated[Whole, Field(ge=1, le=3600)] | None = Field(
        default=None,
        alias="RetrieveTimeoutSeconds",
        description="How many seconds it may stay silent while it sends a study; the profile's if not given.",
        examples=[180],
    )
    clinics: Annotated[tuple[ClinicOrAll, ...], NotEmpty] = Field(
        default=("*",),
        description="The clinics whose people may ask it; * is all.",
        examples=[["outremont"]],
    )
    clinic: ClinicName | None = Field(
        default=None,
        description="The clinic to which what is imported from it belongs; found as for every study if not given.",
        examples=["outremont"],
    )
    concurrency: Annotated[Whole, Field(ge=1, le=16)] = Field(
        default=1, description="How many studies may be fetched from it at once, over all nodes.", examples=[2]
    )
    windows: tuple[Window, ...] = Field(
        default=(),
        description="When studies may be fetched that no person asked for, in the time zone of its Clinic; always if "
        "profile's if not given.",
        examples=[[{"From": "19:00", "To": "07:00"}]],
    )
    studies_per_hour: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="The most studies that are fetched from it in an hour; without limit if not given.",
        examples=[200],
    )
    same_as: DestinationName | None = Field(
        default=None,
        description="The destination that is the same system, to which nothing is sent back that came from here; one "
        "with the same AE title, host and port, or the same URL, is recognised by itself.",
        examples=["vna-qc"],
    )
    test_hours: Hours | None = Field(
        default=None,
        alias="TestEveryHours",
        description="How often its connection is tested by itself; only when asked if not given.",
        examples=[24],
    )

    @property
    def address(self) -> str:
        """Where it is, as a person reads it."""
        raise NotImplementedError

    @property
    def manners(self) -> Manners:
        """How it wants to be asked: what is given, and the profile's for all else."""
        usual = PROFILES[self.profile]
        given = {name: getattr(self, name, None) for name in Manners.__dataclass_fields__}
        return replace(usual, **{name: value for name, value in given.items() if value is not None})

    @field_validator("levels")
    @classmethod
    def _has_studies(cls, levels: tuple[Level, ...] | None) -> tuple[Level, ...] | None:
        if levels is not None and Level.Study not in levels:
            raise fault("levels-without-study")
        return levels


class DicomSource(DicomAccess, SourceCommon):
    """Is asked by C-FIND and sends by C-MOVE or C-GET (PS3.4 annex C)."""

    kind: Literal["Dicom"] = Field(description="C-FIND and C-MOVE.", examples=["Dicom"])
    calling_aet: Aet | None = Field(
        default=None,
        description="The AE title we call ourselves towards it; Orthanc's own if not given.",
        examples=["RELAIS"],
    )
    root: Annotated[Root, OneOf(Root)] | None = Field(
        default=None,
        description="The information model of questions: Study or Patient; the profile's if not given.",
        examples=["Study"],
    )
    character_set: Annotated[CharacterSet, OneOf(CharacterSet)] | None = Field(
        default=None,
        description="In what questions are written that are not ASCII: ISO_IR 100 (Latin 1) or ISO_IR 192 (Unicode); "
        "the profile's if not given.",
        examples=["ISO_IR 192"],
    )
    retrieve: Annotated[Retrieval, OneOf(Retrieval)] | None = Field(
        default=None,
        description="How studies are fetched: C-MOVE, or C-GET, for which it need not know our address; the "
        "profile's if not given.",
        examples=["C-MOVE"],
    )
    move_to: Aet | None = Field(
        default=None,
        description="The AE title under which the source knows us, to which a C-MOVE sends; CallingAet if not given.",
        examples=["RELAIS"],
    )


class DicomWebSource(WebAccess, SourceCommon):
    """Is asked by QIDO-RS and sends by WADO-RS (PS3.18 sections 10.4 and 10.6)."""

    kind: Literal["DicomWeb"] = Field(description="QIDO-RS and WADO-RS.", examples=["DicomWeb"])
    token: Secret | None = Field(
        default=None, description="A bearer token (RFC 6750).", examples=[{"File": "archive.token"}]
    )


Source = DicomSource | DicomWebSource
AnySource = Annotated[Source, Field(discriminator="kind")]


def same_system(source: Source, destination_name: str, destination: Destination) -> bool:
    """Whether the destination is the source itself: nothing is sent back to where it came from."""
    if source.same_as == destination_name:
        return True
    if isinstance(source, DicomSource) and isinstance(destination, DicomDestination | MoveDestination):
        theirs = (destination.aet, (destination.host or "").lower(), destination.port)
        return (source.aet, source.host.lower(), source.port) == theirs
    if isinstance(source, DicomWebSource) and isinstance(destination, WebAccess):
        return _place(source.url) == _place(destination.url)
    return False


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.hostname or "").lower(), port, parts.path.rstrip("/")


class Then(StrEnum):
    """What a watch does with a study that it finds."""

    Import = "Import"
    Announce = "Announce"


def _modalities(given: tuple[str, ...]) -> tuple[str, ...]:
    for name in given:
        if not re.fullmatch(r"[A-Z0-9_]{1,16}", name):  # CS, PS3.5 section 6.2
            raise fault("bad-modality", name=name)
    return given


class Watch(Document):
    """A standing question to a source: what is new there, or has changed."""

    source: SourceName = Field(description="The source that is asked, by name.", examples=["intelepacs"])
    every: Seconds = Field(
        default=timedelta(seconds=60),
        alias="EverySeconds",
        description="How often it is asked; at least 10.",
        examples=[60],
        json_schema_extra={"default": 60, "minimum": 10, "maximum": LONGEST},
    )
    days: Annotated[Whole, Field(ge=0, le=3650)] = Field(
        default=2, description="How many days back by StudyDate, besides today.", examples=[2]
    )
    overlap: Annotated[Whole, Field(ge=0, le=1440)] = Field(
        default=60,
        alias="OverlapMinutes",
        description="How many minutes before a poll's beginning, and after its end, days are looked at as well: clocks "
        "differ.",
        examples=[60],
    )
    modalities: tuple[Text, ...] = Field(
        default=(), description="Only studies with one of these modalities; all if not given.", examples=[["PX", "CT"]]
    )
    institution_names: tuple[Text, ...] = Field(
        default=(),
        description="Only studies of institutions with such a name (globs); all if not given.",
        examples=[["Outremont*"]],
    )
    then: Annotated[Then, OneOf(Then)] = Field(
        default=Then.Import,
        description="Import what is found, or only Announce it by the event study.announced.",
        examples=["Announce"],
    )
    route: Flag = Field(
        default=True,
        description="Whether what is imported is routed as every study; only stored if not.",
        examples=[False],
    )

    @field_validator("every")
    @classmethod
    def _spares_the_source(cls, every: timedelta) -> timedelta:
        if every < timedelta(seconds=10):
            raise fault("out-of-range", low=10, high=LONGEST)
        return every

    @field_validator("modalities")
    @classmethod
    def _modalities(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return _modalities(given)

    @field_validator("institution_names")
    @classmethod
    def _globs(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in given:
            compile_glob(pattern)
        return given


class Prefetch(Document):
    """What is fetched beforehand when an order comes in: the patient's earlier studies of the same kind."""

    enabled: Flag = Field(default=False, description="Whether it is done.", examples=[True])
    sources: tuple[SourceName, ...] = Field(
        default=(), description="The sources that are asked; all if not given.", examples=[["intelepacs"]]
    )
    years: Annotated[Whole, Field(ge=1, le=100)] = Field(default=5, description="How many years back.", examples=[3])
    at_most: Annotated[Whole, Field(ge=1, le=100)] = Field(
        default=5, description="The most studies for one order, the newest first.", examples=[3]
    )
    lead: Hours = Field(
        default=timedelta(hours=24),
        alias="LeadHours",
        description="How many hours before the appointment it begins at the earliest.",
        examples=[24],
        json_schema_extra={"default": 24},
    )
