"""What the overview says of each thing of a document, in a line, also where the document is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from relais.configuration.models import Section
from relais.texts import _
from relais.web.pages.network_shapes import described
from relais.web.pages.network_values import written
from relais.web.pages.network_words import Part, label
from relais.web.pages.reasons import KINDS
from relais.web.pages.shell import brief, say

SOON = timedelta(days=90)
"""How long before it expires an assessment or an agreement is pointed at."""
HOME = "CA-QC"
POOL = "Pool"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A short remark with a state's tone, or none: `day` is a date that stands behind it."""

    text: str
    tone: str = ""
    day: str | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """One named thing. `fate` is what the draft does to it: Added, Changed, Removed or nothing."""

    key: str
    kind: str = ""
    place: str = ""
    marks: tuple[Mark, ...] = ()
    fate: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """One part of the section with its things."""

    part: Part
    rows: tuple[Row, ...] = field(default=())


def card_of(part: Part, entries: Mapping[str, Any], active: Mapping[str, Any], today: date) -> Card:
    """The things of a part, with what the draft changes; what it takes out comes last."""
    told = _TELLERS.get(part.top, _value)
    rows = [_row(key, told(each, today), _fate(key, entries, active)) for key, each in entries.items()]
    gone = [_row(key, told(each, today), "Removed") for key, each in active.items() if key not in entries]
    return Card(part=part, rows=(*rows, *gone))


@dataclass(frozen=True, kw_only=True)
class Fact:
    """An option of a general part: its word, empty where the part is a single value."""

    word: str
    text: str


def facts_of(top: str, document: Mapping[str, Any]) -> list[Fact]:
    """What a general part says, or what holds where the document says nothing of it."""
    value = document.get(top, described(Section)[top].get("default"))
    if not isinstance(value, Mapping):
        return [Fact(word="", text=_short(value))] if value is not None else []
    return [Fact(word=label(key), text=_short(each)) for key, each in value.items() if each not in (None, [], {})]


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_short(each)}" for key, each in value.items())
    if isinstance(value, list):
        return brief([written(each) for each in value])
    return brief(written(int(value) if isinstance(value, float) and value.is_integer() else value))


def _row(key: str, told: Row, fate: str) -> Row:
    return Row(key=key, kind=told.kind, place=told.place, marks=told.marks, fate=fate)


def _fate(key: str, entries: Mapping[str, Any], active: Mapping[str, Any]) -> str:
    if key not in active:
        return "Added"
    return "" if entries[key] == active[key] else "Changed"


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _several(word: str, value: Any) -> tuple[Mark, ...]:
    found = [written(each) for each in (_list(value) if not isinstance(value, Mapping) else value)]
    return (Mark(text=f"{say(word)} {brief(found)}"),) if found else ()


def _clinic(value: Any, _today: date) -> Row:
    one = _map(value)
    regions = " · ".join(str(one[key]) for key in ("Region", "Regime") if one.get(key))
    marks = (
        *_several(_("called as"), one.get("CalledAets")),
        *_several(_("machines"), one.get("CallingAets")),
        *_several(_("networks"), one.get("Networks")),
        *_several(_("institution"), one.get("InstitutionNames")),
    )
    return Row(key="", kind=regions, place=str(one.get("Name", "")), marks=marks)


def _source(value: Any, _today: date) -> Row:
    one = _map(value)
    return Row(
        key="",
        kind=str(one.get("Kind", "")),
        place=_address(one),
        marks=(Mark(text=str(one.get("Retrieve", "C-MOVE"))),),
    )


def _address(one: Mapping[str, Any]) -> str:
    if "Url" in one:
        return str(one["Url"])
    if "Source" in one:
        return f"{one['Source']} → {one.get('Aet', '?')}"
    return f"{one.get('Aet', '?')}@{one.get('Host', '?')}:{one.get('Port', '?')}"


def _destination(value: Any, today: date) -> Row:
    one = _map(value)
    if one.get("Kind") == POOL:
        members = [f"{name}: {written(weight)}" for name, weight in _map(one.get("Of")).items()]
        return Row(key="", kind=say(_("Pool")), place=", ".join(members))
    kind = str(one.get("Kind", ""))
    marks = [_jurisdiction(one), *_papers(one, today)]
    if one.get("FailoverTo"):
        marks.append(Mark(text=say(_("stand-in {name}"), name=one["FailoverTo"])))
    if one.get("Windows"):
        marks.append(Mark(text=say(_("in windows"))))
    if one.get("Deidentify"):
        marks.append(Mark(text=say(_("de-identified"))))
    return Row(key="", kind=say(KINDS[kind]) if kind in KINDS else kind, place=_address(one), marks=tuple(marks))


def _jurisdiction(one: Mapping[str, Any]) -> Mark:
    label = _map(one.get("Jurisdiction"))
    if not label:
        return Mark(text=say(_("no jurisdiction: nothing is sent there")), tone="blocked")
    storage, access = str(label.get("Storage", "?")), [str(each) for each in _list(label.get("Access"))]
    elsewhere = [each for each in access if each != storage]
    text = (
        say(_("{storage}, looked at from {access}"), storage=storage, access=brief(elsewhere)) if elsewhere else storage
    )
    return Mark(text=text, tone="done" if {storage, *access} == {HOME} else "person")


def _papers(one: Mapping[str, Any], today: date) -> list[Mark]:
    marks = []
    for key, expires, expired in (
        ("Assessment", _("assessment until"), _("assessment expired")),
        ("Agreement", _("agreement until"), _("agreement expired")),
    ):
        try:
            last = date.fromisoformat(str(_map(one.get(key)).get("Expires")))
        except ValueError:
            continue
        tone = "failed" if last <= today else "person" if last - today < SOON else ""
        marks.append(Mark(text=say(expired if last <= today else expires), tone=tone, day=last.isoformat()))
    return marks


def _patient_source(value: Any, _today: date) -> Row:
    one = _map(value)
    marks = (Mark(text=str(one["Clinic"])),) if one.get("Clinic") else ()
    return Row(key="", place=str(one.get("Url", "")), marks=marks)


def _subscriber(value: Any, _today: date) -> Row:
    one = _map(value)
    marks = _several(_("events"), one.get("Events", ["*"]))
    if one.get("IncludePatient"):
        marks = (*marks, Mark(text=say(_("with patient data")), tone="person"))
    return Row(key="", place=str(one.get("Url", "")), marks=marks)


def _user(value: Any, _today: date) -> Row:
    one = _map(value)
    clinics = _list(one.get("Clinics"))
    return Row(
        key="",
        kind=brief([str(each) for each in _list(one.get("Roles"))]),
        place=say(_("all clinics")) if "*" in clinics else brief([str(each) for each in clinics]),
    )


def _value(value: Any, _today: date) -> Row:
    return Row(
        key="", place=brief([written(each) for each in value]) if isinstance(value, list) else brief(written(value))
    )


_TELLERS: Mapping[str, Callable[[Any, date], Row]] = {
    "Clinics": _clinic,
    "Sources": _source,
    "Destinations": _destination,
    "PatientSources": _patient_source,
    "Subscribers": _subscriber,
    "Users": _user,
}
