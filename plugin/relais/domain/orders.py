"""Orders: what a modality is to do, as the CRM writes it and as the modality worklist says it (PS3.4 annex K).

An order is flat: DICOM keywords of the patient, the visit, the requested procedure and its one scheduled step, beside
the clinic and the CRM's patient. Each value is checked by its value representation (PS3.5 section 6.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

from relais.domain.document import DocumentError, Problem, nearest

_ROOT = (
    "AccessionNumber ReferringPhysicianName RequestingPhysician RequestingService InstitutionName "
    "InstitutionAddress InstitutionalDepartmentName AdmissionID CurrentPatientLocation StudyInstanceUID StudyID "
    "RequestedProcedureID RequestedProcedureDescription RequestedProcedureCodeSequence RequestedProcedurePriority "
    "PatientTransportArrangements ReasonForTheRequestedProcedure ReasonForRequestedProcedureCodeSequence "
    "RequestedProcedureComments RequestedProcedureLocation NamesOfIntendedRecipientsOfResults "
    "PlacerOrderNumberImagingServiceRequest FillerOrderNumberImagingServiceRequest ImagingServiceRequestComments "
    "IssueDateOfImagingServiceRequest ReferencedStudySequence "
    "PatientName PatientID IssuerOfPatientID OtherPatientIDs PatientBirthName PatientBirthDate PatientSex PatientAge "
    "PatientSize PatientWeight PatientAddress PatientTelephoneNumbers MedicalAlerts Allergies EthnicGroup "
    "AdditionalPatientHistory PregnancyStatus SpecialNeeds PatientState PatientComments "
    "ConfidentialityConstraintOnPatientDataDescription NumberOfStudyRelatedInstances"
)
ROOT = frozenset(_ROOT.split())
"""Attributes of the patient, the visit, the imaging service request and the requested procedure (PS3.4 table K.6-1)."""
_STEP = (
    "ScheduledStationAETitle ScheduledStationName ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime "
    "ScheduledProcedureStepEndDate ScheduledProcedureStepEndTime Modality ScheduledPerformingPhysicianName "
    "ScheduledProcedureStepDescription ScheduledProtocolCodeSequence ScheduledProcedureStepID "
    "ScheduledProcedureStepLocation PreMedication RequestedContrastAgent CommentsOnTheScheduledProcedureStep"
)
STEP = frozenset(_STEP.split())
"""Attributes of the scheduled procedure step, in ScheduledProcedureStepSequence."""
SEQUENCE = "ScheduledProcedureStepSequence"
CODES = frozenset({"CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning"})
REFERENCES = frozenset({"ReferencedSOPClassUID", "ReferencedSOPInstanceUID"})
MOST_ITEMS = 20
ACCESSION_NUMBER = r"[^\\\x00-\x1f\x7f]{1,16}"
"""What an accession number looks like (VR SH)."""
START_DATE, START_TIME = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"

_TEXTS: Mapping[str, int] = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10_240, "UT": 100_000, "PN": 324}
_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "CS": re.compile(r"[A-Z0-9_ ]{1,16}"),
    "AE": re.compile(r"[ -\[\]-~]{1,16}"),
    "UI": re.compile(r"(?=.{1,64}\Z)(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+"),
    "DS": re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?(?<!.{17})"),
    "IS": re.compile(r"[+-]?[0-9]{1,12}"),
    "US": re.compile(r"[0-9]{1,5}"),
    "AS": re.compile(r"[0-9]{3}[DWMY]"),
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_LINE_CONTROLS = re.compile(r"[\x00-\x1f\x7f\\]")
_LINES = frozenset({"ST", "LT", "UT"})

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order, valid by construction; `start` is where the clinic's clocks stand then, without a zone."""

    accession_number: str
    clinic: str | None
    crm_id: str | None
    start: datetime
    document: Document

    def at(self, zone: ZoneInfo) -> datetime:
        """The moment of the start; an hour that is there twice is meant the first time.

        Raises DocumentError for one that the clocks leave out on that day.
        """
        moment = self.start.replace(tzinfo=zone).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) != self.start:
            raise DocumentError([Problem(START_TIME, "left-out-time")])
        return moment

    def text(self, keyword: str) -> str:
        """A value; empty where there is none."""
        found: str = self.document.get(keyword, "")
        return found


