"""What of a study a destination receives, and what is changed on the way."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydicom import config
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.valuerep import validate_value

from relais.configuration.secrets import Secret
from relais.configuration.values import Keyword, SopClass
from relais.domain.charsets import TEXT
from relais.domain.deidentification import MARKERS
from relais.domain.document import Document, NotEmpty, OneOf, Text, fault
from relais.domain.transformation import INTEGERS, LONGEST_ACCESSION, encoded

_STRUCTURE = frozenset(
    {
        *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SpecificCharacterSet"),
        *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
        *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "FloatPixelData"),
        *("DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    }
)
"""Attributes without which the rest cannot be read, or by which Relais knows what it sent."""
_FIRST_OF_DATA_SET = 0x00080000
_IDENTITY = frozenset({"PatientName", "PatientID", "OriginalAttributesSequence"})
_SETTABLE = TEXT | set(INTEGERS) | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
_SINGLE = frozenset({"LT", "ST", "UR", "UT"})


def _changeable(keyword: str) -> str:
    if keyword in _STRUCTURE or (tag_for_keyword(keyword) or 0) < _FIRST_OF_DATA_SET:
        raise fault("must-stay", name=keyword)
    return keyword


def _fitting(values: Mapping[str, str]) -> Mapping[str, str]:
    for keyword, text in values.items():
        vr = dictionary_VR(keyword)
        if vr not in _SETTABLE:
            raise fault("cannot-be-set", name=keyword, vr=vr)
        parts = [text] if vr in _SINGLE else text.split("\\")
        try:
            encoded(keyword, text, ("utf-8",))
            for part in parts:
                validate_value(vr, part if vr not in INTEGERS else int(part), config.RAISE)
        except (ValueError, OverflowError):
            raise fault("bad-value", name=keyword, vr=vr) from None
        if "\0" in text or (len(parts) > 1 and dictionary_VM(keyword) == "1"):
            raise fault("bad-value", name=keyword, vr=vr)
    return values


def _issuers(issuers: Mapping[str, str]) -> Mapping[str, str]:
    for name in issuers.values():
        _fitting({"IssuerOfPatientID": name})
    return issuers


def _prefix(prefix: str) -> str:
    if len(prefix) >= LONGEST_ACCESSION or not prefix.isascii() or not prefix.isprintable() or "\\" in prefix:
        raise fault("bad-prefix", limit=LONGEST_ACCESSION - 1)
    return prefix


def _keepable(keyword: str) -> str:
    if dictionary_VR(keyword) == "UI" or keyword in _IDENTITY | MARKERS:
        raise fault("cannot-be-kept", name=keyword)
    return keyword


Changeable = Annotated[Keyword, AfterValidator(_changeable)]
Keepable = Annotated[Keyword, AfterValidator(_keepable)]


class Only(Document):
    """The series and images that are sent; an image must pass each list that is given."""

    modalities: Annotated[tuple[Text, ...] | None, NotEmpty] = Field(
        default=None, description="The modalities of its series.", examples=[["CT", "PX"]]
    )
    sop_classes: Annotated[tuple[SopClass, ...] | None, NotEmpty] = Field(
        default=None,
        alias="SOPClasses",
        description="Their SOP classes, by UID or by keyword.",
        examples=[["CTImageStorage"]],
    )
    without_sop_classes: tuple[SopClass, ...] = Field(
        default=(),
        alias="WithoutSOPClasses",
        description="The SOP classes that are left out, by UID or by keyword.",
        examples=[["EncapsulatedPDFStorage"]],
    )

    @model_validator(mode="after")
    def _selects(self) -> Only:
        if not (self.modalities or self.sop_classes or self.without_sop_classes):
            raise fault("empty")
        return self


class Coerce(Document):
    """Tags that are changed, in this order: Remove, Set, IssuerOfPatientID, AccessionPrefix."""

    remove: tuple[Changeable, ...] = Field(
        default=(),
        description="Attributes that are taken out wherever they stand, by keyword.",
        examples=[["PatientComments"]],
    )
    set_: Annotated[Mapping[Changeable, str], AfterValidator(_fitting)] = Field(
        default={},
        alias="Set",
        description="Attributes and the text they get, whether or not they were there; several values stand apart "
        "by a backslash.",
        examples=[{"InstitutionName": "Clinique Outremont"}],
    )
    issuers: Annotated[Mapping[str, str], AfterValidator(_issuers)] = Field(
        default={},
        alias="IssuerOfPatientID",
        description="Issuers of patient ids, and what they are called there; the empty one is that of ids without an "
        "issuer.",
        examples=[{"": "OUTREMONT"}],
    )
    accession_prefix: Annotated[Text, AfterValidator(_prefix)] | None = Field(
        default=None,
        description="What is put before accession numbers that do not begin with it; an image whose number would "
        "then have more than 16 characters (PS3.5 SH) is refused.",
        examples=["OUT-"],
    )


class Profile(StrEnum):
    """What de-identification takes out."""

    Orthanc = "Orthanc"  # what Orthanc's anonymization takes out (PS3.15 table E.1-1), with keyed UIDs
    Keyed = "Keyed"  # the same at every level, done here; dates are moved by a keyed number of days and stay apart


class Allowance(StrEnum):
    """What could show who the patient is in its pixels or pages, and is refused unless allowed."""

    BurnedInAnnotation = "BurnedInAnnotation"  # says so, or is of a kind that often has it and does not deny it
    RecognizableFeatures = "RecognizableFeatures"
    SecondaryCapture = "SecondaryCapture"
    EncapsulatedDocument = "EncapsulatedDocument"


class Deidentify(Document):
    """Takes out what identifies the patient; the same patient, study and image get the same pseudonyms every time."""

    key: Secret = Field(
        description="The key of the pseudonyms, at least 16 characters: who has it and the id can find the pseudonym.",
        examples=[{"Env": "PSEUDONYM_KEY"}],
    )
    profile: Annotated[Profile, OneOf(Profile)] = Field(
        default=Profile.Keyed,
        description="Keyed, what PS3.15's basic profile names, at every level, with dates moved; Orthanc, what "
        "Orthanc's anonymization takes out.",
        examples=["Orthanc"],
    )
    keep: tuple[Keepable, ...] = Field(
        default=(), description="Attributes that stay all the same, by keyword.", examples=[["PatientSex"]]
    )
    allow: tuple[Annotated[Allowance, OneOf(Allowance)], ...] = Field(
        default=(),
        description="What is sent although its pixels or pages could name the patient.",
        examples=[["SecondaryCapture"]],
    )

    @model_validator(mode="after")
    def _key_is_long(self) -> Deidentify:
        if len(self.key.resolve()) < 16:  # noqa: PLR2004 - 128 bits of what people call random
            raise fault("key-too-short")
        return self
