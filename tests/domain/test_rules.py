"""Conditions: every operator, every kind of field, the laws of All, Any and None."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.document import DocumentError, Problem, References, parse
from relais.domain.outcomes import ConditionOutcome, because
from relais.domain.routing import Decision, Explain, Verdict, decide
from relais.domain.rules import FIELDS, OPERATORS, Condition, Facts, Origin, Otherwise, Rule

NOON = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)  # a Monday, 12:00 in Toronto

FACTS = Facts(
    study={
        "StudyDate": ("20260401",),
        "RequestAttributesSequence.RequestedProcedureDescription": ("Panoramique", "Bite-wing"),
        "RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue": ("7",),
        "StudyTime": ("081530.25",),
        "StudyDescription": (" Panoramique d'été ",),
        "PatientID": ("00123",),
        "PatientAge": ("045Y",),
        "AccessionNumber": ("",),
    },
    series=(
        {"Modality": ("PX",), "SeriesNumber": ("2",), "ImageType": ("ORIGINAL", "PRIMARY")},
        {"Modality": ("CT",), "SliceThickness": ("0.50",)},
    ),
    origin=Origin(
        calling_aet="CS8100 ", called_aet="RELAIS", remote_ip="10.1.2.3", kind="DicomProtocol", source="hospital"
    ),
    clinic="outremont",
    clinic_region="CA-QC",
    time_zone="America/Toronto",
    match_state="Matched",
    patient={"AgeYears": (17,), "Labels": ("vip", "ortho")},
    urgency="Stat",
    order={"ScheduledStationAETitle": ("CS8100",), "ScheduledProcedureStepSequence.Modality": ("PX",)},
    instances=40,
)


REFERENCES = References(
    clinics=frozenset({"outremont", "laval"}),
    sets={"dental": ["IO", "PX"], "ids": [122, 123], "ours": ["outremont", "laval"], "theirs": ["verdun"], "none": []},
    conditions={
        "is-dental": {"Field": "Modality", "InSet": "dental"},
        "is-whole": {"All": [{"Condition": "is-dental"}, {"Field": "PatientID", "Exists": True}]},
        "all-dental": {"Field": "Modality", "InSet": "dental", "Series": "All"},
        "broken": {"Field": "Modallity", "Equals": "PX"},
        "round": {"None": [{"Condition": "about"}]},
        "about": {"Condition": "round"},
    },
)


CASE, UNKNOWN = "ignore-case-without-text", "unknown-field"


def holds(condition: dict[str, Any], facts: Facts = FACTS) -> bool:
    """Whether the condition holds, which every way to decide says alike."""
    rule = parse(Rule, {"Name": "asked", "When": condition, "Stop": True}, REFERENCES)
    otherwise = Otherwise(hold="no rule matched")
    (outcome,) = decide(facts, [rule], otherwise, NOON, explain=Explain.Everything).outcomes
    assert outcome.condition is not None
    assert (outcome.verdict is Verdict.Held) is outcome.condition.held
    for explain in (Explain.Nothing, Explain.Smallest):
        assert decide(facts, [rule], otherwise, NOON, explain=explain).otherwise is not outcome.condition.held
    return outcome.condition.held


def problems(condition: object) -> tuple[Problem, ...]:
    with pytest.raises(DocumentError) as refusal:
        parse(Rule, {"Name": "asked", "When": condition, "Stop": True}, REFERENCES)
    return refusal.value.problems


@pytest.mark.parametrize(
    ("field", "operator", "wanted", "held"),
    [
        ("Modality", "Equals", "PX", True),
        ("Modality", "Equals", "CT", True),  # any series
        ("Modality", "Equals", "px", False),  # case counts
        ("Modality", "Equals", " PX ", True),  # padding does not
        ("ImageType", "Equals", "PRIMARY", True),  # any value
        ("StudyDescription", "Equals", "Panoramique d'été", True),
        ("StudyDescription", "Equals", "Panoramique d'ete", False),
        ("PatientID", "Equals", "123", False),  # texts are texts
        ("PatientID", "Equals", 123, True),  # unless a number is asked for
        ("PatientID", "In", [122, 123], True),
        ("SeriesNumber", "Equals", "2.0", True),
        ("SliceThickness", "Equals", 0.5, True),
        ("SliceThickness", "LessThan", 1, True),
        ("SliceThickness", "LessThan", 0.5, False),
        ("SliceThickness", "AtLeast", 0.5, True),
        ("StudyDate", "Equals", "2026-04-01", True),
        ("StudyDate", "AtLeast", "20260402", False),
        ("StudyDate", "Between", ["2026-04-01", "2026-04-30"], True),
        ("StudyDate", "Between", ["2026-03-01", "2026-04-01"], True),  # both ends count
        ("StudyDate", "StartsWith", "2026", True),
        ("StudyTime", "Between", ["08:00", "09:00"], True),
        ("StudyTime", "LessThan", "08:15:30.5", True),
        ("PatientAge", "AtLeast", "018Y", True),
        ("PatientAge", "LessThan", "600M", True),
        ("PatientAge", "LessThan", "500M", False),
        ("StudyDescription", "Contains", "d'été", True),
        ("StudyDescription", "Matches", "Pano*été", True),
        ("StudyDescription", "Matches", "Pano", False),  # the whole value
        ("StudyDescription", "Matches", "Panoramique d'?t?", True),
        ("StudyDescription", "Matches", "[P]*", False),  # nothing else is special
        ("StudyDescription", "Regex", "^Pan.*mique", True),
        ("StudyDescription", "Regex", "mique", True),  # found anywhere
        ("StudyDescription", "Regex", "^mique", False),
        ("StudyDescription", "Exists", True, True),
        ("AccessionNumber", "Exists", False, True),  # empty is missing
        ("AccessionNumber", "Exists", True, False),
        ("Origin.CallingAet", "Equals", "CS8100", True),
        ("Origin.CalledAet", "Matches", "REL*", True),
        ("Origin.RemoteIp", "StartsWith", "10.1.", True),
        ("Origin.Kind", "Equals", "RestApi", False),
        ("Clinic", "In", ["outremont", "laval"], True),
        ("Clinic.Region", "Equals", "CA-QC", True),
        ("Match.State", "In", ["Matched", "Review"], True),
        ("Patient.AgeYears", "LessThan", 18, True),
        ("Patient.AgeYears", "LessThan", "5", False),  # 17 is not text here
        ("Patient.Labels", "Equals", "ortho", True),
        ("Patient.PostalCode", "StartsWith", "H", False),
        ("Urgency", "Equals", "Stat", True),
        ("Order.ScheduledStationAETitle", "Equals", "CS8100", True),
        ("Now.Weekday", "In", ["Monday", "Tuesday"], True),
        ("Now.Time", "Between", ["12:00", "13:00"], True),  # the clinic's noon
        ("Now.Time", "LessThan", "12:00", False),
        ("Modality", "InSet", "dental", True),
        ("BodyPartExamined", "InSet", "dental", False),
        ("PatientID", "InSet", "ids", True),  # a set of numbers compares numbers
        ("Clinic", "InSet", "ours", True),
        ("Series.Count", "Equals", 2, True),
        ("Series.Count", "AtLeast", 3, False),
        ("Instances.Count", "Between", [40, 41], True),
        ("Instances.Count", "LessThan", 40, False),
        ("RequestAttributesSequence.RequestedProcedureDescription", "Equals", "Bite-wing", True),  # any item
        ("RequestAttributesSequence.ScheduledProtocolCodeSequence.CodeValue", "Equals", "7", True),
        ("RequestAttributesSequence.RequestedProcedureID", "Exists", False, True),
        ("Order.ScheduledProcedureStepSequence.Modality", "Equals", "PX", True),
        ("StudyDescription", "Matches", "*que*'*t*", True),
        ("StudyDescription", "Matches", "*été*été", False),  # one text is not found twice
        ("StudyDescription", "Matches", "Panoramique d'été*d'été", False),  # nor do beginning and end share it
    ],
)
def test_an_operator_asks_a_field(field: str, operator: str, wanted: object, *, held: bool) -> None:
    assert holds({"Field": field, operator: wanted}) is held


@pytest.mark.parametrize(
    ("operator", "wanted", "held"),
    [
        ("Equals", "panoramique  D'ETE", True),
        ("Equals", "panoramique", False),
        ("In", ["x", "PANORAMIQUE D'ÉTÉ "], True),
        ("InSet", "dental", False),
        ("StartsWith", "PANO", True),
        ("StartsWith", "PANO ", False),  # a blank in the rule is one in the value
        ("Contains", "QUE D'Été", True),
        ("Matches", "*D'?TE", True),
        ("Matches", "pano", False),
        ("Regex", "^PAN.*É.É$", True),
        ("Regex", r"\S D", True),  # \S stays what it is
        ("Regex", r"D\sE", False),
    ],
)
def test_ignore_case_asks_for_text_without_case_accents_and_repeated_blanks(
    operator: str, wanted: object, *, held: bool
) -> None:
    facts = Facts(study={"StudyDescription": ("Panoramique\t  d'e\u0301té",)})
    assert holds({"Field": "StudyDescription", operator: wanted, "IgnoreCase": True}, facts) is held
    if held:
        assert not holds({"Field": "StudyDescription", operator: wanted, "IgnoreCase": False}, facts)


SERIES = (
    {"Modality": ("PX",), "SliceThickness": ("0.5",), "PatientID": ("1",)},
    {"Modality": ("IO",), "SliceThickness": ("2",), "PatientID": ("1",)},
    {"Modality": ("CT",), "SliceThickness": ("2",)},
)
THIN = {"Field": "SliceThickness", "LessThan": 1}
CT = {"Field": "Modality", "Equals": "CT"}
THICK = {"None": [THIN]}


@pytest.mark.parametrize(
    ("condition", "number", "held"),
    [
        ({**CT, "Series": "Any"}, 3, True),
        ({**CT, "Series": "Any"}, 2, False),
        ({**CT, "Series": "All"}, 3, False),
        ({**CT, "Series": "None"}, 2, True),
        ({**CT, "Series": "None"}, 3, False),
        ({**CT, "Series": "None"}, 0, True),
        ({"Condition": "all-dental"}, 2, True),
        ({"Condition": "all-dental"}, 3, False),
        ({"Condition": "all-dental"}, 0, False),  # all of none is none
        ({"All": [CT, THIN]}, 3, True),  # not one and the same
        ({"SeriesWhere": [CT, THIN]}, 3, False),
        ({"SeriesWhere": [CT, THICK]}, 3, True),
        ({"SeriesWhere": [THICK], "AtLeast": 2}, 3, True),
        ({"SeriesWhere": [THICK], "AtLeast": 2}, 2, False),
        ({"SeriesWhere": [THICK]}, 1, False),
        ({"SeriesWhere": [{"Any": [CT, THIN]}], "Series": "All"}, 1, True),
        ({"SeriesWhere": [{"Any": [CT, THIN]}], "Series": "All"}, 2, False),
        ({"SeriesWhere": [CT, THIN], "Series": "None"}, 3, True),
        ({"SeriesWhere": [{"Condition": "is-dental"}], "Series": "None"}, 3, False),
        ({"SeriesWhere": [CT, {"Field": "Clinic", "Equals": "laval"}]}, 3, True),  # as outside
        ({"SeriesWhere": [CT, {"Field": "Series.Count", "Equals": 3}]}, 3, True),
        ({"SeriesWhere": [CT, {"Field": "StudyDescription", "Equals": "bilan"}]}, 3, True),  # the study's
        ({"SeriesWhere": [CT, {"Field": "PatientID", "Exists": False}]}, 3, True),  # which another series has
    ],
)
def test_series_are_asked_by_themselves(condition: dict[str, Any], number: int, *, held: bool) -> None:
    study = {"StudyDescription": ("bilan",), "PatientID": ("1",), "SliceThickness": ("0.1",)}
    assert holds(condition, Facts(study=study, series=SERIES[:number], clinic="laval")) is held


@pytest.mark.parametrize("name", ["is-dental", "is-whole"])
def test_a_named_condition_is_what_it_says(name: str) -> None:
    assert holds({"Condition": name})
    assert holds({"None": [{"Condition": name}]}, Facts(series=({"Modality": ("CT",)},)))
    assert not holds({"Condition": name}, Facts(series=({"Modality": ("CT",)},)))


def test_a_rule_that_code_makes_knows_no_names() -> None:
    with pytest.raises(ValueError, match="unknown-set"):
        Condition(field="Modality", in_set="dental")
    with pytest.raises(DocumentError):
        parse(Condition, {"Condition": "is-dental"})


def test_a_condition_asks_a_bounded_number_of_questions() -> None:
    question = {"Field": "Modality", "Equals": "PX"}
    conditions: dict[str, object] = {"a0": {"Any": [question] * 5}}
    conditions |= {f"a{level}": {"Any": [{"Condition": f"a{level - 1}"}] * 10} for level in (1, 2)}
    for name, accepted in {"a1": True, "a2": True, "a3": False}.items():
        document = {"Any": [question, {"Condition": "a2"}]} if name == "a3" else {"Condition": name}
        if accepted:
            assert parse(Condition, document, References(conditions=conditions)).questions <= 500
        else:
            with pytest.raises(DocumentError) as refusal:
                parse(Condition, document, References(conditions=conditions))
            told = [(problem.code, problem.values["limit"]) for problem in refusal.value.problems]
            assert told == [("too-many-questions", 500)]


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_a_missing_value_holds_for_nothing_but_exists_false(operator: str) -> None:
    wanted: dict[str, object] = dict.fromkeys(OPERATORS, "a")
    wanted |= {"In": ["a"], "InSet": "dental", "Between": ["a", "b"], "Exists": True}
    assert not holds({"Field": "PatientID", operator: wanted[operator]}, Facts())
    assert holds({"Field": "PatientID", "Exists": False}, Facts())


@pytest.mark.parametrize("value", ["", "x", "2026", "20261301", "2026-W10-1"])
def test_a_value_that_is_not_of_its_kind_holds_for_no_comparison(value: str) -> None:
    facts = Facts(study={"StudyDate": (value,)})
    assert not holds({"Field": "StudyDate", "AtLeast": "0001-01-01"}, facts)
    assert not holds({"Field": "StudyDate", "LessThan": "9999-12-31"}, facts)


@pytest.mark.parametrize(
    ("condition", "path", "code", "nearest"),
    [
        ({"Field": "Modallity", "Equals": "PX"}, "When.Field", "unknown-field", "Modality"),
        ({"Field": "modality", "Equals": "PX"}, "When.Field", "unknown-field", "Modality"),
        ({"Field": "Origin.CallingAET", "Equals": "A"}, "When.Field", "unknown-field", "Origin.CallingAet"),
        ({"Field": "Order.Modalty", "Equals": "A"}, "When.Field", "unknown-field", "Order.Modality"),
        ({"Field": "PixelData", "Equals": "A"}, "When.Field", "field-without-values", None),
        ({"Field": "RequestAttributesSequence", "Exists": True}, "When.Field", "field-without-values", None),
        ({"Field": "Modality", "Equal": "A"}, "When.Equal", "unknown-key", "Equals"),
        ({"Field": "Modality", "Equals": []}, "When.Equals", "not-scalar", None),
        ({"Field": "Modality", "Equals": True}, "When.Equals", "not-scalar", None),
        ({"Field": "Modality", "Equals": " "}, "When.Equals", "empty", None),
        ({"Field": "Modality", "In": []}, "When.In", "empty", None),
        ({"Field": "Modality", "In": ["A", None]}, "When.In[1]", "not-scalar", None),
        ({"Field": "Modality", "In": ["A", 1]}, "When.In", "mixed-kinds", None),
        ({"Field": "Modality", "Contains": ""}, "When.Contains", "empty", None),
        ({"Field": "Modality", "Regex": "("}, "When.Regex", "bad-expression", None),
        ({"Field": "Modality", "Regex": r"(a)\1"}, "When.Regex", "bad-expression", None),
        ({"Field": "Modality", "Exists": "yes"}, "When.Exists", "bool_type", None),
        ({"Field": "SeriesNumber", "Equals": "two"}, "When.Equals", "not-of-kind", None),
        ({"Field": "StudyDate", "LessThan": "1 April"}, "When.LessThan", "not-of-kind", None),
        ({"Field": "Now.Time", "AtLeast": "25:00"}, "When.AtLeast", "not-of-kind", None),
        ({"Field": "StudyDate", "Between": ["20260101"]}, "When.Between", "not-two", None),
        ({"Field": "SeriesNumber", "Between": [10, 9]}, "When.Between", "not-ordered", None),
        ({"Field": "Now.Weekday", "Equals": "monday"}, "When.Equals", "not-one-of", "Monday"),
        ({"Field": "Now.Weekday", "AtLeast": "Monday"}, "When.AtLeast", "without-order", None),
        ({"Field": "Modality"}, "When", "not-one-operator", None),
        ({"Field": "Modality", "Equals": "A", "In": ["B"]}, "When", "not-one-operator", None),
        ({"Equals": "A"}, "When", "without-field", None),
        ({"Field": "Modality", "All": [{"Field": "Modality", "Equals": "A"}]}, "When", "group-with-field", None),
        ({"Any": []}, "When.Any", "empty", None),
        ({"All": [{"None": [{"Field": "X", "Exists": True}]}]}, "When.All[0].None[0].Field", "unknown-field", None),
        ([], "When", "model_type", None),
        ({"Field": "Modality", "InSet": "dentl"}, "When.InSet", "unknown-set", "dental"),
        ({"Field": "Modality", "InSet": "none"}, "When.InSet", "refers-to-fault", None),
        ({"Field": "SeriesNumber", "InSet": "dental"}, "When.InSet", "not-of-kind", None),
        ({"Field": "Clinic", "InSet": "theirs"}, "When.InSet", "unknown-clinic", None),
        ({"Field": "Clinic", "In": ["laval", "verdun"]}, "When.In", "unknown-clinic", None),
        ({"InSet": "dental"}, "When", "without-field", None),
        ({"Condition": "is-dentl"}, "When.Condition", "unknown-condition", "is-dental"),
        ({"Condition": "broken"}, "When.Condition", "refers-to-fault", None),
        ({"Condition": "round"}, "When.Condition", "refers-to-fault", None),
        ({"Condition": "is-dental", "Field": "Modality"}, "When", "group-with-field", None),
        ({"Condition": "is-dental", "Equals": "A"}, "When", "not-one-operator", None),
        ({"Field": "Modality", "Equals": "A", "Series": "Some"}, "When.Series", "not-one-of", None),
        ({"Field": "Clinic", "Exists": True, "Series": "All"}, "When.Series", "field-without-series", None),
        ({"Field": "Order.Modality", "Exists": True, "Series": "All"}, "When.Series", "field-without-series", None),
        ({"All": [{"Field": "Modality", "Exists": True}], "Series": "All"}, "When", "series-without-question", None),
        ({"Condition": "is-dental", "Series": "All"}, "When", "series-without-question", None),
        ({"SeriesWhere": [{"Condition": "all-dental"}]}, "When", "series-in-series", None),
        ({"SeriesWhere": [{"Condition": "is-dental"}], "AtLeast": 0}, "When", "not-a-count", None),
        ({"SeriesWhere": [{"Condition": "is-dental"}], "AtLeast": 1.5}, "When", "not-a-count", None),
        ({"SeriesWhere": [{"Condition": "is-dental"}], "AtLeast": "2"}, "When", "not-a-count", None),
        (
            {"SeriesWhere": [{"Condition": "is-dental"}], "AtLeast": 2, "Series": "All"},
            "When",
            "series-and-count",
            None,
        ),
        ({"SeriesWhere": [{"Condition": "is-dental"}], "LessThan": 2}, "When", "not-one-operator", None),
        ({"SeriesWhere": []}, "When.SeriesWhere", "empty", None),
        ({"SeriesWhere": [{"Field": "X", "Exists": True}]}, "When.SeriesWhere[0].Field", "unknown-field", None),
        ({"Field": "StudyDate", "IgnoreCase": True, "Equals": "20260401"}, "When.Equals", CASE, None),
        ({"Field": "PatientID", "IgnoreCase": True, "In": ["a", 1]}, "When.In", CASE, None),
        ({"Field": "PatientID", "IgnoreCase": True, "LessThan": "a"}, "When.LessThan", CASE, None),
        ({"Field": "PatientID", "IgnoreCase": True, "Exists": True}, "When", CASE, None),
        ({"IgnoreCase": True, "Condition": "is-dental"}, "When", CASE, None),
        ({"IgnoreCase": True, "Any": [{"Condition": "is-dental"}]}, "When", CASE, None),
        ({"Field": "PatientID", "IgnoreCase": True, "Contains": "\u0301"}, "When.Contains", "empty", None),
        ({"Field": "PatientID", "IgnoreCase": True, "Regex": "é("}, "When.Regex", "bad-expression", None),
        ({"Field": "RequestAttributesSequence.Requested", "Exists": True}, "When.Field", "unknown-field", None),
        (
            {"Field": "RequestAttributesSequence.RequestedProcedureId", "Exists": True},
            "When.Field",
            "unknown-field",
            "RequestAttributesSequence.RequestedProcedureID",
        ),
        (
            {"Field": "Order.ScheduledProcedureStepSequnce.Modality", "Exists": True},
            "When.Field",
            "unknown-field",
            "Order.ScheduledProcedureStepSequence.Modality",
        ),
        ({"Field": "Modality.PatientID", "Exists": True}, "When.Field", "not-a-sequence", None),
        ({"Field": "RequestAttributesSequence.", "Exists": True}, "When.Field", "unknown-field", None),
        ({"Field": "ConceptNameCodeSequence." * 8 + "CodeValue", "Exists": True}, "When.Field", "path-too-deep", None),
        (
            {"Field": "ContentSequence.ConceptNameCodeSequence", "Exists": True},
            "When.Field",
            "field-without-values",
            None,
        ),
        ({"Field": "x" * 2000, "Exists": True}, "When.Field", "too-long", None),
        ({"Field": "Modality", "Equals": "x" * 1025}, "When.Equals", "too-long", None),
        ({"Field": "Modality", "Regex": "x" * 1_000_000}, "When.Regex", "too-long", None),
    ],
)
def test_a_condition_that_cannot_be_asked_is_refused_where_it_stands(
    condition: object, path: str, code: str, nearest: str | None
) -> None:
    (problem,) = problems(condition)
    assert (problem.path, problem.code) == (path, code)
    if nearest:
        assert problem.values["nearest"] == nearest


KINDS = ["DicomProtocol", "RestApi", "Plugins", "Lua", "WebDav", "Unknown"]
ASKABLE = ["All", "Any", "None", "SeriesWhere", "Condition", *OPERATORS]


@pytest.mark.parametrize(
    ("condition", "values"),
    [
        ({"Field": "StudyDate", "IgnoreCase": True, "Equals": "20260401"}, {"name": "StudyDate"}),
        ({"Field": "PatientID", "IgnoreCase": True, "Exists": True}, {"name": "Exists"}),
        ({"IgnoreCase": True, "Condition": "is-dental"}, {"name": "Condition"}),
        (
            {"Field": "Origin.Kind", "Equals": "RestApy"},
            {"name": "RestApy", "known": KINDS, "nearest": "RestApi"},
        ),
        ({"Field": "Origin.Kind", "Equals": 12}, {"name": "12", "known": KINDS, "nearest": None}),
        ({"Field": "SeriesNumber", "Equals": "two"}, {"name": "two", "field": "SeriesNumber", "kind": "Number"}),
        ({"Field": "Origin.Kind", "LessThan": "RestApi"}, {"name": "Origin.Kind"}),
        ({"Field": "Clinic", "LessThan": "laval"}, {"name": "Clinic"}),
        ({"Field": "Clinic", "Equals": "verdun"}, {"name": "verdun", "nearest": None}),
        ({"Field": "SeriesNumber", "Between": [10, 9]}, {"low": "10", "high": "9"}),
        ({"Field": "Modality", "Equals": "x" * 1025}, {"limit": 1024}),
        ({"Field": "Clinic", "Exists": True, "Series": "All"}, {"name": "Clinic"}),
        ({"Field": "Modality"}, {"known": ASKABLE}),
        ({"Field": "Modality", "InSet": "dentl"}, {"name": "dentl", "nearest": "dental"}),
        ({"Field": "Modality", "InSet": "none"}, {"name": "none"}),
        ({"Condition": "is-dentl"}, {"name": "is-dentl", "nearest": "is-dental"}),
        ({"Condition": "broken"}, {"name": "broken"}),
    ],
)
def test_what_is_wrong_is_told_with_what_it_is_about(condition: object, values: dict[str, object]) -> None:
    (problem,) = problems(condition)
    assert {**problem.values, "detail": None} == {**values, "detail": None}


@pytest.mark.parametrize(("levels", "accepted"), [(8, True), (9, False), (100_000, False)])
def test_groups_nest_eight_deep_and_no_deeper(levels: int, *, accepted: bool) -> None:
    condition: dict[str, Any] = {"Field": "Modality", "Equals": "PX"}
    for _ in range(levels):
        condition = {"All": [condition]}
    if accepted:
        assert holds(condition)
    else:
        told = [(problem.path, problem.code, problem.values["limit"]) for problem in problems(condition)]
        assert told == [("When", "too-deep", 8)]


def test_a_hostile_expression_ends_at_once() -> None:
    facts = Facts(study={"StudyDescription": ("a" * 50_000,)})
    assert not holds({"Field": "StudyDescription", "Regex": "^(a+)+$b"}, facts)
    assert not holds({"Field": "StudyDescription", "Matches": "*a" * 50 + "b"}, facts)


def test_every_field_and_operator_is_documented() -> None:
    for field in FIELDS.values():
        assert field.meaning
        assert field.example
        assert holds({"Field": field.name, "Exists": True}) or field.name.startswith("Patient.")
        parse(Condition, {"Field": field.name, "Equals": field.example}, REFERENCES)
    aliases = {field.alias for field in Condition.model_fields.values()}
    assert set(OPERATORS) <= aliases
    for operator in OPERATORS.values():
        ordered = {"LessThan": "SeriesNumber", "AtLeast": "SeriesNumber", "Between": "Now.Time"}
        assert operator.meaning
        asked = {"Field": ordered.get(operator.name, "Modality"), operator.name: operator.example}
        parse(Condition, asked, REFERENCES)


WORDS = st.sampled_from(["CT", "PX", "IO", "20260401", "0800", "3", "-1.5", "018Y", "é", "\ud800", "\0", ""])
VALUES = st.lists(WORDS | st.text(max_size=5), max_size=3).map(tuple)
TAGS = st.dictionaries(st.sampled_from(["Modality", "StudyDate", "SeriesNumber", "PatientAge", "StudyTime"]), VALUES)
SOME_FACTS = st.builds(
    Facts,
    instances=st.none() | st.integers(0, 3),
    study=TAGS,
    series=st.lists(TAGS, max_size=3),
    origin=st.builds(Origin, calling_aet=st.none() | WORDS, remote_ip=st.none() | st.text(max_size=8)),
    clinic=st.none() | st.text(max_size=4),
    urgency=st.none() | st.text(max_size=4),
    patient=st.dictionaries(st.sampled_from(["AgeYears", "Labels"]), VALUES),
)
QUESTIONS = st.one_of(
    st.builds(lambda field, word: {"Field": field, "Equals": word},
              st.sampled_from(["Modality", "Origin.CallingAet"]), st.sampled_from(["CT", "PX", "é", 3])),
    st.builds(lambda words: {"Field": "Modality", "In": words},
              st.lists(st.sampled_from(["CT", "PX", "IO"]), min_size=1)),
    st.builds(lambda number: {"Field": "SeriesNumber", "LessThan": number}, st.integers(-9, 9)),
    st.builds(lambda day: {"Field": "StudyDate", "AtLeast": day.isoformat()}, st.dates()),
    st.builds(lambda exists: {"Field": "PatientAge", "Exists": exists}, st.booleans()),
    st.sampled_from([
        {"Field": "Modality", "Regex": "^.$"}, {"Field": "Modality", "Matches": "?T"},
        {"Field": "StudyTime", "Between": ["08", "0900"]}, {"Field": "PatientAge", "LessThan": "018Y"},
        {"Field": "Patient.AgeYears", "AtLeast": 18}, {"Field": "Now.Time", "LessThan": "12:00"},
        {"Field": "Modality", "Equals": "ct", "IgnoreCase": True}, {"Condition": "is-dental"},
        {"Condition": "is-whole"}, {"Condition": "all-dental"}, {"Field": "Series.Count", "AtLeast": 2},
        {"Field": "Modality", "Equals": "CT", "Series": "None"},
        {"SeriesWhere": [{"Field": "Modality", "Equals": "CT"}, {"Field": "SeriesNumber", "Equals": 3}]},
        {"SeriesWhere": [{"None": [{"Condition": "is-dental"}]}], "AtLeast": 2},
    ]),
)  # fmt: skip
CONDITIONS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    QUESTIONS,
    lambda inside: st.builds(
        lambda group, conditions: {group: conditions},
        st.sampled_from(["All", "Any", "None"]),
        st.lists(inside, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
SEVERAL = st.lists(CONDITIONS, min_size=1, max_size=3)


@given(SOME_FACTS, SEVERAL)
def test_none_is_not_any(facts: Facts, inside: list[dict[str, Any]]) -> None:
    assert holds({"None": inside}, facts) is not holds({"Any": inside}, facts)


@given(SOME_FACTS, SEVERAL)
def test_de_morgan(facts: Facts, inside: list[dict[str, Any]]) -> None:
    assert holds({"None": inside}, facts) is holds({"All": [{"None": [one]} for one in inside]}, facts)
    assert holds({"None": [{"All": inside}]}, facts) is holds({"Any": [{"None": [one]} for one in inside]}, facts)


@given(SOME_FACTS, SEVERAL)
def test_a_group_counts_its_conditions(facts: Facts, inside: list[dict[str, Any]]) -> None:
    held = [holds(one, facts) for one in inside]
    assert holds({"All": inside}, facts) is all(held)
    assert holds({"Any": inside}, facts) is any(held)


def outcome_of(condition: dict[str, Any], facts: Facts) -> tuple[ConditionOutcome, tuple[ConditionOutcome, ...]]:
    rule = parse(Rule, {"Name": "asked", "When": condition, "Stop": True}, REFERENCES)
    (outcome,) = decide(facts, [rule], Otherwise(hold="no"), NOON, explain=Explain.Everything).outcomes
    assert outcome.condition is not None
    return outcome.condition, outcome.because


def answers_in(outcome: ConditionOutcome) -> list[ConditionOutcome]:
    if outcome.operator not in ("All", "Any", "None"):
        return [outcome]
    return [answer for child in outcome.children for answer in answers_in(child)]


def follows(outcome: ConditionOutcome, known: Sequence[ConditionOutcome]) -> set[bool]:
    """All that the condition can become when the other answers are whatever they like: an independent oracle."""
    others = [each for each in dict.fromkeys(answers_in(outcome)) if each not in known]

    def value(at: ConditionOutcome, chosen: dict[ConditionOutcome, bool]) -> bool:
        if at.operator not in ("All", "Any", "None"):
            return chosen.get(at, at.held)
        values = [value(child, chosen) for child in at.children]
        return {"All": all(values), "Any": any(values), "None": not any(values)}[at.operator]

    choices = product([True, False], repeat=len(others))
    return {value(outcome, dict(zip(others, choice, strict=True))) for choice in choices}


@given(SOME_FACTS, CONDITIONS)
def test_an_explanation_suffices_and_nothing_in_it_can_be_left_out(facts: Facts, condition: dict[str, Any]) -> None:
    outcome, reasons = outcome_of(condition, facts)
    assert reasons == because(outcome)  # the short way finds what the long one finds
    assert set(reasons) <= set(answers_in(outcome))
    assert follows(outcome, reasons) == {outcome.held}
    if len(set(answers_in(outcome))) == len(answers_in(outcome)):  # an answer that stands twice may make up for another
        for each in reasons:
            assert follows(outcome, [other for other in reasons if other != each]) == {True, False}


@given(SOME_FACTS, CONDITIONS)
def test_no_explanation_is_smaller_where_each_question_stands_once(facts: Facts, condition: dict[str, Any]) -> None:
    outcome, reasons = outcome_of(condition, facts)
    answers = answers_in(outcome)
    if len(set(answers)) == len(answers) and len(reasons) > 1:
        for fewer in combinations(answers, len(reasons) - 1):
            assert follows(outcome, fewer) != {outcome.held}


def test_an_answer_that_stands_twice_is_told_once() -> None:
    ct, px = ({"Field": "Modality", "Equals": name} for name in ("CT", "PX"))
    io = {"Field": "Modality", "Equals": "IO"}
    for condition, told in (
        ({"Any": [px, px]}, ["PX"]),
        ({"Any": [px, {"All": [io, px]}]}, ["PX"]),  # IO failed too, and changes nothing
        ({"Any": [px, {"All": [ct, io]}]}, ["PX", "IO"]),
        ({"All": [{"Any": [px, px]}, io]}, ["IO"]),
    ):
        _, reasons = outcome_of(condition, Facts(series=({"Modality": ("CT",)},)))
        assert [each.wanted for each in reasons] == told


@given(SOME_FACTS)
def test_facts_come_back_from_their_document(facts: Facts) -> None:
    assert Facts.from_json(facts.to_json()) == facts


@given(SOME_FACTS, SEVERAL)
def test_a_decision_comes_back_from_its_document(facts: Facts, conditions: list[dict[str, Any]]) -> None:
    rules = [
        parse(Rule, {"Name": str(index), "When": when, "DeliverTo": ["a"], "Stop": index == 1}, REFERENCES)
        for index, when in enumerate(conditions)
    ]
    for explain in Explain:
        decision = decide(facts, rules, Otherwise(hold="no rule matched"), NOON, explain=explain)
        assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision


@given(SOME_FACTS, SEVERAL)
def test_every_way_to_decide_owes_the_same(facts: Facts, conditions: list[dict[str, Any]]) -> None:
    rules = [
        parse(Rule, {"Name": str(index), "When": when, "DeliverTo": [f"to {index}"], "Stop": index == 1}, REFERENCES)
        for index, when in enumerate(conditions)
    ]
    ways = [decide(facts, rules, Otherwise(hold="no"), NOON, explain=explain) for explain in Explain]
    assert len({(each.deliveries, each.held_back, each.hold, each.otherwise) for each in ways}) == 1
    held = [[each.rule for each in way.outcomes if each.verdict is Verdict.Held] for way in ways]
    assert held[0] == held[1] == held[2]


@pytest.mark.parametrize(
    ("document", "path", "code"),
    [
        ([], "", "model_type"),
        ({"Study": {"Modalty": "PX"}}, "Study.Modalty", "unknown-field"),
        ({"Series": [{}, {"0010,0010": "x"}]}, 'Series[1]["0010,0010"]', "unknown-field"),
        ({"Series": [{"Modality": {}}]}, "Series[0].Modality", "not-values"),
        ({"TimeZone": "Mars/Olympus"}, "TimeZone", "bad-time-zone"),
        ({"TimeZone": "../../etc/passwd"}, "TimeZone", "bad-time-zone"),
        ({"Origin": {"CallingAET": "A"}}, "Origin.CallingAET", "unknown-key"),
        ({"study": {}}, "study", "unknown-key"),
        ({"Study": {"RequestAttributesSequence.Modalty": "PX"}}, 'Study["RequestAttributesSequence.Modalty"]', UNKNOWN),
        ({"Study": {"Modality.PatientID": "PX"}}, 'Study["Modality.PatientID"]', UNKNOWN),
        ({"Instances": -1}, "Instances", "greater_than_equal"),
        ({"Instances": "2"}, "Instances", "int_type"),
    ],
)
def test_facts_that_are_not_facts_are_refused_where_they_stand(document: object, path: str, code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        Facts.from_json(document)
    assert [(problem.path, problem.code) for problem in refusal.value.problems] == [(path, code)]
