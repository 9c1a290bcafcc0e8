"""What a rule may ask about: the table of fields, and how the values of each are read and compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_VR, keyword_dict

from relais.domain.document import fault, nearest
from relais.domain.facts import Facts, Values
from relais.domain.priority import Priority
from relais.domain.urgency import urgency


class Kind(StrEnum):
    """How the values of a field compare."""

    Text = "Text"
    Number = "Number"
    Date = "Date"
    Time = "Time"
    Age = "Age"
    Word = "Word"
    Clinic = "Clinic"


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing a rule may ask about; `read` takes the facts and the clinic's local time."""

    name: str
    kind: Kind
    meaning: str
    example: str
    read: Callable[[Facts, datetime], Values]
    words: tuple[str, ...] = ()


def _one(value: str | None) -> Values:
    return (value,) if value else ()


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_ORIGINS = ("DicomProtocol", "RestApi", "Plugins", "Lua", "WebDav", "Unknown")
_MATCHES = ("Pending", "Matched", "Review", "Unmatched")


def _urgency(facts: Facts) -> Values:
    known = urgency(facts)
    return () if known is None else (known.name,)


def _field(
    name: str, kind: Kind, example: str, meaning: str, read: Callable[[Facts, datetime], Values], *words: str
) -> Field:
    return Field(name=name, kind=kind, example=example, meaning=meaning, read=read, words=words)


def _patient(name: str, kind: Kind, example: str, meaning: str) -> Field:
    return _field(f"Patient.{name}", kind, example, meaning, lambda facts, _: facts.patient.get(name, ()))


_TABLE = (
    _field(
        "Origin.CallingAet",
        Kind.Text,
        "CS8100",
        "AE title of the machine that sent the study",
        lambda facts, _: _one(facts.origin.calling_aet),
    ),
    _field(
        "Origin.CalledAet",
        Kind.Text,
        "OUTREMONT",
        "AE title under which that machine called us",
        lambda facts, _: _one(facts.origin.called_aet),
    ),
    _field(
        "Origin.RemoteIp",
        Kind.Text,
        "10.1.2.3",
        "IP address of that machine",
        lambda facts, _: _one(facts.origin.remote_ip),
    ),
    _field(
        "Origin.Kind",
        Kind.Word,
        "DicomProtocol",
        "How the study came in, in Orthanc's words",
        lambda facts, _: _one(facts.origin.kind),
        *_ORIGINS,
    ),
    _field(
        "Origin.Source",
        Kind.Text,
        "hospital",
        "Name of the source that the study was imported from",
        lambda facts, _: _one(facts.origin.source),
    ),
    _field(
        "Clinic",
        Kind.Clinic,
        "outremont",
        "Key of the clinic in Clinics",
        lambda facts, _: _one(facts.clinic),
    ),
    _field(
        "Clinic.Region",
        Kind.Text,
        "CA-QC",
        "Region of that clinic",
        lambda facts, _: _one(facts.clinic_region),
    ),
    _field(
        "Match.State",
        Kind.Word,
        "Matched",
        "Whether the CRM's patient was found",
        lambda facts, _: _one(facts.match_state),
        *_MATCHES,
    ),
    _patient("Region", Kind.Text, "CA-QC", "Where the patient lives, from the CRM"),
    _patient("PostalCode", Kind.Text, "H2V 1G8", "The patient's postal code, from the CRM"),
    _patient("AgeYears", Kind.Number, "17", "The patient's age in years, from the CRM"),
    _patient("Labels", Kind.Text, "orthodontics", "The labels the CRM put on the patient"),
    _patient("Sex", Kind.Text, "F", "The patient's sex, from the CRM"),
    _patient("Clinic", Kind.Clinic, "outremont", "The patient's own clinic, from the CRM"),
    _field(
        "Urgency",
        Kind.Word,
        "Stat",
        "How urgent the study is, in the words of Priority",
        lambda facts, _: _urgency(facts),
        *(priority.name for priority in Priority),
    ),
    _field(
        "Series.Count",
        Kind.Number,
        "2",
        "How many series the study has",
        lambda facts, _: (str(len(facts.series)),),
    ),
    _field(
        "Instances.Count",
        Kind.Number,
        "40",
        "How many images and other instances the study has",
        lambda facts, _: () if facts.instances is None else (str(facts.instances),),
    ),
    _field(
        "Now.Weekday",
        Kind.Word,
        "Monday",
        "Day of the week at the clinic",
        lambda _, local: (_WEEKDAYS[local.weekday()],),
        *_WEEKDAYS,
    ),
    _field("Now.Time", Kind.Time, "17:30", "Time of day at the clinic", lambda _, local: (f"{local:%H:%M:%S}",)),
)
FIELDS: dict[str, Field] = {field.name: field for field in _TABLE}
"""Every field that is not a DICOM keyword, by name. `Order.` and a DICOM keyword asks about the worklist item."""

ORDER = "Order."
DEEPEST_PATH = 8
"""How many keywords a way through sequences has at most."""

