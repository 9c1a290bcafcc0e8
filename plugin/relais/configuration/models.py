"""The `Relais` section as frozen models. What is here is valid: nothing downstream checks again."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, field_validator

from relais.configuration.destinations import DestinationOrPool
from relais.configuration.patients import Matching, PatientFolder, PatientSource
from relais.configuration.secrets import Secret
from relais.configuration.sources import AnySource, Prefetch, Watch
from relais.configuration.values import (
    DatabaseUrl,
    Seconds,
    WebUrl,
    supported,
)
from relais.configuration.worklist import Retriever, UnknownRetrievers, Worklist
from relais.domain.clinics import Clinic, ClinicOrAll, UnknownSender
from relais.domain.completeness import Patience
from relais.domain.conditions import SetValues, Shallow
from relais.domain.document import (
    Document,
    Flag,
    Name,
    NotEmpty,
    OneOf,
    Text,
    Whole,
    fault,
)
from relais.domain.rules import Otherwise, Rules


class Language(StrEnum):
    """A language of pages, notices and reports."""

    French = "fr"
    English = "en"


class Role(StrEnum):
    """What a person may do."""

    Viewer = "Viewer"
    Operator = "Operator"
    Administrator = "Administrator"
    Auditor = "Auditor"
    PrivacyOfficer = "PrivacyOfficer"


class Approval(StrEnum):
    """When a second person must approve a version of the configuration."""

    Residency = "Residency"
    Always = "Always"
    Never = "Never"


class User(Document):
    """A person, by the name with which Orthanc authenticates them."""

    roles: Annotated[tuple[Annotated[Role, OneOf(Role)], ...], NotEmpty] = Field(
        description="What the person may do.", examples=[["Operator"]]
    )
    clinics: Annotated[tuple[ClinicOrAll, ...], NotEmpty] = Field(
        description="The clinics whose studies the person sees; * is all, studies without a clinic included.",
        examples=[["outremont"]],
    )
    language: Annotated[Language, OneOf(Language)] | None = Field(
        default=None, description="The person's language; that of the section if not given.", examples=["en"]
    )


class Completeness(Document):
    """When a study counts as complete: its source has been quiet for so long."""

    quiet_seconds: Seconds = Field(
        default=timedelta(seconds=30),
        description="Quiet time of a modality without its own.",
        examples=[30],
        json_schema_extra={"default": 30},
    )
    by_modality: Mapping[str, Seconds] = Field(
        default={}, description="Quiet times by Modality, in seconds.", examples=[{"IO": 2, "PX": 2}]
    )

    @field_validator("by_modality")
    @classmethod
    def _modalities(cls, given: Mapping[str, timedelta]) -> Mapping[str, timedelta]:
        for name in given:
            if not re.fullmatch(r"[A-Z0-9_]{1,16}", name):  # CS, PS3.5 section 6.2
                raise fault("bad-modality", name=name)
        return given

    incomplete_seconds: Seconds = Field(
        default=timedelta(seconds=600),
        description="How long a study waits for the images that NumberOfStudyRelatedInstances (0020,1208) promises.",
        examples=[600],
        json_schema_extra={"default": 600},
    )
    longest_seconds: Seconds = Field(
        default=timedelta(seconds=7200),
        description="How long a study may go on growing before it counts as complete; what comes later is added.",
        examples=[7200],
        json_schema_extra={"default": 7200},
    )

    def patience(self, modalities: Collection[str], usual: timedelta | None = None) -> Patience:
        """How long a study with these modalities is waited for; `usual` is its clinic's own quiet time."""
        return Patience(
            quiet=self.quiet(modalities) if usual is None else usual,
            incomplete=self.incomplete_seconds,
            longest=self.longest_seconds,
        )

    def quiet(self, modalities: Collection[str]) -> timedelta:
        """How long a study with these modalities must be quiet: the longest of theirs."""
        return max(
            (self.by_modality.get(name, self.quiet_seconds) for name in modalities),
            default=self.quiet_seconds,
        )


