"""Questions to a PACS: levels, what may stand in their keys, whether an answer matches, and answers put together.

PS3.4 section C.2.2.2 says how attributes match; archives do less and more than that, so that every answer is judged
again here before anybody sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum

from pydicom.datadict import dictionary_VR, tag_for_keyword

from relais.domain.document import Problem
from relais.domain.globs import compile_glob
from relais.domain.words import fold

Answer = Mapping[str, str]
"""What a source says of one thing: text by keyword, a backslash between several values."""

LONGEST_VALUE = 256
"""Characters of a key's value; a list of UIDs is the longest that makes sense."""
MOST_KEYS = 40
MOST_VALUES = 1000
"""Characters of a list of UIDs (PS3.4 section C.2.2.2.2) are not limited, its values are."""
ROUND = 100
"""Archives that do not tell their limit cut at a multiple of this."""


class Level(StrEnum):
    """What is asked for (PS3.4 section C.6)."""

    Patient = "Patient"
    Study = "Study"
    Series = "Series"
    Instance = "Instance"

    @property
    def dicom(self) -> str:
        """The value of QueryRetrieveLevel (0008,0052)."""
        return "IMAGE" if self is Level.Instance else self.value.upper()

    @property
    def unique(self) -> str:
        """The keyword of its unique key."""
        return UNIQUE[self]


UNIQUE: Mapping[Level, str] = {
    Level.Patient: "PatientID",
    Level.Study: "StudyInstanceUID",
    Level.Series: "SeriesInstanceUID",
    Level.Instance: "SOPInstanceUID",
}
ABOVE: Mapping[Level, tuple[str, ...]] = {
    Level.Patient: (),
    Level.Study: (),
    Level.Series: ("StudyInstanceUID",),
    Level.Instance: ("StudyInstanceUID", "SeriesInstanceUID"),
}
"""The unique keys of the levels above that a hierarchical question in the Study Root must have (section C.4.1.2.1)."""