def read_order(given: Mapping[str, Any]) -> Order:
    """The order that a document describes; raises DocumentError with everything that is wrong."""
    problems: list[Problem] = []
    document: dict[str, Any] = {}
    clinic, crm_id = (_name(given, key, problems) for key in ("Clinic", "CrmId"))
    for path, keyword, value in _flat(given, problems):
        try:
            read = _read(keyword, value)
        except _WrongError as wrong:
            problems.append(Problem(path + wrong.path, wrong.code, wrong.values))
            continue
        if read in ("", []):
            continue
        if document.setdefault(keyword, read) != read:
            problems.append(Problem(path, "said-twice"))
    problems += [
        Problem(keyword, "missing")
        for keyword in ("AccessionNumber", START_DATE, "PatientName", "PatientID")
        if keyword not in document and not any(each.path == keyword for each in problems)
    ]
    if "\\" in document.get("AccessionNumber", ""):
        problems.append(Problem("AccessionNumber", "bad-value", {"vr": "SH"}))
    if problems:
        raise DocumentError(problems)
    document.setdefault(START_TIME, "000000")
    start = datetime.combine(date.fromisoformat(document[START_DATE]), read_time(document[START_TIME]))
    return Order(
        accession_number=document["AccessionNumber"], clinic=clinic, crm_id=crm_id, start=start, document=document
    )


def read_time(text: str) -> time:
    """A time of day as DICOM writes it, HHMMSS; raises ValueError."""
    return time.fromisoformat(text[:6].ljust(6, "0"))


def values_of(document: Document) -> Mapping[str, tuple[str, ...]]:
    """What rules may ask of an order (`Order.*`): every value by keyword, of a sequence's items by their path."""
    found: dict[str, list[str]] = {}
    for keyword, value in document.items():
        if isinstance(value, str):
            found.setdefault(keyword, []).extend(value.split("\\"))
            continue
        for item in value:
            for inner, text in item.items():
                found.setdefault(f"{keyword}.{inner}", []).extend(text.split("\\"))
    return {keyword: tuple(dict.fromkeys(values)) for keyword, values in found.items()}


class _WrongError(Exception):
    """A value that cannot stand."""

    def __init__(self, code: str, path: str = "", **values: Any) -> None:
        super().__init__(code)
        self.code, self.path, self.values = code, path, values


def _name(given: Mapping[str, Any], key: str, problems: list[Problem]) -> str | None:
    value = given.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        problems.append(Problem(key, "string_type"))
    elif not value.strip() or len(value) > 200:  # noqa: PLR2004 - as long as a key of a document
        problems.append(Problem(key, "empty" if not value.strip() else "too-long", {"limit": 200}))
    else:
        return value
    return None


def _flat(given: Mapping[str, Any], problems: list[Problem]) -> Iterator[tuple[str, str, Any]]:
    """Every keyword with its path; the one scheduled step may stand as its sequence's item too."""
    for key, value in given.items():
        if key in ("Clinic", "CrmId") or value is None:
            continue
        if key == SEQUENCE:
            if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], Mapping):
                problems.append(Problem(key, "one-step"))
                continue
            for inner, each in value[0].items():
                path = f"{key}[0].{inner}"
                if inner in STEP:
                    yield path, inner, each
                else:
                    problems.append(Problem(path, "unknown-key", {"name": inner, "nearest": nearest(inner, STEP)}))
        elif key in ROOT or key in STEP:
            yield key, key, value
        else:
            problems.append(Problem(key, "unknown-key", {"name": key, "nearest": nearest(key, ROOT | STEP)}))