class Subscriber(Document):
    """Somebody who is told about events by signed webhook (Standard Webhooks 1.0.0)."""

    url: WebUrl = Field(description="Where events are posted.", examples=["https://crm.example/webhook"])
    secret: Secret = Field(
        description="The key of the signature, in base64, with or without whsec_ before it: a text, "
        'an environment variable {"Env": "NAME"} or a file {"File": "path"}.',
        examples=[{"Env": "DICOM_WEBHOOK_SECRET"}],
    )
    events: Annotated[tuple[Text, ...], NotEmpty] = Field(
        default=("*",), description="The types of event wanted, as globs.", examples=[["study.*"]]
    )
    include_patient: Flag = Field(default=False, description="Whether events may carry patient data.", examples=[True])
    timeout: Annotated[Whole, Field(ge=1, le=300)] = Field(
        default=15, alias="TimeoutSeconds", description="How many seconds an answer may take.", examples=[15]
    )

    @field_validator("secret")
    @classmethod
    def _signs(cls, secret: Secret) -> Secret:
        try:
            key = base64.b64decode(secret.resolve().removeprefix("whsec_"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key:
            raise fault("secret-not-base64")
        return secret


class Section(Document):
    """The whole `Relais` section; an empty one is valid, and holds every study."""

    database: DatabaseUrl | None = Field(
        default=None,
        description="Where Relais keeps its state: sqlite:///path or postgresql+psycopg://…; "
        "relais.db in Orthanc's StorageDirectory if not given.",
        examples=["sqlite:///var/relais.db"],
    )
    configuration_source: Annotated[str, supported("File", "Database")] = Field(
        default="File",
        description="Where the active configuration is: File, this section, or Database, where this section is only "
        "the first version.",
        examples=["Database"],
    )
    approval: Annotated[Approval, OneOf(Approval)] = Field(
        default=Approval.Residency,
        description="When a second person must approve a version before it becomes active: Residency, if it bears on "
        "where images may go; Always; Never. The active version's counts.",
        examples=["Always"],
    )
    language: Annotated[Language, OneOf(Language)] = Field(
        default=Language.French,
        description="Language of pages, notices and reports: fr or en.",
        examples=["en"],
    )
    users: Mapping[Text, User] = Field(
        default={},
        description="Who may do what; nobody else has access.",
        examples=[{"alice": {"Roles": ["Administrator"], "Clinics": ["*"]}}],
    )
    clinics: Mapping[Name, Clinic] = Field(
        default={},
        description="The clinics, by key.",
        examples=[{"outremont": {"CalledAets": ["OUTREMONT"]}}],
    )
    unknown_sender: UnknownSender | None = Field(
        default=None,
        description="What becomes of a study that no clinic claims; if not given, the rules decide, and it has none.",
        examples=[{"Hold": "unknown sender"}],
    )
    sources: Mapping[Name, AnySource] = Field(
        default={},
        description="The PACS that can be asked, by name.",
        examples=[{"pacs": {"Kind": "Dicom", "Aet": "PACS", "Host": "10.0.0.5", "Port": 104}}],
    )
    watches: Mapping[Name, Watch] = Field(
        default={},
        description="Standing questions to sources, by name.",
        examples=[{"new-in-pacs": {"Source": "pacs", "Then": "Announce"}}],
    )
    prefetch: Prefetch = Field(
        default=Prefetch(),
        description="Which earlier studies are fetched when an order comes in.",
        examples=[{"Enabled": True, "Years": 3}],
    )
    worklist: Worklist = Field(
        default=Worklist(),
        description="The worklist that machines are given.",
        examples=[{"ExpireHours": 48}],
    )
    retrievers: Mapping[Name, Retriever] = Field(
        default={},
        description="Who may fetch from us by C-MOVE, besides the destinations, by name.",
        examples=[{"reading-room": {"Aets": ["READING*"], "Jurisdiction": {"Storage": "CA-QC", "Access": ["CA-QC"]}}}],
    )
    unknown_retrievers: Annotated[UnknownRetrievers, OneOf(UnknownRetrievers)] = Field(
        default=UnknownRetrievers.Refuse,
        description="What becomes of a C-MOVE to somebody who is neither in Retrievers nor a destination: Allow or "
        "Refuse.",
        examples=["Allow"],
    )
    destinations: Mapping[Name, DestinationOrPool] = Field(
        default={},
        description="Where studies can be delivered, by name.",
        examples=[{"vna-qc": {"Kind": "Dicom", "Aet": "VNA", "Host": "10.0.0.9", "Port": 104}}],
    )
    sets: Mapping[Name, SetValues] = Field(
        default={},
        description="Lists of values that conditions ask for by name (InSet).",
        examples=[{"dental": ["IO", "PX"]}],
    )
    conditions: Mapping[Name, Shallow] = Field(
        default={},
        description="Conditions that rules and other conditions have by name (Condition).",
        examples=[{"is-dental": {"Field": "Modality", "In": ["IO", "PX"]}}],
    )
    rules: Rules = Field(
        default=(),
        description="Which studies go where.",
        examples=[[{"Name": "all", "DeliverTo": ["vna-qc"]}]],
    )
    otherwise: Otherwise = Field(
        default=Otherwise(hold="no rule matched"),
        description="What becomes of a study for which no rule holds.",
        examples=[{"Hold": "no rule matched"}],
    )
    matching: Matching = Field(
        default=Matching(),
        description="How whose a study is is found, and made safe.",
        examples=[{"FourEyes": True}],
    )
    patient_folder: PatientFolder | None = Field(
        default=None,
        description="The folder on this server from whose files patients may be imported; none if not given.",
        examples=["/srv/crm"],
    )
    patient_sources: Mapping[Name, PatientSource] = Field(
        default={},
        description="The FHIR servers from which patients are pulled, by name.",
        examples=[{"crm": {"Url": "https://crm.example/fhir", "Token": {"Env": "CRM_TOKEN"}}}],
    )
    completeness: Completeness = Field(
        default=Completeness(),
        description="When a study counts as complete.",
        examples=[{"QuietSeconds": 30}],
    )
    subscribers: Mapping[Name, Subscriber] = Field(
        default={},
        description="Who is told about events, by name.",
        examples=[{"crm": {"Url": "https://crm.example/webhook", "Secret": {"Env": "DICOM_WEBHOOK_SECRET"}}}],
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the section."""
    return Section.model_json_schema(by_alias=True)
