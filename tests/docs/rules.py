"""Fields and operators, each with an example that is decided while the page is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from relais.domain.conditions import GROUPS, OPERATORS
from relais.domain.document import References, parse
from relais.domain.facts import Facts
from relais.domain.fields import FIELDS, Kind
from relais.domain.routing import Verdict, decide
from relais.domain.rules import Otherwise, Rule
from tests.docs.markdown import code, fenced, table

NOW = datetime(2026, 4, 6, 21, 30, tzinfo=UTC)  # a Monday, 17:30 in Montréal

Condition = Mapping[str, Any]

EXAMPLES: Mapping[str, tuple[Condition, tuple[str, ...]]] = {
    "Equals": ({"Field": "Modality", "Equals": "PX"}, ("PX", "CT", "px")),
    "In": ({"Field": "Modality", "In": ["IO", "PX"]}, ("IO", "PX", "CT")),
    "InSet": ({"Field": "Modality", "InSet": "dental"}, ("IO", "PX", "CT")),
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
    "SeriesWhere": {
        "SeriesWhere": [{"Field": "Modality", "Equals": "PX"}, {"Field": "SeriesDescription", "Exists": False}]
    },
}

REFERENCES = References(sets={"dental": ["IO", "PX"]})
"""What the examples of operators refer to."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A part of the language by which to write rules: a piece of a configuration, and what it makes of some studies."""

    name: str
    meaning: str
    section: Mapping[str, Any]
    cases: tuple[tuple[str, Mapping[str, Any], bool], ...]
    """What each study is, its facts, and whether the first rule holds."""


_ADULT = {"Field": "PatientAge", "AtLeast": "018Y"}
_THIN = {"Field": "SliceThickness", "LessThan": 1}
_CT = {"Field": "Modality", "Equals": "CT"}