@cache
def kind_of(keyword: str) -> tuple[str, bool]:
    """The value representation of a keyword, and whether it may have several values."""
    tag = tag_for_keyword(keyword)
    return dictionary_VR(tag or 0), dictionary_VM(tag or 0) != "1"


def _read(keyword: str, value: Any) -> Any:
    vr, several = kind_of(keyword)
    if vr == "SQ":
        return _items(keyword, value)
    if isinstance(value, list):
        if not several or not all(isinstance(each, str) for each in value):
            raise _WrongError("string_type")
        value = "\\".join(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and vr in {"DS", "IS", "US"}:
        value = str(value)
    if not isinstance(value, str):
        raise _WrongError("string_type")
    text = value.strip(" ")
    parts = text.split("\\") if several and vr not in _LINES else [text]
    return "\\".join(_value(vr, part.strip(" ")) if part.strip(" ") else "" for part in parts)


def _items(keyword: str, value: Any) -> list[dict[str, str]]:
    allowed = REFERENCES if keyword == "ReferencedStudySequence" else CODES
    if not isinstance(value, list) or len(value) > MOST_ITEMS or not all(isinstance(each, Mapping) for each in value):
        raise _WrongError("not-items", limit=MOST_ITEMS)
    items = []
    for number, item in enumerate(value):
        read: dict[str, str] = {}
        for inner, each in item.items():
            path = f"[{number}].{inner}"
            if inner not in allowed:
                raise _WrongError("unknown-key", path, name=inner, nearest=nearest(inner, allowed))
            try:
                text = _read(inner, each) if each is not None else ""
            except _WrongError as wrong:
                raise _WrongError(wrong.code, path + wrong.path, **wrong.values) from None
            if text:
                read[inner] = text
        items.append(read)
    return items


def _value(vr: str, text: str) -> str:
    if vr in _READERS:
        try:
            return _READERS[vr](text)
        except ValueError:
            raise _WrongError("bad-value", vr=vr) from None
    if (pattern := _PATTERNS.get(vr)) is not None:
        if not pattern.fullmatch(text):
            raise _WrongError("bad-value", vr=vr)
        return text
    if len(text) > _TEXTS[vr]:
        raise _WrongError("too-long", limit=_TEXTS[vr])
    forbidden = _CONTROLS if vr in _LINES else _LINE_CONTROLS
    if forbidden.search(text):
        raise _WrongError("bad-value", vr=vr)
    return text


def _name_of(text: str) -> str:
    """A person's name: three groups of five components at most (PS3.5 section 6.2.1), without those that are empty."""
    groups = text.split("=")
    if len(groups) > 3 or any(group.count("^") > 4 for group in groups) or _LINE_CONTROLS.search(text):  # noqa: PLR2004
        raise ValueError(text)
    if len(text) > _TEXTS["PN"]:
        raise _WrongError("too-long", limit=_TEXTS["PN"])
    return "=".join(group.rstrip("^ ") for group in groups).rstrip("=")


def _date(text: str) -> str:
    """YYYYMMDD; written with hyphens too."""
    found = re.fullmatch(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})", text)
    if found is None:
        raise ValueError(text)
    return f"{date(int(found[1]), int(found[3]), int(found[4])):%Y%m%d}".rjust(8, "0")


def _time(text: str) -> str:
    """HHMMSS; written with colons and without seconds too."""
    if not re.fullmatch(r"[0-9]{2}(:?)([0-9]{2}(\1[0-9]{2}(\.[0-9]{1,6})?)?)?", text):
        raise ValueError(text)
    return f"{read_time(text.replace(':', '').partition('.')[0]):%H%M%S}"


_READERS: Mapping[str, Callable[[str], str]] = {"DA": _date, "TM": _time, "PN": _name_of}
