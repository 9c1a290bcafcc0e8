"""Destinations: what every kind has in common, and what each needs besides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from relais.configuration.dicom_access import DicomAccess
from relais.configuration.secrets import Secret
from relais.configuration.standing import Standing
from relais.configuration.transformations import Coerce, Deidentify, Only
from relais.configuration.values import (
    Aet,
    Host,
    Hours,
    Megabits,
    Port,
    Seconds,
    StorageUrl,
    SyntaxUid,
    WebUrl,
)
from relais.configuration.web_access import WebAccess
from relais.domain.document import (
    DestinationName,
    Document,
    Flag,
    NotEmpty,
    OneOf,
    SourceName,
    Text,
    Whole,
    fault,
)
from relais.domain.windows import Window


class Retry(Document):
    """When a failed delivery is tried again: after a random part of a delay that doubles up to a maximum."""

    first_delay: Seconds = Field(
        default=timedelta(seconds=2),
        alias="FirstDelaySeconds",
        description="Longest first delay.",
        examples=[2],
        json_schema_extra={"default": 2},
    )
    maximum_delay: Seconds = Field(
        default=timedelta(seconds=900),
        alias="MaximumDelaySeconds",
        description="Longest delay of all.",
        examples=[900],
        json_schema_extra={"default": 900},
    )
    give_up_after: Hours = Field(
        default=timedelta(hours=72),
        alias="GiveUpAfterHours",
        description="How long to go on before the delivery has failed and waits for a person.",
        examples=[72],
        json_schema_extra={"default": 72},
    )


class Proof(StrEnum):
    """What a delivery needs before it is complete."""

    Stored = "Stored"  # the destination said success for every instance
    Queried = "Queried"  # asked afterwards, it has every instance
    Committed = "Committed"  # it took responsibility for every instance (PS3.4 annex J)


class Start(StrEnum):
    """When a delivery begins."""

    OnComplete = "OnComplete"
    WhileReceiving = "WhileReceiving"


class Common(Standing):
    """What every destination has, whatever its kind."""

    concurrency: Annotated[Whole, Field(ge=1, le=64)] = Field(
        default=2, description="How many deliveries may be sent at once, over all nodes.", examples=[4]
    )
    timeout: Annotated[Whole, Field(ge=1, le=3600)] = Field(
        default=30, alias="TimeoutSeconds", description="How many seconds it may stay silent.", examples=[60]
    )
    batch_instances: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        default=100, description="The most instances sent before the delivery's mark moves.", examples=[500]
    )
    batch_megabytes: Annotated[Whole, Field(ge=1, le=100_000)] = Field(
        default=64, description="The most megabytes sent before the delivery's mark moves.", examples=[256]
    )
    bandwidth: Megabits | None = Field(
        default=None,
        description="The most megabits a second, over all its deliveries and all nodes; without limit if not given.",
        examples=[20],
    )
    windows: tuple[Window, ...] = Field(
        default=(),
        description="When it may be sent to, in the time zone of the study's clinic; always if not given.",
        examples=[[{"From": "19:00", "To": "07:00"}]],
    )
    retry: Retry = Field(default=Retry(), description="When to try again.", examples=[{"GiveUpAfterHours": 24}])
    proof: Annotated[Proof, OneOf(Proof)] = Field(
        default=Proof.Stored,
        description="What completes a delivery: Stored, the answer to each instance; Queried, a query afterwards finds "
        "every instance; Committed, storage commitment for every instance.",
        examples=["Queried"],
    )
    start: Annotated[Start, OneOf(Start)] = Field(
        default=Start.OnComplete,
        description="OnComplete, when the study is complete; WhileReceiving, image by image as they arrive.",
        examples=["WhileReceiving"],
    )
    failover_to: DestinationName | None = Field(
        default=None,
        description="Who receives the study as well when this destination is down or too slow; what it is owed itself "
        "stays owed.",
        examples=["vna-2"],
    )
    failover_after: Seconds = Field(
        default=timedelta(seconds=900),
        alias="FailoverAfterSeconds",
        description="How long a delivery may be owed before FailoverTo gets it too.",
        examples=[900],
        json_schema_extra={"default": 900},
    )
    only: Only | None = Field(
        default=None,
        description="The series and images it receives, where not all of a study.",
        examples=[{"Modalities": ["CT"]}],
    )
    transcode: SyntaxUid | None = Field(
        default=None,
        description="The transfer syntax in which it receives images, by UID; as they are stored if not given.",
        examples=["1.2.840.10008.1.2.4.80"],
    )
    coerce: Coerce | None = Field(
        default=None,
        description="What is changed in the images on their way; what is stored stays as it is.",
        examples=[{"AccessionPrefix": "OUT-"}],
    )
    deidentify: Deidentify | None = Field(
        default=None,
        description="Takes out whatever identifies the patient.",
        examples=[{"Key": {"Env": "PSEUDONYM_KEY"}}],
    )
    zero_preamble: Flag = Field(
        default=False,
        description="Whether the 128 bytes before DICM are zeroed: they can hide a program (PS3.10 section 7.5).",
        examples=[True],
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
    def transforms(self) -> bool:
        """Whether what is sent differs from what is stored."""
        return bool(self.coerce or self.deidentify or self.transcode or self.zero_preamble)

    @model_validator(mode="after")
    def _can_be_proved(self) -> Common:
        if self.proof is Proof.Committed and not isinstance(self, DicomDestination):
            raise fault("proof-not-of-kind")
        return self


class DicomDestination(DicomAccess, Common):
    """Receives by C-STORE (PS3.4 annex B)."""

    kind: Literal["Dicom"] = Field(description="C-STORE.", examples=["Dicom"])
    local_aet: Aet | None = Field(
        default=None,
        description="The AE title we call ourselves towards it; Orthanc's own if not given.",
        examples=["RELAIS"],
    )


class MoveDestination(Common):
    """Receives from a source PACS, which is told to C-MOVE to it (PS3.4 annex C): the bytes do not pass us."""

    kind: Literal["DicomMove"] = Field(description="C-MOVE from a source.", examples=["DicomMove"])
    source: SourceName = Field(description="The source that sends, by name.", examples=["intelepacs"])
    aet: Aet = Field(description="The AE title by which the source knows the destination.", examples=["VNA"])
    host: Host | None = Field(
        default=None,
        description="Its host name or address, where it is asked itself what arrived (Proof: Queried).",
        examples=["10.0.0.9"],
    )
    port: Port | None = Field(default=None, description="Its DICOM port, beside Host.", examples=[104])
    local_aet: Aet | None = Field(
        default=None,
        description="The AE title we call ourselves towards it; Orthanc's own if not given.",
        examples=["RELAIS"],
    )
    tls: Flag = Field(default=False, description="Whether it is asked over TLS.", examples=[True])

    @property
    def address(self) -> str:
        """The source, and to whom it sends."""
        return f"{self.source} → {self.aet}"

    @model_validator(mode="after")
    def _can_be_asked(self) -> MoveDestination:
        if (self.host is None) != (self.port is None):
            raise fault("host-and-port")
        if self.proof is Proof.Queried and self.host is None:
            raise fault("moved-unasked")
        return self

    @model_validator(mode="after")
    def _sends_what_is_stored(self) -> MoveDestination:
        if self.transforms or self.only is not None:
            raise fault("moved-unchanged")
        return self


class WebDestination(WebAccess, Common):
    """Receives by HTTP."""


class DicomWebDestination(WebDestination):
    """Receives by STOW-RS (PS3.18 section 10.5)."""

    kind: Literal["DicomWeb"] = Field(description="STOW-RS.", examples=["DicomWeb"])
    token: Secret | None = Field(
        default=None, description="A bearer token (RFC 6750).", examples=[{"File": "archive.token"}]
    )


class PeerDestination(WebDestination):
    """Receives as another Orthanc does, over its REST API."""

    kind: Literal["OrthancPeer"] = Field(description="Another Orthanc.", examples=["OrthancPeer"])


class FilesDestination(Common):
    """Receives files, in a folder, an S3 bucket or over SFTP."""

    kind: Literal["Files"] = Field(description="Files.", examples=["Files"])
    url: StorageUrl = Field(
        description="Where: file:///folder, s3://bucket/prefix or sftp://host/folder.", examples=["s3://bucket/prefix"]
    )
    endpoint: WebUrl | None = Field(
        default=None, description="The S3 server, where it is not Amazon's.", examples=["https://s3.example"]
    )
    user: Text | None = Field(
        default=None, description="The S3 access key's id, or the SFTP user.", examples=["relais"]
    )
    password: Secret | None = Field(
        default=None, description="The S3 secret key, or the SFTP password.", examples=[{"Env": "ARCHIVE_KEY"}]
    )
    private_key: Text | None = Field(
        default=None, description="The file of the SFTP user's private key.", examples=["/etc/relais/id_ed25519"]
    )
    known_hosts: Text | None = Field(
        default=None,
        description="The file of the SFTP server's key, as OpenSSH writes it; ~/.ssh/known_hosts if not given.",
        examples=["/etc/relais/known_hosts"],
    )
    previews: Flag = Field(default=False, description="Whether a JPEG is written beside each image.", examples=[True])

    @property
    def address(self) -> str:
        """Where the files are."""
        return self.url


class Pool(Document):
    """Several destinations that share the studies by weight; a patient's go to the same one."""

    kind: Literal["Pool"] = Field(description="A choice of others.", examples=["Pool"])
    of: Annotated[Mapping[DestinationName, Annotated[Whole, Field(ge=0, le=1000)]], NotEmpty] = Field(
        description="The destinations and their weights; one of weight 0 gets nothing new.",
        examples=[{"vna-1": 2, "vna-2": 1}],
    )


Destination = DicomDestination | MoveDestination | DicomWebDestination | PeerDestination | FilesDestination
DestinationOrPool = Annotated[Destination | Pool, Field(discriminator="kind")]