_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
RETURNED: Mapping[Level, tuple[str, ...]] = {
    Level.Patient: _PATIENT,
    Level.Study: (
        *_PATIENT,
        *("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyDescription"),
        *("ReferringPhysicianName", "ModalitiesInStudy", "InstitutionName"),
        *("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    ),
    Level.Series: (
        *("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "SeriesDate"),
        *("BodyPartExamined", "NumberOfSeriesRelatedInstances"),
    ),
    Level.Instance: (
        *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber"),
        "NumberOfFrames",
    ),
}
"""What is asked to be returned at each level besides the keys that were given."""

UNRELIABLE = frozenset(
    {"ModalitiesInStudy", "StudyDescription", "SeriesDescription", "InstitutionName", "ReferringPhysicianName"}
)
"""What archives leave out of their answers, or do not match: it is asked, and judged only where it is answered."""
_TEXT = frozenset({"PN", "LO", "SH", "LT", "ST", "UT", "UC"})
_WILD = _TEXT | {"CS", "AE", "UR"}
_ASKABLE = _WILD | {"UI", "DA", "TM", "DT", "IS", "DS", "AS"}
_OWN = ("QueryRetrieveLevel", "SpecificCharacterSet")
_NUMBERS = ("IS", "DS")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID = 64


class SourceState(StrEnum):
    """How a source took a question."""

    Waiting = "Waiting"  # it is being asked
    Answered = "Answered"
    Truncated = "Truncated"  # it has, or may have, more than it answered
    TimedOut = "TimedOut"
    Refused = "Refused"
    Unreachable = "Unreachable"


def is_uid(text: str) -> bool:
    """Whether it can be a UID; components that begin with a zero are found, though PS3.5 section 9.1 forbids them."""
    return len(text) <= LONGEST_UID and _UID.fullmatch(text) is not None


def faults(level: Level, keys: Mapping[str, str], path: str = "Query") -> Iterator[Problem]:
    """Everything that is wrong with the keys of a question."""
    if len(keys) > MOST_KEYS:
        yield Problem(path, "too-many", {"limit": MOST_KEYS})
        return
    for keyword, value in keys.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            yield Problem(f"{path}.{keyword[:LONGEST_UID]}", "unknown-keyword", {"name": keyword[:LONGEST_UID]})
        elif dictionary_VR(tag) not in _ASKABLE or tag >> 16 in (0, 2) or keyword in _OWN:
            yield Problem(f"{path}.{keyword}", "key-not-askable", {"name": keyword})
        else:
            yield from _value_faults(f"{path}.{keyword}", dictionary_VR(tag), value)
    for keyword in ABOVE[level]:
        if not keys.get(keyword, "").strip():
            yield Problem(f"{path}.{keyword}", "missing")


def _value_faults(path: str, vr: str, value: str) -> Iterator[Problem]:
    if vr == "UI":
        uids = value.split("\\")
        if len(uids) > MOST_VALUES:
            yield Problem(path, "too-many", {"limit": MOST_VALUES})
        elif value and not all(map(is_uid, uids)):
            yield Problem(path, "bad-uid")
    elif len(value) > LONGEST_VALUE:
        yield Problem(path, "too-long", {"limit": LONGEST_VALUE})
    elif any(ord(character) < 32 or ord(character) == 127 for character in value):  # noqa: PLR2004 - control characters
        yield Problem(path, "string_unicode")
    elif vr in _NUMBERS and value and not re.fullmatch(r"[+-]?[0-9]{1,12}(\.[0-9]{1,6})?", value):
        yield Problem(path, "not-number")
    elif vr == "DA" and value and read_range(value) is None:
        yield Problem(path, "bad-date-range", {"name": value})
    elif vr == "TM" and value and not re.fullmatch(r"[0-9]{2,6}(\.[0-9]+)?|[0-9.]{0,13}-[0-9.]{0,13}", value):
        yield Problem(path, "bad-time-range", {"name": value})


def read_range(text: str) -> tuple[date | None, date | None] | None:
    """The days of a DA or of a range of them (PS3.4 section C.2.2.2.5), None where one end is open or for no dates."""
    first, dash, last = text.strip().partition("-")
    try:
        begin = _day(first) if first else None
        end = _day(last) if last else None
    except ValueError:
        return None
    if not dash:
        return None if begin is None else (begin, begin)
    if (begin is None and end is None) or (begin and end and begin > end):
        return None
    return begin, end


def _day(text: str) -> date:
    if not re.fullmatch("[0-9]{8}", text):
        raise ValueError(text)
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def range_text(first: date | None, last: date | None) -> str:
    """Days as StudyDate asks for them."""
    begin, end = ("" if each is None else each.strftime("%Y%m%d") for each in (first, last))
    return begin if begin == end else f"{begin}-{end}"


def is_bounded(keys: Mapping[str, str]) -> bool:
    """Whether some key tells apart: a value that is neither empty nor wild cards only, or a day."""
    return any(value.strip(" *?\\^") != "" and keyword not in UNRELIABLE for keyword, value in keys.items())


def is_cut(count: int, limit: int | None) -> bool:
    """Whether so many answers may not be all: `limit` is the source's, 0 for none, None where nobody knows it."""
    if limit is None:
        return count > 0 and count % ROUND == 0
    return limit > 0 and count >= limit


def ways(keys: Mapping[str, str], *, wildcards: bool) -> tuple[dict[str, str], ...]:
    """How a source is asked the keys: wider, never narrower, for every answer is judged again.

    The parts of a name may stand in one component or in several, and the name may go on; letters that may have an
    accent are wild cards, for archives compare them in ways of their own. The second way, for when the first one's
    answers are cut, has the letters as they were given. What archives match badly is only asked back, and so is a value
    with wild cards where they are not taken.
    """
    found = [
        {keyword: _sent(keyword, value, wildcards, wide) for keyword, value in keys.items()} for wide in (True, False)
    ]
    return (found[0],) if found[0] == found[1] else (found[0], found[1])


def _sent(keyword: str, value: str, wildcards: bool, wide: bool) -> str:  # noqa: FBT001 - one caller, beside it
    vr = dictionary_VR(keyword)
    if keyword in UNRELIABLE:
        return ""
    if vr == "PN" and value.strip() and wildcards:
        parts = [part for part in re.split(r"[\s,^]+", value.strip()) if part.strip("*")]
        return re.sub(r"\*+", "*", "*".join([*(map(_unaccented, parts) if wide else parts), ""]))
    if not wildcards and vr in _WILD and ("*" in value or "?" in value):
        return ""
    return value


def _unaccented(part: str) -> str:
    """Wild cards for what may have an accent, after the first two letters; for what has one it may be several bytes."""
    if not re.search("[0-9A-Za-z]", part):
        return part
    plain = re.sub(r"[^\x00-\x7f]+", "*", part)
    return plain[:2] + re.sub("[aceinouyACEINOUY]", "?", plain[2:])


def matches(keys: Mapping[str, str], answer: Answer) -> bool:
    """Whether an answer is one to the question; what it does not say does not stand against it.

    Dates match by range, UIDs and modalities by list, names and texts by wild card without regard to case, accents
    and how a name is cut into its components; everything else by itself.
    """
    asked = ((keyword, value) for keyword, value in keys.items() if value.strip() not in ("", "*"))
    return all(_holds(keyword, value, answer.get(keyword, "").strip()) for keyword, value in asked)


def _holds(keyword: str, wanted: str, said: str) -> bool:
    if not said:
        return True
    vr = dictionary_VR(keyword)
    holds = _HOLDS.get(vr)
    if holds is not None:
        return holds(wanted, said)
    values = [(one.strip(), each.strip()) for one in wanted.split("\\") for each in said.split("\\")]
    if vr in _NUMBERS:
        return any(one.lstrip("0+") == each.lstrip("0+") for one, each in values)
    return any(_glob(fold(one), fold(each)) for one, each in values)


def _time_holds(wanted: str, said: str) -> bool:
    first, dash, last = wanted.strip().partition("-")
    if not dash:
        return said.startswith(first) or first.startswith(said)
    return (not first or said[: len(first)] >= first) and (not last or said[: len(last)] <= last)


def _date_holds(wanted: str, said: str) -> bool:
    span = read_range(wanted)
    try:
        day = _day(re.sub(r"\D", "", said)[:8])
    except ValueError:  # no date: a person sees what it is
        return True
    return span is not None and (span[0] is None or day >= span[0]) and (span[1] is None or day <= span[1])


def _name_holds(wanted: str, said: str) -> bool:
    asked = _component(wanted)
    groups = [_component(group) for group in said.split("=")]
    return any(_glob(asked, group) or _glob(f"{asked} *", group) for group in groups) or (
        "*" not in wanted and "?" not in wanted and any(asked.split() == group.split() for group in groups)
    )


def _component(name: str) -> str:
    return " ".join(fold(name.replace("^", " ").replace(",", " ")).split())


def _glob(pattern: str, value: str) -> bool:
    return bool(compile_glob(pattern)(value))


_HOLDS: Mapping[str, Callable[[str, str], bool]] = {
    "PN": _name_holds,
    "DA": _date_holds,
    "TM": _time_holds,
    "UI": lambda wanted, said: said in wanted.split("\\"),
}


def halves(first: date, last: date) -> tuple[tuple[date, date], tuple[date, date]] | None:
    """A window of days as its later and its earlier half; None for a single day."""
    if first >= last:
        return None
    middle = first + timedelta(days=(last - first).days // 2)
    return (middle + timedelta(days=1), last), (first, middle)


def newest_first(answers: Sequence[Answer]) -> list[Answer]:
    """Sorted by date and time, the newest first; what has none comes last."""
    return sorted(
        answers,
        key=lambda each: (
            each.get("StudyDate") or each.get("SeriesDate") or "",
            each.get("StudyTime") or each.get("SeriesTime") or "",
        ),
        reverse=True,
    )
