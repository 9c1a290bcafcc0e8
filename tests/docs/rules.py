"""Fields and operators, each with an example that is decided while the page is written."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.facts import Facts
from relais.domain.fields import FIELDS, Kind
from relais.domain.routing import decide
from relais.domain.rules import Otherwise, Rule
from tests.docs.markdown import code, table

NOW = datetime(2026, 4, 6, 21, 30, tzinfo=UTC)  # a Monday, 17:30 in Montréal

Condition = Mapping[str, Any]

EXAMPLES: Mapping[str, tuple[Condition, tuple[str, ...]]] = {
    "Equals": ({"Field": "Modality", "Equals": "PX"}, ("PX", "CT", "px")),
    "In": ({"Field": "Modality", "In": ["IO", "PX"]}, ("IO", "PX", "CT")),
    "StartsWith": ({"Field": "StudyDescription", "StartsWith": "Pano"}, ("Panoramique", "panoramique")),
    "Contains": ({"Field": "StudyDescription", "Contains": "molaire"}, ("Dent molaire", "Canine")),
    "Matches": ({"Field": "Origin.CallingAet", "Matches": "CS8?00*"}, ("CS8100", "CS8200_2", "XCS8100")),
    "Regex": ({"Field": "AccessionNumber", "Regex": "^[0-9]{8}$"}, ("20260406", "A-20260406")),
    "Exists": ({"Field": "AccessionNumber", "Exists": True}, ("A1",)),
    "LessThan": ({"Field": "PatientAge", "LessThan": "018Y"}, ("017Y", "200M", "018Y", "adult")),
    "AtLeast": ({"Field": "StudyDate", "AtLeast": "2026-01-01"}, ("20260101", "20251231", "unknown")),
    "Between": ({"Field": "StudyTime", "Between": ["08:00", "17:00"]}, ("0800", "170000", "170001.5")),
}
"""For each operator a condition, and values to ask it about."""

GROUP_EXAMPLES: Mapping[str, Condition] = {
    "All": {"All": [{"Field": "Modality", "Equals": "PX"}, {"Field": "Clinic", "Equals": "outremont"}]},
    "Any": {"Any": [{"Field": "Modality", "Equals": "PX"}, {"Field": "Modality", "Equals": "IO"}]},
    "None": {"None": [{"Field": "Modality", "Equals": "SR"}, {"Field": "Modality", "Equals": "KO"}]},
}

KINDS: Mapping[Kind, tuple[str, str]] = {
    Kind.Text: ("exactly, character by character; with a number in the rule, as numbers", '`"PX"`'),
    Kind.Number: ("by their value: `2`, `2.0` and `002` are equal", "`17`"),
    Kind.Date: ("by the day: `20260401`, `2026-04-01`", '`"2026-04-01"`'),
    Kind.Time: ("by the time of day: `08`, `0815`, `08:15:30.25`", '`"08:15"`'),
    Kind.Age: ("by length: `012M` equals `001Y`; a year is 365.25 days, a month a twelfth of that", '`"018Y"`'),
    Kind.Word: ("one of a fixed list of words, without order", '`"Monday"`'),
    Kind.Clinic: ("a key of `Clinics`, without order; an unknown one is a configuration error", '`"outremont"`'),
}


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether the condition holds for these facts, as production decides it."""
    rule = Rule.model_validate({"Name": "asked", "When": condition, "Stop": True}, by_alias=True)
    return not decide(facts, [rule], Otherwise(hold="no rule matched"), NOW).otherwise


def facts_with(field: str, *values: str) -> Facts:
    """Facts in which a DICOM keyword or an origin has these values, and nothing else is known."""
    if field.startswith("Origin."):
        return Facts.from_json({"Origin": {field.removeprefix("Origin."): values[0]}} if values else {})
    return Facts.from_json({"Series": [{field: list(values)}]} if values else {})


def describe_operators() -> str:
    """A heading for each operator, with what it makes of some values and of none."""
    return "\n\n".join(_describe_operator(name) for name in OPERATORS)


def describe_groups() -> str:
    """A heading for All, Any and None."""
    return "\n\n".join(
        f"### `{name}`\n\n{meaning}.\n\nExample: {_json(GROUP_EXAMPLES[name])}" for name, meaning in GROUPS.items()
    )


def describe_fields() -> str:
    """A heading for each field that is not a DICOM keyword."""
    parts = []
    for field in FIELDS.values():
        wanted: object = int(field.example) if field.kind is Kind.Number else field.example
        words = f" Words: {', '.join(map(code, field.words))}." if field.words else ""
        example = _json({"Field": field.name, "Equals": wanted})
        parts.append(f"### `{field.name}`\n\n{field.meaning}. Compares as {field.kind}.{words}\n\nExample: {example}")
    return "\n\n".join(parts)


def describe_kinds() -> str:
    """How values compare."""
    return table(("Kind", "Values compare", "In a rule"), [(kind, *KINDS[kind]) for kind in Kind])


def _describe_operator(name: str) -> str:
    condition, values = EXAMPLES[name]
    field = str(condition["Field"])
    rows = [(code(value), _verdict(condition, facts_with(field, value))) for value in values]
    rows.append(("no value", _verdict(condition, facts_with(field))))
    outcome = table((f"{field}", "Holds"), rows)
    return f"### `{name}`\n\n{OPERATORS[name].meaning}.\n\nExample: {_json(condition)}\n\n{outcome}"


def _verdict(condition: Condition, facts: Facts) -> str:
    return "yes" if holds(condition, facts) else "no"


def _json(document: object) -> str:
    return code(json.dumps(document, ensure_ascii=False))
