"""Facts as a person types them, a line each: `Modality = PX`. Pure.

A field that the images' series have begins a new series when the one before has it already, or after an empty line.
Whoever prefers JSON writes the document that `rules/evaluate` takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from relais.domain.fields import ORDER
from relais.domain.json_text import read_shallow

PATIENT = "Patient."
ORIGIN = "Origin."
ALONE = {
    "Clinic": "Clinic",
    "Clinic.Region": "ClinicRegion",
    "TimeZone": "TimeZone",
    "Match.State": "MatchState",
    "Urgency": "Urgency",
    "Instances.Count": "Instances",
}
"""Fields that are one value of the facts, and its key there."""
OF_STUDY = (
    "Patient",
    "Study",
    "Accession",
    "Referring",
    "OtherPatient",
    "IssuerOf",
    "Requested",
    "Institution",
    "ReasonForStudy",
)
"""How the keywords begin that a study has as a whole (PS3.3 sections C.7.1 and C.7.2)."""

Document = dict[str, Any]


def facts_of(text: str) -> Document:
    """The facts that a text says, as a document; raises ValueError for what looks like JSON and is not."""
    if text.lstrip().startswith("{"):
        found = read_shallow(text)
        return found if isinstance(found, dict) else {}
    facts: Document = {}
    series: list[dict[str, list[str]]] = []
    fresh = True
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.partition("="))
        if not name:
            fresh = True
            continue
        if not _is_of_series(name):
            _put(facts, name, value)
            continue
        if fresh or not series or name in series[-1]:
            series.append({})
            fresh = False
        series[-1][name] = [part.strip() for part in value.split("\\") if part.strip()]
    if series:
        facts["Series"] = series
    return facts


def text_of(facts: Mapping[str, Any]) -> str:
    """The lines that say these facts; JSON where lines cannot."""
    lines = list(_lines(facts))
    text = "\n".join(lines).strip("\n")
    return text if lines and _same(facts_of(text), facts) else json.dumps(facts, ensure_ascii=False, indent=2)


def _put(facts: Document, name: str, value: str) -> None:
    if name in ALONE:
        key = ALONE[name]
        facts[key] = int(value) if key == "Instances" and value.isdigit() else value
    elif name.startswith(ORIGIN):
        facts.setdefault("Origin", {})[name.removeprefix(ORIGIN)] = value
    elif name.startswith(PATIENT):
        facts.setdefault("Patient", {}).setdefault(name.removeprefix(PATIENT), []).append(value)
    elif name.startswith(ORDER):
        facts.setdefault("Order", {}).setdefault(name.removeprefix(ORDER), []).append(value)
    else:
        facts.setdefault("Study", {}).setdefault(name, []).append(value)


def _is_of_series(name: str) -> bool:
    return name not in ALONE and not name.startswith((ORIGIN, PATIENT, ORDER, *OF_STUDY))


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    names = {key: name for name, key in ALONE.items()}
    yield from (f"{names[key]} = {facts[key]}" for key in facts if key in names)
    for key, prefix in (("Origin", ORIGIN), ("Patient", PATIENT), ("Order", ORDER), ("Study", "")):
        for name, values in _items(facts.get(key)):
            yield from (f"{prefix}{name} = {value}" for value in _several(values))
    for index, each in enumerate(facts.get("Series") or ()):
        if index:
            yield ""
        for name, values in _items(each):
            yield f"{name} = {chr(92).join(map(str, _several(values)))}"


def _items(part: object) -> list[tuple[str, Any]]:
    return list(part.items()) if isinstance(part, Mapping) else []


def _several(values: object) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _same(left: object, right: object) -> bool:
    """Equal, where one value and a list of it are the same, and so are a number and its text."""
    return _plain(left) == _plain(right)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value] if len(value) != 1 else _plain(value[0])
    return str(value)