_KINDS = {"DA": Kind.Date, "TM": Kind.Time, "AS": Kind.Age} | dict.fromkeys(
    ("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV", "US or SS"), Kind.Number
)
_WITHOUT_TEXT = frozenset({"OB", "OB or OW", "OD", "OF", "OL", "OV", "OW", "SQ", "UN", "AT", "NONE", ""})


def is_keyword(name: str) -> bool:
    """Whether DICOM's dictionary (PS3.6) has this keyword."""
    return name != "" and name in keyword_dict


def is_dicom(name: str) -> bool:
    """Whether the field is one of the images' own attributes."""
    return name not in FIELDS and not name.startswith(ORDER)


@cache
def find_field(name: str) -> Field:
    """The field of that name; raises a fault with the nearest known name.

    A DICOM keyword asks every value that the study or any of its series has; a way through sequences, such as
    `RequestAttributesSequence.RequestedProcedureDescription`, every value in any of their items.
    """
    if name in FIELDS:
        return FIELDS[name]
    of_order = name.startswith(ORDER)
    path = name.removeprefix(ORDER)
    *sequences, keyword = path.split(".")
    if len(sequences) >= DEEPEST_PATH:
        raise fault("path-too-deep", limit=DEEPEST_PATH)
    for place, each in enumerate((*sequences, keyword)):
        if not is_keyword(each):
            raise fault("unknown-field", name=name, nearest=_nearest(name, of_order=of_order, place=place))
    for each in sequences:
        if dictionary_VR(keyword_dict[each]) != "SQ":
            raise fault("not-a-sequence", name=each)
    tag = keyword_dict[keyword]
    vr, description = dictionary_VR(tag), dictionary_description(tag)
    if vr in _WITHOUT_TEXT:
        raise fault("field-without-values", name=name, vr=vr)
    kind = _KINDS.get(vr, Kind.Text)
    if of_order:
        return _field(name, kind, "", f"{description} (worklist item)", lambda facts, _: facts.order.get(path, ()))
    return _field(name, kind, "", description, lambda facts, _: facts.dicom(path))


def read_field(name: str, facts: Facts, local: datetime) -> Values:
    """The values of a known field."""
    return find_field(name).read(facts, local)


def _nearest(name: str, *, of_order: bool, place: int) -> str | None:
    """The name with its wrong part replaced by the nearest keyword."""
    parts = name.removeprefix(ORDER).split(".")
    if place == 0 and not of_order and (close := _nearest_field(name, whole=len(parts) == 1)):
        return close
    close = _nearest_keyword(parts[place])
    parts[place] = close or ""
    return close and (ORDER if of_order else "") + ".".join(parts)


def _nearest_field(name: str, *, whole: bool) -> str | None:
    return nearest(name, [*FIELDS, *_alike(name)] if whole else FIELDS)


def _nearest_keyword(name: str) -> str | None:
    return nearest(name, _alike(name))


def _alike(name: str) -> list[str]:
    """The keywords that begin alike, or else end alike: to compare with all 5,000 takes a tenth of a second."""
    by_beginning, by_end = _keywords()
    return by_beginning.get(name[:3].lower()) or by_end.get(name[-6:].lower(), [])


@cache
def _keywords() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    by_beginning: dict[str, list[str]] = {}
    by_end: dict[str, list[str]] = {}
    for keyword in filter(None, keyword_dict):
        by_beginning.setdefault(keyword[:3].lower(), []).append(keyword)
        if not keyword.endswith("Sequence"):
            by_end.setdefault(keyword[-6:].lower(), []).append(keyword)
    return by_beginning, by_end


def _number(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?", text) else None


def _date(text: str) -> date | None:
    found = re.fullmatch(r"([0-9]{4})([-.]?)([0-9]{2})\2([0-9]{2})", text)
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def _time(text: str) -> Decimal | None:
    """Seconds since midnight."""
    found = re.fullmatch(r"([01][0-9]|2[0-3])(?::?([0-5][0-9])(?::?([0-5][0-9]|60)(\.[0-9]{1,6})?)?)?", text)
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups("0")
    return Decimal(int(hours) * 3600 + int(minutes) * 60 + int(seconds)) + Decimal(fraction)


_DAYS = {"D": Decimal(1), "W": Decimal(7), "M": Decimal("30.4375"), "Y": Decimal("365.25")}


def _age(text: str) -> Decimal | None:
    """Days, from an age string such as 045Y."""
    found = re.fullmatch(r"([0-9]{1,3})([DWMY])", text)
    return Decimal(found[1]) * _DAYS[found[2]] if found else None


def _text(text: str) -> str:
    return text


READ: dict[Kind, Callable[[str], Any]] = {
    Kind.Text: _text,
    Kind.Word: _text,
    Kind.Clinic: _text,
    Kind.Number: _number,
    Kind.Date: _date,
    Kind.Time: _time,
    Kind.Age: _age,
}
"""A value as something that compares with its like, or None where it is not of that kind."""
