"""Conditions: every operator, every kind of field, the laws of All, Any and None."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relais.domain.document import DocumentError, Problem, parse
from relais.domain.routing import Decision, decide
from relais.domain.rules import FIELDS, OPERATORS, Condition, Facts, Origin, Otherwise, Rule

NOON = datetime(2026, 4, 6, 16, 0, tzinfo=UTC)  # a Monday, 12:00 in Toronto

FACTS = Facts(
    study={
        "StudyDate": ("20260401",),
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
    origin=Origin(calling_aet="CS8100 ", called_aet="RELAIS", remote_ip="10.1.2.3", kind="DicomProtocol"),
    clinic="outremont",
    clinic_region="CA-QC",
    time_zone="America/Toronto",
    match_state="Matched",
    patient={"AgeYears": (17,), "Labels": ("vip", "ortho")},
    urgency="Stat",
    order={"ScheduledStationAETitle": ("CS8100",)},
)


def holds(condition: dict[str, Any], facts: Facts = FACTS) -> bool:
    rule = parse(Rule, {"Name": "asked", "When": condition, "Stop": True})
    (outcome,) = decide(facts, [rule], Otherwise(hold="no rule matched"), NOON).outcomes
    assert outcome.condition is not None
    return outcome.condition.held


def problems(condition: object) -> tuple[Problem, ...]:
    with pytest.raises(DocumentError) as refusal:
        parse(Rule, {"Name": "asked", "When": condition, "Stop": True})
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
    ],
)
def test_an_operator_asks_a_field(field: str, operator: str, wanted: object, *, held: bool) -> None:
    assert holds({"Field": field, operator: wanted}) is held


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_a_missing_value_holds_for_nothing_but_exists_false(operator: str) -> None:
    wanted: dict[str, object] = dict.fromkeys(OPERATORS, "a")
    wanted |= {"In": ["a"], "Between": ["a", "b"], "Exists": True}
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
    ],
)
def test_a_condition_that_cannot_be_asked_is_refused_where_it_stands(
    condition: object, path: str, code: str, nearest: str | None
) -> None:
    (problem,) = problems(condition)
    assert (problem.path, problem.code) == (path, code)
    if nearest:
        assert problem.values["nearest"] == nearest


@pytest.mark.parametrize(("levels", "accepted"), [(8, True), (9, False), (100_000, False)])
def test_groups_nest_eight_deep_and_no_deeper(levels: int, *, accepted: bool) -> None:
    condition: dict[str, Any] = {"Field": "Modality", "Equals": "PX"}
    for _ in range(levels):
        condition = {"All": [condition]}
    if accepted:
        assert holds(condition)
    else:
        assert [(problem.path, problem.code) for problem in problems(condition)] == [("When", "too-deep")]


def test_a_hostile_expression_ends_at_once() -> None:
    facts = Facts(study={"StudyDescription": ("a" * 50_000,)})
    assert not holds({"Field": "StudyDescription", "Regex": "^(a+)+$b"}, facts)
    assert not holds({"Field": "StudyDescription", "Matches": "*a" * 50 + "b"}, facts)


def test_every_field_and_operator_is_documented() -> None:
    for field in FIELDS.values():
        assert field.meaning
        assert field.example
        assert holds({"Field": field.name, "Exists": True}) or field.name.startswith("Patient.")
        parse(Condition, {"Field": field.name, "Equals": field.example})
    aliases = {field.alias for field in Condition.model_fields.values()}
    assert set(OPERATORS) <= aliases
    for operator in OPERATORS.values():
        ordered = {"LessThan": "SeriesNumber", "AtLeast": "SeriesNumber", "Between": "Now.Time"}
        assert operator.meaning
        parse(Condition, {"Field": ordered.get(operator.name, "Modality"), operator.name: operator.example})


WORDS = st.sampled_from(["CT", "PX", "IO", "20260401", "0800", "3", "-1.5", "018Y", "é", "\ud800", "\0", ""])
VALUES = st.lists(WORDS | st.text(max_size=5), max_size=3).map(tuple)
TAGS = st.dictionaries(st.sampled_from(["Modality", "StudyDate", "SeriesNumber", "PatientAge", "StudyTime"]), VALUES)
SOME_FACTS = st.builds(
    Facts,
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


@given(SOME_FACTS)
def test_facts_come_back_from_their_document(facts: Facts) -> None:
    assert Facts.from_json(facts.to_json()) == facts


@given(SOME_FACTS, SEVERAL)
def test_a_decision_comes_back_from_its_document(facts: Facts, conditions: list[dict[str, Any]]) -> None:
    rules = [
        parse(Rule, {"Name": str(index), "When": when, "DeliverTo": ["a"], "Stop": index == 1})
        for index, when in enumerate(conditions)
    ]
    decision = decide(facts, rules, Otherwise(hold="no rule matched"), NOON)
    assert Decision.from_json(decision.to_json()) == decision


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
    ],
)
def test_facts_that_are_not_facts_are_refused_where_they_stand(document: object, path: str, code: str) -> None:
    with pytest.raises(DocumentError) as refusal:
        Facts.from_json(document)
    assert [(problem.path, problem.code) for problem in refusal.value.problems] == [(path, code)]
