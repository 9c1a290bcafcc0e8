"""The answers of several sources as one list: what is the same thing once, with everyone who has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_VR

from relais.domain.querying import Answer, Level, newest_first
from relais.domain.words import fold

_SETS = frozenset({"ModalitiesInStudy", "SOPClassesInStudy"})
_PERSON = ("PatientID", "PatientBirthDate", "PatientName")
"""What tells two patients apart who share a study's UID."""


@dataclass(frozen=True, kw_only=True)
class Merged:
    """One thing and who has it; `differs` has every value of an attribute about which they do not agree."""

    values: Mapping[str, str]
    sources: tuple[str, ...]
    differs: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    @property
    def several_patients(self) -> bool:
        """Whether it is said to belong to two patients."""
        return "PatientID" in self.differs and ("PatientBirthDate" in self.differs or "PatientName" in self.differs)


def merged(level: Level, answers: Iterable[tuple[str, Answer]]) -> list[Merged]:
    """The answers, each with its source, put together by their unique key, the newest first.

    A value is the first that somebody gave. Patients have no unique key beyond their source: an id, a birth date and a
    name together make one.
    """
    groups: dict[tuple[str, ...], list[tuple[str, Answer]]] = {}
    for source, answer in answers:
        groups.setdefault(_key(level, answer), []).append((source, answer))
    found = [(group, _values(group)) for group in groups.values()]
    order = {id(values): place for place, values in enumerate(newest_first([values for _, values in found]))}
    found.sort(key=lambda each: order[id(each[1])])
    return [
        Merged(values=values, sources=tuple(dict.fromkeys(source for source, _ in group)), differs=_differs(group))
        for group, values in found
    ]


def _key(level: Level, answer: Answer) -> tuple[str, ...]:
    if level is not Level.Patient:
        return (answer.get(level.unique, ""),)
    parts = (*(answer.get(keyword, "") for keyword in _PERSON), answer.get("IssuerOfPatientID", ""))
    return tuple(fold(each.rstrip("^ ")) for each in parts)


def _values(group: Sequence[tuple[str, Answer]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for _, answer in group:
        for keyword, value in answer.items():
            if value.strip():
                values.setdefault(keyword, value)
    return values


def _differs(group: Sequence[tuple[str, Answer]]) -> dict[str, tuple[tuple[str, str], ...]]:
    if len(group) == 1:
        return {}
    differs = {}
    for keyword in dict.fromkeys(keyword for _, answer in group for keyword in answer):
        said = dict.fromkeys((source, answer[keyword]) for source, answer in group if answer.get(keyword, "").strip())
        if len({_plain(keyword, value) for _, value in said}) > 1:
            differs[keyword] = tuple(said)
    return differs


def _plain(keyword: str, value: str) -> object:
    """The value without what is written in two ways and means the same."""
    if keyword in _SETS:
        return frozenset(each.strip() for each in value.split("\\"))
    if dictionary_VR(keyword) == "PN":
        return fold(value.rstrip("^= "))
    if dictionary_VR(keyword) == "TM":
        return value.split(".", maxsplit=1)[0].ljust(6, "0")
    return value.strip().lstrip("0") if dictionary_VR(keyword) == "IS" else value.strip()