FEATURES = (
    Feature(
        name="Sets",
        meaning="A list of values has a name, and any number of conditions ask for it with `InSet`. The values are all "
        "texts or all numbers, and of the field's kind.",
        section={
            "Sets": {"dental": ["IO", "PX", "DX"]},
            "Rules": [{"Name": "dental", "When": {"Field": "Modality", "InSet": "dental"}, "DeliverTo": ["vna-qc"]}],
        },
        cases=(
            ("an intra-oral image", {"Series": [{"Modality": "IO"}]}, True),
            ("a CT", {"Series": [{"Modality": "CT"}]}, False),
        ),
    ),
    Feature(
        name="Conditions",
        meaning="A condition has a name, and stands wherever it is named. It may name others, not in a circle, and no "
        "more than eight one after the other. A condition asks at most 500 questions, with those it names.",
        section={
            "Conditions": {"adult": _ADULT, "adult-ct": {"All": [{"Condition": "adult"}, _CT]}},
            "Rules": [{"Name": "reading", "When": {"Condition": "adult-ct"}, "DeliverTo": ["vna-qc"]}],
        },
        cases=(
            ("an adult's CT", {"Study": {"PatientAge": "045Y"}, "Series": [{"Modality": "CT"}]}, True),
            ("a child's CT", {"Study": {"PatientAge": "012Y"}, "Series": [{"Modality": "CT"}]}, False),
        ),
    ),
    Feature(
        name="Series",
        meaning="A question looks at the values of all series at once. With `Series` it is asked of each series by "
        "itself, and must hold for `Any`, for `All` or for `None` of them. `All` wants at least one series. Only DICOM "
        "keywords and ways through sequences differ between series.",
        section={
            "Rules": [
                {
                    "Name": "nothing but dental",
                    "When": {"Field": "Modality", "In": ["IO", "PX"], "Series": "All"},
                    "DeliverTo": ["vna-qc"],
                }
            ],
        },
        cases=(
            ("PX and IO", {"Series": [{"Modality": "PX"}, {"Modality": "IO"}]}, True),
            ("PX and CT", {"Series": [{"Modality": "PX"}, {"Modality": "CT"}]}, False),
            ("no series", {}, False),
        ),
    ),
    Feature(
        name="Several questions about one series",
        meaning="`SeriesWhere` holds if one and the same series is as all conditions in it say; with `AtLeast` so many "
        "of them, with `Series` all or none. In it a DICOM keyword is that of the one series, or the study's where no "
        "series has it; any other field is as everywhere. There is no `Series` and no `SeriesWhere` inside another.",
        section={
            "Rules": [
                {"Name": "thin CT", "When": {"SeriesWhere": [_CT, _THIN], "AtLeast": 2}, "DeliverTo": ["vna-qc"]},
            ],
        },
        cases=(
            ("two thin CT series", {"Series": [{"Modality": "CT", "SliceThickness": "0.6"}] * 2}, True),
            (
                "a thin and a thick one",
                {"Series": [{"Modality": "CT", "SliceThickness": each} for each in ("0.6", "3")]},
                False,
            ),
        ),
    ),
    Feature(
        name="Sequences",
        meaning="Keywords with dots between them lead through sequences: the value of any item counts, up to eight "
        "keywords deep. Every keyword but the last is that of a sequence. For the worklist item, `Order.` stands "
        "before. Of an instance's sequences the first 200 values and 16,000 characters are read, and 20 items of each.",
        section={
            "Rules": [
                {
                    "Name": "asked for by number",
                    "When": {"Field": "RequestAttributesSequence.RequestedProcedureID", "StartsWith": "PANO"},
                    "DeliverTo": ["vna-qc"],
                }
            ],
        },
        cases=(
            (
                "two requests",
                {"Series": [{"RequestAttributesSequence.RequestedProcedureID": ["BITE-1", "PANO-7"]}]},
                True,
            ),
            ("no request", {"Series": [{"Modality": "PX"}]}, False),
        ),
    ),
    Feature(
        name="IgnoreCase",
        meaning='With `"IgnoreCase": true` text is compared without case, accents and repeated blanks, in the rule and '
        "in the study. It goes with `Equals`, `In`, `InSet`, `StartsWith`, `Contains`, `Matches` and `Regex`, on "
        "fields that hold text.",
        section={
            "Rules": [
                {
                    "Name": "panoramic",
                    "When": {"Field": "StudyDescription", "Contains": "bouche entière", "IgnoreCase": True},
                    "DeliverTo": ["vna-qc"],
                }
            ],
        },
        cases=(
            ("`BOUCHE  ENTIERE`", {"Study": {"StudyDescription": "BOUCHE  ENTIERE"}}, True),
            ("`bouche`", {"Study": {"StudyDescription": "bouche"}}, False),
        ),
    ),
    Feature(
        name="Days of validity",
        meaning="A rule is asked from `ValidFrom` to `ValidUntil`, both days included, by the calendar of the study's "
        "clinic. Before and after, its verdict is `NotInForce`, and it neither contributes nor stops anything.",
        section={
            "Rules": [
                {
                    "Name": "while the archive moves",
                    "ValidFrom": "2026-04-01",
                    "ValidUntil": "2026-04-06",
                    "DeliverTo": ["vna-qc"],
                }
            ],
        },
        cases=(
            ("6 April, 17:30 in Montréal", {"TimeZone": "America/Toronto"}, True),
            ("the same moment, 7 April in Tokyo", {"TimeZone": "Asia/Tokyo"}, False),
        ),
    ),
    Feature(
        name="Urgency",
        meaning="A study is as urgent as its order or a person says, else as the most urgent "
        "RequestedProcedurePriority (0040,1003), in any sequence too, or StudyPriorityID (0032,000C) of its images and "
        "its order: `STAT` is Stat, `HIGH` is Urgent, `ROUTINE` and `MEDIUM` are Routine, `LOW` is Background. "
        "Deliveries of a rule without `Priority` are as urgent as the study, and Routine where nothing is said.",
        section={
            "Rules": [
                {"Name": "at once", "When": {"Field": "Urgency", "In": ["Stat", "Urgent"]}, "DeliverTo": ["vna-qc"]}
            ],
        },
        cases=(
            ("STAT in a request", {"Study": {"RequestAttributesSequence.RequestedProcedurePriority": "STAT"}}, True),
            ("nothing said", {"Study": {"PatientID": "1"}}, False),
        ),
    ),
)

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
    rule = parse(Rule, {"Name": "asked", "When": condition, "Stop": True}, REFERENCES)
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


def first_rule_holds(section: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether the first rule of a piece of configuration holds for these facts."""
    references = References(sets=section.get("Sets", {}), conditions=section.get("Conditions", {}))
    rules = [parse(Rule, each, references) for each in section["Rules"]]
    outcome, *_ = decide(Facts.from_json(facts), rules, Otherwise(hold="no rule matched"), NOW).outcomes
    return outcome.verdict is Verdict.Held


def describe_features() -> str:
    """A heading for each part of the language, with an example and what it makes of some studies."""
    return "\n\n".join(_describe_feature(feature) for feature in FEATURES)


def _describe_feature(feature: Feature) -> str:
    rows = [(study, "yes" if first_rule_holds(feature.section, facts) else "no") for study, facts, _ in feature.cases]
    example = fenced(",\n".join(_part(name, part) for name, part in feature.section.items()), "json")
    outcome = table(("Study", "The rule holds"), rows)
    return f"### {feature.name}\n\n{feature.meaning}\n\n{example}\n\n{outcome}"


def _part(name: str, part: Any) -> str:
    """A part of the section, with a line for each item."""
    dumps = json.JSONEncoder(ensure_ascii=False).encode
    named = isinstance(part, Mapping)
    items = [f"{dumps(key)}: {dumps(each)}" for key, each in part.items()] if named else [dumps(each) for each in part]
    inside = ",\n  ".join(items)
    return f"{dumps(name)}: {{\n  {inside}\n}}" if named else f"{dumps(name)}: [\n  {inside}\n]"


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
