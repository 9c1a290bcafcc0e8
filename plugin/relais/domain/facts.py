"""What is known of a study when its rules are asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydicom.datadict import dictionary_VR, keyword_dict

from relais.domain.document import Document, References, fault, parse


def _clean(given: object) -> str:
    """Text without DICOM's padding (PS3.5 section 6.2), and without what Unicode cannot write."""
    text = str(given).strip(" \0")
    return text if text.isascii() else text.encode(errors="replace").decode()


def _text(given: object) -> object:
    return (_clean(given) or None) if isinstance(given, str) else given


def _values(given: object) -> tuple[str, ...]:
    """Clean texts; empty ones are missing ones."""
    items = given if isinstance(given, list | tuple) else () if given is None else (given,)
    if not all(isinstance(item, str | int | float) for item in items):
        raise fault("not-values")
    return tuple(text for item in items if (text := _clean(item)))


def _keyword(name: str, info: ValidationInfo) -> str:
    if isinstance(info.context, References) and (name == "" or name not in keyword_dict):
        *sequences, keyword = name.split(".")
        if (
            keyword == ""
            or keyword not in keyword_dict
            or not all(each in keyword_dict and dictionary_VR(keyword_dict[each]) == "SQ" for each in sequences)
        ):
            raise fault("unknown-field", name=name)
    return name


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a path, a folder, an unknown name
        raise fault("bad-time-zone", name=name) from None
    return name


Values = Annotated[tuple[str, ...], BeforeValidator(_values)]
"""The values of one attribute: none, one or several; text or number when written as a document."""
Keyword = Annotated[str, AfterValidator(_keyword)]
"""A keyword of DICOM's dictionary (PS3.6), or a way to it through sequences with a dot after each."""
Value = Annotated[str | None, BeforeValidator(_text)]
"""One text value; an empty one is a missing one."""
TimeZone = Annotated[str, AfterValidator(_zone)]
"""A name of the IANA time zone database."""


class Origin(Document):
    """Where a study came from."""

    calling_aet: Value = Field(default=None, description="AE title of the sender.", examples=["CS8100"])
    called_aet: Value = Field(default=None, description="AE title the sender called.", examples=["OUTREMONT"])
    remote_ip: Value = Field(default=None, description="IP address of the sender.", examples=["10.1.2.3"])
    kind: Value = Field(default=None, description="Orthanc's word for the way in.", examples=["DicomProtocol"])
    source: Value = Field(
        default=None, description="Name of the source that it was imported from.", examples=["hospital"]
    )
    route: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="Whether it is delivered; an import may only keep it.", examples=[False]
    )


class Facts(Document):
    """Everything that rules may ask about one study. Valid by construction; values carry no padding."""

    study: Mapping[Keyword, Values] = Field(
        default={},
        description="DICOM keywords of patient and study level.",
        examples=[{"StudyDescription": "Panoramic", "RequestAttributesSequence.RequestedProcedureID": "P7"}],
    )
    series: tuple[Mapping[Keyword, Values], ...] = Field(
        default=(),
        description="DICOM keywords of each series and of an instance that represents it.",
        examples=[[{"Modality": "PX"}]],
    )
    instances: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        default=None, description="How many images and other instances the study has.", examples=[40]
    )
    origin: Origin = Field(
        default=Origin(), description="Where the study came from.", examples=[{"CallingAet": "CS8100"}]
    )
    clinic: Value = Field(default=None, description="Key of the study's clinic.", examples=["outremont"])
    clinic_region: Value = Field(default=None, description="Region of that clinic.", examples=["CA-QC"])
    time_zone: TimeZone = Field(default="UTC", description="Time zone of that clinic.", examples=["America/Toronto"])
    match_state: str = Field(default="Pending", description="State of the match with the CRM.", examples=["Matched"])
    patient: Mapping[str, Values] = Field(
        default={}, description="What the CRM says of the patient.", examples=[{"AgeYears": 17}]
    )
    urgency: Value = Field(
        default=None,
        description="Stat, Urgent, Routine or Background; from the images and the order if it is not given.",
        examples=["Routine"],
    )
    order: Mapping[Keyword, Values] = Field(
        default={}, description="DICOM keywords of the worklist item.", examples=[{"AccessionNumber": "A1"}]
    )

    def dicom(self, keyword: str) -> tuple[str, ...]:
        """The distinct values of the study and of every series, in that order; a path's in every item on it."""
        found = self.study.get(keyword, ()) + tuple(
            value for series in self.series for value in series.get(keyword, ())
        )
        return tuple(dict.fromkeys(found))

    def to_json(self) -> dict[str, Any]:
        """The document that from_json reads; what is not known is left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def from_json(cls, document: object) -> Facts:
        """Facts as a document has them; raises DocumentError with every problem, unknown keywords among them."""
        return parse(cls, document)
